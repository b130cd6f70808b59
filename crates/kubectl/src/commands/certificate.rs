//! `kubectl certificate approve|deny`.

use apimachinery::object::ObjectExt;
use serde_json::json;

use cli_runtime::change;
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Session, files};

/// Decides on certificate signing requests.
pub static COMMAND: Command = Command {
    name: "certificate",
    short: "Modify certificate resources",
    usage: "certificate SUBCOMMAND",
    subcommands: &[&APPROVE, &DENY],
    // Unlike other groups, this one shows its help and ends well.
    run: Some(|invocation| {
        Box::pin(async move {
            out!("{}", cli_runtime::cli::help::text(invocation.path()));
            Ok(())
        })
    }),
    ..Command::NONE
};

static APPROVE: Command = Command {
    name: "approve",
    short: "Approve a certificate signing request",
    long: "Approve a certificate signing request.\n\nThe signer then issues the certificate: be sure of who asks, and what for.",
    examples: "
# A request
kubectl certificate approve csr-web",
    usage: "approve (-f FILENAME | NAME)",
    flags: &[flag::FILES, flag::PRINT, FORCE],
    run: Some(|invocation| Box::pin(run(invocation, &APPROVAL))),
    ..Command::NONE
};

static DENY: Command = Command {
    name: "deny",
    short: "Deny a certificate signing request",
    examples: "
# A request
kubectl certificate deny csr-web",
    usage: "deny (-f FILENAME | NAME)",
    flags: &[flag::FILES, flag::PRINT, FORCE],
    run: Some(|invocation| Box::pin(run(invocation, &DENIAL))),
    ..Command::NONE
};

const FORCE: &[Flag] = &[Flag::switch("force", "Decide again although it was decided so already.")];
/// What can be said to a request.
struct Decision {
    /// The condition that says so.
    condition: &'static str,
    /// The condition that says the contrary.
    contrary: &'static str,
    verb: &'static str,
    reason: &'static str,
    done: &'static str,
}

static APPROVAL: Decision = Decision {
    condition: "Approved",
    contrary: "Denied",
    verb: "approve",
    reason: "KubectlApprove",
    done: "approved",
};

static DENIAL: Decision = Decision {
    condition: "Denied",
    contrary: "Approved",
    verb: "deny",
    reason: "KubectlDeny",
    done: "denied",
};

const PATH: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

async fn run(invocation: Invocation, decision: &Decision) -> Result<()> {
    let session = Session::open(&invocation).await?;
    let mut names: Vec<String> =
        invocation.args.iter().map(|name| name.rsplit('/').next().unwrap_or(name).to_string()).collect();
    for document in files::read(&invocation).await? {
        names.push(document.object.name().to_string());
    }
    if names.is_empty() {
        return Err(invocation.usage("one or more CSRs must be specified as <name> or -f <filename>"));
    }
    for name in names {
        let mut request = session.client.get(&format!("{PATH}/{name}")).await?;
        let decided = |kind: &str| {
            request.list_at(&["status", "conditions"]).iter().any(|condition| condition["type"] == kind)
        };
        if decided(decision.contrary) {
            return Err(Error::message(format!(
                "certificate signing request \"{name}\" is already {}",
                decision.contrary
            )));
        }
        if !decided(decision.condition) || invocation.is("force") {
            let condition = json!({"type": decision.condition, "status": "True", "reason": decision.reason,
                "message": format!("This CSR was {} by kubectl certificate {}.", decision.done, decision.verb),
                "lastUpdateTime": apimachinery::time::now_rfc3339()});
            let mut conditions = request.list_at(&["status", "conditions"]).to_vec();
            conditions.retain(|known| known["type"] != decision.condition);
            conditions.push(condition);
            request["status"]["conditions"] = conditions.into();
            request = session.client.put(&format!("{PATH}/{name}/approval"), &request).await?;
        }
        change::report(&invocation, &request, decision.done)?;
    }
    Ok(())
}

//! `kubectl create token`.

use serde_json::json;

use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::print::Printer;
use cli_runtime::resource::Session;

/// Asks for a service account's token.
pub static COMMAND: Command = Command {
    name: "token",
    short: "Request a service account token",
    examples: "
# A token of the service account, for an hour
kubectl create token robot --duration 1h

# A token that ends with a pod
kubectl create token robot --bound-object-kind Pod --bound-object-name web",
    usage: "token SERVICE_ACCOUNT_NAME",
    flags: &[flag::PRINT, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::array("audience", "For whom the token is; may be repeated."),
    Flag::text("bound-object-kind", "", "Kind of the object that the token ends with: Pod, Secret or Node."),
    Flag::text("bound-object-name", "", "Name of that object."),
    Flag::text("bound-object-uid", "", "UID of that object."),
    Flag::duration("duration", "0s", "How long the token is wanted; the server may give another time."),
];

async fn run(invocation: Invocation) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    let mut spec = json!({"audiences": invocation.list("audience")});
    let seconds = invocation.duration("duration").as_secs();
    if seconds > 0 {
        spec["expirationSeconds"] = seconds.into();
    }
    let kind = invocation.text("bound-object-kind");
    if !kind.is_empty() {
        if invocation.text("bound-object-name").is_empty() {
            return Err(Error::message("--bound-object-name is required if --bound-object-kind is provided"));
        }
        spec["boundObjectRef"] =
            json!({"apiVersion": "v1", "kind": kind, "name": invocation.text("bound-object-name")});
        if !invocation.text("bound-object-uid").is_empty() {
            spec["boundObjectRef"]["uid"] = invocation.text("bound-object-uid").into();
        }
    } else if !invocation.text("bound-object-name").is_empty() {
        return Err(Error::message("--bound-object-name can only be set if --bound-object-kind is provided"));
    }
    let session = Session::open(&invocation).await?;
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/{name}/token", session.namespace);
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec});
    let reply = session.client.post(&path, &request).await.map_err(|error| match error {
        Error::Server { status, .. } => {
            Error::message(format!("failed to create token: {}", status["message"].as_str().unwrap_or("")))
        }
        other => other,
    })?;
    if let Some(mut printer) = Printer::from_flags(&invocation)? {
        return printer.print(&reply);
    }
    match reply["status"]["token"].as_str().filter(|token| !token.is_empty()) {
        Some(token) => {
            outln!("{token}");
            Ok(())
        }
        None => Err(Error::message("failed to create token: no token in server response")),
    }
}

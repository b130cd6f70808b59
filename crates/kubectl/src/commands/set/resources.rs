//! `kubectl set resources`.

use serde_json::{Value, json};

use super::{CONTAINERS, MANAGER, change, picked, pod_spec, send};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

/// Changes containers' requests and limits.
pub static COMMAND: Command = Command {
    name: "resources",
    short: "Update resource requests/limits on objects with pod templates",
    examples: "
# Limits of one container
kubectl set resources deployment web -c=nginx --limits=cpu=200m,memory=512Mi

# Requests and limits of all
kubectl set resources deployment web --limits=cpu=200m --requests=cpu=100m",
    usage: "resources (-f FILENAME | TYPE NAME)  ([--limits=LIMITS & --requests=REQUESTS]",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::DRY_RUN,
        flag::SELECTOR,
        flag::ALL,
        flag::LOCAL,
        MANAGER,
        CONTAINERS,
        FLAGS,
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::text("limits", "", "Limits, as cpu=100m,memory=256Mi."),
    Flag::text("requests", "", "Requests, as cpu=100m,memory=256Mi."),
];

async fn run(invocation: Invocation) -> Result<()> {
    if invocation.text("limits").is_empty() && invocation.text("requests").is_empty() {
        return Err(Error::message(
            "you must specify an update to requests or limits (in the form of --requests/--limits)",
        ));
    }
    let mut wanted = json!({});
    for field in ["limits", "requests"] {
        for pair in invocation.text(field).split(',').filter(|pair| !pair.is_empty()) {
            let (name, quantity) = pair.split_once('=').ok_or_else(|| {
                Error::message(format!("invalid argument syntax {pair}, expected <resource>=<value>"))
            })?;
            quantity
                .parse::<apimachinery::quantity::Quantity>()
                .map_err(|_| Error::message(format!("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$': {quantity}")))?;
            wanted[field][name] = quantity.into();
        }
    }
    let session = Session::open(&invocation).await?;
    let mut errors = Vec::new();
    for item in change::targets(&session, &invocation, &invocation.args).await? {
        let spec = pod_spec(&item)?;
        let containers: Vec<Value> = picked(&invocation, spec, "containers")
            .map(|(name, _)| json!({"name": name, "resources": wanted}))
            .collect();
        if containers.is_empty() {
            errors.push(Error::message(format!(
                "unable to find container named {}",
                invocation.text("containers")
            )));
        } else if let Err(error) = send(
            &session,
            &invocation,
            &item,
            json!({"containers": containers}),
            "resource requirements updated",
        )
        .await
        {
            errors.push(error);
        }
    }
    Error::all(errors)
}

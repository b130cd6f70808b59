//! `kubectl set serviceaccount`.

use serde_json::json;

use super::{MANAGER, change, pod_spec, send};
use cli_runtime::cli::{Command, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

/// Changes the service account that pods run as.
pub static COMMAND: Command = Command {
    name: "serviceaccount",
    aliases: &["sa"],
    short: "Update the service account of a resource",
    examples: "
# Run a deployment's pods as another service account
kubectl set serviceaccount deployment web robot",
    usage: "serviceaccount (-f FILENAME | TYPE NAME) SERVICE_ACCOUNT",
    flags: &[flag::FILES, flag::PRINT, flag::DRY_RUN, flag::ALL, flag::LOCAL, MANAGER],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

async fn run(invocation: Invocation) -> Result<()> {
    let Some((account, resources)) = invocation.args.split_last() else {
        return Err(Error::message("serviceaccount is required"));
    };
    let session = Session::open(&invocation).await?;
    for item in change::targets(&session, &invocation, resources).await? {
        pod_spec(&item)?;
        let spec = json!({"serviceAccountName": account, "serviceAccount": account});
        send(&session, &invocation, &item, spec, "serviceaccount updated").await?;
    }
    Ok(())
}

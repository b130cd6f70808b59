//! `kubectl create serviceaccount`.

use serde_json::json;

use crate::{MANAGER, generated};
use cli_runtime::cli::{Command, Invocation, flag};
use cli_runtime::error::Result;

/// Creates a service account.
pub static COMMAND: Command = Command {
    name: "serviceaccount",
    aliases: &["sa"],
    short: "Create a service account with the specified name",
    examples: "
# A service account
kubectl create serviceaccount robot",
    usage: "serviceaccount NAME [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

async fn run(invocation: Invocation) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    generated(&invocation, object, "serviceaccounts", true, "serviceaccount:").await
}

//! `kubectl create namespace`.

use serde_json::json;

use crate::{MANAGER, generated};
use cli_runtime::cli::{Command, Invocation, flag};
use cli_runtime::error::Result;

/// Creates a namespace.
pub static COMMAND: Command = Command {
    name: "namespace",
    aliases: &["ns"],
    short: "Create a namespace with the specified name",
    examples: "
# A namespace
kubectl create namespace team-a",
    usage: "namespace NAME [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

async fn run(invocation: Invocation) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {}, "status": {}});
    generated(&invocation, object, "namespaces", false, "").await
}

//! `kubectl create priorityclass`.

use serde_json::json;

use crate::{MANAGER, generated};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::Result;

/// Creates a priority class.
pub static COMMAND: Command = Command {
    name: "priorityclass",
    aliases: &["pc"],
    short: "Create a priority class with the specified name",
    examples: "
# A class for what must run
kubectl create priorityclass high --value=1000 --description=\"what must run\"",
    usage: "priorityclass NAME --value=VALUE --global-default=BOOL [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::text("description", "", "What the class is for."),
    Flag::switch("global-default", "Use it for pods that name no class."),
    Flag::text("preemption-policy", "PreemptLowerPriority", "PreemptLowerPriority or Never."),
    Flag::int("value", "0", "The priority."),
];

async fn run(invocation: Invocation) -> Result<()> {
    invocation.require(&["value"])?;
    let name = invocation.exactly_one_name()?;
    let mut object = json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
        "value": invocation.int("value"), "preemptionPolicy": invocation.text("preemption-policy"),
    });
    if invocation.is("global-default") {
        object["globalDefault"] = true.into();
    }
    if !invocation.text("description").is_empty() {
        object["description"] = invocation.text("description").into();
    }
    generated(&invocation, object, "priorityclasses", false, "priorityclass:").await
}

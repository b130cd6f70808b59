//! `kubectl create poddisruptionbudget`.

use serde_json::json;

use crate::{MANAGER, generated};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};

/// Creates a pod disruption budget.
pub static COMMAND: Command = Command {
    name: "poddisruptionbudget",
    aliases: &["pdb"],
    short: "Create a pod disruption budget with the specified name",
    examples: "
# Of the pods with this label, one must stay
kubectl create pdb web --selector=app=web --min-available=1",
    usage: "poddisruptionbudget NAME --selector=SELECTOR --min-available=N [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::text("max-unavailable", "", "How many of the pods may be away: a number or a percentage."),
    Flag::text("min-available", "", "How many of the pods must stay: a number or a percentage."),
    Flag::text("selector", "", "Label query of the pods."),
];

async fn run(invocation: Invocation) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    if invocation.text("selector").is_empty() {
        return Err(Error::message("a selector must be specified"));
    }
    let (least, most) = (invocation.text("min-available"), invocation.text("max-unavailable"));
    let limit = match (least, most) {
        ("", "") => return Err(Error::message("one of min-available or max-unavailable must be specified")),
        (least, "") => ("minAvailable", least),
        ("", most) => ("maxUnavailable", most),
        _ => return Err(Error::message("min-available and max-unavailable cannot be both specified")),
    };
    let selector = crate::selector::label_selector(invocation.text("selector"))?;
    let mut spec = json!({"selector": selector});
    spec[limit.0] = limit.1.parse::<u32>().map_or_else(|_| limit.1.into(), serde_json::Value::from);
    let object = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec,
        "status": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0},
    });
    generated(&invocation, object, "poddisruptionbudgets", true, "poddisruptionbudgets:").await
}

//! `kubectl set`: single features of objects that hold pod templates.

mod env;
mod image;
mod resources;
mod selector;
mod serviceaccount;
mod subject;

use serde_json::{Value, json};

use cli_runtime::change;
use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::client::STRATEGIC;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session};

/// Sets features of objects.
pub static COMMAND: Command = Command {
    name: "set",
    short: "Set specific features on objects",
    long: "Configure application resources.\n\nThese commands change what exists already.",
    usage: "set SUBCOMMAND",
    subcommands: &[
        &env::COMMAND,
        &image::COMMAND,
        &resources::COMMAND,
        &selector::COMMAND,
        &serviceaccount::COMMAND,
        &subject::COMMAND,
    ],
    ..Command::NONE
};

const MANAGER: &[Flag] = &[Flag::manager("kubectl-set")];

const CONTAINERS: &[Flag] =
    &[Flag::text("containers", "*", "Names of the containers to change; '*' matches any part.").short('c')];

/// Where an object's pod spec is.
fn pod_spec_path(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "Pod" => Some(&["spec"]),
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" | "Job" | "ReplicationController" => {
            Some(&["spec", "template", "spec"])
        }
        _ => None,
    }
}

/// An object's pod spec.
fn pod_spec(item: &Item) -> Result<&Value> {
    let kind = item.object["kind"].as_str().unwrap_or("");
    let path = pod_spec_path(kind).ok_or_else(|| {
        Error::message(format!("the object is not a pod or does not have a pod template: {kind}"))
    })?;
    Ok(path.iter().fold(&item.object, |value, name| &value[*name]))
}

/// The containers of a pod spec's list that `--containers` picks, with their names.
fn picked<'a>(
    invocation: &Invocation,
    spec: &'a Value,
    list: &str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let pattern = invocation.text("containers");
    spec[list].as_array().into_iter().flatten().filter_map(move |container| {
        let name = container["name"].as_str().unwrap_or("");
        matches(pattern, name).then_some((name, container))
    })
}

/// Puts a change of the pod spec where it belongs.
fn in_pod_spec(item: &Item, change: Value) -> Value {
    let path = pod_spec_path(item.object["kind"].as_str().unwrap_or("")).unwrap_or(&[]);
    path.iter().rev().fold(change, |value, name| json!({*name: value}))
}

/// Sends a change of the pod spec, unless it changes nothing, and reports it.
async fn send(
    session: &Session,
    invocation: &Invocation,
    item: &Item,
    spec: Value,
    done: &str,
) -> Result<()> {
    let patch = in_pod_spec(item, spec);
    let same = change::locally(&item.object, STRATEGIC, &patch).is_ok_and(|changed| changed == item.object);
    if same && !invocation.is("local") && invocation.dry_run()? == cli_runtime::cli::DryRun::None {
        // Upstream says nothing when there is nothing to change.
        return Ok(());
    }
    let object = change::patched(session, invocation, item, STRATEGIC, &patch).await?;
    change::report(invocation, &object, done)
}

/// Whether a container's name matches a pattern with `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((prefix, rest)) => name.strip_prefix(prefix).is_some_and(|tail| {
            rest.is_empty()
                || (0..=tail.len()).any(|at| tail.is_char_boundary(at) && matches(rest, &tail[at..]))
        }),
    }
}

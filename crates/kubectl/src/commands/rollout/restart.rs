//! `kubectl rollout pause|resume|restart`.

use serde_json::{Value, json};

use super::{MANAGER, targets};
use cli_runtime::change;
use cli_runtime::cli::{Command, Invocation, flag};
use cli_runtime::client::STRATEGIC;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Item;

/// Stops rolling out changes.
pub static PAUSE: Command = Command {
    name: "pause",
    short: "Mark the provided resource as paused",
    examples: "
# Changes wait until it is resumed
kubectl rollout pause deployment/web",
    usage: "pause RESOURCE",
    flags: &[flag::FILES, flag::PRINT, flag::SELECTOR, MANAGER],
    run: Some(|invocation| Box::pin(run(invocation, "paused"))),
    ..Command::NONE
};

/// Goes on rolling out changes.
pub static RESUME: Command = Command {
    name: "resume",
    short: "Resume a paused resource",
    examples: "
# Roll out what has changed meanwhile
kubectl rollout resume deployment/web",
    usage: "resume RESOURCE",
    flags: &[flag::FILES, flag::PRINT, flag::SELECTOR, MANAGER],
    run: Some(|invocation| Box::pin(run(invocation, "resumed"))),
    ..Command::NONE
};

/// Replaces all pods.
pub static RESTART: Command = Command {
    name: "restart",
    short: "Restart a resource",
    examples: "
# A deployment's pods anew, one after another
kubectl rollout restart deployment/web

# All of a label
kubectl rollout restart deployment --selector=app=web",
    usage: "restart RESOURCE",
    flags: &[flag::FILES, flag::PRINT, flag::SELECTOR, MANAGER],
    run: Some(|invocation| Box::pin(run(invocation, "restarted"))),
    ..Command::NONE
};

async fn run(invocation: Invocation, done: &'static str) -> Result<()> {
    let (session, items, mut errors) = targets(&invocation).await?;
    if items.is_empty() && errors.is_empty() {
        errln!("No resources found in {} namespace.", session.namespace);
    }
    for item in items {
        let outcome = async {
            let patch = patch(&item, done)?;
            change::patched(&session, &invocation, &item, STRATEGIC, &patch).await
        };
        match outcome.await {
            Ok(object) => change::report(&invocation, &object, done)?,
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors)
}

fn patch(item: &Item, done: &str) -> Result<Value> {
    let kind = item.object["kind"].as_str().unwrap_or("");
    let paused = item.object["spec"]["paused"] == true;
    let named = format!("{} \"{}\"", item.resource.qualified(), item.name);
    match (done, kind) {
        ("restarted", "Deployment" | "DaemonSet" | "StatefulSet") => {
            if paused {
                return Err(Error::message(format!(
                    "{named} can't restart paused deployment (run rollout resume first)"
                )));
            }
            let now = apimachinery::time::now_rfc3339();
            Ok(
                json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": now}}}}}),
            )
        }
        ("paused", "Deployment") if paused => Err(Error::message(format!("{named} is already paused"))),
        ("paused", "Deployment") => Ok(json!({"spec": {"paused": true}})),
        ("resumed", "Deployment") if !paused => Err(Error::message(format!("{named} is not paused"))),
        ("resumed", "Deployment") => Ok(json!({"spec": {"paused": null}})),
        (done, _) => {
            let verb = match done {
                "restarted" => "restarting",
                "paused" => "pausing",
                _ => "resuming",
            };
            Err(Error::message(format!("{named} {verb} is not supported")))
        }
    }
}

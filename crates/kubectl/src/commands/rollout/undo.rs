//! `kubectl rollout undo`.

use serde_json::{Value, json};

use super::history::{Revision, revisions};
use super::targets;
use cli_runtime::change;
use cli_runtime::cli::{Command, DryRun, Flag, Invocation, flag};
use cli_runtime::client::{JSON_PATCH, STRATEGIC, with_query};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session};

/// Goes back to a revision.
pub static COMMAND: Command = Command {
    name: "undo",
    short: "Undo a previous rollout",
    long: "Roll back to a previous rollout.",
    examples: "
# To the one before
kubectl rollout undo deployment/web

# To a chosen one
kubectl rollout undo deployment/web --to-revision=3",
    usage: "undo (TYPE NAME | TYPE/NAME) [flags]",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::DRY_RUN,
        flag::SELECTOR,
        &[Flag::int("to-revision", "0", "The revision to go back to; zero is the one before.")],
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

async fn run(invocation: Invocation) -> Result<()> {
    let (session, items, mut errors) = targets(&invocation).await?;
    for item in items {
        match undo(&session, &invocation, &item).await {
            Ok(Undone::Printed) => {}
            Ok(Undone::To(done)) => change::report(&invocation, &item.object, &done)?,
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors)
}

enum Undone {
    Printed,
    To(String),
}

async fn undo(session: &Session, invocation: &Invocation, item: &Item) -> Result<Undone> {
    let to = invocation.int("to-revision");
    if item.object["spec"]["paused"] == true {
        return Err(Error::message(format!(
            "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume {}' and try again",
            item.label()
        )));
    }
    let all = revisions(session, item).await?;
    let revision = choose(item, &all, to)?;
    let dry_run = invocation.dry_run()?;
    if dry_run == DryRun::Client {
        let mut text = String::new();
        describe::pod_template(&mut text, &revision.template);
        let text = formats::tabwriter::align(&text, formats::tabwriter::DESCRIBE);
        return Ok(Undone::To(text.trim_end().to_string()));
    }
    let mut template = revision.template.clone();
    strip_hash(&mut template);
    if item.object["kind"] == "Deployment" && template == item.object["spec"]["template"] {
        return Ok(Undone::To(format!(
            "skipped rollback (current template already matches revision {})",
            revision.number
        )));
    }
    let query = [("dryRun", dry_run.parameter())];
    let path = with_query(&item.path(), &query);
    match item.object["kind"].as_str() {
        Some("Deployment") => {
            let mut annotations = item.object["metadata"]["annotations"].clone();
            let old = &revision.holder["metadata"]["annotations"];
            if let (Some(annotations), Some(old)) = (annotations.as_object_mut(), old.as_object()) {
                // What describes the revision comes back with it; the rollout's own bookkeeping does not.
                for (key, value) in old {
                    if !key.starts_with("deployment.kubernetes.io/") {
                        annotations.insert(key.clone(), value.clone());
                    }
                }
            }
            let mut patch = vec![json!({"op": "replace", "path": "/spec/template", "value": template})];
            if annotations.is_object() {
                patch.push(json!({"op": "replace", "path": "/metadata/annotations", "value": annotations}));
            }
            session.client.patch(&path, JSON_PATCH, &patch.into()).await?;
        }
        _ => {
            let data = revision.holder["data"].clone();
            if change::locally(&item.object, STRATEGIC, &data)? == item.object {
                return Ok(Undone::To(format!(
                    "skipped rollback (current template already matches revision {})",
                    revision.number
                )));
            }
            session.client.patch(&path, STRATEGIC, &data).await?;
        }
    }
    if dry_run == DryRun::Server && invocation.text("output").is_empty() {
        outln!("{} rolled back{}", cli_runtime::print::name(&item.object), dry_run.suffix());
        return Ok(Undone::Printed);
    }
    Ok(Undone::To("rolled back".into()))
}

fn choose<'a>(item: &Item, all: &'a [Revision], to: i64) -> Result<&'a Revision> {
    if to < 0 {
        return Err(Error::message(format!("unable to find specified revision {to} in history")));
    }
    if to > 0 {
        return all
            .iter()
            .find(|revision| revision.number == to)
            .ok_or_else(|| Error::message(format!("unable to find specified revision {to} in history")));
    }
    match all {
        [.., before, _] => Ok(before),
        _ if item.resource.kind == "Deployment" => {
            Err(Error::message(format!("no rollout history found for deployment \"{}\"", item.name)))
        }
        _ => Err(Error::message("no last revision to roll back to")),
    }
}

fn strip_hash(template: &mut Value) {
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
}

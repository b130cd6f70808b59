//! `kubectl rollout history`, and the revisions that a rollout has had.

use apimachinery::object::ObjectExt;
use patch::Merging;
use serde_json::Value;

use super::targets;
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::print::{self, Printer};
use cli_runtime::resource::{Item, Session, selector_of};
use formats::tabwriter;

/// Shows revisions.
pub static COMMAND: Command = Command {
    name: "history",
    short: "View rollout history",
    long: "View previous rollout revisions and configurations.",
    examples: "
# All revisions
kubectl rollout history deployment/web

# One of them
kubectl rollout history daemonset/agent --revision=3",
    usage: "history (TYPE NAME | TYPE/NAME) [flags]",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::SELECTOR,
        &[Flag::int("revision", "0", "Details of this revision.")],
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const REVISION: &str = "deployment.kubernetes.io/revision";
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// A revision of a rollout.
pub struct Revision {
    /// Its number.
    pub number: i64,
    /// Why it was made, if somebody said so.
    pub cause: String,
    /// The replica set or controller revision that holds it.
    pub holder: Value,
    /// Its pod template.
    pub template: Value,
}

/// All revisions of an object, oldest first.
pub async fn revisions(session: &Session, item: &Item) -> Result<Vec<Revision>> {
    let kind = item.object.kind();
    let plural = match kind {
        "Deployment" => "replicasets",
        "DaemonSet" | "StatefulSet" => "controllerrevisions",
        _ => {
            return Err(Error::message(format!(
                "no history viewer has been implemented for \"{}\"",
                item.resource.kind
            )));
        }
    };
    let namespace = item.namespace.as_deref().unwrap_or("");
    let selector = selector_of(&item.object).unwrap_or_default();
    let path = format!("/apis/apps/v1/namespaces/{namespace}/{plural}");
    let list = session.list_path(&path, &selector, "", 500).await?;
    let mut found: Vec<Revision> = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|holder| holder.controller_of().is_some_and(|owner| owner.uid == item.object.uid()))
        .filter_map(|holder| {
            let (number, template) = match kind {
                "Deployment" => {
                    (holder.annotation(REVISION)?.parse().ok()?, holder["spec"]["template"].clone())
                }
                _ => {
                    let patched = Merging::of(&item.object).patched(&item.object, &holder["data"]).ok()?;
                    (holder["revision"].as_i64()?, patched["spec"]["template"].clone())
                }
            };
            Some(Revision {
                number,
                cause: holder.annotation(CHANGE_CAUSE).unwrap_or("<none>").to_string(),
                holder: holder.clone(),
                template,
            })
        })
        .collect();
    found.sort_by_key(|revision| revision.number);
    Ok(found)
}

async fn run(invocation: Invocation) -> Result<()> {
    let wanted = invocation.int("revision");
    if wanted < 0 {
        return Err(Error::message(
            "revision must be a positive integer: ".to_string() + &wanted.to_string(),
        ));
    }
    let (session, items, errors) = targets(&invocation).await?;
    Error::all(errors)?;
    let mut printer = Printer::from_flags(&invocation)?;
    for item in items {
        let all = revisions(&session, &item).await?;
        let one = all.iter().find(|revision| revision.number == wanted);
        if wanted > 0 && one.is_none() {
            return Err(Error::message("unable to find the specified revision"));
        }
        if let Some(printer) = &mut printer {
            for revision in all.iter().filter(|revision| wanted == 0 || revision.number == wanted) {
                printer.print(&revision.holder)?;
            }
            continue;
        }
        match one {
            Some(revision) => {
                let mut text = String::new();
                describe::pod_template(&mut text, &revision.template);
                outln!("{} with revision #{wanted}", print::name(&item.object));
                // Upstream prints these tabs as they are.
                outln!("{text}");
            }
            None if all.is_empty() => {
                outln!("{} ", print::name(&item.object));
                outln!("No rollout history found.");
            }
            None => {
                let mut text = "REVISION\tCHANGE-CAUSE\n".to_string();
                for revision in &all {
                    text.push_str(&format!("{}\t{}\n", revision.number, revision.cause));
                }
                outln!("{} ", print::name(&item.object));
                outln!("{}", tabwriter::align(&text, tabwriter::DESCRIBE));
            }
        }
    }
    Ok(())
}

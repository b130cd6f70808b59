//! `kubectl cordon`, `kubectl uncordon` and `kubectl drain`.

use std::future::Future;
use std::time::Duration;

use apimachinery::object::ObjectExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::delete::gone;
use cli_runtime::cli::{Command, DryRun, Flag, Invocation, flag};
use cli_runtime::client::{MERGE, with_query};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session, nodes, pods};

/// Keeps new pods away from a node.
pub static CORDON: Command = Command {
    name: "cordon",
    short: "Mark node as unschedulable",
    examples: "
# No new pods for a node
kubectl cordon w1-k8s",
    usage: "cordon NODE",
    flags: &[flag::DRY_RUN, flag::SELECTOR],
    run: Some(|invocation| Box::pin(mark(invocation, true))),
    ..Command::NONE
};

/// Lets new pods on a node again.
pub static UNCORDON: Command = Command {
    name: "uncordon",
    short: "Mark node as schedulable",
    examples: "
# New pods for a node again
kubectl uncordon w1-k8s",
    usage: "uncordon NODE",
    flags: &[flag::DRY_RUN, flag::SELECTOR],
    run: Some(|invocation| Box::pin(mark(invocation, false))),
    ..Command::NONE
};

/// Moves the pods away from a node.
pub static DRAIN: Command = Command {
    name: "drain",
    short: "Drain node in preparation for maintenance",
    long: "Drain node in preparation for maintenance.\n\nThe node gets no new pods, and its pods are evicted, as far as disruption budgets allow, or deleted where the server has no evictions. Pods of daemon sets stay; they need --ignore-daemonsets. Pods that nothing would replace need --force; pods with data in an emptyDir need --delete-emptydir-data.",
    examples: "
# Before work on a node
kubectl drain w1-k8s --ignore-daemonsets

# With pods that nothing replaces, and 15 minutes to end
kubectl drain w1-k8s --force --grace-period=900",
    usage: "drain NODE",
    flags: &[flag::DRY_RUN, flag::SELECTOR, flag::CHUNK_SIZE, DRAIN_FLAGS],
    run: Some(|invocation| Box::pin(drain(invocation))),
    ..Command::NONE
};

const DRAIN_FLAGS: &[Flag] = &[
    Flag::switch("delete-emptydir-data", "Go on although data of emptyDir volumes is lost."),
    Flag::switch("disable-eviction", "Delete pods, past their disruption budgets."),
    Flag::switch("force", "Go on although nothing would replace some pods."),
    Flag::int("grace-period", "-1", "Seconds given to each pod to end; negative means its own."),
    Flag::switch("ignore-daemonsets", "Leave the pods of daemon sets where they are."),
    Flag::text("pod-selector", "", "Label query of the pods to move."),
    Flag::int(
        "skip-wait-for-delete-timeout",
        "0",
        "Do not wait for pods that have been ending for longer than this many seconds.",
    ),
    Flag::duration("timeout", "0s", "How long to wait; zero means without limit."),
];

async fn chosen(session: &Session, invocation: &Invocation) -> Result<Vec<Item>> {
    let selector = invocation.text("selector");
    match (invocation.args.is_empty(), selector.is_empty()) {
        (true, true) => {
            Err(invocation
                .usage(format!("USAGE: {} [flags]", invocation.path().last().map_or("", |c| c.usage))))
        }
        (false, false) => {
            Err(Error::message("error: cannot specify both a node name and a --selector option"))
        }
        (true, false) => session.list(&nodes(), None, selector, "").await,
        (false, true) => {
            let mut found = Vec::new();
            for name in &invocation.args {
                let name = name.strip_prefix("node/").or_else(|| name.strip_prefix("nodes/")).unwrap_or(name);
                found.push(session.fetch(&nodes(), name).await?);
            }
            Ok(found)
        }
    }
}

async fn mark(invocation: Invocation, unschedulable: bool) -> Result<()> {
    let session = Session::open(&invocation).await?;
    for node in chosen(&session, &invocation).await? {
        mark_one(&session, &invocation, &node, unschedulable).await?;
    }
    Ok(())
}

async fn mark_one(
    session: &Session,
    invocation: &Invocation,
    node: &Item,
    unschedulable: bool,
) -> Result<()> {
    let done = if unschedulable { "cordoned" } else { "uncordoned" };
    let dry_run = invocation.dry_run()?;
    if (node.object["spec"]["unschedulable"] == true) == unschedulable {
        outln!("node/{} already {done}{}", node.name, dry_run.suffix());
        return Ok(());
    }
    if dry_run != DryRun::Client {
        let value = if unschedulable { json!(true) } else { Value::Null };
        let path = with_query(&node.path(), &[("dryRun", dry_run.parameter())]);
        session.client.patch(&path, MERGE, &json!({"spec": {"unschedulable": value}})).await?;
    }
    outln!("node/{} {done}{}", node.name, dry_run.suffix());
    Ok(())
}

/// What is to be done about a pod of a node that is drained.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Evict,
    EvictWithWarning(&'static str),
    Skip,
    SkipWithWarning(&'static str),
    Refuse(&'static str),
}

struct Rules {
    force: bool,
    ignore_daemonsets: bool,
    delete_local_data: bool,
}

const DAEMONSET: &str = "ignoring DaemonSet-managed Pods";
const UNMANAGED: &str = "deleting Pods that declare no controller";
const LOCAL_DATA: &str = "deleting Pods with local storage";

fn verdict(pod: &Value, rules: &Rules) -> Verdict {
    if pod.annotation("kubernetes.io/config.mirror").is_some() {
        return Verdict::Skip;
    }
    if matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return Verdict::Evict;
    }
    let owner = pod.controller_of();
    if owner.as_ref().is_some_and(|owner| owner.kind == "DaemonSet") {
        return match rules.ignore_daemonsets {
            true => Verdict::SkipWithWarning(DAEMONSET),
            false => {
                Verdict::Refuse("cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)")
            }
        };
    }
    let local = pod.list_at(&["spec", "volumes"]).iter().any(|volume| !volume["emptyDir"].is_null());
    if local && !rules.delete_local_data {
        return Verdict::Refuse(
            "cannot delete Pods with local storage (use --delete-emptydir-data to override)",
        );
    }
    match (owner, local) {
        (None, _) if !rules.force => {
            // The words are doubled upstream too, and searched for like that.
            Verdict::Refuse(
                "cannot delete cannot delete Pods that declare no controller (use --force to override)",
            )
        }
        (None, _) => Verdict::EvictWithWarning(UNMANAGED),
        (Some(_), true) => Verdict::EvictWithWarning(LOCAL_DATA),
        (Some(_), false) => Verdict::Evict,
    }
}

async fn drain(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    let found = chosen(&session, &invocation).await?;
    for node in &found {
        mark_one(&session, &invocation, node, true).await?;
    }
    let timeout = invocation.duration("timeout");
    let deadline = Deadline { at: (!timeout.is_zero()).then(|| Instant::now() + timeout), timeout };
    let (mut pending, mut failures) = (Vec::new(), Vec::new());
    for node in found {
        let outcome = drain_one(&session, &invocation, &node, &deadline).await;
        match outcome {
            Ok(()) => outln!("node/{} drained{}", node.name, invocation.dry_run()?.suffix()),
            Err(error) => {
                let errors = match error {
                    Error::Many(errors) => errors,
                    error => vec![error],
                };
                errln!(
                    "error: unable to drain node \"{}\" due to error: {}, continuing command...",
                    node.name,
                    listed(&errors)
                );
                pending.push(node.name);
                failures.push(errors);
            }
        }
    }
    if pending.is_empty() {
        return Ok(());
    }
    let failures: Vec<String> = match failures.as_slice() {
        [errors] => errors.iter().map(Error::to_string).collect(),
        nodes => nodes.iter().map(|errors| listed(errors)).collect(),
    };
    Err(Error::Exit(
        1,
        format!("There are pending nodes to be drained:\n {}\n{}", pending.join("\n "), failures.join("\n")),
    ))
}

/// Several errors in a row, as upstream shows them.
fn listed(errors: &[Error]) -> String {
    let errors: Vec<String> = errors.iter().map(Error::to_string).collect();
    match errors.as_slice() {
        [error] => error.clone(),
        errors => format!("[{}]", errors.join(", ")),
    }
}

/// When `--timeout` ends the waiting, for all nodes together.
struct Deadline {
    at: Option<Instant>,
    timeout: Duration,
}

impl Deadline {
    /// Waits no longer than the deadline; what was being done then goes into the error.
    async fn bound<T>(&self, doing: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(at) = self.at else { return work.await };
        tokio::time::timeout_at(at, work).await.unwrap_or_else(|_| {
            let timeout = apimachinery::time::format_go_duration(self.timeout.as_nanos() as i64);
            Err(Error::message(format!("{doing}: global timeout reached: {timeout}")))
        })
    }
}

/// What is to be done about the pods of a node; reasons come with the names of the pods that they are about.
#[derive(Default)]
struct Plan {
    evicted: Vec<Item>,
    warnings: Vec<(&'static str, Vec<String>)>,
    refused: Vec<(&'static str, Vec<String>)>,
}

async fn plan(session: &Session, invocation: &Invocation, node: &Item) -> Result<Plan> {
    let rules = Rules {
        force: invocation.is("force"),
        ignore_daemonsets: invocation.is("ignore-daemonsets"),
        delete_local_data: invocation.is("delete-emptydir-data"),
    };
    let field = format!("spec.nodeName={}", node.name);
    let found = session.list(&pods(), None, invocation.text("pod-selector"), &field).await?;
    let mut plan = Plan::default();
    let note = |list: &mut Vec<(&'static str, Vec<String>)>, why: &'static str, name: String| match list
        .iter_mut()
        .find(|(known, _)| *known == why)
    {
        Some((_, names)) => names.push(name),
        None => list.push((why, vec![name])),
    };
    for pod in found {
        let name = format!("{}/{}", pod.namespace.as_deref().unwrap_or(""), pod.name);
        match verdict(&pod.object, &rules) {
            Verdict::Evict => plan.evicted.push(pod),
            Verdict::EvictWithWarning(why) => {
                note(&mut plan.warnings, why, name);
                plan.evicted.push(pod);
            }
            Verdict::Skip => {}
            Verdict::SkipWithWarning(why) => note(&mut plan.warnings, why, name),
            Verdict::Refuse(why) => note(&mut plan.refused, why, name),
        }
    }
    Ok(plan)
}

async fn drain_one(
    session: &Session,
    invocation: &Invocation,
    node: &Item,
    deadline: &Deadline,
) -> Result<()> {
    let Plan { evicted, warnings, refused } = plan(session, invocation, node).await?;
    let sentence = |(why, names): (&str, Vec<String>)| format!("{why}: {}", names.join(", "));
    Error::all(refused.into_iter().map(sentence).map(Error::message).collect())?;
    if !warnings.is_empty() {
        let warnings: Vec<String> = warnings.into_iter().map(sentence).collect();
        errln!("Warning: {}", warnings.join("; "));
    }
    let dry_run = invocation.dry_run()?;
    if dry_run == DryRun::Client {
        for pod in &evicted {
            outln!("evicting pod {}/{} (dry run)", pod.namespace.as_deref().unwrap_or(""), pod.name);
        }
        return Ok(());
    }
    let evictions = evicted.iter().map(|pod| evict(session, invocation, pod, deadline));
    let outcomes = futures::future::join_all(evictions).await;
    let errors: Vec<Error> = outcomes.into_iter().filter_map(Result::err).collect();
    if errors.is_empty() {
        return Ok(());
    }
    if let Ok(Plan { evicted: left, .. }) = plan(session, invocation, node).await
        && !left.is_empty()
    {
        errln!(
            "There are pending pods in node \"{}\" when an error occurred: {}",
            node.name,
            listed(&errors)
        );
        for pod in left {
            errln!("pod/{}", pod.name);
        }
    }
    Error::all(errors)
}

async fn evict(session: &Session, invocation: &Invocation, pod: &Item, deadline: &Deadline) -> Result<()> {
    let namespace = pod.namespace.as_deref().unwrap_or("");
    let dry_run = invocation.dry_run()?;
    let mut options = json!({});
    if invocation.int("grace-period") >= 0 {
        options["gracePeriodSeconds"] = invocation.int("grace-period").into();
    }
    if dry_run == DryRun::Server {
        options["dryRun"] = json!(["All"]);
    }
    let deletes = invocation.is("disable-eviction");
    let doing = format!("error when evicting pods/\"{}\" -n \"{namespace}\"", pod.name);
    let send = async {
        loop {
            let sent = if deletes {
                session.client.delete(&pod.path(), &options).await
            } else {
                errln!("evicting pod {namespace}/{}{}", pod.name, dry_run.suffix());
                let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction",
                    "metadata": {"name": pod.name, "namespace": namespace}, "deleteOptions": options});
                session.client.post(&format!("{}/eviction", pod.path()), &eviction).await
            };
            match sent {
                Ok(_) => return Ok(true),
                Err(error) if error.is_not_found() => return Ok(false),
                // A disruption budget says: not now.
                Err(error) if error.code() == 429 => {
                    errln!("{doing} (will retry after 5s): {}", error.reported());
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
                Err(error) => return Err(Error::message(format!("{doing}: {}", error.reported()))),
            }
        }
    };
    if deadline.bound(&doing, send).await? && dry_run == DryRun::None {
        let doing =
            format!("error when waiting for pod \"{}\" in namespace \"{namespace}\" to terminate", pod.name);
        deadline.bound(&doing, gone(session, pod, Some(pod.object.uid()))).await?;
        outln!("pod/{} {}", pod.name, if deletes { "deleted" } else { "evicted" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_nothing_replaces_need_force() {
        let rules = |force| Rules { force, ignore_daemonsets: false, delete_local_data: false };
        let owned = |kind: &str| json!({"metadata": {"name": "p", "ownerReferences": [{"kind": kind, "name": "o", "uid": "u", "controller": true, "apiVersion": "apps/v1"}]}});
        assert!(matches!(verdict(&json!({"metadata": {"name": "p"}}), &rules(false)), Verdict::Refuse(_)));
        assert_eq!(
            verdict(&json!({"metadata": {"name": "p"}}), &rules(true)),
            Verdict::EvictWithWarning(UNMANAGED)
        );
        assert_eq!(verdict(&owned("ReplicaSet"), &rules(false)), Verdict::Evict);
        assert!(matches!(verdict(&owned("DaemonSet"), &rules(true)), Verdict::Refuse(_)));
        let mut local = owned("ReplicaSet");
        local["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
        assert!(matches!(verdict(&local, &rules(true)), Verdict::Refuse(_)));
    }
}

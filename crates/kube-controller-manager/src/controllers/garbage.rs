//! The garbage collector.
//!
//! Keeps true: an object goes when none of its owners is left; an owner deleted in the foreground waits for those
//! of its dependents that block it; one deleted as orphan lets its dependents go first.
//! Woken by: changes of any object; changes of what the API serves. Reads: metadata of every resource that can be
//! listed, watched and deleted. Writes: deletes objects, changes owner references, takes finalizers away.
//! Gives up when: never; an owner not yet seen is looked up at the server before anything is deleted for it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use controller_runtime::Running;
use controller_runtime::api::{Api, Delete, Error, Patch};
use controller_runtime::context::Context;
use informer::{Outcome, WorkQueue, run_workers};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use parking_lot::Mutex;
use serde_json::{Value, json};

use decision::{Action, Owners, decide};
use graph::{FOREGROUND, Graph, Item, ORPHAN, Task};
use monitors::Monitors;
use uid::Uid;

mod decision;
mod graph;
mod metrics;
mod monitors;
mod uid;

/// Owners known to be gone are remembered, so that many dependents cost one look-up; beyond this all are forgotten.
const ABSENT_LIMIT: usize = 1000;
/// How long an owner may be later in its watch than its dependent in another.
const LAG: Duration = Duration::from_secs(1);

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.garbage;
    let shell = Arc::new(Shell {
        api: context.api.clone(),
        graph: Mutex::new(Graph::default()),
        absent: Mutex::new(HashSet::new()),
        queue: WorkQueue::new("garbage_collector_attempt_to_delete"),
        monitors: Monitors::new(&context),
    });
    context.stores.close_at_shutdown(&shell.queue);
    let shutdown = context.stores.runtime().shutdown();
    Some(Box::pin(async move {
        let watching = monitors::run(Arc::clone(&shell));
        let working = async {
            shell.monitors.ready().await;
            run_workers("garbage", &shell.queue, workers, |work| shell.reconcile(work)).await;
        };
        tokio::select! {
            () = watching => {}
            () = working => {}
            () = shutdown.cancelled() => {}
        }
    }))
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Work(Task);

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Task::Check(uid) | Task::CheckLater(uid) => write!(f, "{uid}"),
            Task::Orphan(uid) => write!(f, "dependents of {uid}"),
        }
    }
}

struct Shell {
    api: Api,
    graph: Mutex<Graph>,
    absent: Mutex<HashSet<Uid>>,
    queue: WorkQueue<Work>,
    monitors: Monitors,
}

impl Shell {
    fn enqueue(&self, tasks: Vec<Task>) {
        for task in tasks {
            match task {
                Task::CheckLater(uid) => self.queue.add_after(Work(Task::Check(uid)), LAG),
                task => self.queue.add(Work(task)),
            }
        }
    }

    fn note_absent(&self, uid: Uid) {
        let mut absent = self.absent.lock();
        if absent.len() >= ABSENT_LIMIT {
            absent.clear();
        }
        absent.insert(uid);
    }

    async fn reconcile(&self, work: Work) -> Result<Outcome, Error> {
        match work.0 {
            Task::Check(uid) | Task::CheckLater(uid) => self.check(uid).await,
            Task::Orphan(uid) => self.orphan(uid).await,
        }
        .map(|()| Outcome::Done)
    }

    /// Looks whether an object must go.
    async fn check(&self, uid: Uid) -> Result<(), Error> {
        let item = {
            let graph = self.graph.lock();
            match graph.item(&uid) {
                Some(item) if graph.needs_attention(item) => item.clone(),
                _ => return Ok(()),
            }
        };
        let Some(path) = self.monitors.path(&item) else { return Ok(()) };
        let Some(live) = self.live(&path, &uid).await? else {
            self.gone(&item, uid);
            return Ok(());
        };
        if has_finalizer(&live, FOREGROUND) && is_deleting(&live) {
            return self.check_foreground(&uid, &path, &live).await;
        }
        if is_deleting(&live) {
            return Ok(());
        }
        let references = owner_references(&live);
        if references.is_empty() {
            return Ok(());
        }
        let owners = self.classify(&item, &references).await?;
        let dependents_wait = {
            let graph = self.graph.lock();
            let dependents = graph.dependents(&uid);
            dependents.iter().any(|dependent| graph.item(dependent).is_some_and(|item| item.foreground))
        };
        let has_dependents = !self.graph.lock().dependents(&uid).is_empty();
        let action = decide(&owners, has_dependents, &live);
        self.act(action, &path, &uid, &live, references, dependents_wait).await
    }

    async fn act(
        &self,
        action: Action,
        path: &str,
        uid: &Uid,
        live: &Value,
        references: Vec<OwnerReference>,
        dependents_wait: bool,
    ) -> Result<(), Error> {
        let propagation = match action {
            Action::Nothing => return Ok(()),
            Action::DropReferences(uids) => {
                let kept: Vec<OwnerReference> =
                    references.into_iter().filter(|owner| !uids.contains(&owner.uid)).collect();
                return ignore_gone(self.set_owners(path, live, &kept).await);
            }
            Action::Delete(propagation) => propagation,
            Action::DeleteWaiting(propagation) => {
                if dependents_wait {
                    // The owner waits for this object and this object for its dependents, which may in turn wait
                    // for it: blocking ends here, so that a circle cannot hold itself.
                    let mut unblocked = references;
                    unblocked.iter_mut().for_each(|owner| owner.block_owner_deletion = Some(false));
                    ignore_gone(self.set_owners(path, live, &unblocked).await)?;
                }
                propagation
            }
        };
        let uid_text = uid.to_string();
        let version = live["metadata"]["resourceVersion"].as_str().filter(|_| !dependents_wait);
        let delete = Delete {
            uid: Some(&uid_text),
            resource_version: version,
            propagation: Some(propagation),
            ..Delete::default()
        };
        ignore_gone(self.api.delete(path, delete).await.map(drop))
    }

    /// Lets an owner go that is deleted in the foreground, once nothing blocks it.
    async fn check_foreground(&self, uid: &Uid, path: &str, live: &Value) -> Result<(), Error> {
        let blocking = self.graph.lock().blocking_dependents(uid);
        if blocking.is_empty() {
            return ignore_gone(self.drop_finalizer(path, live, FOREGROUND).await);
        }
        for (dependent, waits_itself) in blocking {
            if !waits_itself {
                self.queue.add(Work(Task::Check(dependent)));
            }
        }
        Ok(())
    }

    /// Sorts an object's owners by whether they live.
    async fn classify(&self, item: &Item, references: &[OwnerReference]) -> Result<Owners, Error> {
        let mut owners = Owners::default();
        for reference in references {
            let uid = Uid::from(&*reference.uid);
            let seen = {
                let graph = self.graph.lock();
                graph.knows(&uid).then(|| graph.item(&uid).is_some_and(|owner| owner.foreground))
            };
            let waiting = match seen {
                Some(waiting) => Some(waiting),
                None if self.absent.lock().contains(&uid) => None,
                None => self.look_up(item, reference, &uid).await?,
            };
            match waiting {
                Some(false) => owners.solid += 1,
                Some(true) => owners.waiting.push(reference.uid.clone()),
                None => owners.dangling.push(reference.uid.clone()),
            }
        }
        Ok(owners)
    }

    /// Asks the server for an owner not in the graph: `None` if it is gone, else whether it waits for dependents.
    async fn look_up(&self, item: &Item, owner: &OwnerReference, uid: &Uid) -> Result<Option<bool>, Error> {
        let Some(path) = self.monitors.owner_path(owner, &item.namespace) else {
            self.monitors.rediscover();
            let message = format!("no resource of kind {} in {}", owner.kind, owner.api_version);
            return Err(Error::Malformed(message));
        };
        match self.live(&path, uid).await? {
            Some(live) => Ok(Some(is_deleting(&live) && has_finalizer(&live, FOREGROUND))),
            None => {
                self.note_absent(uid.clone());
                Ok(None)
            }
        }
    }

    /// Removes the references of all dependents to an owner, then lets it go.
    async fn orphan(&self, uid: Uid) -> Result<(), Error> {
        let (item, dependents) = {
            let graph = self.graph.lock();
            let Some(item) = graph.item(&uid).cloned() else { return Ok(()) };
            let dependents = graph.dependents(&uid);
            (
                item,
                dependents
                    .iter()
                    .filter_map(|one| Some((one.clone(), graph.item(one)?.clone())))
                    .collect::<Vec<_>>(),
            )
        };
        let Some(path) = self.monitors.path(&item) else { return Ok(()) };
        for (dependent_uid, dependent) in dependents {
            let Some(path) = self.monitors.path(&dependent) else { continue };
            let Some(live) = self.live(&path, &dependent_uid).await? else { continue };
            let text = uid.to_string();
            let references = owner_references(&live);
            let kept: Vec<OwnerReference> =
                references.iter().filter(|owner| owner.uid != text).cloned().collect();
            if kept.len() != references.len() {
                ignore_gone(self.set_owners(&path, &live, &kept).await)?;
            }
        }
        match self.live(&path, &uid).await? {
            Some(live) => ignore_gone(self.drop_finalizer(&path, &live, ORPHAN).await),
            None => Ok(()),
        }
    }

    /// Reads the metadata at a path; `None` if there is nothing or something else of that name.
    async fn live(&self, path: &str, uid: &Uid) -> Result<Option<Value>, Error> {
        match self.api.get_metadata(path).await {
            Ok(live) => {
                let same = live["metadata"]["uid"].as_str().is_some_and(|live| Uid::from(live) == *uid);
                Ok(same.then_some(live))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes an object out of the graph that the server no longer has.
    fn gone(&self, item: &Item, uid: Uid) {
        self.note_absent(uid.clone());
        let tasks = self.graph.lock().delete(item.monitor, &uid);
        self.enqueue(tasks);
    }

    async fn set_owners(&self, path: &str, live: &Value, owners: &[OwnerReference]) -> Result<(), Error> {
        let owners = if owners.is_empty() { Value::Null } else { json!(owners) };
        self.patch_metadata(path, live, "ownerReferences", owners).await
    }

    async fn drop_finalizer(&self, path: &str, live: &Value, finalizer: &str) -> Result<(), Error> {
        let finalizers = live["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        let left: Vec<Value> = finalizers.into_iter().filter(|one| one != finalizer).collect();
        self.patch_metadata(path, live, "finalizers", left.into()).await
    }

    /// A merge patch, because strategic ones do not exist for custom resources; lists are whole, so the version must
    /// still be the one read.
    async fn patch_metadata(&self, path: &str, live: &Value, field: &str, value: Value) -> Result<(), Error> {
        let metadata = &live["metadata"];
        let patch = json!({"metadata": {
            "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"], field: value}});
        self.api.patch(path, Patch::Merge, &patch).await.map(drop)
    }
}

fn is_deleting(live: &Value) -> bool {
    live["metadata"]["deletionTimestamp"].is_string()
}

fn has_finalizer(live: &Value, finalizer: &str) -> bool {
    live["metadata"]["finalizers"].as_array().into_iter().flatten().any(|one| one == finalizer)
}

fn owner_references(live: &Value) -> Vec<OwnerReference> {
    serde_json::from_value(live["metadata"]["ownerReferences"].clone()).unwrap_or_default()
}

/// What is gone already needs no more doing; a conflict is an error, so that the object is looked at again.
fn ignore_gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

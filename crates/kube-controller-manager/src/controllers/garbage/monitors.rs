//! The watches that feed the graph: one for each resource, following what the API serves.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use component::cause::whole;
use controller_runtime::context::Context;
use futures::future::{AbortHandle, Abortable, BoxFuture, abortable};
use futures::stream::{FuturesUnordered, StreamExt};
use informer::{Backoff, Object, PartialObject, Sink, Store, Watch, reflect};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::Shell;
use super::graph::Item;
use super::metrics;
use super::uid::Uid;
use crate::discovery::{Served, discover};

/// After a change of what the API serves its server needs a moment to serve it.
const SETTLE: Duration = Duration::from_secs(1);
/// How often discovery is asked even if no change was seen: servers behind aggregated groups come and go silently.
const REFRESH: Duration = Duration::from_secs(300);
/// How long the first listings are waited for; a resource that cannot be listed must not hold up all others.
const PATIENCE: Duration = Duration::from_secs(30);

/// New watches on their way to the task that polls them all: as many as a discovery may bring at once.
const HANDOVER: usize = 1024;

type Watching = Abortable<BoxFuture<'static, ()>>;

/// The resources watched.
pub struct Monitors {
    client: Client,
    /// Where new watches go.
    begun: mpsc::Sender<Watching>,
    /// Where they come out, until [`run`] takes it.
    polled: Mutex<Option<mpsc::Receiver<Watching>>>,
    /// Changes of these mean that the API serves something else.
    definitions: [Store<PartialObject>; 2],
    running: Mutex<Running>,
    pending: watch::Sender<usize>,
    changed: Notify,
}

#[derive(Default)]
struct Running {
    /// What is watched, by number; a resource that is served no more keeps its number.
    served: Vec<Served>,
    tasks: BTreeMap<u32, AbortHandle>,
    started: bool,
}

impl Monitors {
    pub fn new(context: &Context) -> Monitors {
        let metadata = |group: &str, plural: &str| {
            context.stores.watch(Watch::resource(group, "v1", plural, "").metadata_only())
        };
        let (begun, polled) = mpsc::channel(HANDOVER);
        Monitors {
            client: context.stores.client().clone(),
            begun,
            polled: Mutex::new(Some(polled)),
            definitions: [
                metadata("apiextensions.k8s.io", "customresourcedefinitions"),
                metadata("apiregistration.k8s.io", "apiservices"),
            ],
            running: Mutex::default(),
            pending: watch::Sender::new(0),
            changed: Notify::new(),
        }
    }

    /// Waits until every first listing is done, or long enough.
    pub async fn ready(&self) {
        let mut pending = self.pending.subscribe();
        let listed = async {
            loop {
                if self.running.lock().started && *pending.borrow_and_update() == 0 {
                    return;
                }
                if pending.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, listed).await.is_err() {
            tracing::warn!("not every resource could be listed; collecting garbage among the others");
        }
    }

    /// Asks for discovery, because something refers to what is not known.
    pub fn rediscover(&self) {
        self.changed.notify_one();
    }

    /// Returns where an object is served.
    pub fn path(&self, item: &Item) -> Option<String> {
        let running = self.running.lock();
        let served = running.served.get(usize::try_from(item.monitor).ok()?)?;
        Some(format!("{}/{}", served.path(&item.namespace), item.name))
    }

    /// Returns where an owner is served that an object in `namespace` refers to.
    pub fn owner_path(&self, owner: &OwnerReference, namespace: &str) -> Option<String> {
        let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
        let running = self.running.lock();
        let of_kind = |served: &&Served| served.group == group && served.kind == owner.kind;
        let same_version = |served: &&Served| of_kind(served) && served.version == version;
        let served =
            running.served.iter().find(same_version).or_else(|| running.served.iter().find(of_kind))?;
        // A cluster-scoped object cannot have an owner in a namespace: which one would that be.
        if served.namespaced && namespace.is_empty() {
            return None;
        }
        Some(format!("{}/{}", served.path(namespace), owner.name))
    }
}

/// Watches what the API serves, for as long as it is polled.
pub async fn run(shell: Arc<Shell>) {
    let polled = shell.monitors.polled.lock().take();
    if let Some(polled) = polled {
        futures::future::join(follow(&shell), poll(polled)).await;
    }
}

/// Polls all watches in one task: each is idle nearly all the time.
async fn poll(mut polled: mpsc::Receiver<Watching>) {
    let mut watches = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(watch) = polled.recv() => watches.push(watch),
            Some(_) = watches.next(), if !watches.is_empty() => {}
            else => return,
        }
    }
}

async fn follow(shell: &Arc<Shell>) {
    for definitions in &shell.monitors.definitions {
        let waker = Arc::clone(shell);
        definitions.on_change(move |_| waker.monitors.changed.notify_one());
    }
    metrics::begin();
    let mut backoff = Backoff::default();
    loop {
        let pause = match discover(&shell.api).await {
            Ok(discovered) => {
                // A group that does not answer now may still be watched: nothing of it is stopped.
                let is_failed = |served: &Served| {
                    let version = format!("{}/{}", served.group, served.version);
                    discovered.failed.contains(&version)
                };
                let wanted: Vec<Served> =
                    discovered.resources.iter().filter(|one| is_monitored(one)).cloned().collect();
                adjust(shell, wanted, is_failed).await;
                REFRESH
            }
            Err(error) => {
                let pause = backoff.failed(std::time::Instant::now(), rand::random());
                metrics::not_synced();
                tracing::warn!(error = %whole(&error), ?pause, "cannot discover what the API serves");
                pause
            }
        };
        let next = Instant::now() + pause;
        tokio::select! {
            () = shell.monitors.changed.notified() => tokio::time::sleep(SETTLE).await,
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

/// Events own nothing, are owned by nothing and are many.
fn is_monitored(served: &Served) -> bool {
    served.can(&["delete", "list", "watch"]) && served.plural != "events"
}

async fn adjust(shell: &Arc<Shell>, wanted: Vec<Served>, is_failed: impl Fn(&Served) -> bool) {
    let (begun, stopped) = settle(shell, wanted, is_failed);
    for watch in begun {
        if shell.monitors.begun.send(watch).await.is_err() {
            return;
        }
    }
    for number in stopped {
        let mut graph = shell.graph.lock();
        let shown = graph.shown_by(number);
        let tasks: Vec<_> = shown.iter().flat_map(|uid| graph.delete(number, uid)).collect();
        drop(graph);
        shell.enqueue(tasks);
    }
}

/// Settles which watches begin and which end.
fn settle(
    shell: &Arc<Shell>,
    wanted: Vec<Served>,
    is_failed: impl Fn(&Served) -> bool,
) -> (Vec<Watching>, Vec<u32>) {
    let (mut begun, mut stopped) = (Vec::new(), Vec::new());
    let mut running = shell.monitors.running.lock();
    for (number, handle) in &running.tasks {
        let served = usize::try_from(*number).ok().and_then(|index| running.served.get(index));
        if served.is_some_and(|served| !wanted.contains(served) && !is_failed(served)) {
            handle.abort();
            stopped.push(*number);
        }
    }
    running.tasks.retain(|number, _| !stopped.contains(number));
    for served in wanted {
        let number = match running.served.iter().position(|known| *known == served) {
            Some(index) => index,
            None => {
                running.served.push(served.clone());
                running.served.len() - 1
            }
        };
        let Ok(number) = u32::try_from(number) else { continue };
        if running.tasks.contains_key(&number) {
            continue;
        }
        shell.monitors.pending.send_modify(|pending| *pending += 1);
        let watch = Watch::resource(&served.group, &served.version, &served.plural, "").metadata_only();
        let feed =
            Feed { shell: Arc::clone(shell), number, seen: Mutex::new(None), listed: Mutex::new(false) };
        let watching: BoxFuture<'static, ()> = Box::pin(reflect(shell.monitors.client.clone(), watch, feed));
        let (watching, handle) = abortable(watching);
        running.tasks.insert(number, handle);
        begun.push(watching);
    }
    running.started = true;
    drop(running);
    shell.monitors.pending.send_modify(|_| {});
    (begun, stopped)
}

/// Puts what one watch shows into the graph.
struct Feed {
    shell: Arc<Shell>,
    number: u32,
    seen: Mutex<Option<HashSet<Uid>>>,
    listed: Mutex<bool>,
}

impl Feed {
    fn gone(&self, uid: &Uid) {
        self.shell.note_absent(uid.clone());
        let tasks = self.shell.graph.lock().delete(self.number, uid);
        self.shell.enqueue(tasks);
    }
}

impl Sink<PartialObject> for Feed {
    fn apply(&self, object: PartialObject) {
        if let Some(seen) = &mut *self.seen.lock() {
            seen.insert(Uid::from(object.uid()));
        }
        let tasks = self.shell.graph.lock().apply(self.number, &object.metadata);
        self.shell.enqueue(tasks);
    }

    fn delete(&self, _key: &str, last: Option<PartialObject>) {
        if let Some(last) = last {
            self.gone(&Uid::from(last.uid()));
        }
    }

    fn restart(&self) {
        *self.seen.lock() = Some(HashSet::new());
    }

    fn restarted(&self) {
        if let Some(seen) = self.seen.lock().take() {
            let shown = self.shell.graph.lock().shown_by(self.number);
            shown.iter().filter(|uid| !seen.contains(uid)).for_each(|uid| self.gone(uid));
        }
        if !std::mem::replace(&mut *self.listed.lock(), true) {
            self.shell.monitors.pending.send_modify(|pending| *pending = pending.saturating_sub(1));
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // A watch stopped before its first listing was done is waited for no longer.
        if !*self.listed.lock() {
            self.shell.monitors.pending.send_modify(|pending| *pending = pending.saturating_sub(1));
        }
    }
}

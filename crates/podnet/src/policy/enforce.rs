//! The shell: watches and the kernel's notes feed the decision, whose table is loaded.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use component::Runtime;
use component::cause::whole;
use informer::{Change, PartialObject, Store, Watch, follow};
use k8s_openapi::api::{core::v1 as core, networking::v1 as networking};
use kube::Client;
use netrules::nft::{Load, Nft};
use tokio::sync::{Notify, watch};

use super::objects::{Pod, Policy};
use super::sandboxes::{self, Addresses, Sandboxes};
use super::sync::Syncer;
use super::table::{View, table};

/// How often it is looked whether somebody removed the table.
const LOOK: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(1);
/// A burst of changes (a deployment's pods) is answered once.
const SETTLE: Duration = Duration::from_millis(5);
/// After a sync so many times its own duration is rested, so that a stream of changes takes a fifth of a core at most;
/// and never longer than this, so that a change is enforced within a second.
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_millis(500);

/// What is watched.
struct Watched {
    policies: Store<Policy>,
    pods: Store<Pod>,
    namespaces: Store<PartialObject>,
    changed: Arc<Notify>,
}

/// Starts enforcing. What is returned turns true when the policies are in force for the first time.
pub fn start(runtime: &Runtime, client: &Client, node: &str, results: PathBuf) -> watch::Receiver<bool> {
    let (first, enforced) = watch::channel(false);
    let watched = Watched {
        policies: Store::new(),
        pods: Store::new(),
        namespaces: Store::new(),
        changed: Arc::default(),
    };
    watched.ring();
    follow(runtime, client, Watch::all::<networking::NetworkPolicy>(), watched.policies.clone());
    let (task, client, node) = (runtime.clone(), client.clone(), node.to_owned());
    let shutdown = runtime.shutdown();
    runtime.spawn("network policies", async move {
        let work = async {
            watched.policies.ready().await;
            if watched.policies.is_empty() {
                // Nothing to enforce, but what was when this node last heard of policies may still be there.
                let mut syncer = Syncer::new(Nft);
                retried(&mut syncer).await;
                first.send_replace(true);
                while watched.policies.is_empty() {
                    watched.changed.notified().await;
                }
            }
            // A cluster without policies does not pay for watching its pods.
            watched.follow_pods(&task, &client, &results);
            watched.run(Syncer::new(Nft), &node, Sandboxes::new(&results), &first).await;
        };
        tokio::select! {
            () = work => {}
            () = shutdown.cancelled() => {}
        }
        anyhow::Ok(())
    });
    enforced
}

/// Removes the table until that succeeds.
async fn retried<L: Load>(syncer: &mut Syncer<L>) {
    while let Err(error) = syncer.sync(None).await {
        tracing::warn!(error = %whole(&error), "cannot remove the rules of network policies");
        tokio::time::sleep(RETRY).await;
    }
}

impl Watched {
    /// Rings at every change that rules may depend on.
    fn ring(&self) {
        let bell = self.changed.clone();
        self.policies.on_change(move |_| bell.notify_one());
        let bell = self.changed.clone();
        self.pods.on_change(move |change| match change {
            Change::Applied { old: Some(old), new } if old.is_same_to_rules(new) => {}
            Change::Applied { .. } | Change::Deleted(_) => bell.notify_one(),
        });
        let bell = self.changed.clone();
        self.namespaces.on_change(move |change| match change {
            Change::Applied { old: Some(old), new } if old.metadata.labels == new.metadata.labels => {}
            Change::Applied { .. } | Change::Deleted(_) => bell.notify_one(),
        });
    }

    fn follow_pods(&self, runtime: &Runtime, client: &Client, results: &std::path::Path) {
        follow(runtime, client, Watch::all::<core::Pod>(), self.pods.clone());
        follow(runtime, client, Watch::all::<core::Namespace>().metadata_only(), self.namespaces.clone());
        let (bell, results, shutdown) = (self.changed.clone(), results.to_owned(), runtime.shutdown());
        runtime.spawn("watch sandboxes", async move {
            tokio::select! {
                ended = sandboxes::watch(&results, &bell) => {
                    let error = ended.err().map(|error| error.to_string()).unwrap_or_default();
                    tracing::warn!(error, "cannot hear of new sandboxes, pods are isolated once their status tells");
                    shutdown.cancelled().await;
                }
                () = shutdown.cancelled() => {}
            }
            anyhow::Ok(())
        });
    }

    async fn run<L: Load>(
        &self,
        mut syncer: Syncer<L>,
        node: &str,
        mut sandboxes: Sandboxes,
        first: &watch::Sender<bool>,
    ) {
        tokio::join!(self.pods.ready(), self.namespaces.ready());
        let mut look = tokio::time::interval(LOOK);
        look.reset();
        let mut said = String::new();
        loop {
            let began = Instant::now();
            let wanted = self.decide(node, &sandboxes.read());
            let took = match syncer.sync(wanted).await {
                Ok(wrote) => {
                    if wrote {
                        tracing::debug!(took = ?began.elapsed(), "enforced network policies");
                    }
                    said.clear();
                    first.send_replace(true);
                    began.elapsed()
                }
                Err(error) => {
                    let error = whole(&error).to_string();
                    // Tried every second, said once.
                    if error != said {
                        tracing::error!(error, "cannot enforce network policies");
                        said = error;
                    }
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            tokio::time::sleep((took * REST).min(LONGEST_REST)).await;
            tokio::select! {
                () = self.changed.notified() => tokio::time::sleep(SETTLE).await,
                _ = look.tick() => match syncer.was_removed().await {
                    Ok(true) => tracing::warn!("somebody removed the table of network policies, making it anew"),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(error = %whole(&error), "cannot look for the table"),
                },
            }
        }
    }

    fn decide(&self, node: &str, sandboxes: &Addresses) -> Option<netrules::nft::Table> {
        let policies = self.policies.list();
        if policies.is_empty() {
            return None;
        }
        let namespaces = self.namespaces.list();
        let namespaces = namespaces
            .iter()
            .map(|namespace| (namespace.metadata.name.as_str(), &namespace.metadata.labels))
            .collect();
        let pods = self.pods.list();
        table(&View { node, policies: &policies, pods: &pods, namespaces: &namespaces, sandboxes })
    }
}

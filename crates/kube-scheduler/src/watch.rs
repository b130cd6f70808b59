//! Feeding the scheduler's memory from watches, decoded straight into slim types.

mod volumes;

pub use volumes::SELECTED_NODE;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use apimachinery::labels::Selector;
use component::Runtime;
use informer::{Change, Identity, IdentityRef, Metadata, Object, Store, Watch, follow};
use k8s_openapi::api::{apps::v1 as apps, core::v1 as core, policy::v1 as policy};
use kube::Client;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::core::Core;
use crate::framework::Event;
use crate::node::Node;
use crate::pod::Pod;
use crate::preemption::Budget;
use crate::snapshot::{Surroundings, Workload};
use crate::term;

/// The memory with a bell that rings when something may be ready to be tried.
#[derive(Clone)]
pub struct Shared {
    /// The memory.
    pub core: Arc<Mutex<Core>>,
    /// Rings when the queue may have changed.
    pub changed: Arc<Notify>,
    /// Ring for the pods that were given a node and wait for their claims.
    pub bells: Arc<Bells>,
    /// All pods that have not ended, whoever is to schedule them.
    pub pods: Store<Pod>,
}

/// A bell for each pod that waits for its claims: many may wait, and each change concerns a few.
#[derive(Default)]
pub struct Bells(Mutex<HashMap<Box<str>, Arc<Notify>>>);

impl Bells {
    /// Hangs up the bell of a pod; what rings before anyone listens is heard all the same.
    pub fn hang(&self, pod_uid: &str) -> Arc<Notify> {
        let bell = Arc::new(Notify::new());
        self.0.lock().insert(pod_uid.into(), bell.clone());
        bell
    }

    /// Takes a pod's bell away.
    pub fn take(&self, pod_uid: &str) {
        self.0.lock().remove(pod_uid);
    }

    fn ring<'a>(&self, pod_uids: impl IntoIterator<Item = &'a Box<str>>) {
        let bells = self.0.lock();
        pod_uids.into_iter().filter_map(|uid| bells.get(uid)).for_each(|bell| bell.notify_one());
    }

    fn ring_all(&self) {
        self.0.lock().values().for_each(|bell| bell.notify_one());
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Core, Instant)) {
        change(&mut self.core.lock(), Instant::now());
        self.changed.notify_one();
    }

    /// Changes what is around the nodes; without an event nothing can be ready because of it, and no bell rings.
    fn surroundings(&self, event: Option<Event<'_>>, change: impl FnOnce(&mut Surroundings)) {
        self.core.lock().change_surroundings(event, Instant::now(), change);
        if event.is_some() {
            self.changed.notify_one();
        }
    }
}

/// An object of which one thing is kept, made from the wire's form `W`.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Facts", from = "Wire<T::Spec, T::Status>")]
struct Kept<T: Facts> {
    identity: Identity,
    facts: Arc<T>,
}

/// What is kept of an object.
trait Facts: Send + Sync + 'static {
    type Spec: serde::de::DeserializeOwned;
    type Status: serde::de::DeserializeOwned;
    fn read(metadata: Metadata, wire: Rest<Self::Spec, Self::Status>) -> Self;
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<S, T> {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default = "none")]
    spec: Option<S>,
    #[serde(default = "none")]
    status: Option<T>,
    // Of storage classes, which have no spec. Not flattened: that would keep all of every object for a while.
    #[serde(default)]
    volume_binding_mode: Option<String>,
    #[serde(default)]
    provisioner: Option<String>,
    #[serde(default)]
    allowed_topologies: Option<Vec<core::TopologySelectorTerm>>,
}

/// What storage classes have in place of a spec.
struct ClassFields {
    volume_binding_mode: Option<String>,
    provisioner: Option<String>,
    allowed_topologies: Option<Vec<core::TopologySelectorTerm>>,
}

/// An object without its metadata.
struct Rest<S, T> {
    spec: Option<S>,
    status: Option<T>,
    class: ClassFields,
}

fn none<T>() -> Option<T> {
    None
}

impl<T: Facts> From<Wire<T::Spec, T::Status>> for Kept<T> {
    fn from(wire: Wire<T::Spec, T::Status>) -> Self {
        let class = ClassFields {
            volume_binding_mode: wire.volume_binding_mode,
            provisioner: wire.provisioner,
            allowed_topologies: wire.allowed_topologies,
        };
        Kept {
            identity: wire.metadata.identity().into(),
            facts: Arc::new(T::read(wire.metadata, Rest { spec: wire.spec, status: wire.status, class })),
        }
    }
}

impl<T: Facts> Object for Kept<T> {
    fn identity(&self) -> IdentityRef<'_> {
        self.identity.by_ref()
    }
}

/// A status of which nothing is kept.
type Nothing = serde::de::IgnoredAny;

#[derive(Debug)]
struct NamespaceLabels(std::collections::BTreeMap<String, String>);

impl Facts for NamespaceLabels {
    type Spec = Nothing;
    type Status = Nothing;
    fn read(metadata: Metadata, _: Rest<Nothing, Nothing>) -> Self {
        NamespaceLabels(metadata.labels)
    }
}

/// The selector of a Service or ReplicationController: exact pairs.
#[derive(Debug)]
struct Pairs(Option<Selector>);

#[derive(Deserialize)]
struct PairsSpec {
    #[serde(default)]
    selector: Option<std::collections::BTreeMap<String, String>>,
}

impl Facts for Pairs {
    type Spec = PairsSpec;
    type Status = Nothing;
    fn read(_: Metadata, wire: Rest<PairsSpec, Nothing>) -> Self {
        let pairs = wire.spec.and_then(|spec| spec.selector).filter(|pairs| !pairs.is_empty());
        Pairs(pairs.map(|pairs| {
            Selector::from_pairs(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
        }))
    }
}

/// The selector of a ReplicaSet or StatefulSet.
#[derive(Debug)]
struct Labels(Option<Selector>);

#[derive(Deserialize)]
struct LabelsSpec {
    selector: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector>,
}

impl Facts for Labels {
    type Spec = LabelsSpec;
    type Status = Nothing;
    fn read(_: Metadata, wire: Rest<LabelsSpec, Nothing>) -> Self {
        Labels(wire.spec.and_then(|spec| spec.selector).map(|selector| term::selector(Some(&selector))))
    }
}

impl Facts for Budget {
    type Spec = policy::PodDisruptionBudgetSpec;
    type Status = policy::PodDisruptionBudgetStatus;
    fn read(
        metadata: Metadata,
        wire: Rest<policy::PodDisruptionBudgetSpec, policy::PodDisruptionBudgetStatus>,
    ) -> Self {
        let selector = wire.spec.and_then(|spec| spec.selector);
        let status = wire.status.unwrap_or_default();
        let granted = status.disrupted_pods.into_iter().flatten().map(|(name, _)| name.into());
        Budget {
            namespace: metadata.namespace.into(),
            selector: term::selector(selector.as_ref()),
            allowed: i64::from(status.disruptions_allowed.unwrap_or(0)),
            granted: granted.collect(),
        }
    }
}

/// The watches of the scheduler.
pub struct Watches<'a> {
    runtime: &'a Runtime,
    client: &'a Client,
    shared: &'a Shared,
    /// Waited for before the first pod is tried.
    ready: Vec<futures::future::BoxFuture<'static, ()>>,
}

impl<'a> Watches<'a> {
    /// Starts all watches; the future ends once everything was seen.
    pub fn start(
        runtime: &'a Runtime,
        client: &'a Client,
        shared: &'a Shared,
    ) -> impl Future<Output = ()> + use<> {
        let mut watches = Watches { runtime, client, shared, ready: Vec::new() };
        // Nodes first, and pods that have ended never.
        watches.nodes();
        watches.pods();
        watches.namespaces();
        watches.workloads::<core::Service, Pairs>("Service", |pairs| pairs.0.clone());
        watches.workloads::<core::ReplicationController, Pairs>("ReplicationController", |pairs| {
            pairs.0.clone()
        });
        watches.workloads::<apps::ReplicaSet, Labels>("ReplicaSet", |labels| labels.0.clone());
        watches.workloads::<apps::StatefulSet, Labels>("StatefulSet", |labels| labels.0.clone());
        watches.volumes();
        watches.budgets();
        let all = futures::future::join_all(watches.ready);
        async move {
            all.await;
        }
    }

    fn spawn<K: Object>(&mut self, watch: Watch, store: &Store<K>) {
        follow(self.runtime, self.client, watch, store.clone());
        let store = store.clone();
        self.ready.push(Box::pin(async move { store.ready().await }));
    }

    fn pods(&mut self) {
        let store = self.shared.pods.clone();
        let shared = self.shared.clone();
        store.on_change(move |change| match change {
            Change::Applied { new, .. } => shared.change(|core, now| core.apply_pod((*new).clone(), now)),
            Change::Deleted(last) => {
                shared.change(|core, now| core.delete_pod(&last.uid, now));
                shared.bells.ring([&last.uid]);
            }
        });
        let watch = Watch::all::<core::Pod>().fields("status.phase!=Succeeded,status.phase!=Failed");
        self.spawn(watch, &store);
    }

    fn nodes(&mut self) {
        let store: Store<Node> = Store::new();
        let shared = self.shared.clone();
        store.on_change(move |change| match change {
            Change::Applied { new, .. } => shared.change(|core, now| core.apply_node((*new).clone(), now)),
            Change::Deleted(last) => {
                shared.change(|core, _| core.delete_node(&last.name));
                // Pods that were given it wait in vain.
                shared.bells.ring_all();
            }
        });
        self.spawn(Watch::all::<core::Node>(), &store);
    }

    /// Keeps a part of the surroundings equal to what is watched: `put` takes a key with what is kept of its object,
    /// or with nothing once the object is gone.
    fn surroundings<T: Facts>(
        &mut self,
        watch: Watch,
        event: Option<Event<'static>>,
        put: impl Fn(&mut Surroundings, Box<str>, Option<&T>) + Send + Sync + 'static,
    ) {
        let store: Store<Kept<T>> = Store::new();
        let shared = self.shared.clone();
        store.on_change(move |change| {
            let key = change.object().key().as_str().into();
            let facts = match change {
                Change::Applied { new, .. } => Some(&*new.facts),
                Change::Deleted(_) => None,
            };
            shared.surroundings(event, |around| put(around, key, facts));
        });
        self.spawn(watch, &store);
    }

    fn namespaces(&mut self) {
        let watch = Watch::all::<core::Namespace>().metadata_only();
        self.surroundings::<NamespaceLabels>(watch, Some(Event::Namespaces), |around, name, labels| {
            match labels {
                Some(labels) => around.namespaces.insert(name, labels.0.clone()),
                None => around.namespaces.remove(&name),
            };
        });
    }

    fn workloads<K: k8s_openapi::Resource, T: Facts>(
        &mut self,
        kind: &'static str,
        read: fn(&T) -> Option<Selector>,
    ) {
        self.surroundings::<T>(Watch::all::<K>(), None, move |around, key, selector| {
            match selector.and_then(read) {
                Some(selector) => around.workloads.insert((kind, key), Workload { selector }),
                None => around.workloads.remove(&(kind, key)),
            };
        });
    }

    fn budgets(&mut self) {
        let store: Store<Kept<Budget>> = Store::new();
        let (shared, all) = (self.shared.clone(), store.clone());
        store.on_change(move |_| {
            let budgets = all.list().iter().map(|budget| budget.facts.clone()).collect();
            shared.core.lock().set_budgets(budgets);
        });
        self.spawn(Watch::all::<policy::PodDisruptionBudget>(), &store);
    }
}

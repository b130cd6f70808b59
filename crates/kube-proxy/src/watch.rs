//! Feeding the state from watches: services, endpoint slices and this node, decoded straight into slim types.

use std::sync::Arc;

use component::Runtime;
use informer::{Change, Identity, IdentityRef, Metadata, Object, Store, Watch, follow};
use jiff::Timestamp;
use k8s_openapi::api::{core::v1 as core, discovery::v1 as discovery, networking::v1 as networking};
use kube::Client;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::endpoints::{SERVICE_NAME_LABEL, Slice};
use crate::node::Node;
use crate::service::Service;
use crate::state::State;

/// Slices of headless services and those that another proxy serves are none of the proxy's business.
const SELECTOR: &str = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless";

/// Says on a slice when what it shows changed, for whoever measures how long that takes to arrive.
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The state with a bell that rings when it changed.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The state.
    pub state: Arc<Mutex<State>>,
    /// Rings at each change.
    pub changed: Arc<Notify>,
}

impl Shared {
    /// Shares a state.
    pub fn new(state: State) -> Self {
        Shared { state: Arc::new(Mutex::new(state)), changed: Arc::new(Notify::new()) }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        if state.has_changes() {
            self.changed.notify_one();
        }
    }
}

#[derive(Deserialize)]
struct Wire<S, T> {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default = "none")]
    spec: Option<S>,
    #[serde(default = "none")]
    status: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

#[derive(Debug, Deserialize)]
#[serde(from = "Wire<core::ServiceSpec, core::ServiceStatus>")]
struct WatchedService {
    identity: Identity,
    service: Option<Arc<Service>>,
}

impl From<Wire<core::ServiceSpec, core::ServiceStatus>> for WatchedService {
    fn from(wire: Wire<core::ServiceSpec, core::ServiceStatus>) -> Self {
        let service = Service::from_api(&wire.metadata.labels, wire.spec.as_ref(), wire.status.as_ref());
        WatchedService { service: service.map(Arc::new), identity: wire.metadata.identity().into() }
    }
}

impl Object for WatchedService {
    fn identity(&self) -> IdentityRef<'_> {
        self.identity.by_ref()
    }
}

#[derive(Debug, Deserialize)]
#[serde(from = "discovery::EndpointSlice")]
struct WatchedSlice {
    identity: Identity,
    slice: Option<Arc<Slice>>,
    service: Option<Box<str>>,
    /// When what it shows changed in the cluster.
    triggered: Option<Timestamp>,
}

impl From<discovery::EndpointSlice> for WatchedSlice {
    fn from(slice: discovery::EndpointSlice) -> Self {
        let labels = slice.metadata.labels.as_ref();
        let annotations = slice.metadata.annotations.as_ref();
        WatchedSlice {
            triggered: annotations
                .and_then(|annotations| annotations.get(TRIGGER_TIME))
                .and_then(|time| time.parse().ok()),
            service: labels
                .and_then(|labels| labels.get(SERVICE_NAME_LABEL))
                .map(|name| name.as_str().into()),
            slice: Slice::from_api(&slice).map(Arc::new),
            identity: slice.identity().into(),
        }
    }
}

impl Object for WatchedSlice {
    fn identity(&self) -> IdentityRef<'_> {
        self.identity.by_ref()
    }
}

/// Watches until shutdown. The returned stores are ready once everything was seen.
pub struct Watches {
    services: Store<WatchedService>,
    slices: Store<WatchedSlice>,
    nodes: Store<core::Node>,
}

impl Watches {
    /// Starts the watches that feed `shared`.
    pub fn start(runtime: &Runtime, client: &Client, node_name: &str, shared: &Shared) -> Self {
        let watches = Watches { services: Store::new(), slices: Store::new(), nodes: Store::new() };

        let sink = shared.clone();
        watches.services.on_change(move |change| {
            let object = change.object();
            let key = format!("{}/{}", object.namespace(), object.name());
            match change {
                Change::Applied { new, .. } => {
                    sink.change(|state| state.apply_service(&key, new.service.clone()))
                }
                Change::Deleted(_) => sink.change(|state| state.apply_service(&key, None)),
            }
        });
        let (sink, began) = (shared.clone(), Timestamp::now());
        watches.slices.on_change(move |change| {
            let object = change.object();
            let name = format!("{}/{}", object.namespace(), object.name());
            let service = object.service.as_ref().map(|service| format!("{}/{service}", object.namespace()));
            match change {
                Change::Applied { new, .. } => {
                    let slice = service.zip(new.slice.clone());
                    // What happened before is not for this proxy to be judged by.
                    let triggered = new.triggered.filter(|at| *at > began);
                    sink.change(|state| {
                        if state.apply_slice(&name, slice)
                            && let Some(at) = triggered
                        {
                            state.note_trigger(at);
                        }
                    });
                }
                Change::Deleted(_) => sink.change(|state| {
                    state.apply_slice(&name, None);
                }),
            }
        });
        let sink = shared.clone();
        watches.nodes.on_change(move |change| {
            if let Change::Applied { new, .. } = change {
                sink.change(|state| state.apply_node(Node::from_api(new)));
            }
        });

        let by_name = format!("metadata.name={node_name}");
        follow(runtime, client, Watch::all::<core::Service>().labels(SELECTOR), watches.services.clone());
        let slices = Watch::all::<discovery::EndpointSlice>().labels(SELECTOR);
        follow(runtime, client, slices, watches.slices.clone());
        follow(runtime, client, Watch::all::<core::Node>().fields(&by_name), watches.nodes.clone());

        // Nobody waits for the ranges: API servers before 1.33 may not serve them, and rules are right without.
        let ranges: Store<networking::ServiceCIDR> = Store::new();
        let sink = shared.clone();
        ranges.on_change(move |change| {
            let object = change.object();
            let name = object.metadata.name.as_deref().unwrap_or_default();
            let networks = match change {
                Change::Applied { new, .. } => new.spec.as_ref().and_then(|spec| spec.cidrs.as_ref()),
                Change::Deleted(_) => None,
            };
            let networks = networks.map(|cidrs| cidrs.iter().filter_map(|cidr| cidr.parse().ok()).collect());
            sink.change(|state| state.apply_range(name, networks));
        });
        follow(runtime, client, Watch::all::<networking::ServiceCIDR>(), ranges);
        watches
    }

    /// Waits until the state holds everything there is.
    pub async fn ready(&self) {
        tokio::join!(self.services.ready(), self.slices.ready(), self.nodes.ready());
    }
}

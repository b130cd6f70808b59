//! The aggregation layer: API groups that other servers serve, behind this server's address and permissions.
//!
//! An APIService with `spec.service` makes requests for its group and version go on to that Service, by a connection
//! that proves this server ([`proxy`]). A task for each such APIService ([`keeper`]) knows the Service's endpoints,
//! asks one of them for discovery now and then, and writes down by [`availability`] whether it can be used.

mod availability;
mod description;
mod discovery;
mod keeper;
mod local;
mod proxy;
pub mod registration;

use std::sync::Arc;

use apimachinery::ObjectExt as _;
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::RwLock;
use pki::Trust;
use rand::seq::IndexedRandom as _;
use rustls::ClientConfig;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use webhooks::{Place, Service};

use self::availability::Verdict;
pub(crate) use self::availability::places;
pub use self::description::{Description, v3_url};
pub use self::discovery::{RemoteGroup, RemoteVersion, resources};
pub use self::local::group_priority as local_priority;
pub use self::proxy::{forward, identity};
pub use self::registration::run;
use crate::http::RequestInfo;
use crate::streaming::backend::{Dialer, Target};

/// The group of APIServices.
const GROUP: &str = "apiregistration.k8s.io";
/// The resource of APIServices.
const PLURAL: &str = "apiservices";

/// The servers behind this one.
pub struct Aggregation {
    backends: ArcSwap<Vec<Arc<Backend>>>,
    /// The front proxy's certificate, by which backends believe the headers that name the user.
    identity: Option<Arc<pki::Identity>>,
    dialer: Dialer,
}

/// A group and version that another server serves.
pub struct Backend {
    /// The APIService's name.
    name: String,
    /// What the APIService says; another one makes another backend.
    spec: Value,
    tls: Result<Arc<ClientConfig>, String>,
    state: RwLock<State>,
}

/// Whether a backend could be used, for the metrics.
#[derive(Debug, Clone, Default)]
pub struct Availability {
    /// Whether it can be now.
    pub available: bool,
    /// How often it became unusable, by the reason.
    pub refusals: Vec<(&'static str, u64)>,
}

/// What is known of a backend.
#[derive(Default)]
struct State {
    available: bool,
    refusals: Vec<(&'static str, u64)>,
    /// It has been looked at.
    known: bool,
    places: Vec<Place>,
    /// Its resources in aggregated discovery's form; `None` while it does not answer.
    resources: Option<Arc<Value>>,
    /// What it said last of itself in OpenAPI.
    description: Option<Arc<Description>>,
}

impl Aggregation {
    /// Connections end with `stop`.
    pub fn new(identity: Option<Arc<pki::Identity>>, stop: &CancellationToken) -> Self {
        let dialer = Dialer { tasks: TaskTracker::new(), stop: stop.clone() };
        Self { backends: ArcSwap::default(), identity, dialer }
    }

    /// The backend of a request for what this server does not serve itself.
    pub fn backend_of(&self, info: &RequestInfo) -> Option<Arc<Backend>> {
        let backends = self.backends.load();
        if backends.is_empty() {
            return None;
        }
        let (group, version) = match info.is_resource {
            true => (info.group.as_str(), info.version.as_str()),
            false => {
                // A document of OpenAPI is the other server's too.
                let path = info.path.strip_prefix("/openapi/v3").unwrap_or(&info.path);
                let (group, version) = path.strip_prefix("/apis/")?.trim_end_matches('/').split_once('/')?;
                (group, version)
            }
        };
        backends.iter().find(|backend| backend.group() == group && backend.version() == version).cloned()
    }

    fn backend(&self, name: &str, spec: &Value) -> Backend {
        Backend {
            name: name.to_owned(),
            spec: spec.clone(),
            tls: client_config(spec, self.identity.clone()),
            state: RwLock::default(),
        }
    }

    /// Which backends can be used, by the names of their APIServices, of those that have been looked at.
    pub fn availability(&self) -> Vec<(String, Availability)> {
        let backends = self.backends.load();
        let of = |backend: &Arc<Backend>| {
            let state = backend.state.read();
            let found = Availability { available: state.available, refusals: state.refusals.clone() };
            state.known.then(|| (backend.name.clone(), found))
        };
        backends.iter().filter_map(of).collect()
    }

    /// The groups for discovery, best first.
    fn groups(&self) -> Vec<RemoteGroup> {
        let versions = self.backends.load().iter().map(|backend| backend.discovered()).collect();
        discovery::groups(versions)
    }
}

impl State {
    /// Counts, as upstream, each time that the backend turns out to be unusable after it was not known to be.
    fn note(&mut self, verdict: &Verdict) {
        let became = !verdict.available && (self.available || !self.known);
        self.known = true;
        if !became {
            return;
        }
        match self.refusals.iter_mut().find(|(reason, _)| *reason == verdict.reason) {
            Some((_, count)) => *count += 1,
            None => self.refusals.push((verdict.reason, 1)),
        }
    }
}

impl Backend {
    fn group(&self) -> &str {
        self.spec.str_at(&["group"]).unwrap_or_default()
    }

    fn version(&self) -> &str {
        self.spec.str_at(&["version"]).unwrap_or_default()
    }

    fn service(&self) -> Service<'_> {
        let text = |key| self.spec.str_at(&["service", key]).unwrap_or_default();
        Service {
            namespace: text("namespace"),
            name: text("name"),
            port: self.spec.i64_at(&["service", "port"]).and_then(|port| port.try_into().ok()).unwrap_or(443),
        }
    }

    /// Where a request may go: any endpoint.
    fn target(&self, place: Place) -> Result<Target, String> {
        let service = self.service();
        let server_name = Some(format!("{}.{}.svc", service.name, service.namespace));
        Ok(Target { host: place.host, port: place.port, tls: Some(self.tls.clone()?), server_name })
    }

    /// An endpoint, while the backend is available.
    fn place(&self) -> Option<Place> {
        let state = self.state.read();
        state.available.then(|| state.places.choose(&mut rand::rng()).cloned()).flatten()
    }

    fn discovered(&self) -> RemoteVersion {
        let state = self.state.read();
        RemoteVersion {
            group: self.group().to_owned(),
            version: self.version().to_owned(),
            group_priority: self.spec.i64_at(&["groupPriorityMinimum"]).unwrap_or(0),
            version_priority: self.spec.i64_at(&["versionPriority"]).unwrap_or(0),
            resources: state.resources.clone(),
            description: state.description.clone(),
        }
    }
}

/// How to speak TLS with a backend.
fn client_config(spec: &Value, identity: Option<Arc<pki::Identity>>) -> Result<Arc<ClientConfig>, String> {
    let trust = if spec.bool_at(&["insecureSkipTLSVerify"]) == Some(true) {
        Trust::anybody()
    } else {
        let bundle = BASE64_STANDARD.decode(spec.str_at(&["caBundle"]).unwrap_or_default());
        let bundle = bundle.map_err(|error| format!("spec.caBundle: {error}"))?;
        Trust::pem(&bundle).map_err(|error| format!("spec.caBundle: {error}"))?
    };
    pki::client_config(trust, identity).map(Arc::new).map_err(|error| error.to_string())
}

//! Watches over one aggregated API.
//!
//! Keeps true: the backend's endpoints are those of its Service, and the condition `Available` says whether one of
//! them answers. Woken by: changes of the Service and its EndpointSlices, time. Reads: both, and discovery from the
//! backend. Writes: the APIService's status. Gives up when: the APIService changes or goes.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectExt as _, time};
use authn::UserInfo;
use futures::stream::{FuturesUnordered, StreamExt as _};
use http_body_util::{BodyExt as _, Limited};
use rand::seq::IndexedRandom as _;
use serde_json::Value;
use storage::{Filter, Query, Watch, WatchStart};

use super::availability::{Verdict, places};
use super::{Backend, GROUP, PLURAL, Place, description, discovery, proxy};
use crate::bootstrap::change;
use crate::http::Body;
use crate::server::Server;

/// How often a backend that answers is asked again, as upstream's resync.
const ROUND: Duration = Duration::from_secs(30);
/// The first pause after a failure; it doubles up to [`ROUND`].
const RETRY: Duration = Duration::from_secs(1);
/// Changes come in bursts: a moment later there is one thing to look at.
const SETTLE: Duration = Duration::from_millis(50);
/// How long a backend may take to answer, as upstream.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many endpoints are asked at the same time.
const ATTEMPTS: usize = 3;
/// The largest discovery document that is read.
const LARGEST: usize = 4 << 20;
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// Keeps a backend until it is dropped.
pub(super) async fn keep(server: Arc<Server>, backend: Arc<Backend>) {
    let mut pause = RETRY;
    loop {
        let (Some(mut services), Some(mut slices)) = (
            watch(&server, &backend, "", "services"),
            watch(&server, &backend, "discovery.k8s.io", "endpointslices"),
        ) else {
            return;
        };
        loop {
            let verdict = check(&server, &backend).await;
            pause = if verdict.available { RETRY } else { (pause * 2).min(ROUND) };
            let wait = if verdict.available { ROUND } else { pause / 2 };
            tell(&server, &backend, &verdict).await;
            if verdict.available {
                description::ask(&server, &backend).await;
                server.documents.set_remote(server.aggregation.groups());
            }
            let open = tokio::select! {
                event = services.next() => event.is_some(),
                event = slices.next() => event.is_some(),
                () = tokio::time::sleep(wait) => true,
            };
            tokio::time::sleep(SETTLE).await;
            while services.try_next().is_some() || slices.try_next().is_some() {}
            if !open {
                break;
            }
        }
    }
}

/// A watch of what the backend's Service is made of, its beginning taken off.
fn watch(server: &Server, backend: &Backend, group: &str, plural: &str) -> Option<Watch> {
    let service = backend.service();
    let entry = server.registry.stored(group, plural)?;
    let mut filter = Filter { namespace: service.namespace.to_owned(), ..Filter::default() };
    if plural == "services" {
        filter.name = Some(service.name.to_owned());
    } else {
        let name = service.name.to_owned();
        filter.accepts = Some(Box::new(move |slice| slice.label(SERVICE_LABEL) == Some(&name)));
    }
    let (mut watch, _) = entry.cache().watch(WatchStart::Objects, filter).ok()?;
    while watch.next_first().is_some() {}
    Some(watch)
}

/// Looks at everything once, and notes what requests need to know.
async fn check(server: &Server, backend: &Backend) -> Verdict {
    let wanted = backend.service();
    let service = server
        .registry
        .stored("", "services")
        .and_then(|entry| entry.cache().value(&format!("{}/{}", wanted.namespace, wanted.name)));
    let mut slices: Vec<Value> = Vec::new();
    if let Some(entry) = server.registry.stored("discovery.k8s.io", "endpointslices") {
        let query = Query { namespace: wanted.namespace.to_owned(), ..Query::default() };
        entry.cache().visit(&query, |slice| {
            if slice.label(SERVICE_LABEL) == Some(wanted.name) {
                slices.extend(slice.value());
            }
            true
        });
    }
    // Named by the Service's address, which all servers of a cluster write alike.
    let host = service.as_deref().and_then(|service| service.str_at(&["spec", "clusterIP"]));
    let host = host.filter(|host| !host.is_empty()).unwrap_or(wanted.name);
    let url = format!("https://{host}:{}/apis/{}/{}", wanted.port, backend.group(), backend.version());
    let (verdict, places, resources) = match places(wanted, service.as_deref(), &slices) {
        Err(verdict) => (verdict, Vec::new(), None),
        Ok(places) => match ask(server, backend, &places, &url).await {
            Ok(resources) => (Verdict::passed(), places, Some(resources)),
            Err(error) => {
                let message = format!("failing or missing response from {url}: {error}");
                (Verdict::failed_discovery(message), places, None)
            }
        },
    };
    let mut state = backend.state.write();
    state.note(&verdict);
    state.available = verdict.available;
    state.places = places;
    // An equal document stays the same one.
    if state.resources.as_deref() != resources.as_ref() {
        state.resources = resources.map(Arc::new);
    }
    verdict
}

/// Asks some endpoints for discovery; one answer is enough.
async fn ask(server: &Server, backend: &Backend, places: &[Place], url: &str) -> Result<Value, String> {
    let chosen: Vec<Place> = places.sample(&mut rand::rng(), ATTEMPTS).cloned().collect();
    let mut asked: FuturesUnordered<_> =
        chosen.into_iter().map(|place| ask_one(server, backend, place, url)).collect();
    let mut last = "no endpoints available".to_owned();
    while let Some(answer) = asked.next().await {
        match answer {
            Ok(resources) => return Ok(resources),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ask_one(server: &Server, backend: &Backend, place: Place, url: &str) -> Result<Value, String> {
    let target = backend.target(place)?;
    let (group, version) = (backend.group(), backend.version());
    let mut request = http::Request::new(Body::empty());
    *request.uri_mut() = format!("/apis/{group}/{version}").parse().map_err(|error| format!("{error}"))?;
    // As upstream: who may do everything may also discover, whatever the backend's rules are.
    let aggregator = UserInfo {
        name: "system:kube-aggregator".into(),
        groups: vec!["system:masters".into()],
        ..UserInfo::default()
    };
    *request.headers_mut() = proxy::identity(&aggregator);
    if let Ok(host) = target.authority().parse() {
        request.headers_mut().insert(http::header::HOST, host);
    }
    let answer = async {
        let sent = server.aggregation.dialer.send(&target, request).await;
        let response = sent.map_err(|error| error.to_string())?;
        let code = response.status().as_u16();
        if !response.status().is_success() {
            return Err(format!("bad status from {url}: {code}"));
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let list: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        discovery::resources(&list, group, version).ok_or_else(|| "not an APIResourceList".to_owned())
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err("context deadline exceeded".to_owned()),
    }
}

/// Publishes what was found: discovery here, the condition for everyone.
async fn tell(server: &Server, backend: &Backend, verdict: &Verdict) {
    server.documents.set_remote(server.aggregation.groups());
    let now = time::now_rfc3339();
    let written = change(server, GROUP, PLURAL, &backend.name, |old| {
        // Another server of the cluster may have been told something newer.
        (old.get("spec") == Some(&backend.spec)).then(|| verdict.apply(old, &now)).flatten()
    })
    .await;
    match written {
        Ok(()) => {}
        Err(status) if status.code == 404 => {}
        Err(status) => {
            tracing::warn!(api_service = backend.name, %status, "cannot write the condition Available")
        }
    }
}

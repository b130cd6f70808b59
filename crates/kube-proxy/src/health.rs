//! Health of the proxy (10256) and of services with `healthCheckNodePort`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinSet};

use crate::http::{self, Answer};
use crate::service::Policy;
use crate::state::State;

/// A change that waits longer than this for the kernel makes the proxy unhealthy (upstream: twice the sync period).
const STALE_AFTER: Duration = Duration::from_secs(60);

/// What the health endpoints tell.
#[derive(Debug, Default)]
struct View {
    last_updated: Option<Timestamp>,
    /// Since when a change waits.
    waiting_since: Option<Instant>,
    node_leaving: bool,
}

/// Health as the sync loop reports it and the endpoints read it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<View>>);

impl Health {
    /// Notes that a change waits for the kernel.
    pub fn queued(&self, now: Instant) {
        self.0.lock().waiting_since.get_or_insert(now);
    }

    /// Notes that the kernel holds everything.
    pub fn updated(&self, at: Timestamp, node_leaving: bool) {
        let mut view = self.0.lock();
        *view = View { last_updated: Some(at), waiting_since: None, node_leaving };
    }

    /// Tells whether the kernel holds what it should.
    pub fn is_healthy(&self, now: Instant) -> bool {
        let view = self.0.lock();
        view.last_updated.is_some()
            && view.waiting_since.is_none_or(|since| now.duration_since(since) < STALE_AFTER)
    }

    /// Answers `/healthz` (not for nodes that are about to go) and `/livez`.
    pub fn answer(&self, path: &str, now: Instant, wall: Timestamp) -> Option<Answer> {
        let healthy = self.is_healthy(now);
        let (last_updated, eligible) = {
            let view = self.0.lock();
            (view.last_updated, !view.node_leaving)
        };
        let body = |more: &str| {
            let last = last_updated.map(|at| at.to_string()).unwrap_or_default();
            format!(r#"{{"lastUpdated": "{last}","currentTime": "{wall}"{more}}}"#)
        };
        match path {
            "/healthz" => Some(Answer {
                healthy: healthy && eligible,
                headers: String::new(),
                body: body(&format!(r#", "nodeEligible": {eligible}"#)),
            }),
            "/livez" => Some(Answer { healthy, headers: String::new(), body: body("") }),
            _ => None,
        }
    }
}

/// What a load balancer wants to know of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEndpoints {
    namespace: Box<str>,
    name: Box<str>,
    count: usize,
}

/// Collects the services with `healthCheckNodePort`, by port.
pub fn node_port_checks(state: &State) -> BTreeMap<u16, LocalEndpoints> {
    state
        .services
        .iter()
        .filter(|(_, service)| service.health_check_node_port != 0 && service.external == Policy::Local)
        .map(|(key, service)| {
            let (namespace, name) = key.split_once('/').unwrap_or_default();
            let ready: BTreeSet<IpAddr> =
                state.slices_of(key).flat_map(|slice| slice.local_ready(&state.node.name)).collect();
            let endpoints =
                LocalEndpoints { namespace: namespace.into(), name: name.into(), count: ready.len() };
            (service.health_check_node_port, endpoints)
        })
        .collect()
}

/// The servers of `healthCheckNodePort`s.
#[derive(Debug, Default)]
pub struct NodePortChecks {
    current: Arc<Mutex<BTreeMap<u16, LocalEndpoints>>>,
    servers: BTreeMap<u16, AbortHandle>,
    /// Ends them all when dropped.
    tasks: JoinSet<()>,
}

impl NodePortChecks {
    /// Brings the servers to what is wanted. A port that cannot be bound is tried again at the next change.
    pub async fn update(&mut self, wanted: BTreeMap<u16, LocalEndpoints>, health: &Health) {
        while self.tasks.try_join_next().is_some() {}
        self.servers.retain(|port, server| {
            if !wanted.contains_key(port) {
                server.abort();
            }
            wanted.contains_key(port) && !server.is_finished()
        });
        let missing: Vec<u16> =
            wanted.keys().filter(|port| !self.servers.contains_key(port)).copied().collect();
        *self.current.lock() = wanted;
        for port in missing {
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
            match http::bind(address).await {
                Ok(listener) => {
                    let (current, health) = (self.current.clone(), health.clone());
                    let server = self.tasks.spawn(http::serve(listener, move |_| {
                        let endpoints = current.lock().get(&port).cloned()?;
                        Some(check_answer(&endpoints, health.is_healthy(Instant::now())))
                    }));
                    self.servers.insert(port, server);
                }
                Err(error) => tracing::warn!(port, %error, "cannot serve a healthCheckNodePort"),
            }
        }
    }
}

fn check_answer(endpoints: &LocalEndpoints, proxy_healthy: bool) -> Answer {
    let LocalEndpoints { namespace, name, count } = endpoints;
    Answer {
        healthy: *count > 0 && proxy_healthy,
        headers: format!("X-Load-Balancing-Endpoint-Weight: {count}\r\n"),
        body: format!(
            "{{\"service\":{{\"namespace\":\"{namespace}\",\"name\":\"{name}\"}},\"localEndpoints\":{count},\"serviceProxyHealthy\":{proxy_healthy}}}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unhealthy_before_the_first_sync_and_when_a_change_waits_too_long() {
        let (health, start, wall) = (Health::default(), Instant::now(), Timestamp::UNIX_EPOCH);
        assert!(!health.answer("/healthz", start, wall).unwrap().healthy);
        health.updated(wall, false);
        assert!(health.answer("/healthz", start, wall).unwrap().healthy);
        health.queued(start);
        assert!(health.is_healthy(start + Duration::from_secs(59)));
        assert!(!health.is_healthy(start + Duration::from_secs(61)));
        health.updated(wall, true);
        assert!(!health.answer("/healthz", start, wall).unwrap().healthy, "the node is about to go");
        assert!(health.answer("/livez", start, wall).unwrap().healthy);
        assert!(health.answer("/other", start, wall).is_none());
    }

    #[test]
    fn a_service_without_local_endpoints_is_not_healthy_here() {
        let endpoints = |count| LocalEndpoints { namespace: "d".into(), name: "web".into(), count };
        assert!(check_answer(&endpoints(1), true).healthy);
        let none = check_answer(&endpoints(0), true);
        assert!(!none.healthy);
        assert_eq!(
            none.body,
            r#"{"service":{"namespace":"d","name":"web"},"localEndpoints":0,"serviceProxyHealthy":true}"#
        );
    }
}

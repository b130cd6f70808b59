//! Byte streams to pods and nodes: logs, exec, attach, port-forward and proxies.
//!
//! The server decides whether a request may pass and where it goes; what is said inside an upgraded connection
//! (WebSocket or SPDY, their channels) is between the client and the kubelet, and is copied as it is. Only where a
//! kubelet knows nothing newer than SPDY, a client's WebSocket is translated.

pub mod backend;
mod container;
mod counted;
mod exec;
pub(crate) mod forward;
mod kubelet;
mod log;
mod proxy;
pub mod rewrite;
mod translate;
pub(crate) mod tunnel;

use std::net::IpAddr;

use apimachinery::Status;
use authn::UserInfo;
use pki::Trust;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use kubelet::{Kubelets, PREFERRED_ADDRESSES};

use crate::access::Objects;
use crate::http::{Query, Request, RequestInfo, Response};
use backend::Dialer;

/// One request for a stream, already authenticated, authorised and admitted.
pub struct Call<'a> {
    /// The request itself.
    pub request: Request,
    /// What it asks for.
    pub info: &'a RequestInfo,
    /// Who asks.
    pub user: &'a UserInfo,
    /// Pods, nodes, services and endpoints.
    pub objects: &'a dyn Objects,
    /// The client's address, told to what is proxied to.
    pub client: Option<IpAddr>,
}

/// Serves the subresources that are streams.
pub struct Streaming {
    /// How kubelets are reached.
    pub kubelets: Kubelets,
    /// Whether an address may be proxied to; [`is_proxyable`] outside tests.
    pub proxyable: fn(IpAddr) -> bool,
    dialer: Dialer,
    insecure: std::sync::Arc<rustls::ClientConfig>,
}

/// Proxies reach what is on the cluster's networks, not what is on this machine or link.
pub fn is_proxyable(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast() || link_local)
}

impl Streaming {
    /// Streams live in `tasks` and end with `stop`.
    pub fn new(kubelets: Kubelets, tasks: TaskTracker, stop: CancellationToken) -> Result<Self, pki::Error> {
        Ok(Self {
            kubelets,
            proxyable: is_proxyable,
            dialer: Dialer { tasks, stop },
            insecure: pki::client_config(Trust::anybody(), None)?.into(),
        })
    }

    /// Drives a stream in the background until it or the server ends.
    pub fn spawn(&self, stream: impl Future<Output = ()> + Send + 'static) {
        self.dialer.spawn(stream);
    }

    /// Whether a resource and subresource are served here.
    pub fn serves(resource: &str, subresource: &str) -> bool {
        matches!(
            (resource, subresource),
            ("pods", "log" | "exec" | "attach" | "portforward" | "proxy")
                | ("services", "proxy")
                | ("nodes", "proxy")
        )
    }

    /// Answers a request; for an upgrade with the `101`, after which the connection is copied in the background.
    pub async fn serve(&self, call: Call<'_>) -> Result<Response, Status> {
        let info = call.info;
        if !info.group.is_empty() {
            return Err(Status::no_such_resource());
        }
        match (info.resource.as_str(), info.subresource.as_str()) {
            ("pods", "log") => log::serve(self, call).await,
            ("pods", "exec" | "attach" | "portforward") => exec::serve(self, call).await,
            ("pods" | "services" | "nodes", "proxy") => proxy::serve(self, call).await,
            _ => Err(Status::no_such_resource()),
        }
    }
}

fn query<'a>(request: &'a Request) -> Query<'a> {
    Query::parse(request.uri().query())
}

#[cfg(test)]
mod tests;

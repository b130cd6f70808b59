//! Forgetting UDP flows whose translation no longer holds.
//!
//! A UDP client that keeps its source port keeps its conntrack entry alive, and with it the endpoint that was
//! chosen (or the refusal) when the first packet passed. TCP needs none of this: its connections end by themselves.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use component::cause::whole;
use netrules::program;

use crate::rules::UdpPort;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A set of flows to forget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flows {
    /// To a service address, translated to an endpoint.
    ToEndpoint { service: IpAddr, endpoint: IpAddr },
    /// To a service address, whatever became of them.
    ToService(IpAddr),
    /// To a node port, translated to an endpoint.
    NodePortToEndpoint { node_port: u16, endpoint: IpAddr },
    /// To a node port, whatever became of them.
    ToNodePort(u16),
}

/// Flows that go where they no longer should.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StaleFlows(BTreeSet<Flows>);

impl StaleFlows {
    /// Adds what a change of a service's UDP ports makes stale. Before the first sync nothing is known:
    /// flows may stem from a time without rules, so all flows to the services are stale.
    pub fn compare(&mut self, old: Option<&[UdpPort]>, new: &[UdpPort]) {
        for port in old.into_iter().flatten() {
            let now =
                new.iter().find(|now| now.addresses == port.addresses && now.node_port == port.node_port);
            let gone = port
                .endpoints
                .iter()
                .filter(|endpoint| now.is_none_or(|now| !now.endpoints.contains(endpoint)));
            for endpoint in gone {
                let endpoint = endpoint.ip();
                for service in &port.addresses {
                    self.0.insert(Flows::ToEndpoint { service: *service, endpoint });
                }
                if port.node_port != 0 {
                    self.0.insert(Flows::NodePortToEndpoint { node_port: port.node_port, endpoint });
                }
            }
        }
        for port in new.iter().filter(|port| !port.endpoints.is_empty()) {
            let had_endpoints = old.into_iter().flatten().any(|before| {
                before.addresses == port.addresses
                    && before.node_port == port.node_port
                    && !before.endpoints.is_empty()
            });
            if !had_endpoints {
                self.0.extend(port.addresses.iter().map(|address| Flows::ToService(*address)));
                if port.node_port != 0 {
                    self.0.insert(Flows::ToNodePort(port.node_port));
                }
            }
        }
    }

    /// The arguments of one run of `conntrack` each.
    pub fn arguments(&self) -> Vec<Vec<String>> {
        self.0.iter().map(Flows::arguments).collect()
    }

    /// Forgets the flows. That the program is missing is said once.
    pub async fn forget(&self) {
        static MISSING: AtomicBool = AtomicBool::new(false);
        for arguments in self.arguments() {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            match program::run("conntrack", &arguments, b"", TIMEOUT).await {
                // Exit code 1 with this text means that there was no such flow.
                Ok(output) if output.code == Some(0) || output.stderr.contains("0 flow entries") => {}
                Ok(output) => {
                    tracing::warn!(?arguments, stderr = output.stderr, "cannot delete stale UDP flows");
                }
                Err(netrules::Error::Spawn { source, .. }) => {
                    if !MISSING.swap(true, Ordering::Relaxed) {
                        tracing::warn!(error = %source, "cannot run conntrack: UDP clients may keep old endpoints for a while");
                    }
                    return;
                }
                Err(error) => tracing::warn!(error = %whole(&error), "cannot delete stale UDP flows"),
            }
        }
    }
}

impl Flows {
    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = ["-D", "-p", "udp"].map(str::to_owned).into();
        let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        match self {
            Flows::ToEndpoint { service, endpoint } => {
                option("--orig-dst", service.to_string());
                option("--dst-nat", endpoint.to_string());
            }
            Flows::ToService(service) => option("--orig-dst", service.to_string()),
            Flows::NodePortToEndpoint { node_port, endpoint } => {
                option("--dport", node_port.to_string());
                option("--dst-nat", endpoint.to_string());
            }
            Flows::ToNodePort(node_port) => option("--dport", node_port.to_string()),
        }
        let address = match self {
            Flows::ToEndpoint { endpoint: address, .. }
            | Flows::NodePortToEndpoint { endpoint: address, .. }
            | Flows::ToService(address) => Some(address),
            Flows::ToNodePort(_) => None,
        };
        if address.is_some_and(IpAddr::is_ipv6) {
            arguments.extend(["-f".to_owned(), "ipv6".to_owned()]);
        }
        arguments
    }
}

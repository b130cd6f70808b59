//! Services.

use std::collections::BTreeMap;

use apimachinery::labels::Selector;
use informer::{Metadata, null_is_default};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Deserialize;

use super::resource;

/// A service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: ServiceSpec,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The labels of the pods behind the service; empty where someone else names the endpoints.
    #[serde(deserialize_with = "null_is_default")]
    pub selector: BTreeMap<String, String>,
    /// The ports.
    #[serde(deserialize_with = "null_is_default")]
    pub ports: Vec<ServicePort>,
    /// The address, `None` for a headless service.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: String,
    /// The address families.
    #[serde(deserialize_with = "null_is_default")]
    pub ip_families: Vec<String>,
    /// Whether pods count before they are ready.
    pub publish_not_ready_addresses: bool,
    /// Which endpoints are preferred.
    pub traffic_distribution: String,
}

/// A port of a service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// The name, empty if there is one port only.
    pub name: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// What is spoken on the port.
    pub app_protocol: Option<String>,
    /// The port of the service.
    pub port: i32,
    /// The port of the pods, named or numbered; the service's own if absent.
    pub target_port: Option<IntOrString>,
}

resource!(Service, "", "v1", "Service", "services");

impl Service {
    /// Tells whether the service has no address of its own.
    pub fn is_headless(&self) -> bool {
        self.spec.cluster_ip == "None"
    }

    /// Returns how the service selects pods; `None` where someone else names the endpoints.
    pub fn selector(&self) -> Option<Selector> {
        if self.spec.selector.is_empty() || self.spec.kind == "ExternalName" {
            return None;
        }
        Some(Selector::from_pairs(
            self.spec.selector.iter().map(|(key, value)| (key.as_str(), value.as_str())),
        ))
    }
}

impl ServicePort {
    /// Returns the port of the pods.
    pub fn target(&self) -> IntOrString {
        match &self.target_port {
            None | Some(IntOrString::Int(0)) => IntOrString::Int(self.port),
            Some(IntOrString::String(name)) if name.is_empty() => IntOrString::Int(self.port),
            Some(target) => target.clone(),
        }
    }

    /// Returns the protocol, TCP if none is named.
    pub fn protocol(&self) -> &str {
        if self.protocol.is_empty() { "TCP" } else { &self.protocol }
    }
}

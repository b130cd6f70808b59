//! Pods, the most numerous objects: only what controllers decide by.

use apimachinery::Quantity;
use informer::{Metadata, null_is_default};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerPort, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Condition, find, is_true, resource};

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: PodSpec,
    /// What the kubelet reports.
    pub status: PodStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The node the pod is bound to, empty before that.
    pub node_name: String,
    /// The host name within the subdomain.
    pub hostname: String,
    /// The service whose domain the host name is in.
    pub subdomain: String,
    /// When containers are started again.
    pub restart_policy: String,
    /// The taints the pod tolerates.
    #[serde(deserialize_with = "null_is_default")]
    pub tolerations: Vec<Toleration>,
    /// The containers.
    #[serde(deserialize_with = "null_is_default")]
    pub containers: Vec<Container>,
    /// The init containers, sidecars among them.
    #[serde(deserialize_with = "null_is_default")]
    pub init_containers: Vec<Container>,
    /// The volumes that are claims.
    #[serde(deserialize_with = "null_is_default")]
    pub volumes: Vec<Volume>,
    /// Node affinity and others; kept for the one node name that a daemon's pod is pinned to.
    #[serde(deserialize_with = "pinned_node", rename = "affinity")]
    pub pinned_node: String,
}

/// A container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// The name.
    pub name: Box<str>,
    /// What is requested of processor and memory.
    #[serde(rename = "resources", deserialize_with = "requests")]
    pub requests: Requests,
    /// `Always` makes an init container a sidecar.
    pub restart_policy: String,
    /// The ports.
    #[serde(deserialize_with = "null_is_default")]
    pub ports: Vec<ContainerPort>,
}

/// What a container requests, in thousandths; `None` where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Of processors.
    pub cpu: Option<i64>,
    /// Of bytes.
    pub memory: Option<i64>,
}

/// Reads what autoscaling needs from `resources`, and keeps nothing else of it.
fn requests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Requests, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Resources {
        #[serde(deserialize_with = "null_is_default")]
        requests: Wire,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Wire {
        cpu: Option<Value>,
        memory: Option<Value>,
    }
    let milli = |value: Option<Value>| {
        let quantity: Option<Quantity> = match value? {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        };
        quantity.map(|quantity| quantity.milli_value())
    };
    let Wire { cpu, memory } = null_is_default::<Resources, D>(deserializer)?.requests;
    Ok(Requests { cpu: milli(cpu), memory: milli(memory) })
}

/// A volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// The volume's name in the pod.
    pub name: String,
    /// The claim behind the volume.
    pub persistent_volume_claim: Option<ClaimSource>,
    /// A claim made for this pod.
    pub ephemeral: Option<serde::de::IgnoredAny>,
}

/// A claim used as a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSource {
    /// The claim's name.
    pub claim_name: String,
}

/// What the kubelet reports.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// The phase, empty before the first report.
    pub phase: String,
    /// Why the phase is what it is.
    pub reason: String,
    /// The conditions.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// The first address.
    #[serde(rename = "podIP")]
    pub pod_ip: String,
    /// All addresses.
    #[serde(rename = "podIPs", deserialize_with = "null_is_default")]
    pub pod_ips: Vec<PodIp>,
    /// When the kubelet took the pod.
    pub start_time: Option<Time>,
    /// The containers' state.
    #[serde(deserialize_with = "null_is_default")]
    pub container_statuses: Vec<ContainerStatus>,
    /// The init containers' state.
    #[serde(deserialize_with = "null_is_default")]
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// An address of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodIp {
    /// The address.
    pub ip: String,
}

/// A container's state.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// The container's name.
    pub name: String,
    /// How often it was started again.
    pub restart_count: i32,
    /// The present state.
    pub state: ContainerState,
}

/// The present state of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerState {
    /// Set once the container has ended.
    pub terminated: Option<Terminated>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// The exit code.
    pub exit_code: i32,
    /// When it ended.
    pub finished_at: Option<Time>,
}

resource!(Pod, "", "v1", "Pod", "pods");

/// Two versions of a pod are the same pod.
impl PartialEq for Pod {
    fn eq(&self, other: &Self) -> bool {
        self.metadata.uid == other.metadata.uid
    }
}

impl Pod {
    /// Tells whether the pod has ended, well or badly.
    pub fn is_terminal(&self) -> bool {
        matches!(&*self.status.phase, "Succeeded" | "Failed")
    }

    /// Tells whether the pod counts: it has not ended and is not on its way out.
    pub fn is_active(&self) -> bool {
        !self.is_terminal() && !self.metadata.is_deleting()
    }

    /// Tells whether the pod is on its way out but has not ended.
    pub fn is_terminating(&self) -> bool {
        !self.is_terminal() && self.metadata.is_deleting()
    }

    /// Tells whether the pod is ready.
    pub fn is_ready(&self) -> bool {
        is_true(&self.status.conditions, "Ready")
    }

    /// Returns since when the pod is ready.
    pub fn ready_since(&self) -> Option<Timestamp> {
        let ready = find(&self.status.conditions, "Ready").filter(|condition| condition.status == "True")?;
        ready.last_transition_time.as_ref().map(|time| time.0)
    }

    /// Tells whether the pod has been ready for at least so long.
    pub fn is_available(&self, min_ready_seconds: i64, now: Timestamp) -> bool {
        if !self.is_ready() || min_ready_seconds == 0 {
            return self.is_ready();
        }
        self.ready_since().is_some_and(|since| since.as_second() + min_ready_seconds <= now.as_second())
    }

    /// Returns the number of a port named or numbered in a service; `None` if no container has such a name.
    pub fn port(&self, port: &IntOrString, protocol: &str) -> Option<i32> {
        let name = match port {
            IntOrString::Int(number) => return Some(*number),
            IntOrString::String(name) => name,
        };
        let sidecars =
            self.spec.init_containers.iter().filter(|container| container.restart_policy == "Always");
        let mut ports = self.spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
        let found = ports.find(|port| {
            port.name.as_ref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
        });
        found.map(|port| port.container_port)
    }

    /// Returns the names of the claims that the pod uses, those made for it included.
    pub fn claims(&self) -> impl Iterator<Item = String> + '_ {
        self.spec.volumes.iter().filter_map(|volume| match &volume.persistent_volume_claim {
            Some(claim) => Some(claim.claim_name.clone()),
            None => volume.ephemeral.as_ref().map(|_| format!("{}-{}", self.metadata.name, volume.name)),
        })
    }
}

/// Finds `metadata.name in [node]` in a pod's required node affinity: how daemons are pinned to nodes.
fn pinned_node<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Affinity {
        node_affinity: Option<NodeAffinity>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct NodeAffinity {
        required_during_scheduling_ignored_during_execution: Option<Required>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Required {
        node_selector_terms: Vec<Term>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Term {
        #[serde(deserialize_with = "null_is_default")]
        match_fields: Vec<Field>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Field {
        key: String,
        operator: String,
        #[serde(deserialize_with = "null_is_default")]
        values: Vec<String>,
    }
    let affinity = Option::<Affinity>::deserialize(deserializer)?.unwrap_or_default();
    let required =
        affinity.node_affinity.and_then(|node| node.required_during_scheduling_ignored_during_execution);
    let fields = required.into_iter().flat_map(|required| required.node_selector_terms);
    let mut fields = fields.flat_map(|term| term.match_fields);
    let pin = fields
        .find(|field| field.key == "metadata.name" && field.operator == "In" && field.values.len() == 1);
    Ok(pin.and_then(|mut field| field.values.pop()).unwrap_or_default())
}

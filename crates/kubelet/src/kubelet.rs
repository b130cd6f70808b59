//! What every part of the kubelet shares.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use apimachinery::Quantity;
use cgroups::{Cgroups, Limits, convert};
use component::{Runtime as Process, events::Recorder};
use cri::Runtime;
use informer::Store;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube::Client;
use parking_lot::RwLock;
use podrules::requests::{self, QosClass};
use tokio::sync::watch;

use crate::{
    container::{downward::Facts, resources::Machine},
    csi::Csi,
    eviction::Pressure,
    image::Images,
    objects::Objects,
    pod,
    pods::Pods,
    settings::Settings,
    volume::Tokens,
};

/// Facts about the node that change rarely.
#[derive(Debug, Clone, Default)]
pub struct NodeFacts {
    /// The node's addresses, the first one first.
    pub host_ips: Vec<String>,
    /// What pods may use.
    pub allocatable: BTreeMap<String, Quantity>,
    /// The Node as the API has it; none until it was seen.
    pub node: Option<Arc<Node>>,
}

/// The kubelet's parts, shared by workers, server and node tasks.
pub struct Kubelet {
    /// The configuration.
    pub settings: Settings,
    /// The process's tasks.
    pub process: Process,
    /// The container runtime.
    pub runtime: Arc<dyn Runtime>,
    /// The runtime's name, the scheme of container ids.
    pub runtime_name: String,
    /// The API server; none when pods come only from manifests.
    pub client: Option<Client>,
    /// ConfigMaps and Secrets of this node's pods.
    pub objects: Objects,
    /// Service account tokens of this node's pods.
    pub tokens: Tokens,
    /// Volumes of CSI drivers.
    pub csi: Csi,
    /// All services, for environment variables.
    pub services: Store<Service>,
    /// Events.
    pub recorder: Recorder,
    /// The host's cgroups; none where they cannot be used.
    pub cgroups: Option<Cgroups>,
    /// Images.
    pub images: Images,
    /// The pods.
    pub pods: Arc<Pods>,
    /// The machine's size.
    pub machine: Machine,
    /// The node.
    pub facts: RwLock<NodeFacts>,
    /// What the node runs short of.
    pub pressure: watch::Sender<Pressure>,
    /// Where the API is served, once it is.
    pub port: AtomicU16,
    /// Whether the manifests of static pods have been read; true where there are none.
    pub manifests_read: watch::Sender<bool>,
}

impl Kubelet {
    /// The port the API is served on.
    pub fn serving_port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    /// Runs a task that ends by itself, or with the process: a session that somebody holds open does not hold up the
    /// process's end.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.process.spawn_session(task);
    }

    /// The cgroup of a QoS class.
    pub fn qos_cgroup(&self, class: QosClass) -> String {
        let root = self.settings.cgroup_root.trim_end_matches('/');
        let root =
            if root.is_empty() || root.starts_with('/') { root.to_owned() } else { format!("/{root}") };
        match class {
            _ if !self.settings.cgroups_per_qos => root,
            QosClass::Guaranteed => format!("{root}/kubepods"),
            QosClass::Burstable => format!("{root}/kubepods/burstable"),
            QosClass::BestEffort => format!("{root}/kubepods/besteffort"),
        }
    }

    /// The cgroup of a pod.
    pub fn pod_cgroup(&self, pod: &Pod) -> String {
        format!("{}/pod{}", self.qos_cgroup(requests::qos_class(pod)), pod::uid(pod))
    }

    /// Gives the cgroup of burstable pods the weight of what they ask for together.
    pub fn weigh_burstable(&self) -> Result<(), cgroups::Error> {
        let Some(cgroups) = self.cgroups.as_ref().filter(|_| self.settings.cgroups_per_qos) else {
            return Ok(());
        };
        let burstable = self.pods.list().into_iter().filter(|(pod, _)| {
            requests::qos_class(pod) == QosClass::Burstable && !podrules::conditions::is_terminal(pod)
        });
        let milli = burstable.map(|(pod, _)| {
            requests::requests(pod::spec(&pod)).get("cpu").map_or(0, |cpu| cpu.milli_value())
        });
        let shares = convert::milli_cpu_to_shares(milli.sum());
        cgroups.limit(
            &self.qos_cgroup(QosClass::Burstable),
            &Limits { cpu_shares: Some(shares), ..Limits::default() },
        )
    }

    /// What the downward API tells a pod.
    pub fn facts_for(&self, pod: &Pod, sandbox_ips: &[String]) -> Facts {
        let node = self.facts.read();
        let pod_ips = if pod::is_host_network(pod) { node.host_ips.clone() } else { sandbox_ips.to_vec() };
        Facts { pod_ips, host_ips: node.host_ips.clone(), allocatable: node.allocatable.clone() }
    }
}

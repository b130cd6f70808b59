//! A pod as the scheduler holds it: what it takes, and, until it has a node, what it wants.

use std::collections::BTreeMap;

use informer::{IdentityRef, Object};
use jiff::Timestamp;
use k8s_openapi::api::core::v1 as api;
pub use podrules::ports::HostPort;
use serde::Deserialize;

use crate::amounts::{Amounts, SCORED_MEMORY, SCORED_MILLI_CPU};
use crate::term::{SpreadConstraint, Term};

/// Terms about other pods, which count as long as the pod lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodAffinity {
    /// Must be near such pods.
    pub required: Box<[Term]>,
    /// Must not be near such pods.
    pub required_anti: Box<[Term]>,
    /// Rather near (positive weight) or far (negative weight).
    pub preferred: Box<[(i64, Term)]>,
}

impl PodAffinity {
    /// Tells whether there is no term at all.
    pub fn is_empty(&self) -> bool {
        self.required.is_empty() && self.required_anti.is_empty() && self.preferred.is_empty()
    }
}

/// What decides about a node for a pod that has none yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wants {
    /// Node selector and required node affinity; nothing else is set.
    pub nodes: api::PodSpec,
    /// Rather on such nodes.
    pub preferred_nodes: Vec<api::PreferredSchedulingTerm>,
    /// Taints it bears.
    pub tolerations: Vec<api::Toleration>,
    /// How it is spread among its like.
    pub spread: Vec<SpreadConstraint>,
    /// What must be lifted before it is considered.
    pub gates: Vec<String>,
    /// Its images.
    pub images: Vec<String>,
    /// Kind and name of its controller.
    pub controller: Option<(Box<str>, Box<str>)>,
}

/// A claim that a pod uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodClaim {
    /// Its name, in the pod's namespace.
    pub name: Box<str>,
    /// Whether it is made for this pod and goes with it.
    pub ephemeral: bool,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "api::Pod")]
pub struct Pod {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its uid.
    pub uid: Box<str>,
    pub(crate) resource_version: Box<str>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The node it is bound to.
    pub node_name: Option<Box<str>>,
    /// The node that lower pods are being removed from for it.
    pub nominated_node: Option<Box<str>>,
    /// Who is to schedule it.
    pub scheduler_name: Box<str>,
    /// How it ranks.
    pub priority: i32,
    /// Whether it may push lower pods out.
    pub preempts: bool,
    /// When it began to run.
    pub started: Option<Timestamp>,
    /// Whether it has ended.
    pub terminal: bool,
    /// Whether it was asked to go away.
    pub deleting: bool,
    /// What it takes.
    pub requests: Amounts,
    /// What it is limited to, if at all.
    pub limits: Option<Box<Amounts>>,
    /// What it counts as when nodes are scored: CPU and memory with defaults.
    pub scored: (i64, i64),
    /// Ports of the host.
    pub host_ports: Box<[HostPort]>,
    /// Claims whose volumes it uses.
    pub claims: Box<[PodClaim]>,
    /// Terms about other pods.
    pub affinity: PodAffinity,
    /// What it wants, until it has a node.
    pub wants: Option<Box<Wants>>,
    /// The message of its condition PodScheduled=False.
    pub unschedulable_message: Option<Box<str>>,
}

impl Pod {
    /// `namespace/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The `namespace/name` of a claim of its.
    pub fn claim_key(&self, claim: &PodClaim) -> String {
        format!("{}/{}", self.namespace, claim.name)
    }

    /// The `namespace/name` of each of its claims.
    pub fn claim_keys(&self) -> impl Iterator<Item = String> + '_ {
        self.claims.iter().map(|claim| self.claim_key(claim))
    }

    /// What it wants; nothing once it has a node.
    pub fn wants(&self) -> &Wants {
        static NOTHING: std::sync::LazyLock<Wants> = std::sync::LazyLock::new(Wants::default);
        self.wants.as_deref().unwrap_or(&NOTHING)
    }

    /// Tells whether a new version can be scheduled otherwise than this one.
    pub fn is_equivalent(&self, new: &Pod) -> bool {
        self.labels == new.labels
            && self.priority == new.priority
            && self.requests == new.requests
            && self.host_ports == new.host_ports
            && self.claims == new.claims
            && self.affinity == new.affinity
            && self.wants == new.wants
            && self.deleting == new.deleting
    }

    /// A copy as it is once on a node.
    #[must_use]
    pub fn on(&self, node: &str) -> Pod {
        Pod { node_name: Some(node.into()), wants: None, ..self.clone() }
    }
}

impl From<api::Pod> for Pod {
    fn from(pod: api::Pod) -> Self {
        let metadata = pod.metadata;
        let spec = pod.spec.unwrap_or_default();
        let status = pod.status.unwrap_or_default();
        let namespace: Box<str> = metadata.namespace.unwrap_or_default().into();
        let labels = metadata.labels.unwrap_or_default();
        let requests =
            Amounts { pods: 1, ..Amounts::from_list(&podrules::requests::requests_on_node(&spec, &status)) };
        let limits = Amounts::from_list(&podrules::requests::limits(&spec));
        let affinity = PodAffinity::from_api(spec.affinity.as_ref(), &namespace, &labels);
        let node_name = spec.node_name.as_deref().filter(|name| !name.is_empty()).map(Box::from);
        let controller = metadata
            .owner_references
            .iter()
            .flatten()
            .find(|owner| owner.controller == Some(true))
            .map(|owner| (owner.kind.as_str().into(), owner.name.as_str().into()));
        let terminal = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let scored = scored(&spec, &requests);
        Pod {
            requests,
            limits: (limits != Amounts::default()).then(|| Box::new(limits)),
            scored,
            host_ports: podrules::ports::of_host(&spec).collect(),
            claims: claims(&spec, metadata.name.as_deref().unwrap_or_default()),
            priority: spec.priority.unwrap_or(0),
            preempts: spec.preemption_policy.as_deref() != Some("Never"),
            scheduler_name: spec.scheduler_name.as_deref().unwrap_or("default-scheduler").into(),
            wants: (node_name.is_none() && !terminal)
                .then(|| Box::new(Wants::from_api(spec, &labels, controller))),
            node_name,
            affinity,
            namespace,
            name: metadata.name.unwrap_or_default().into(),
            uid: metadata.uid.unwrap_or_default().into(),
            resource_version: metadata.resource_version.unwrap_or_default().into(),
            labels,
            nominated_node: status.nominated_node_name.filter(|name| !name.is_empty()).map(Into::into),
            started: status.start_time.map(|time| time.0),
            terminal,
            deleting: metadata.deletion_timestamp.is_some(),
            unschedulable_message: status
                .conditions
                .into_iter()
                .flatten()
                .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
                .map(|condition| condition.message.unwrap_or_default().into()),
        }
    }
}

impl Wants {
    fn from_api(
        spec: api::PodSpec,
        labels: &BTreeMap<String, String>,
        controller: Option<(Box<str>, Box<str>)>,
    ) -> Self {
        let node_affinity = spec.affinity.and_then(|affinity| affinity.node_affinity);
        let preferred_nodes = node_affinity
            .as_ref()
            .and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.clone());
        Wants {
            nodes: api::PodSpec {
                node_selector: spec.node_selector,
                affinity: node_affinity.map(|node_affinity| api::Affinity {
                    node_affinity: Some(node_affinity),
                    ..api::Affinity::default()
                }),
                ..api::PodSpec::default()
            },
            preferred_nodes: preferred_nodes.unwrap_or_default(),
            tolerations: spec.tolerations.unwrap_or_default(),
            spread: spec
                .topology_spread_constraints
                .iter()
                .flatten()
                .map(|constraint| SpreadConstraint::from_api(constraint, labels))
                .collect(),
            gates: spec.scheduling_gates.into_iter().flatten().map(|gate| gate.name).collect(),
            images: spec.containers.into_iter().filter_map(|container| container.image).collect(),
            controller,
        }
    }
}

impl PodAffinity {
    fn from_api(
        affinity: Option<&api::Affinity>,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> Self {
        let Some(affinity) = affinity else { return PodAffinity::default() };
        let near = affinity.pod_affinity.as_ref();
        let far = affinity.pod_anti_affinity.as_ref();
        let read = |term: &api::PodAffinityTerm| Term::from_api(term, namespace, labels);
        let required =
            near.and_then(|near| near.required_during_scheduling_ignored_during_execution.as_ref());
        let required_anti =
            far.and_then(|far| far.required_during_scheduling_ignored_during_execution.as_ref());
        let preferred =
            near.and_then(|near| near.preferred_during_scheduling_ignored_during_execution.as_ref());
        let unwanted = far.and_then(|far| far.preferred_during_scheduling_ignored_during_execution.as_ref());
        let weighted = |terms: Option<&Vec<api::WeightedPodAffinityTerm>>, sign: i64| {
            terms
                .into_iter()
                .flatten()
                .map(|term| (sign * i64::from(term.weight), read(&term.pod_affinity_term)))
                .collect::<Vec<_>>()
        };
        PodAffinity {
            required: required.into_iter().flatten().map(read).collect(),
            required_anti: required_anti.into_iter().flatten().map(read).collect(),
            preferred: weighted(preferred, 1).into_iter().chain(weighted(unwanted, -1)).collect(),
        }
    }
}

/// CPU and memory with upstream's defaults for containers that request none.
fn scored(spec: &api::PodSpec, requests: &Amounts) -> (i64, i64) {
    let lacking = |name: &str| {
        let lacks = |container: &&api::Container| {
            let resources = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
            !resources.is_some_and(|requests| requests.contains_key(name))
        };
        let pod_level = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        match pod_level.is_some_and(|requests| requests.contains_key(name)) {
            true => 0,
            false => i64::try_from(spec.containers.iter().filter(lacks).count()).unwrap_or(0),
        }
    };
    (
        requests.milli_cpu + lacking("cpu") * SCORED_MILLI_CPU,
        requests.memory.saturating_add(lacking("memory") * SCORED_MEMORY),
    )
}

fn claims(spec: &api::PodSpec, pod: &str) -> Box<[PodClaim]> {
    let volumes = spec.volumes.iter().flatten();
    volumes
        .filter_map(|volume| {
            if let Some(source) = &volume.persistent_volume_claim {
                return Some(PodClaim { name: source.claim_name.as_str().into(), ephemeral: false });
            }
            volume.ephemeral.as_ref()?;
            Some(PodClaim { name: format!("{pod}-{}", volume.name).into(), ephemeral: true })
        })
        .collect()
}

impl Object for Pod {
    fn identity(&self) -> IdentityRef<'_> {
        IdentityRef {
            namespace: &self.namespace,
            name: &self.name,
            uid: &self.uid,
            resource_version: &self.resource_version,
        }
    }
}

//! Persistent volumes, claims and storage classes, as far as they decide about nodes; and what the scheduler has chosen
//! for claims that the watches do not show yet.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::Quantity;
use apimachinery::labels::Selector;
use k8s_openapi::api::core::v1::{NodeSelector, TopologySelectorTerm};
use podrules::node_affinity;

use crate::node::Node;

/// Classes with this provisioner have only the volumes that people make.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// Ways of mounting a volume (`accessModes`), as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessModes(u8);

impl AccessModes {
    /// By one pod only.
    pub const ONE_POD: AccessModes = AccessModes(8);

    /// Reads the names; one that is not known is a way that no volume has.
    pub fn read<'a>(names: impl IntoIterator<Item = &'a String>) -> Self {
        let bit = |name: &String| match name.as_str() {
            "ReadWriteOnce" => 1,
            "ReadOnlyMany" => 2,
            "ReadWriteMany" => 4,
            "ReadWriteOncePod" => 8,
            _ => 128,
        };
        AccessModes(names.into_iter().fold(0, |modes, name| modes | bit(name)))
    }

    /// Tells whether all of `other` are among these.
    pub fn contains(self, other: AccessModes) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What claims and volumes must have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// The class; empty for none.
    pub class: Box<str>,
    /// The class of attributes; empty for none.
    pub attributes: Box<str>,
    /// Whether it is a raw device.
    pub block: bool,
}

/// A claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its uid.
    pub uid: Box<str>,
    /// Its version, 0 where that is no number.
    pub version: u64,
    /// The volume it names, bound or not.
    pub volume: Option<Box<str>>,
    /// Whether the binding is complete.
    pub bound: bool,
    /// What it asks for.
    pub kind: Kind,
    /// How it is to be mounted.
    pub modes: AccessModes,
    /// How much it asks for.
    pub size: Quantity,
    /// Which volumes it may have.
    pub selector: Selector,
    /// The node that its volume is to be made for.
    pub selected_node: Option<Box<str>>,
    /// The uid of the pod or other object that it was made for.
    pub controller: Option<Box<str>>,
    /// Whether its volume is gone.
    pub lost: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
}

impl Default for Claim {
    fn default() -> Self {
        Claim {
            uid: Box::default(),
            version: 0,
            volume: None,
            bound: false,
            kind: Kind::default(),
            modes: AccessModes::default(),
            size: Quantity::ZERO,
            selector: Selector::everything(),
            selected_node: None,
            controller: None,
            lost: false,
            deleting: false,
        }
    }
}

/// The claim that a volume is set aside for or bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimRef {
    /// Its `namespace/name`.
    pub key: Box<str>,
    /// Its uid; empty where a person set the volume aside.
    pub uid: Box<str>,
}

/// A volume.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Its version, 0 where that is no number.
    pub version: u64,
    /// What it is.
    pub kind: Kind,
    /// How it can be mounted.
    pub modes: AccessModes,
    /// How large it is.
    pub size: Quantity,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The nodes it can be used on; none means all.
    pub nodes: Option<NodeSelector>,
    /// Whose it is.
    pub claim: Option<ClaimRef>,
    /// Whether it waits for a claim.
    pub available: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its driver's part, where it has one.
    pub csi: Option<Box<CsiVolume>>,
}

/// A volume as its driver knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsiVolume {
    /// The driver.
    pub driver: Box<str>,
    /// Its name for the volume.
    pub handle: Box<str>,
}

/// How many volumes of each driver a node takes, where there is a limit.
pub type Limits = BTreeMap<Box<str>, usize>;

impl Default for Volume {
    fn default() -> Self {
        Volume {
            version: 0,
            kind: Kind::default(),
            modes: AccessModes::default(),
            size: Quantity::ZERO,
            labels: BTreeMap::new(),
            nodes: None,
            claim: None,
            available: false,
            deleting: false,
            csi: None,
        }
    }
}

impl Volume {
    /// Tells whether pods on the node can use it.
    pub fn reaches(&self, node: &Node) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| node_affinity::selector_matches(nodes, &node.view()))
    }

    /// Tells whether it is set aside for, or bound to, this very claim.
    pub fn is_for(&self, key: &str, claim: &Claim) -> bool {
        self.claim.as_ref().is_some_and(|reference| {
            *reference.key == *key && (reference.uid.is_empty() || reference.uid == claim.uid)
        })
    }

    /// Tells whether it can serve the claim: set aside for it, or free and selected.
    fn serves(&self, key: &str, claim: &Claim) -> bool {
        let fits = !self.deleting
            && self.kind == claim.kind
            && self.modes.contains(claim.modes)
            && self.size >= claim.size;
        let free =
            || self.claim.is_none() && self.available && claim.selector.matches_map(Some(&self.labels));
        fits && (self.is_for(key, claim) || free())
    }
}

/// A storage class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Class {
    /// Whether its claims wait for their pod to have a node.
    pub waits: bool,
    /// Who makes its volumes.
    pub provisioner: Box<str>,
    /// Where its volumes can be made; empty means everywhere.
    pub topologies: Box<[TopologySelectorTerm]>,
}

impl Class {
    /// Tells whether a volume can be made for the node.
    pub fn provisions_for(&self, node: &Node) -> bool {
        let holds = |term: &TopologySelectorTerm| {
            term.match_label_expressions.iter().flatten().all(|expression| {
                node.labels.get(&expression.key).is_some_and(|value| expression.values.contains(value))
            })
        };
        !self.provisioner.is_empty()
            && *self.provisioner != *NO_PROVISIONER
            && (self.topologies.is_empty() || self.topologies.iter().any(holds))
    }
}

/// What was chosen for a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This volume.
    Volume(Box<str>),
    /// A volume that is yet to be made, for this node.
    Node(Box<str>),
}

/// A choice, and the pods it was made for.
#[derive(Clone, Debug)]
pub struct Assumed {
    /// What was chosen.
    pub choice: Choice,
    /// Uids of the pods that wait for it.
    pub pods: BTreeSet<Box<str>>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Volumes {
    /// Claims by `namespace/name`.
    pub claims: BTreeMap<Box<str>, Claim>,
    /// Volumes by name.
    pub volumes: BTreeMap<Box<str>, Volume>,
    /// Classes by name.
    pub classes: BTreeMap<Box<str>, Class>,
    /// What nodes take, by their names.
    pub limits: BTreeMap<Box<str>, Limits>,
    /// What was chosen for claims, by their keys, until their pods are bound.
    pub assumed: BTreeMap<Box<str>, Assumed>,
}

impl Volumes {
    /// Tells whether a claim's volume is chosen only once its pod has a node.
    pub fn waits(&self, claim: &Claim) -> bool {
        self.classes.get(&claim.kind.class).is_some_and(|class| class.waits)
    }

    /// Finds the volumes that can serve a claim and that no other claim was promised, the smallest first.
    pub fn candidates(&self, key: &str, claim: &Claim) -> Vec<(&str, &Volume)> {
        let promised: BTreeSet<&str> = self
            .assumed
            .iter()
            .filter(|(other, _)| ***other != *key)
            .filter_map(|(_, assumed)| match &assumed.choice {
                Choice::Volume(name) => Some(&**name),
                Choice::Node(_) => None,
            })
            .collect();
        let mut found: Vec<(&str, &Volume)> = self
            .volumes
            .iter()
            .map(|(name, volume)| (&**name, volume))
            .filter(|(name, volume)| volume.serves(key, claim) && !promised.contains(name))
            .collect();
        found.sort_by(|(one_name, one), (other_name, other)| {
            let own = other.is_for(key, claim).cmp(&one.is_for(key, claim));
            own.then_with(|| one.size.cmp(&other.size)).then_with(|| one_name.cmp(other_name))
        });
        found
    }

    /// Remembers what was chosen for a pod's claims.
    pub fn assume(&mut self, pod: &str, choices: impl IntoIterator<Item = (Box<str>, Choice)>) {
        for (claim, choice) in choices {
            let assumed = self.assumed.entry(claim).or_insert(Assumed { choice, pods: BTreeSet::new() });
            assumed.pods.insert(pod.into());
        }
    }

    /// Forgets what was chosen for a pod alone; tells whether there was anything.
    pub fn forget(&mut self, pod: &str) -> bool {
        let before = self.assumed.len();
        self.assumed.retain(|_, assumed| {
            assumed.pods.remove(pod);
            !assumed.pods.is_empty()
        });
        self.assumed.len() < before
    }
}

//! What a scheduling decision looks at.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use apimachinery::labels::Selector;

use crate::node::{Node, NodeInfo};
use crate::pod::Pod;
use crate::term::Namespaces;
use crate::volumes::Volumes;

/// A Service, ReplicaSet, … by whose selector pods are each other's like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Which pods.
    pub selector: Selector,
}

/// Selectors by kind and `namespace/name`.
pub type Workloads = BTreeMap<(&'static str, Box<str>), Workload>;

/// The cluster around the nodes.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Labels of namespaces.
    pub namespaces: Namespaces,
    /// What groups pods.
    pub workloads: Workloads,
    /// Volumes and claims.
    pub volumes: Volumes,
    /// On how many nodes an image is.
    pub image_nodes: HashMap<Box<str>, usize>,
}

/// The nodes with their pods, and what is around them. A clone shares everything until it is changed.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    nodes: Vec<Arc<NodeInfo>>,
    index: Arc<HashMap<Box<str>, usize>>,
    /// The cluster around the nodes.
    pub around: Arc<Surroundings>,
}

impl Snapshot {
    /// All nodes.
    pub fn nodes(&self) -> &[Arc<NodeInfo>] {
        &self.nodes
    }

    /// A node by name.
    pub fn node(&self, name: &str) -> Option<&Arc<NodeInfo>> {
        self.index.get(name).map(|index| &self.nodes[*index])
    }

    /// Changes a node's pods.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut NodeInfo)) -> bool {
        let Some(index) = self.index.get(name) else { return false };
        change(Arc::make_mut(&mut self.nodes[*index]));
        true
    }

    /// Adds a node, or gives it its new version.
    pub fn set_node(&mut self, node: Arc<Node>) {
        self.count_images(&node, true);
        let old = self.node(&node.name).map(|info| info.node.clone());
        if let Some(old) = old {
            self.count_images(&old, false);
            let name = node.name.clone();
            self.change(&name, |info| info.node = node);
        } else {
            Arc::make_mut(&mut self.index).insert(node.name.clone(), self.nodes.len());
            self.nodes.push(Arc::new(NodeInfo::new(node)));
        }
    }

    /// Takes a node away and gives the pods that were on it.
    pub fn remove_node(&mut self, name: &str) -> Option<NodeInfo> {
        let index = Arc::make_mut(&mut self.index).remove(name)?;
        let info = self.nodes.swap_remove(index);
        if let Some(moved) = self.nodes.get(index) {
            let moved = moved.node.name.clone();
            Arc::make_mut(&mut self.index).insert(moved, index);
        }
        self.count_images(&info.node, false);
        Some(Arc::unwrap_or_clone(info))
    }

    fn count_images(&mut self, node: &Node, added: bool) {
        if node.images.is_empty() {
            return;
        }
        let counts = &mut Arc::make_mut(&mut self.around).image_nodes;
        for image in node.images.keys() {
            if added {
                *counts.entry(image.clone()).or_default() += 1;
            } else if let Some(count) = counts.get_mut(image) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(image);
                }
            }
        }
    }

    /// The selector of the pods that belong together with a pod, by its services and its controller; none when
    /// nothing groups it (upstream `DefaultSelector`).
    pub fn like(&self, pod: &Pod) -> Option<Selector> {
        let mut found = Selector::everything();
        let prefix = format!("{}/", pod.namespace);
        let services = self
            .around
            .workloads
            .range(("Service", Box::from(prefix.as_str()))..)
            .take_while(|((kind, name), _)| *kind == "Service" && name.starts_with(&prefix));
        for (_, service) in services {
            if service.selector.matches_map(Some(&pod.labels)) {
                found.requirements.extend(service.selector.requirements.iter().cloned());
            }
        }
        if let Some((kind, name)) = &pod.wants().controller {
            let kind = ["ReplicaSet", "ReplicationController", "StatefulSet"]
                .into_iter()
                .find(|known| **known == **kind);
            let key = kind.map(|kind| (kind, format!("{prefix}{name}").into()));
            if let Some(workload) = key.and_then(|key| self.around.workloads.get(&key)) {
                found.requirements.extend(workload.selector.requirements.iter().cloned());
            }
        }
        (!found.is_everything()).then_some(found)
    }

    /// The values that nodes have of a label.
    pub fn places(&self, key: &str) -> BTreeSet<&str> {
        self.nodes.iter().filter_map(|info| info.label(key)).collect()
    }
}

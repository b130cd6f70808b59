//! What the API server is told of the node's drivers: the CSINode, an annotation and labels of the Node.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use csi::v1::NodeGetInfoResponse;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver, CSINodeSpec, VolumeNodeResources};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

/// The names by which drivers know the node, as JSON.
const NODE_IDS: &str = "csi.volume.kubernetes.io/nodeid";
/// How often a write that met another is tried again.
const TRIES: usize = 5;

/// What a driver says of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The driver's name for it.
    pub node_id: String,
    /// How many volumes it takes; none: no limit.
    pub limit: Option<i32>,
    /// Where it is.
    pub topology: BTreeMap<String, String>,
}

impl From<NodeGetInfoResponse> for Place {
    fn from(answer: NodeGetInfoResponse) -> Self {
        let limit = i32::try_from(answer.max_volumes_per_node).unwrap_or(i32::MAX);
        Self {
            node_id: answer.node_id,
            limit: Some(limit).filter(|limit| *limit > 0),
            topology: answer.accessible_topology.unwrap_or_default().segments,
        }
    }
}

/// A driver as the CSINode has it.
fn entry(driver: &str, place: &Place) -> CSINodeDriver {
    let keys: Vec<String> = place.topology.keys().cloned().collect();
    CSINodeDriver {
        name: driver.to_owned(),
        node_id: place.node_id.clone(),
        topology_keys: Some(keys).filter(|keys| !keys.is_empty()),
        allocatable: place.limit.map(|limit| VolumeNodeResources { count: Some(limit) }),
    }
}

/// Puts a driver among the others, or takes it away. Answers none where that changes nothing.
fn with(drivers: &[CSINodeDriver], name: &str, wanted: Option<CSINodeDriver>) -> Option<Vec<CSINodeDriver>> {
    let found = drivers.iter().find(|driver| driver.name == name);
    if found == wanted.as_ref() {
        return None;
    }
    let others = drivers.iter().filter(|driver| driver.name != name).cloned();
    Some(others.chain(wanted).collect())
}

/// The annotation with a driver's name for the node, or without it. None is left when it is empty.
fn node_ids(annotation: Option<&str>, driver: &str, node_id: Option<&str>) -> Option<String> {
    // What cannot be read is written anew.
    let mut ids: BTreeMap<String, String> =
        annotation.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    match node_id {
        Some(node_id) => ids.insert(driver.to_owned(), node_id.to_owned()),
        None => ids.remove(driver),
    };
    if ids.is_empty() { None } else { serde_json::to_string(&ids).ok() }
}

/// The label of the node that says something else than the driver.
fn collision(labels: &BTreeMap<String, String>, topology: &BTreeMap<String, String>) -> Option<String> {
    topology.iter().find_map(|(key, value)| {
        let existing = labels.get(key).filter(|existing| *existing != value)?;
        Some(format!(
            "detected topology value collision: driver reported \"{key}\":\"{value}\" but existing label is \
             \"{key}\":\"{existing}\""
        ))
    })
}

/// Writes what is said of drivers.
pub struct NodeObjects {
    nodes: Api<Node>,
    csi_nodes: Api<CSINode>,
    name: String,
}

impl NodeObjects {
    /// Writes the objects of one node.
    pub fn new(client: Client, name: &str) -> Self {
        Self { nodes: Api::all(client.clone()), csi_nodes: Api::all(client), name: name.to_owned() }
    }

    /// Makes the CSINode where there is none; it goes with the Node, and belongs to the one that there is now.
    pub async fn ensure(&self) -> anyhow::Result<CSINode> {
        let node = self.nodes.get(&self.name).await?;
        let uid = node.metadata.uid.context("a Node without a uid")?;
        let found = self.csi_nodes.get_opt(&self.name).await?;
        let owned =
            |found: &CSINode| found.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid);
        if let Some(found) = found.as_ref().filter(|found| owned(found)) {
            return Ok(found.clone());
        }
        let owner = OwnerReference {
            api_version: "v1".into(),
            kind: "Node".into(),
            name: self.name.clone(),
            uid: uid.clone(),
            ..OwnerReference::default()
        };
        if let Some(mut found) = found {
            found.metadata.owner_references = Some(vec![owner]);
            return Ok(self.csi_nodes.replace(&self.name, &PostParams::default(), &found).await?);
        }
        let made = CSINode {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            spec: CSINodeSpec { drivers: Vec::new() },
        };
        match self.csi_nodes.create(&PostParams::default(), &made).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(self.csi_nodes.get(&self.name).await?),
            other => Ok(other?),
        }
    }

    /// Makes a driver known.
    pub async fn add(&self, driver: &str, place: &Place) -> anyhow::Result<()> {
        let node = self.nodes.get(&self.name).await?;
        let labels = node.metadata.labels.unwrap_or_default();
        if let Some(why) = collision(&labels, &place.topology) {
            bail!("{why}");
        }
        let annotations = node.metadata.annotations.unwrap_or_default();
        let ids = node_ids(annotations.get(NODE_IDS).map(String::as_str), driver, Some(&place.node_id));
        let patch = json!({"metadata": {"annotations": {NODE_IDS: ids}, "labels": place.topology}});
        self.nodes.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        self.write(driver, Some(entry(driver, place))).await
    }

    /// Makes known how many volumes the node takes now.
    pub async fn limit(&self, driver: &str, place: &Place) -> anyhow::Result<()> {
        self.write(driver, Some(entry(driver, place))).await
    }

    /// Makes known that a driver has gone. Labels stay: volumes may still name them.
    pub async fn remove(&self, driver: &str) -> anyhow::Result<()> {
        self.write(driver, None).await?;
        let node = self.nodes.get(&self.name).await?;
        let annotations = node.metadata.annotations.unwrap_or_default();
        let before = annotations.get(NODE_IDS).map(String::as_str);
        let ids = node_ids(before, driver, None);
        if ids.as_deref() != before {
            let patch = json!({"metadata": {"annotations": {NODE_IDS: ids}}});
            self.nodes.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        }
        Ok(())
    }

    async fn write(&self, driver: &str, wanted: Option<CSINodeDriver>) -> anyhow::Result<()> {
        for _ in 0..TRIES {
            let mut live = self.ensure().await?;
            let drivers = &live.spec.drivers;
            // A driver's entry does not change but for its limit: another takes its place in two steps.
            let is_other = drivers.iter().zip(std::iter::repeat(wanted.as_ref())).any(|(found, wanted)| {
                found.name == driver
                    && wanted.is_some_and(|wanted| {
                        found.node_id != wanted.node_id || found.topology_keys != wanted.topology_keys
                    })
            });
            let next = if is_other { None } else { wanted.clone() };
            let Some(drivers) = with(drivers, driver, next) else { return Ok(()) };
            live.spec.drivers = drivers;
            match self.csi_nodes.replace(&self.name, &PostParams::default(), &live).await {
                Ok(_) if is_other => {}
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error.into()),
            }
        }
        bail!("the CSINode changes too often")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(node_id: &str, zone: &str, limit: i64) -> Place {
        let segments = BTreeMap::from([("zone".to_owned(), zone.to_owned())]);
        Place::from(NodeGetInfoResponse {
            node_id: node_id.into(),
            max_volumes_per_node: limit,
            accessible_topology: Some(csi::v1::Topology { segments }),
        })
    }

    #[test]
    fn drivers_come_and_go_one_by_one() {
        let (one, two) = (entry("one", &place("n", "z", 0)), entry("two", &place("n", "z", 3)));
        assert_eq!(one.allocatable, None);
        assert_eq!(two.allocatable.as_ref().and_then(|limit| limit.count), Some(3));
        assert_eq!(two.topology_keys.as_deref(), Some(&["zone".to_owned()][..]));
        let all = with(std::slice::from_ref(&one), "two", Some(two.clone())).unwrap();
        assert_eq!(all, [one.clone(), two.clone()]);
        assert_eq!(with(&all, "two", Some(two.clone())), None);
        let more = CSINodeDriver { allocatable: None, ..two.clone() };
        assert_eq!(with(&all, "two", Some(more.clone())), Some(vec![one.clone(), more]));
        assert_eq!(with(&all, "one", None), Some(vec![two]));
        assert_eq!(with(&[one], "three", None), None);
    }

    #[test]
    fn the_annotation_names_the_node_for_each_driver() {
        let first = node_ids(None, "b", Some("n1")).unwrap();
        assert_eq!(first, r#"{"b":"n1"}"#);
        let both = node_ids(Some(&first), "a", Some("n2")).unwrap();
        assert_eq!(both, r#"{"a":"n2","b":"n1"}"#);
        assert_eq!(node_ids(Some(&both), "a", None).unwrap(), first);
        assert_eq!(node_ids(Some(&first), "b", None), None);
        assert_eq!(node_ids(Some("broken"), "b", None), None);
    }

    #[test]
    fn a_label_that_says_otherwise_is_not_overwritten() {
        let labels = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
        assert_eq!(collision(&labels, &place("n", "a", 0).topology), None);
        assert_eq!(
            collision(&labels, &place("n", "b", 0).topology).unwrap(),
            "detected topology value collision: driver reported \"zone\":\"b\" but existing label is \"zone\":\"a\""
        );
    }
}

//! The Node authoriser: a kubelet may read what the pods placed on its node need, and write what is its own.

mod graph;
mod references;

use parking_lot::RwLock;

use crate::bootstrap;
use crate::rbac::Decision;
use crate::rule::Rule;
use crate::{Attributes, User};
use graph::Graph;
use references::{OfNode, Pod, Target, Volume};

/// The group that every kubelet is in.
const GROUP: &str = "system:nodes";
/// Namespace of the leases by which nodes say that they are alive.
const LEASES: &str = "kube-node-lease";

/// The node that a user is the kubelet of: `system:node:<name>` in group `system:nodes`.
pub fn node_name<'a>(user: User<'a>) -> Option<&'a str> {
    let name = user.name.strip_prefix("system:node:")?;
    user.in_group(GROUP).then_some(name)
}

/// Which nodes need which objects, from pods, persistent volumes, volume attachments and resource slices.
pub struct NodeGraph {
    graph: RwLock<Graph>,
    /// What every kubelet may do besides: the rules of ClusterRole `system:node`.
    rules: Vec<Rule>,
}

impl Default for NodeGraph {
    fn default() -> Self {
        Self { graph: RwLock::default(), rules: bootstrap::rules("system:node") }
    }
}

impl NodeGraph {
    /// Takes in an object of a kind, new or changed, by its JSON: a pod, persistent volume, volume attachment or resource
    /// slice.
    pub fn apply(&self, kind: &str, json: &[u8]) -> serde_json::Result<()> {
        // Read outside the lock.
        match kind {
            "Pod" => {
                let pod: Pod = serde_json::from_slice(json)?;
                let placed = pod.placed();
                self.graph.write().put_pod(&pod.metadata.namespace, &pod.metadata.name, placed);
            }
            "PersistentVolume" => {
                let volume: Volume = serde_json::from_slice(json)?;
                let bound = volume.bound();
                self.graph.write().put_volume(&volume.metadata.name, bound);
            }
            "VolumeAttachment" => {
                let attachment: OfNode = serde_json::from_slice(json)?;
                self.graph.write().put_attachment(&attachment.metadata.name, attachment.node());
            }
            "ResourceSlice" => {
                let slice: OfNode = serde_json::from_slice(json)?;
                self.graph.write().put_slice(&slice.metadata.name, slice.node());
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes out an object.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) {
        let mut graph = self.graph.write();
        match kind {
            "Pod" => graph.put_pod(namespace, name, None),
            "PersistentVolume" => graph.put_volume(name, None),
            "VolumeAttachment" => graph.put_attachment(name, ""),
            "ResourceSlice" => graph.put_slice(name, ""),
            _ => {}
        }
    }

    /// Takes out everything of a kind.
    pub fn clear(&self, kind: &str) {
        self.graph.write().clear(kind);
    }

    /// Decides: allows, or has no opinion. Users that are no kubelets are not its matter.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        let Some(node) = node_name(attributes.user) else { return Decision::NoOpinion("".into()) };
        if node.is_empty() {
            return refuse(format!("unknown node for user {:?}", attributes.user.name));
        }
        if attributes.is_resource {
            match (attributes.group, attributes.resource) {
                ("", "secrets") => return self.read_named(node, attributes, Kind::Secret),
                ("", "configmaps") => return self.read_named(node, attributes, Kind::ConfigMap),
                ("", "persistentvolumeclaims") if attributes.subresource == "status" => {
                    return self.write_status(node, attributes, Kind::Claim);
                }
                ("", "persistentvolumeclaims") => return self.get(node, attributes, Kind::Claim),
                ("", "persistentvolumes") => return self.get(node, attributes, Kind::Volume),
                ("resource.k8s.io", "resourceclaims") => {
                    return self.get(node, attributes, Kind::ResourceClaim);
                }
                ("storage.k8s.io", "volumeattachments") => {
                    return self.get(node, attributes, Kind::Attachment);
                }
                ("", "serviceaccounts") => return self.service_account(node, attributes),
                ("", "nodes") => return own_node(node, attributes),
                ("", "pods") => return self.pod(node, attributes),
                ("coordination.k8s.io", "leases") => return own_lease(node, attributes),
                ("storage.k8s.io", "csinodes") => return own_csi_node(node, attributes),
                ("resource.k8s.io", "resourceslices") => return self.slice(node, attributes),
                _ => {}
            }
        }
        if self.rules.iter().any(|rule| rule.allows(attributes)) {
            allow()
        } else {
            Decision::NoOpinion("".into())
        }
    }

    /// Secrets and config maps: get, list and watch, one object at a time.
    fn read_named(&self, node: &str, attributes: &Attributes<'_>, kind: Kind) -> Decision {
        if !attributes.is_read_only() {
            return refuse("can only read resources of this type");
        }
        if !attributes.subresource.is_empty() {
            return refuse("cannot read subresource");
        }
        if attributes.namespace.is_empty() {
            return refuse("can only read namespaced object of this type");
        }
        self.needs(node, attributes, kind)
    }

    fn get(&self, node: &str, attributes: &Attributes<'_>, kind: Kind) -> Decision {
        if attributes.verb != "get" {
            return refuse("can only get individual resources of this type");
        }
        if !attributes.subresource.is_empty() {
            return refuse("cannot get subresource");
        }
        self.needs(node, attributes, kind)
    }

    fn write_status(&self, node: &str, attributes: &Attributes<'_>, kind: Kind) -> Decision {
        if !matches!(attributes.verb, "update" | "patch") {
            return refuse("can only get individual resources of this type");
        }
        self.needs(node, attributes, kind)
    }

    /// Service accounts: their pods' tokens, and reading the account itself.
    fn service_account(&self, node: &str, attributes: &Attributes<'_>) -> Decision {
        match (attributes.verb, attributes.subresource) {
            ("create", "token") | ("get", "") => self.needs(node, attributes, Kind::ServiceAccount),
            ("get", _) => refuse("cannot get subresource"),
            _ => refuse("can only create tokens for individual service accounts"),
        }
    }

    fn pod(&self, node: &str, attributes: &Attributes<'_>) -> Decision {
        match (attributes.subresource, attributes.verb) {
            ("", "get") => self.needs(node, attributes, Kind::Pod),
            ("", "list" | "watch") => match attributes.selected("spec.nodeName") == Some(node) {
                true => allow(),
                false if attributes.name.is_empty() => {
                    refuse("can only list/watch pods with spec.nodeName field selector")
                }
                false => self.needs(node, attributes, Kind::Pod),
            },
            // NodeRestriction admission limits these to the node's own and mirror pods.
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => allow(),
            _ => Decision::NoOpinion("".into()),
        }
    }

    fn slice(&self, node: &str, attributes: &Attributes<'_>) -> Decision {
        if !attributes.subresource.is_empty() {
            return refuse("cannot authorize ResourceSlice subresources");
        }
        match attributes.verb {
            "create" => allow(),
            "get" | "update" | "patch" | "delete" => self.needs(node, attributes, Kind::Slice),
            "list" | "watch" | "deletecollection" => {
                match attributes.selected("spec.nodeName") == Some(node) {
                    true => allow(),
                    false => refuse(
                        "can only list/watch/deletecollection resourceslices with spec.nodeName field selector",
                    ),
                }
            }
            _ => refuse(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
            ),
        }
    }

    fn needs(&self, node: &str, attributes: &Attributes<'_>, kind: Kind) -> Decision {
        if attributes.name.is_empty() {
            return refuse("No Object name found");
        }
        let graph = self.graph.read();
        let (namespace, name) = (attributes.namespace, attributes.name);
        let related = match kind {
            Kind::Secret => graph.node_needs(node, Target::Secret, namespace, name),
            Kind::ConfigMap => graph.node_needs(node, Target::ConfigMap, namespace, name),
            Kind::Claim => graph.node_needs(node, Target::Claim, namespace, name),
            Kind::ServiceAccount => graph.node_needs(node, Target::ServiceAccount, namespace, name),
            Kind::ResourceClaim => graph.node_needs(node, Target::ResourceClaim, namespace, name),
            Kind::Volume => graph.node_needs_volume(node, name),
            Kind::Attachment => graph.attachment_is_on(node, name),
            Kind::Slice => graph.slice_is_on(node, name),
            Kind::Pod => graph.pod_is_on(node, namespace, name),
        };
        match related {
            true => allow(),
            false => refuse(format!("no relationship found between node '{node}' and this object")),
        }
    }
}

/// The kinds whose objects a node reads by relation.
#[derive(Clone, Copy)]
enum Kind {
    Secret,
    ConfigMap,
    Claim,
    Volume,
    Attachment,
    ServiceAccount,
    ResourceClaim,
    Slice,
    Pod,
}

fn allow() -> Decision {
    Decision::Allow("".into())
}

fn refuse(why: impl Into<crate::rbac::Reason>) -> Decision {
    Decision::NoOpinion(why.into())
}

fn own_node(node: &str, attributes: &Attributes<'_>) -> Decision {
    match (attributes.subresource, attributes.verb) {
        // A create has no name; NodeRestriction admission checks these.
        ("", "create" | "update" | "patch") | ("status", "update" | "patch") => allow(),
        ("", "get" | "list" | "watch") => match attributes.name {
            name if name == node => allow(),
            "" => refuse(format!("node '{node}' cannot read all nodes, only its own Node object")),
            other => refuse(format!("node '{node}' cannot read '{other}', only its own Node object")),
        },
        _ => Decision::NoOpinion("".into()),
    }
}

fn own_lease(node: &str, attributes: &Attributes<'_>) -> Decision {
    if !matches!(attributes.verb, "get" | "create" | "update" | "patch" | "delete") {
        return refuse("can only get, create, update, patch, or delete a node lease");
    }
    if attributes.namespace != LEASES {
        return refuse(format!("can only access leases in the {LEASES:?} system namespace"));
    }
    // A create has no name; NodeRestriction admission checks it.
    if attributes.verb != "create" && attributes.name != node {
        return refuse("can only access node lease with the same name as the requesting node");
    }
    allow()
}

fn own_csi_node(node: &str, attributes: &Attributes<'_>) -> Decision {
    if !matches!(attributes.verb, "get" | "create" | "update" | "patch" | "delete") {
        return refuse("can only get, create, update, patch, or delete a CSINode");
    }
    if !attributes.subresource.is_empty() {
        return refuse("cannot authorize CSINode subresources");
    }
    if attributes.verb != "create" && attributes.name != node {
        return refuse("can only access CSINode with the same name as the requesting node");
    }
    allow()
}

#[cfg(test)]
mod tests;

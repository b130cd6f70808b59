//! NodeRestriction: a kubelet changes its own node, its own pods and its own leases, and nothing that steers pods.

mod certificates;
mod labels;
mod pods;

use apimachinery::ObjectExt;
use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::{Read, same};

use crate::{Access, Context, Operation, Plugin, Steps};

pub(crate) struct NodeRestriction;

const LEASE_NAMESPACE: &str = "kube-node-lease";

impl Plugin for NodeRestriction {
    fn name(&self) -> &'static str {
        "NodeRestriction"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        operation != Operation::Connect
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let user = &context.attributes.user;
        if !user.in_group("system:nodes") {
            return Ok(());
        }
        let Some(node) = user.name.strip_prefix("system:node:") else { return Ok(()) };
        if node.is_empty() {
            let why = format!("could not determine node from user {:?}", user.name);
            return Err(context.attributes.forbidden(object, why));
        }
        let attributes = context.attributes;
        if (attributes.group, attributes.resource) == ("certificates.k8s.io", "podcertificaterequests") {
            return certificates::request(context, node, object);
        }
        judge(context, node, object).map_err(|why| attributes.forbidden(object, why))
    }
}

/// The reason for which a request of a node's kubelet is refused.
fn judge(context: &Context, node: &str, object: &Value) -> Result<(), String> {
    let attributes = context.attributes;
    match (attributes.group, attributes.resource, attributes.subresource) {
        ("", "pods", "") => pods::pod(context, node, object),
        ("", "pods", "status") => pods::status(context, node, object),
        ("", "pods", "eviction") => pods::eviction(context, node, object),
        ("", "pods", other) => {
            Err(format!("unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed"))
        }
        ("", "nodes", _) => own_node(context, node, object),
        ("", "persistentvolumeclaims", "status") => claim_status(context, node, object),
        ("", "persistentvolumeclaims", other) => {
            Err(format!("may only update PVC status, not subresource {other:?}"))
        }
        ("", "serviceaccounts", "token") => token(context, node, object),
        ("coordination.k8s.io", "leases", _) => lease(context, node, object),
        ("storage.k8s.io", "csinodes", _) => {
            let name = named(context, object);
            if name == node {
                Ok(())
            } else {
                Err("can only access CSINode with the same name as the requesting node".to_owned())
            }
        }
        ("resource.k8s.io", "resourceslices", _) => resource_slice(context, node, object),
        _ => Ok(()),
    }
}

fn named<'a>(context: &'a Context, object: &'a Value) -> &'a str {
    if context.attributes.name.is_empty() { object.name() } else { context.attributes.name }
}

fn own_node(context: &Context, node: &str, object: &Value) -> Result<(), String> {
    let requested = named(context, object);
    if requested != node {
        return Err(format!("node {node:?} is not allowed to modify node {requested:?}"));
    }
    match (context.attributes.operation, context.old) {
        (Operation::Create, _) => {
            if object["spec"].has("configSource") {
                return Err(format!(
                    "node {node:?} is not allowed to create nodes with a non-nil configSource"
                ));
            }
            let forbidden = labels::forbidden(object, &Value::Null);
            if !forbidden.is_empty() {
                return Err(format!(
                    "node {node:?} is not allowed to set the following labels: {}",
                    forbidden.join(", ")
                ));
            }
            if !object["metadata"].items("ownerReferences").is_empty() {
                return Err(format!("node {node:?} is not allowed to set ownerReferences"));
            }
            Ok(())
        }
        (Operation::Update, Some(old)) => {
            let source = &object["spec"]["configSource"];
            if !source.is_null() && !same(source, &old["spec"]["configSource"]) {
                return Err(format!(
                    "node {node:?} is not allowed to update configSource to a new non-nil configSource"
                ));
            }
            if !same(&object["spec"]["taints"], &old["spec"]["taints"]) {
                return Err(format!("node {node:?} is not allowed to modify taints"));
            }
            if !same(&object["metadata"]["ownerReferences"], &old["metadata"]["ownerReferences"]) {
                return Err(format!("node {node:?} is not allowed to modify ownerReferences"));
            }
            let forbidden = labels::forbidden(object, old);
            if !forbidden.is_empty() {
                return Err(format!("is not allowed to modify labels: {}", forbidden.join(", ")));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn lease(context: &Context, node: &str, object: &Value) -> Result<(), String> {
    if context.attributes.namespace != LEASE_NAMESPACE {
        return Err(format!("can only access leases in the {LEASE_NAMESPACE:?} system namespace"));
    }
    if named(context, object) != node {
        return Err("can only access node lease with the same name as the requesting node".to_owned());
    }
    Ok(())
}

fn claim_status(context: &Context, node: &str, object: &Value) -> Result<(), String> {
    let Some(old) = context.old else {
        return Err(format!("unexpected operation on PVC status by node {node:?}"));
    };
    let strip = |claim: &Value| {
        let mut claim = claim.clone();
        if let Some(fields) = claim.as_object_mut() {
            fields.remove("metadata");
        }
        if let Some(status) = claim.get_mut("status").and_then(Value::as_object_mut) {
            for key in ["capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"] {
                status.remove(key);
            }
        }
        claim
    };
    if same(&strip(object), &strip(old)) {
        return Ok(());
    }
    Err(format!(
        "node {node:?} may not update fields other than status.quantity, status.capacity and status.conditions"
    ))
}

fn token(context: &Context, node: &str, object: &Value) -> Result<(), String> {
    let reference = &object["spec"]["boundObjectRef"];
    if reference.text("kind") != "Pod" || reference.text("name").is_empty() {
        return Err("node requested token not bound to a pod".to_owned());
    }
    let uid = reference.text("uid");
    if uid.is_empty() {
        return Err("node requested token with a pod binding without a uid".to_owned());
    }
    let (namespace, name) = (context.attributes.namespace, reference.text("name"));
    let Some(pod) = context.view.get("", "pods", namespace, name) else {
        return Err(format!("pod {name:?} not found"));
    };
    if pod.uid() != uid {
        return Err(format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        ));
    }
    if pod["spec"].text("nodeName") != node {
        return Err("node requested token bound to a pod scheduled on a different node".to_owned());
    }
    audience(context, &pod, object)
}

/// A kubelet asks for tokens for those only whom the pod's volumes name.
fn audience(context: &Context, pod: &Value, object: &Value) -> Result<(), String> {
    let wanted = object["spec"].items("audiences");
    let wanted: Vec<&str> =
        if wanted.is_empty() { vec![""] } else { wanted.iter().filter_map(Value::as_str).collect() };
    let volumes = pod["spec"].items("volumes");
    for audience in wanted {
        let projected = volumes.iter().any(|volume| {
            volume["projected"].items("sources").iter().any(|source| {
                source.has("serviceAccountToken")
                    && source["serviceAccountToken"].text("audience") == audience
            })
        });
        let driver = volumes.iter().filter_map(|volume| csi_driver(context, pod, volume)).any(|name| {
            context.view.get("storage.k8s.io", "csidrivers", "", &name).is_some_and(|driver| {
                driver["spec"].items("tokenRequests").iter().any(|token| token.text("audience") == audience)
            })
        });
        let access = Access {
            verb: "request-serviceaccounts-token-audience",
            group: "",
            resource: audience,
            name: context.attributes.name,
            ..Access::default()
        };
        if !projected && !driver && !context.view.allows(&context.attributes.user, &access) {
            return Err(format!(
                "audience {audience:?} not found in pod spec volume, {} is not authorized to request tokens for this audience",
                context.attributes.user.name
            ));
        }
    }
    Ok(())
}

/// The CSI driver behind a pod's volume: its own, or that of the PersistentVolume that its claim is bound to.
fn csi_driver(context: &Context, pod: &Value, volume: &Value) -> Option<String> {
    if volume.has("csi") {
        return Some(volume["csi"].text("driver").to_owned());
    }
    let claim = if volume.has("ephemeral") {
        format!("{}-{}", pod.name(), volume.text("name"))
    } else {
        volume["persistentVolumeClaim"].text("claimName").to_owned()
    };
    let claim = context.view.get("", "persistentvolumeclaims", context.attributes.namespace, &claim)?;
    let bound = context.view.get("", "persistentvolumes", "", claim["spec"].text("volumeName"))?;
    bound["spec"].has("csi").then(|| bound["spec"]["csi"].text("driver").to_owned())
}

fn resource_slice(context: &Context, node: &str, object: &Value) -> Result<(), String> {
    let slice = match context.attributes.operation {
        Operation::Delete => context.old.unwrap_or(object),
        _ => object,
    };
    if slice["spec"].text("nodeName") == node {
        Ok(())
    } else {
        Err("can only access ResourceSlices for the node in the spec.nodeName field".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};
    use serde_json::json;

    fn refusal(request: Request, object: Value) -> Option<String> {
        let request = request.by_node("w1");
        request.admit(&NodeRestriction, &Cluster::new(), object).err().map(|status| {
            status.message.split_once(": ").map_or(status.message.clone(), |(_, why)| why.to_owned())
        })
    }

    #[test]
    fn a_kubelet_has_one_node() {
        let node = |labels: Value| json!({"metadata": {"name": "w1", "labels": labels}});
        assert_eq!(
            refusal(Request::create("", "nodes").named("w1"), node(json!({"kubernetes.io/hostname": "w1"}))),
            None
        );
        assert_eq!(
            refusal(Request::create("", "nodes").named("w2"), json!({})).unwrap(),
            "node \"w1\" is not allowed to modify node \"w2\""
        );
        assert_eq!(
            refusal(
                Request::create("", "nodes").named("w1"),
                node(json!({"node-role.kubernetes.io/control-plane": ""}))
            )
            .unwrap(),
            "node \"w1\" is not allowed to set the following labels: node-role.kubernetes.io/control-plane"
        );
        let mut tainted = node(json!({}));
        tainted["spec"] = json!({"taints": [{"key": "a"}]});
        assert_eq!(
            refusal(Request::update("", "nodes", tainted).named("w1"), node(json!({}))).unwrap(),
            "node \"w1\" is not allowed to modify taints"
        );
    }

    #[test]
    fn a_kubelet_has_one_lease() {
        let lease = |namespace: &'static str, name: &'static str| {
            refusal(Request::create("coordination.k8s.io", "leases").inside(namespace).named(name), json!({}))
        };
        assert_eq!(lease(LEASE_NAMESPACE, "w1"), None);
        assert!(lease(LEASE_NAMESPACE, "w2").is_some());
        assert_eq!(
            lease("default", "w1").unwrap(),
            "can only access leases in the \"kube-node-lease\" system namespace"
        );
    }

    #[test]
    fn tokens_are_bound_to_pods_of_the_node() {
        let cluster = Cluster::new().with(
            "",
            "pods",
            json!({"metadata": {"name": "web", "namespace": "x", "uid": "1"}, "spec": {"nodeName": "w1",
                "volumes": [{"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]}}),
        );
        let ask = |node: &str, spec: Value| {
            let request =
                Request::create("", "serviceaccounts").inside("x").named("default").through("token");
            request.by_node(node).admit(&NodeRestriction, &cluster, json!({"spec": spec}))
        };
        let bound = json!({"boundObjectRef": {"kind": "Pod", "name": "web", "uid": "1"}});
        assert!(ask("w1", bound.clone()).is_ok());
        assert!(ask("w2", bound.clone()).unwrap_err().message.ends_with("scheduled on a different node"));
        assert!(ask("w1", json!({})).unwrap_err().message.ends_with("not bound to a pod"));
        let mut other = bound;
        other["audiences"] = json!(["vault"]);
        assert!(
            ask("w1", other).unwrap_err().message.contains("audience \"vault\" not found in pod spec volume")
        );
    }

    #[test]
    fn other_users_are_left_alone() {
        let request = Request::create("", "nodes").named("w2");
        assert!(request.admit(&NodeRestriction, &Cluster::new(), json!({})).is_ok());
    }
}

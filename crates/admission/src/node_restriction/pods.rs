//! What a kubelet may do with pods: mirror its own static ones, report status, evict what runs on it.

use apimachinery::ObjectExt;
use serde_json::Value;
use strategy::read::{Read, same};

use crate::{Context, Operation};

pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";

pub(super) fn pod(context: &Context, node: &str, object: &Value) -> Result<(), String> {
    match context.attributes.operation {
        Operation::Create => mirror(context, node, object),
        Operation::Delete => {
            let stored = context.old.map(|pod| pod["spec"].text("nodeName"));
            match stored {
                Some(name) if name != node => {
                    Err(format!("node {node:?} can only delete pods with spec.nodeName set to itself"))
                }
                _ => Ok(()),
            }
        }
        other => Err(format!(
            "unexpected operation \"{}\", node {node:?} can only create and delete mirror pods",
            format!("{other:?}").to_uppercase()
        )),
    }
}

fn mirror(context: &Context, node: &str, object: &Value) -> Result<(), String> {
    if object.annotation(MIRROR).is_none() {
        return Err(format!(
            "pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"
        ));
    }
    let spec = &object["spec"];
    if spec.text("nodeName") != node {
        return Err(format!("node {node:?} can only create pods with spec.nodeName set to itself"));
    }
    let owners = object.owner_references();
    let own = |uid: &str| context.view.get("", "nodes", "", node).is_some_and(|stored| stored.uid() == uid);
    match owners.as_slice() {
        [owner] => {
            let is_node = owner.api_version == "v1" && owner.kind == "Node" && owner.name == node;
            if !is_node || owner.controller != Some(true) {
                return Err(format!(
                    "node {node:?} can only create pods with an owner reference set to itself and controller=true"
                ));
            }
            if owner.block_owner_deletion == Some(true) {
                return Err(format!("node {node:?} must not set blockOwnerDeletion on an owner reference"));
            }
            if !own(&owner.uid) {
                return Err(format!("node {node:?} UID mismatch: expected the UID of the node itself"));
            }
        }
        [] => {
            return Err(format!("node {node:?} can only create pods with an owner reference set to itself"));
        }
        _ => {
            return Err(format!(
                "node {node:?} can only create pods with a single owner reference set to itself"
            ));
        }
    }
    references_nothing(node, spec)
}

/// A mirror pod that named objects of the API would give its node the right to read them.
fn references_nothing(node: &str, spec: &Value) -> Result<(), String> {
    let refuse = |what: &str| Err(format!("node {node:?} can not create pods that reference {what}"));
    if !spec.text("serviceAccountName").is_empty() {
        return refuse("a service account");
    }
    let volumes = spec.items("volumes");
    let sources = || volumes.iter().flat_map(|volume| volume["projected"].items("sources"));
    let containers = || {
        ["containers", "initContainers", "ephemeralContainers"].into_iter().flat_map(|list| spec.items(list))
    };
    let variables = |key: &str| {
        containers()
            .flat_map(|container| container.items("env"))
            .any(|variable| variable["valueFrom"].has(key))
    };
    let whole = |key: &str| {
        containers().flat_map(|container| container.items("envFrom")).any(|source| source.has(key))
    };
    let secrets = volumes.iter().any(|volume| volume.has("secret"))
        || sources().any(|source| source.has("secret"))
        || !spec.items("imagePullSecrets").is_empty()
        || variables("secretKeyRef")
        || whole("secretRef");
    if secrets {
        return refuse("secrets");
    }
    let config_maps = volumes.iter().any(|volume| volume.has("configMap"))
        || sources().any(|source| source.has("configMap"))
        || variables("configMapKeyRef")
        || whole("configMapRef");
    if config_maps {
        return refuse("configmaps");
    }
    if sources().any(|source| source.has("serviceAccountToken")) {
        return refuse("serviceaccounts");
    }
    if sources().any(|source| source.has("clusterTrustBundle")) {
        return refuse("clustertrustbundles");
    }
    if volumes.iter().any(|volume| volume.has("persistentVolumeClaim")) {
        return refuse("persistentvolumeclaims");
    }
    if !spec.items("resourceClaims").is_empty() {
        return refuse("resourceclaims");
    }
    Ok(())
}

pub(super) fn status(context: &Context, node: &str, object: &Value) -> Result<(), String> {
    let Some(old) = context.old.filter(|_| context.attributes.operation == Operation::Update) else {
        return Err(format!("unexpected operation on pod status by node {node:?}"));
    };
    if old["spec"].text("nodeName") != node {
        return Err(format!(
            "node {node:?} can only update pod status for pods with spec.nodeName set to itself"
        ));
    }
    if !same(&object["metadata"]["labels"], &old["metadata"]["labels"]) {
        return Err(format!("node {node:?} cannot update labels through pod status"));
    }
    if !same(&object["status"]["resourceClaimStatuses"], &old["status"]["resourceClaimStatuses"]) {
        return Err(format!("node {node:?} cannot update resource claim statuses"));
    }
    Ok(())
}

pub(super) fn eviction(context: &Context, node: &str, object: &Value) -> Result<(), String> {
    let attributes = context.attributes;
    let name = if attributes.name.is_empty() { object.name() } else { attributes.name };
    if name.is_empty() {
        return Err(format!("could not determine pod from request data of node {node:?}"));
    }
    match context.view.get("", "pods", attributes.namespace, name) {
        Some(pod) if pod["spec"].text("nodeName") == node => Ok(()),
        Some(_) => Err(format!("node {node} can only evict pods with spec.nodeName set to itself")),
        None => Err(format!("pod {name:?} not found")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::NodeRestriction;
    use crate::testing::{Cluster, Request};
    use serde_json::{Value, json};

    fn mirror() -> Value {
        json!({"metadata": {"name": "etcd-w1", "annotations": {"kubernetes.io/config.mirror": "h"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "w1", "uid": "n1", "controller": true}]},
            "spec": {"nodeName": "w1", "containers": [{"name": "c"}]}})
    }

    fn create(pod: Value) -> Result<Value, String> {
        let cluster = Cluster::new().with("", "nodes", json!({"metadata": {"name": "w1", "uid": "n1"}}));
        let request = Request::create("", "pods").inside("kube-system").named("etcd-w1").by_node("w1");
        request.admit(&NodeRestriction, &cluster, pod).map_err(|status| status.message)
    }

    #[test]
    fn only_mirror_pods_of_its_own_are_made() {
        assert!(create(mirror()).is_ok());
        let mut elsewhere = mirror();
        elsewhere["spec"]["nodeName"] = json!("w2");
        assert!(create(elsewhere).unwrap_err().ends_with("spec.nodeName set to itself"));
        let mut plain = mirror();
        plain["metadata"]["annotations"] = json!({});
        assert!(create(plain).unwrap_err().ends_with("can only create mirror pods"));
        let mut curious = mirror();
        curious["spec"]["volumes"] = json!([{"name": "s", "secret": {"secretName": "s"}}]);
        assert!(create(curious).unwrap_err().ends_with("reference secrets"));
    }

    #[test]
    fn status_is_of_its_own_pods() {
        let pod = |node: &str| json!({"metadata": {"name": "web"}, "spec": {"nodeName": node}});
        let update = |node: &str| {
            let request = Request::update("", "pods", pod(node)).named("web").through("status").by_node("w1");
            request.admit(&NodeRestriction, &Cluster::new(), pod(node))
        };
        assert!(update("w1").is_ok());
        assert!(update("w2").is_err());
    }
}

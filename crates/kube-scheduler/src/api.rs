//! What the scheduler writes: bindings, conditions, nominations, evictions.

use apimachinery::time::rfc3339;
use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Client, Error};
use serde_json::json;

use crate::core::Nomination;
use crate::pod::Pod;

/// Binds a pod to a node.
pub async fn bind(client: &Client, pod: &Pod, node: &str) -> Result<(), Error> {
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid},
        "target": {"kind": "Node", "name": node},
    });
    let request =
        http::Request::post(format!("/api/v1/namespaces/{}/pods/{}/binding", pod.namespace, pod.name))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(binding.to_string().into_bytes())
            .map_err(Error::HttpError)?;
    client.request_text(request).await.map(drop)
}

/// Sets a volume aside for a claim, if it is still of the version that was chosen; returns its new version.
pub async fn claim_volume(
    client: &Client,
    volume: &str,
    version: u64,
    claim: &str,
    uid: &str,
) -> Result<u64, Error> {
    let (namespace, name) = claim.split_once('/').unwrap_or_default();
    let volumes: Api<core::PersistentVolume> = Api::all(client.clone());
    let patch = json!({
        "metadata": {
            "resourceVersion": version.to_string(),
            "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"},
        },
        "spec": {"claimRef": {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": name, "uid": uid,
        }},
    });
    let changed = volumes.patch(volume, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(changed.metadata.resource_version.and_then(|version| version.parse().ok()).unwrap_or(0))
}

/// Says on a claim for which node its volume is to be made; returns the claim's new version.
pub async fn select_node(
    client: &Client,
    claim: &str,
    uid: &str,
    version: u64,
    node: &str,
) -> Result<u64, Error> {
    let (namespace, name) = claim.split_once('/').unwrap_or_default();
    let claims: Api<core::PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let patch = json!({"metadata": {
        "uid": uid,
        "resourceVersion": version.to_string(),
        "annotations": {crate::watch::SELECTED_NODE: node},
    }});
    let changed = claims.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(changed.metadata.resource_version.and_then(|version| version.parse().ok()).unwrap_or(0))
}

/// Says in the pod's status why it has no node, and what becomes of the node it is promised.
pub async fn report_unschedulable(
    client: &Client,
    pod: &Pod,
    message: &str,
    nomination: &Nomination,
    now: Timestamp,
) -> Result<(), Error> {
    let mut status = json!({"conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastProbeTime": null,
        "lastTransitionTime": rfc3339(now),
    }]});
    match nomination {
        Nomination::Stays => {}
        Nomination::Given(node) => status["nominatedNodeName"] = (&**node).into(),
        Nomination::Void => status["nominatedNodeName"] = serde_json::Value::Null,
    }
    patch_status(client, pod, status).await
}

/// Takes back the promise of a node.
pub async fn void_nomination(client: &Client, pod: &Pod) -> Result<(), Error> {
    match patch_status(client, pod, json!({"nominatedNodeName": null})).await {
        Err(Error::Api(status)) if status.code == 404 => Ok(()),
        other => other,
    }
}

/// Removes a pod in favour of another; its status says so first.
pub async fn evict(client: &Client, victim: &Pod, scheduler: &str, now: Timestamp) -> Result<(), Error> {
    let status = json!({"conditions": [{
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": format!("{scheduler}: preempting to accommodate a higher priority pod"),
        "lastTransitionTime": rfc3339(now),
    }]});
    match patch_status(client, victim, status).await {
        Err(Error::Api(status)) if status.code == 404 => return Ok(()),
        other => other?,
    }
    let pods: Api<core::Pod> = Api::namespaced(client.clone(), &victim.namespace);
    let parameters = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(victim.uid.to_string()), resource_version: None }),
        ..DeleteParams::default()
    };
    match pods.delete(&victim.name, &parameters).await {
        Err(Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

async fn patch_status(client: &Client, pod: &Pod, status: serde_json::Value) -> Result<(), Error> {
    let pods: Api<core::Pod> = Api::namespaced(client.clone(), &pod.namespace);
    let patch = json!({"metadata": {"uid": pod.uid}, "status": status});
    pods.patch_status(&pod.name, &PatchParams::default(), &Patch::Strategic(patch)).await.map(drop)
}

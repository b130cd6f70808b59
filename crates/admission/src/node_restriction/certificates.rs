//! What certificates a kubelet may ask for: those of pods that run on its node, in the names that these have.

use apimachinery::ObjectExt;
use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::Read;

use super::pods::MIRROR;
use crate::rules::operation;
use crate::{Context, Operation};

/// Judges a kubelet's request for the certificate of a pod.
///
/// What may only be news that this server has not heard yet is an error of the server, as upstream: the kubelet tries
/// again.
pub(super) fn request(context: &Context, node: &str, object: &Value) -> Result<(), Status> {
    let attributes = context.attributes;
    let refuse = |why: String| Err(attributes.forbidden(object, why));
    let not_yet = |why: String| Err(Status::new(500, "", why));
    if attributes.operation != Operation::Create {
        return refuse(format!("unexpected operation {}", operation(attributes.operation)));
    }
    if !attributes.subresource.is_empty() {
        return refuse(format!("unexpected subresource {}", attributes.subresource));
    }
    let spec = &object["spec"];
    let (named, node_uid) = (spec.text("nodeName"), spec.text("nodeUID"));
    if named != node {
        return refuse(format!(
            "PodCertificateRequest.Spec.NodeName={named:?}, which is not the requesting node {node:?}"
        ));
    }
    let whole = format!("{}/{}", attributes.namespace, spec.text("podName"));
    let Some(known) = context.view.get("", "nodes", "", node) else {
        return not_yet(format!(
            "while retrieving node {node:?} named in the PodCertificateRequest: node {node:?} not found"
        ));
    };
    if known.uid() != node_uid {
        return not_yet(format!(
            "PodCertificateRequest for pod {whole:?} names node UID {node_uid:?}, inconsistent with the running node ({:?})",
            known.uid()
        ));
    }
    let (name, uid) = (spec.text("podName"), spec.text("podUID"));
    let Some(pod) = context.view.get("", "pods", attributes.namespace, name) else {
        return not_yet(format!(
            "while retrieving pod {whole:?} named in the PodCertificateRequest: pod {name:?} not found"
        ));
    };
    if pod.uid() != uid {
        return not_yet(format!(
            "PodCertificateRequest for pod {whole:?} contains pod UID ({uid:?}) which differs from running pod {:?}",
            pod.uid()
        ));
    }
    if pod["spec"].text("nodeName") != node {
        return refuse(format!(
            "pod {whole:?} is not running on node {node:?} named in the PodCertificateRequest"
        ));
    }
    if pod["metadata"]["annotations"].get(MIRROR).is_some() {
        return refuse(format!("pod {whole:?} is a mirror pod"));
    }
    let (account, account_uid) = (spec.text("serviceAccountName"), spec.text("serviceAccountUID"));
    let runs_as = pod["spec"].text("serviceAccountName");
    if account != runs_as {
        return refuse(format!(
            "PodCertificateRequest for pod {whole:?} contains serviceAccountName ({account:?}) that differs from running pod ({runs_as:?})"
        ));
    }
    let Some(known) = context.view.get("", "serviceaccounts", attributes.namespace, account) else {
        let place = format!("{}/{account}", attributes.namespace);
        return not_yet(format!(
            "while retrieving service account {place:?} named in the PodCertificateRequest: serviceaccount {account:?} not found"
        ));
    };
    if known.uid() != account_uid {
        return not_yet(format!(
            "PodCertificateRequest for pod {whole:?} names service account UID {account_uid:?}, which differs from the running service account ({:?})",
            known.uid()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::NodeRestriction;
    use super::*;
    use crate::testing::{Cluster, Request};
    use serde_json::json;

    const GROUP: &str = "certificates.k8s.io";
    const REQUESTS: &str = "podcertificaterequests";

    fn pod(uid: &str, node: &str, annotations: Value) -> Value {
        json!({"metadata": {"name": "web", "namespace": "x", "uid": uid, "annotations": annotations},
            "spec": {"nodeName": node, "serviceAccountName": "s"}})
    }

    fn cluster(pod: Value) -> Cluster {
        Cluster::new()
            .with("", "nodes", json!({"metadata": {"name": "w1", "uid": "n1"}}))
            .with("", "pods", pod)
            .with("", "serviceaccounts", json!({"metadata": {"name": "s", "namespace": "x", "uid": "s1"}}))
    }

    /// The answer to a request with one field that is other than it should be.
    fn told(cluster: &Cluster, key: &str, value: &str) -> String {
        let mut spec = json!({"nodeName": "w1", "nodeUID": "n1", "podName": "web", "podUID": "p1",
            "serviceAccountName": "s", "serviceAccountUID": "s1"});
        spec[key] = json!(value);
        let request = Request::create(GROUP, REQUESTS).inside("x").named("r").by_node("w1");
        match request.admit(&NodeRestriction, cluster, json!({"spec": spec})) {
            Ok(_) => String::new(),
            Err(status) => format!("{} {}", status.code, status.message),
        }
    }

    #[test]
    fn certificates_are_for_pods_of_the_node() {
        let forbidden =
            |why: &str| format!("403 podcertificaterequests.certificates.k8s.io \"r\" is forbidden: {why}");
        let runs = || cluster(pod("p1", "w1", json!({})));
        for (key, value, expected) in [
            ("nodeName", "w1", String::new()),
            (
                "nodeName",
                "w2",
                forbidden(
                    "PodCertificateRequest.Spec.NodeName=\"w2\", which is not the requesting node \"w1\"",
                ),
            ),
            (
                "nodeUID",
                "n2",
                "500 PodCertificateRequest for pod \"x/web\" names node UID \"n2\", inconsistent with the running node (\"n1\")".to_owned(),
            ),
            (
                "podName",
                "gone",
                "500 while retrieving pod \"x/gone\" named in the PodCertificateRequest: pod \"gone\" not found".to_owned(),
            ),
            (
                "podUID",
                "p2",
                "500 PodCertificateRequest for pod \"x/web\" contains pod UID (\"p2\") which differs from running pod \"p1\"".to_owned(),
            ),
            (
                "serviceAccountName",
                "t",
                forbidden(
                    "PodCertificateRequest for pod \"x/web\" contains serviceAccountName (\"t\") that differs from running pod (\"s\")",
                ),
            ),
            (
                "serviceAccountUID",
                "s2",
                "500 PodCertificateRequest for pod \"x/web\" names service account UID \"s2\", which differs from the running service account (\"s1\")".to_owned(),
            ),
        ] {
            assert_eq!(told(&runs(), key, value), expected, "{key}: {value}");
        }
        assert_eq!(
            told(&cluster(pod("p1", "w2", json!({}))), "nodeName", "w1"),
            forbidden("pod \"x/web\" is not running on node \"w1\" named in the PodCertificateRequest")
        );
        assert_eq!(
            told(&cluster(pod("p1", "w1", json!({ MIRROR: "x" }))), "nodeName", "w1"),
            forbidden("pod \"x/web\" is a mirror pod")
        );
        assert!(told(&Cluster::new(), "nodeName", "w1").ends_with("node \"w1\" not found"));
        let bare = Cluster::new().with("", "nodes", json!({"metadata": {"name": "w1", "uid": "n1"}})).with(
            "",
            "pods",
            pod("p1", "w1", json!({})),
        );
        assert!(told(&bare, "nodeName", "w1").starts_with("500 while retrieving service account \"x/s\""));
    }

    #[test]
    fn a_kubelet_answers_no_request() {
        let object = || json!({"metadata": {"name": "r"}});
        let status = Request::update(GROUP, REQUESTS, object()).named("r").through("status").by_node("w1");
        let refused = status.admit(&NodeRestriction, &Cluster::new(), object()).unwrap_err();
        assert!(refused.message.ends_with("unexpected operation UPDATE"), "{}", refused.message);
        let others = Request::update(GROUP, REQUESTS, object()).named("r");
        assert!(others.admit(&NodeRestriction, &Cluster::new(), object()).is_ok());
    }
}

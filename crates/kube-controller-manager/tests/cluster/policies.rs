//! Admission policies are told what their expressions get wrong.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";

#[tokio::test]
async fn a_policys_status_says_what_is_wrong_with_its_expressions() {
    let cluster = Cluster::start(&[]).await;
    let policy = |expression: &str| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": "replicas"}, "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"],
                "operations": ["CREATE"], "resources": ["deployments"]}]},
            "validations": [{"expression": expression}]}})
    };
    let made = cluster.create(POLICIES, policy("object.replicas > 1")).await;
    assert_eq!(made["metadata"]["generation"], 1);
    let path = format!("{POLICIES}/replicas");
    let seen = |generation: i64| move |policy: &Value| policy["status"]["observedGeneration"] == generation;
    let warned = cluster.eventually(&path, seen(1)).await;
    let warning = &warned["status"]["typeChecking"]["expressionWarnings"][0];
    assert_eq!(warning["fieldRef"], "spec.validations[0].expression");
    let words = warning["warning"].as_str().unwrap();
    assert!(words.starts_with("apps/v1, Kind=Deployment: "), "{words}");
    assert!(words.contains("undefined field 'replicas'"), "{words}");

    let mended = json!({"spec": {"validations": [{"expression":
        "object.spec.replicas > 1 && object.metadata.labels['a'] == 'b' && object.spec.template.spec.containers.all(c, c.image != '')"}]}});
    cluster.patch(&path, mended).await;
    let quiet = cluster.eventually(&path, seen(2)).await;
    assert!(quiet["status"]["typeChecking"]["expressionWarnings"].is_null(), "{quiet}");
}

//! Rules in CEL are checked when they are defined.

use serde_json::{Value, json};

use super::{DEFINITIONS, definition};
use crate::cluster::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_do_not_fit_are_refused_and_old_ones_may_stay() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().await;
    let with = |rule: &str, list: Value| {
        let mut object = definition();
        for version in object["spec"]["versions"].as_array_mut().unwrap() {
            let spec = &mut version["schema"]["openAPIV3Schema"]["properties"]["spec"];
            spec["x-kubernetes-validations"] = json!([{"rule": rule}]);
            spec["properties"]["list"] = list.clone();
        }
        object
    };
    let bounded = json!({"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 10}});
    let refused = client.post(DEFINITIONS, &with("self.spec == 1", bounded.clone())).await.refusal();
    assert_eq!(refused.0, 422);
    let words = "compilation failed: ERROR: <input>:1:5: undefined field 'spec'\n | self.spec == 1\n | ....^";
    assert!(refused.1.contains(words), "{}", refused.1);
    let words =
        "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule: Invalid value: ";
    assert!(refused.1.contains(words), "{}", refused.1);
    let refused = client.post(DEFINITIONS, &with("self.length + 1", bounded)).await.refusal();
    assert!(refused.1.contains("cel expression must evaluate to a bool"), "{}", refused.1);
    let unbounded = json!({"type": "array", "items": {"type": "string"}});
    let rule = "self.list.all(x, self.list.all(y, x == y))";
    let refused = client.post(DEFINITIONS, &with(rule, unbounded)).await.refusal();
    let words = "estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";
    assert!(refused.1.contains(words), "{}", refused.1);
    let protected = {
        let mut object = definition();
        object["metadata"]["name"] = "wands.x.k8s.io".into();
        object["metadata"]["annotations"] = json!({"api-approved.kubernetes.io": "unapproved, a test"});
        object["spec"]["group"] = "x.k8s.io".into();
        object
    };
    client.post(DEFINITIONS, &protected).await.ok();
    let found = testkit::eventually(|| async {
        let found = client.get(&format!("{DEFINITIONS}/wands.x.k8s.io")).await.ok();
        let conditions = found["status"]["conditions"].clone();
        let of =
            |kind: &str| conditions.as_array().into_iter().flatten().find(|own| own["type"] == kind).cloned();
        of("KubernetesAPIApprovalPolicyConformant").ok_or(conditions)
    })
    .await;
    assert_eq!((&found["status"], &found["reason"]), (&json!("False"), &json!("UnapprovedAnnotation")));
}

//! Policies in CEL that judge and change what is written.

use serde_json::{Value, json};

use crate::cluster::{Client, Cluster, MAPS, map};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

async fn create(admin: &Client, kind: &str, plural: &str, name: &str, spec: Value) {
    let object = json!({"kind": kind, "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": name}, "spec": spec});
    admin.post(&format!("{GROUP}/{plural}"), &object).await.ok();
}

fn constraints(group: &str, resource: &str) -> Value {
    json!({"resourceRules": [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
        "resources": [resource]}]})
}

fn deployment(name: &str, replicas: i64) -> Value {
    json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": name, "labels": {"own": "1"}}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_judge_deployments_with_their_parameters() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let mut limits = map("limits", "x");
    limits["data"] = json!({"least": "2"});
    admin.post(MAPS, &limits).await.ok();
    let spec = json!({
        "matchConstraints": constraints("apps", "deployments"),
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "variables": [{"name": "least", "expression": "int(params.data.least)"}],
        "validations": [
            {"expression": "object.spec.replicas >= variables.least",
                "messageExpression": "'wants ' + string(variables.least) + ' replicas'"},
            {"expression": "namespaceObject.metadata.name == 'default'"},
        ],
    });
    create(&admin, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", "replicas", spec).await;
    // Without a binding it does nothing.
    admin.post(DEPLOYMENTS, &deployment("early", 1)).await.ok();
    let bound = json!({"policyName": "replicas", "validationActions": ["Deny"],
        "paramRef": {"name": "limits", "parameterNotFoundAction": "Deny"}});
    let plural = "validatingadmissionpolicybindings";
    create(&admin, "ValidatingAdmissionPolicyBinding", plural, "least", bound).await;
    let words = "deployments.apps \"few\" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'least' denied request: wants 2 replicas";
    testkit::eventually(|| async {
        let answer = admin.post(&format!("{DEPLOYMENTS}?dryRun=All"), &deployment("few", 1)).await;
        if answer.code == 422 { Ok(()) } else { Err(answer.code) }
    })
    .await;
    let refused = admin.post(DEPLOYMENTS, &deployment("few", 1)).await;
    assert_eq!(refused.json()["reason"], "Invalid");
    assert_eq!(refused.refusal(), (422, words.to_owned()));
    admin.post(DEPLOYMENTS, &deployment("many", 2)).await.ok();
    let scaled =
        admin.patch(&format!("{DEPLOYMENTS}/many"), "merge-patch", &json!({"spec": {"replicas": 1}})).await;
    assert_eq!(scaled.code, 422);

    // A binding that warns lets pass.
    let path = format!("{GROUP}/{plural}/least");
    admin.patch(&path, "merge-patch", &json!({"spec": {"validationActions": ["Warn"]}})).await.ok();
    testkit::eventually(|| async {
        let answer = admin.post(&format!("{DEPLOYMENTS}?dryRun=All"), &deployment("few", 1)).await;
        if answer.code == 201 {
            Ok(answer.headers["warning"].to_str().unwrap().to_owned())
        } else {
            Err(answer.code)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_change_what_is_written() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let spec = json!({
        "matchConstraints": constraints("apps", "deployments"),
        "reinvocationPolicy": "Never",
        "mutations": [
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
                "Object{metadata: Object.metadata{labels: {'added': 'yes'}}, spec: Object.spec{replicas: object.spec.replicas + 1}}"}},
            {"patchType": "JSONPatch", "jsonPatch": {"expression":
                "[JSONPatch{op: 'add', path: '/metadata/labels/patched', value: string(object.spec.replicas)}]"}},
        ],
    });
    create(&admin, "MutatingAdmissionPolicy", "mutatingadmissionpolicies", "more", spec).await;
    let bound = json!({"policyName": "more"});
    create(&admin, "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", "all", bound).await;
    testkit::eventually(|| async {
        let made = admin.post(&format!("{DEPLOYMENTS}?dryRun=All"), &deployment("probe", 1)).await.ok();
        if made["spec"]["replicas"] == 2 { Ok(()) } else { Err(made) }
    })
    .await;
    let made = admin.post(DEPLOYMENTS, &deployment("web", 1)).await.ok();
    assert_eq!(made["metadata"]["labels"], json!({"own": "1", "added": "yes", "patched": "2"}));
    assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["image"], "i", "the rest stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_with_broken_expressions_are_refused() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let policy = json!({"kind": "ValidatingAdmissionPolicy", "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": "p"}, "spec": {"matchConstraints": constraints("", "pods"),
        "validations": [{"expression": "object.spec +"}]}});
    let (code, message) =
        admin.post(&format!("{GROUP}/validatingadmissionpolicies"), &policy).await.refusal();
    assert_eq!(code, 422);
    assert!(
        message.contains(
            "spec.validations[0].expression: Invalid value: \"object.spec +\": compilation failed: "
        ),
        "{message}"
    );
}

use authz::Mode;
use futures::executor::block_on;
use serde_json::json;

use super::*;

/// Jane may list pods everywhere; members of `nodes` in the Node authoriser's sense have their own rules.
fn chain() -> Chain {
    let chain = Chain::new(vec![Mode::Node, Mode::Rbac]);
    chain.rbac.apply(&json!({"kind": "ClusterRole", "metadata": {"name": "pods"}, "rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]}));
    chain.rbac.apply(&json!({"kind": "ClusterRoleBinding", "metadata": {"name": "pods"},
        "roleRef": {"kind": "ClusterRole", "name": "pods"},
        "subjects": [{"kind": "User", "name": "jane"}, {"kind": "Group", "name": "ops"}]}));
    chain
}

fn review(kind: &str, spec: Value) -> Value {
    json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "metadata": {"creationTimestamp": null}, "spec": spec})
}

fn list_pods() -> Value {
    json!({"verb": "list", "resource": "pods", "namespace": "a"})
}

fn status(answer: impl Future<Output = Result<Value, Status>>) -> String {
    match block_on(answer) {
        Ok(review) => review["status"].to_string(),
        Err(status) => status.message,
    }
}

const YES: &str = r#"{"allowed":true,"reason":"RBAC: allowed by ClusterRoleBinding \"pods\" of ClusterRole \"pods\" to User \"jane\""}"#;

#[test]
fn reviews_answer_for_anybody() {
    for (spec, expected) in [
        (json!({"user": "jane", "resourceAttributes": list_pods()}), YES),
        (json!({"user": "jane", "nonResourceAttributes": {"verb": "get", "path": "/metrics"}}), YES),
        (json!({"user": "bob", "resourceAttributes": list_pods()}), r#"{"allowed":false}"#),
        (
            json!({"user": "bob", "groups": ["ops"], "resourceAttributes": list_pods()}),
            r#"{"allowed":true,"reason":"RBAC: allowed by ClusterRoleBinding \"pods\" of ClusterRole \"pods\" to Group \"ops\""}"#,
        ),
        (
            json!({"user": "system:node:w1", "groups": ["system:nodes"], "resourceAttributes": list_pods()}),
            r#"{"allowed":false,"reason":"can only list/watch pods with spec.nodeName field selector"}"#,
        ),
        (
            json!({"user": "system:node:w1", "groups": ["system:nodes"], "resourceAttributes": {
                "verb": "list", "resource": "pods",
                "fieldSelector": {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["w1"]}]}}}),
            r#"{"allowed":true}"#,
        ),
        (
            json!({"user": "system:node:w1", "groups": ["system:nodes"], "resourceAttributes": {
                "verb": "list", "resource": "pods", "fieldSelector": {"rawSelector": "spec.nodeName=w1"}}}),
            r#"{"allowed":true}"#,
        ),
    ] {
        assert_eq!(status(any(&chain(), review("SubjectAccessReview", spec))), expected);
    }
}

#[test]
fn what_is_not_understood_of_a_selector_is_told() {
    let ask = |selectors: Value| {
        let mut attributes = list_pods();
        for (field, selector) in selectors.as_object().unwrap() {
            attributes[field] = selector.clone();
        }
        let spec = json!({"user": "jane", "resourceAttributes": attributes});
        let review = block_on(any(&chain(), review("SubjectAccessReview", spec))).unwrap();
        assert_eq!(review["status"]["allowed"], true);
        review["status"]["evaluationError"].as_str().unwrap_or_default().to_owned()
    };
    let nodes = |values: Value| json!({"key": "spec.nodeName", "operator": "In", "values": values});
    assert_eq!(ask(json!({"fieldSelector": {"requirements": [nodes(json!(["a"]))]}})), "");
    assert_eq!(
        ask(json!({"fieldSelector": {"requirements": [nodes(json!(["a"])), nodes(json!(["a", "b"]))]}})),
        "spec.resourceAttributes.fieldSelector partially ignored due to parse error"
    );
    let tier = json!({"key": "tier", "operator": "In", "values": []});
    assert_eq!(
        ask(json!({
            "fieldSelector": {"rawSelector": "spec.nodeName"}, "labelSelector": {"requirements": [tier]},
        })),
        "spec.resourceAttributes.fieldSelector ignored due to parse error; spec.resourceAttributes.labelSelector ignored due to parse error"
    );
}

#[test]
fn reviews_that_ask_nothing_or_two_things_are_refused() {
    for (spec, expected) in [
        (
            json!({"user": "jane"}),
            r#"SubjectAccessReview.authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: "null": exactly one of nonResourceAttributes or resourceAttributes must be specified"#,
        ),
        (
            json!({"resourceAttributes": list_pods()}),
            r#"SubjectAccessReview.authorization.k8s.io "" is invalid: spec.user: Invalid value: "": at least one of user or group must be specified"#,
        ),
    ] {
        assert_eq!(status(any(&chain(), review("SubjectAccessReview", spec))), expected);
    }
    let both =
        json!({"user": "jane", "resourceAttributes": list_pods(), "nonResourceAttributes": {"path": "/"}});
    let answer = block_on(any(&chain(), review("SubjectAccessReview", both))).unwrap_err();
    assert!(
        answer.message.contains("cannot be specified in combination with resourceAttributes"),
        "{answer}"
    );
    let mut named = review("SubjectAccessReview", json!({"user": "jane", "resourceAttributes": list_pods()}));
    named["metadata"]["name"] = json!("x");
    assert!(block_on(any(&chain(), named)).unwrap_err().message.contains("must be empty"));
}

#[test]
fn local_reviews_ask_about_their_namespace() {
    let ask = |namespace: &str, spec: Value| {
        let mut review = review("LocalSubjectAccessReview", spec);
        review["metadata"]["namespace"] = json!(namespace);
        status(local(&chain(), namespace, review))
    };
    assert_eq!(ask("a", json!({"user": "jane", "resourceAttributes": list_pods()})), YES);
    assert!(
        ask("b", json!({"user": "jane", "resourceAttributes": list_pods()}))
            .contains("must match metadata.namespace")
    );
    assert!(
        ask("a", json!({"user": "jane", "nonResourceAttributes": {"verb": "get", "path": "/metrics"}}))
            .contains("disallowed on this kind of request")
    );
}

#[test]
fn own_reviews_answer_for_the_one_who_asks() {
    let jane = UserInfo { name: "jane".into(), ..UserInfo::default() };
    let asked = review("SelfSubjectAccessReview", json!({"resourceAttributes": list_pods()}));
    assert_eq!(status(own(&chain(), &jane, asked)), YES);
    let rules =
        super::super::rules_review::own(&chain(), &jane, json!({"spec": {"namespace": "a"}})).unwrap();
    assert_eq!(
        rules["status"].to_string(),
        r#"{"incomplete":false,"nonResourceRules":[{"nonResourceURLs":["/metrics"],"verbs":["get"]}],"resourceRules":[{"apiGroups":[""],"resources":["pods"],"verbs":["list"]}]}"#
    );
    let who = super::super::self_review::own(&jane, json!({}));
    assert_eq!(who["status"]["userInfo"], json!({"username": "jane"}));
}

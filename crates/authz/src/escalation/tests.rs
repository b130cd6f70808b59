use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::chain::Mode;

fn chain() -> Chain {
    let chain = Chain::new(vec![Mode::Rbac]);
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    let role =
        |name: &str, rules: Value| json!({"kind": "ClusterRole", "metadata": {"name": name}, "rules": rules});
    let binding = |name: &str| {
        json!({"kind": "ClusterRoleBinding", "metadata": {"name": name}, "roleRef": {"kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "User", "name": name}]})
    };
    for (name, rules) in [
        ("jane", json!([rule("", "pods", &["get"])])),
        ("escalator", json!([rule(GROUP, "clusterroles", &["escalate"])])),
        ("binder", json!([rule(GROUP, "clusterroles", &["bind"])])),
        ("admin", json!([rule("*", "*", &["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}])),
    ] {
        chain.rbac.apply(&role(name, rules));
        chain.rbac.apply(&binding(name));
    }
    chain
}

fn check_as(user: &str, new: &Value, old: Option<&Value>, expected: Expect) {
    let groups = ["system:authenticated".to_owned()];
    let answer = match check(&chain(), User { name: user, groups: &groups }, new, old) {
        Ok(()) => "allowed".to_owned(),
        Err(status) => format!("{} {}", status.code, status.message),
    };
    expected.assert_eq(&answer);
}

fn role(verbs: &[&str]) -> Value {
    json!({"kind": "ClusterRole", "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}]})
}

fn binding(role: &str) -> Value {
    json!({"kind": "RoleBinding", "metadata": {"name": "b", "namespace": "a"},
        "roleRef": {"kind": "ClusterRole", "name": role}})
}

#[test]
fn roles_grant_no_more_than_their_writer_has() {
    check_as("jane", &role(&["get"]), None, expect!["allowed"]);
    check_as(
        "jane",
        &role(&["get", "list", "delete"]),
        None,
        expect![[r#"
            403 clusterroles.rbac.authorization.k8s.io "r" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:
            {APIGroups:[""], Resources:["pods"], Verbs:["list" "delete"]}"#]],
    );
    check_as("escalator", &role(&["delete"]), None, expect!["allowed"]);
    check_as("admin", &role(&["delete"]), None, expect!["allowed"]);
}

#[test]
fn the_collector_may_let_go() {
    let mut old = role(&["delete"]);
    old.set_at(&["metadata", "finalizers"], json!(["x"]));
    check_as("jane", &role(&["delete"]), Some(&old), expect!["allowed"]);
}

#[test]
fn aggregation_takes_everything() {
    let mut role = role(&["get"]);
    role.set_at(&["aggregationRule", "clusterRoleSelectors"], json!([{"matchLabels": {"a": "b"}}]));
    check_as(
        "jane",
        &role,
        None,
        expect![[
            r#"403 clusterroles.rbac.authorization.k8s.io "r" is forbidden: must have cluster-admin privileges to use the aggregationRule"#
        ]],
    );
    check_as("admin", &role, None, expect!["allowed"]);
}

#[test]
fn bindings_grant_no_more_than_their_writer_has() {
    check_as("jane", &binding("jane"), None, expect!["allowed"]);
    check_as(
        "jane",
        &binding("binder"),
        None,
        expect![[r#"
            403 rolebindings.rbac.authorization.k8s.io "b" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:
            {APIGroups:["rbac.authorization.k8s.io"], Resources:["clusterroles"], Verbs:["bind"]}"#]],
    );
    check_as("binder", &binding("admin"), None, expect!["allowed"]);
    check_as(
        "jane",
        &binding("none"),
        None,
        expect![[r#"404 clusterroles.rbac.authorization.k8s.io "none" not found"#]],
    );
}

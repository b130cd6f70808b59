use ::http::HeaderName;
use authz::Mode;
use serde_json::json;

use super::*;

fn chain() -> Chain {
    let chain = Chain::new(vec![Mode::Rbac]);
    chain.rbac.apply(&json!({"kind": "ClusterRole", "metadata": {"name": "r"}, "rules": [
        {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["jane"]},
        {"apiGroups": [""], "resources": ["groups"], "verbs": ["impersonate"], "resourceNames": ["dev"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"], "verbs": ["impersonate"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["users"], "verbs": ["impersonate:user-info"],
            "resourceNames": ["ann"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["groups"], "verbs": ["impersonate:user-info"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["userextras/example.org/team"],
            "verbs": ["impersonate:user-info"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["impersonate-on:user-info:list"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["nodes"], "verbs": ["impersonate:arbitrary-node"],
            "resourceNames": ["w1"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["impersonate-on:arbitrary-node:list"]}]}));
    chain.rbac.apply(&json!({"kind": "ClusterRole", "metadata": {"name": "agent"}, "rules": [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["nodes"], "verbs": ["impersonate:associated-node"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["serviceaccounts"],
            "verbs": ["impersonate:serviceaccount"]},
        {"apiGroups": [""], "resources": ["pods"],
            "verbs": ["impersonate-on:associated-node:list", "impersonate-on:serviceaccount:list"]}]}));
    chain.rbac.apply(&json!({"kind": "ClusterRoleBinding", "metadata": {"name": "agent"},
        "roleRef": {"kind": "ClusterRole", "name": "agent"},
        "subjects": [{"kind": "User", "name": "system:serviceaccount:kube-system:agent"}]}));
    chain.rbac.apply(&json!({"kind": "ClusterRoleBinding", "metadata": {"name": "r"},
        "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "User", "name": "boss"}]}));
    chain
}

fn ask(pairs: &[(&'static str, &str)]) -> String {
    let boss = UserInfo { name: "boss".into(), ..UserInfo::default() };
    ask_as(&boss, "list", pairs)
}

/// Asks for pods.
fn ask_as(real: &UserInfo, verb: &str, pairs: &[(&'static str, &str)]) -> String {
    let headers: HeaderMap =
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
    let refused = |status: Status| format!("{} {}", status.code, status.message);
    let wanted = match wanted(&headers) {
        Ok(None) => return "nobody".into(),
        Ok(Some(wanted)) => wanted,
        Err(status) => return refused(status),
    };
    let request = Attributes {
        user: attributes::user(real),
        verb,
        namespace: "a",
        version: "v1",
        resource: "pods",
        is_resource: true,
        ..Attributes::default()
    };
    match futures::executor::block_on(impersonate(&chain(), real, wanted, &request)) {
        Ok(Impersonated { user, constraint }) => {
            let text = format!("{} {:?} {:?} {constraint}", user.name, user.groups, user.extra);
            text.trim_end().to_owned()
        }
        Err(status) => refused(status),
    }
}

#[test]
fn acting_for_others_takes_permission_for_each_part() {
    for (headers, expected) in [
        (&[("accept", "x")][..], "nobody"),
        (&[("impersonate-user", "jane")], r#"jane ["system:authenticated"] {}"#),
        (
            &[
                ("impersonate-user", "jane"),
                ("impersonate-group", "dev"),
                ("impersonate-extra-scopes", "view"),
            ],
            r#"jane ["dev", "system:authenticated"] {"scopes": ["view"]}"#,
        ),
        (
            &[("impersonate-user", "bob")],
            r#"403 users "bob" is forbidden: User "boss" cannot impersonate resource "users" in API group "" at the cluster scope"#,
        ),
        (
            &[("impersonate-user", "jane"), ("impersonate-group", "system:masters")],
            r#"403 groups "system:masters" is forbidden: User "boss" cannot impersonate resource "groups" in API group "" at the cluster scope"#,
        ),
        (
            &[("impersonate-user", "jane"), ("impersonate-uid", "u")],
            r#"403 uids.authentication.k8s.io "u" is forbidden: User "boss" cannot impersonate resource "uids" in API group "authentication.k8s.io" at the cluster scope"#,
        ),
        (
            &[("impersonate-user", "system:serviceaccount:a:b")],
            r#"system:serviceaccount:a:b ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"] {}"#,
        ),
    ] {
        assert_eq!(ask(headers), expected);
    }
    assert!(ask(&[("impersonate-group", "dev")]).starts_with("500"));
}

#[test]
fn its_headers_are_known() {
    assert!(owns("Impersonate-User") && owns("impersonate-extra-x") && !owns("impersonate"));
}

#[test]
fn a_role_may_let_act_for_others_in_some_requests_only() {
    let boss = UserInfo { name: "boss".into(), ..UserInfo::default() };
    let agent = UserInfo {
        name: "system:serviceaccount:kube-system:agent".into(),
        extra: [("authentication.kubernetes.io/node-name".to_owned(), vec!["w1".to_owned()])].into(),
        ..UserInfo::default()
    };
    for (real, verb, headers, expected) in [
        (
            &boss,
            "list",
            &[("impersonate-user", "ann"), ("impersonate-group", "dev")][..],
            r#"ann ["dev", "system:authenticated"] {} impersonate:user-info"#,
        ),
        (
            &boss,
            "list",
            &[("impersonate-user", "ann"), ("impersonate-extra-example.org%2fteam", "x")],
            r#"ann ["system:authenticated"] {"example.org/team": ["x"]} impersonate:user-info"#,
        ),
        // Not for this, nor with this group.
        (&boss, "delete", &[("impersonate-user", "ann")], "403"),
        (&boss, "list", &[("impersonate-user", "ann"), ("impersonate-group", "system:masters")], "403"),
        (&boss, "list", &[("impersonate-user", "ann"), ("impersonate-extra-scopes", "view")], "403"),
        (
            &boss,
            "list",
            &[("impersonate-user", "system:node:w1")],
            r#"system:node:w1 ["system:nodes", "system:authenticated"] {} impersonate:arbitrary-node"#,
        ),
        (&boss, "list", &[("impersonate-user", "system:node:w2")], "403"),
        (
            &agent,
            "list",
            &[("impersonate-user", "system:node:w1")],
            r#"system:node:w1 ["system:nodes", "system:authenticated"] {} impersonate:associated-node"#,
        ),
        (&agent, "list", &[("impersonate-user", "system:node:w2")], "403"),
        (&agent, "get", &[("impersonate-user", "system:node:w1")], "403"),
        (
            &agent,
            "list",
            &[("impersonate-user", "system:serviceaccount:a:b")],
            r#"system:serviceaccount:a:b ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"] {} impersonate:serviceaccount"#,
        ),
    ] {
        let found = ask_as(real, verb, headers);
        let is_as_expected = if expected == "403" { found.starts_with("403 ") } else { found == expected };
        assert!(is_as_expected, "{headers:?}: {found}");
    }
}

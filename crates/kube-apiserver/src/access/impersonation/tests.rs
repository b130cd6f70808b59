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
        {"apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"], "verbs": ["impersonate"]}]}));
    chain.rbac.apply(&json!({"kind": "ClusterRoleBinding", "metadata": {"name": "r"},
        "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "User", "name": "boss"}]}));
    chain
}

fn ask(pairs: &[(&'static str, &str)]) -> String {
    let headers: HeaderMap =
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
    let boss = UserInfo { name: "boss".into(), ..UserInfo::default() };
    match futures::executor::block_on(impersonate(&chain(), &boss, &headers)) {
        Ok(None) => "nobody".into(),
        Ok(Some(user)) => format!("{} {:?} {:?}", user.name, user.groups, user.extra),
        Err(status) => format!("{} {}", status.code, status.message),
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

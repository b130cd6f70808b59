use serde_json::json;

use super::*;

fn role(kind: &str, namespace: &str, name: &str, resource: &str) -> Value {
    let rules = json!([{"apiGroups": [""], "resources": [resource], "verbs": ["get", "list"]}]);
    json!({"kind": kind, "metadata": {"namespace": namespace, "name": name}, "rules": rules})
}

fn binding(kind: &str, namespace: &str, name: &str, role: (&str, &str), subjects: Value) -> Value {
    json!({"kind": kind, "metadata": {"namespace": namespace, "name": name},
        "roleRef": {"kind": role.0, "name": role.1}, "subjects": subjects})
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "name": name})
}

fn world() -> Rbac {
    let rbac = Rbac::default();
    for object in [
        role("ClusterRole", "", "view-pods", "pods"),
        role("Role", "a", "view-secrets", "secrets"),
        role("Role", "b", "view-secrets", "configmaps"),
        binding(
            "ClusterRoleBinding",
            "",
            "all",
            ("ClusterRole", "view-pods"),
            json!([user("ann"), {"kind": "Group", "name": "ops"}]),
        ),
        binding("RoleBinding", "a", "pods", ("ClusterRole", "view-pods"), json!([user("bob")])),
        binding(
            "RoleBinding",
            "a",
            "secrets",
            ("Role", "view-secrets"),
            json!([
            {"kind": "ServiceAccount", "name": "builder"}, {"kind": "ServiceAccount", "name": "tester", "namespace": "b"}]),
        ),
        binding("RoleBinding", "b", "broken", ("Role", "none"), json!([user("bob"), user("bob")])),
    ] {
        rbac.apply(&object);
    }
    rbac
}

fn ask(rbac: &Rbac, name: &str, groups: &[&str], namespace: &str, resource: &str) -> String {
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let user = User { name, groups: &groups };
    let attributes =
        Attributes { user, verb: "list", namespace, resource, is_resource: true, ..Attributes::default() };
    let decision = rbac.authorize(&attributes);
    format!("{} {}", if decision.is_allowed() { "yes" } else { "no" }, decision.reason())
        .trim_end()
        .to_owned()
}

#[test]
fn bindings_grant_where_they_are() {
    let rbac = world();
    for (name, groups, namespace, resource, expected) in [
        (
            "ann",
            &[][..],
            "",
            "pods",
            r#"yes RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "view-pods" to User "ann""#,
        ),
        (
            "ann",
            &[],
            "a",
            "pods",
            r#"yes RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "view-pods" to User "ann""#,
        ),
        (
            "eve",
            &["x", "ops"],
            "z",
            "pods",
            r#"yes RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "view-pods" to Group "ops""#,
        ),
        (
            "bob",
            &[],
            "a",
            "pods",
            r#"yes RBAC: allowed by RoleBinding "pods/a" of ClusterRole "view-pods" to User "bob""#,
        ),
        ("bob", &[], "", "pods", "no"),
        ("bob", &[], "a", "secrets", "no"),
        ("bob", &[], "b", "pods", r#"no RBAC: role.rbac.authorization.k8s.io "none" not found"#),
        (
            "system:serviceaccount:a:builder",
            &[],
            "a",
            "secrets",
            r#"yes RBAC: allowed by RoleBinding "secrets/a" of Role "view-secrets" to ServiceAccount "builder/a""#,
        ),
        (
            "system:serviceaccount:b:tester",
            &[],
            "a",
            "secrets",
            r#"yes RBAC: allowed by RoleBinding "secrets/a" of Role "view-secrets" to ServiceAccount "tester/b""#,
        ),
        ("system:serviceaccount:b:builder", &[], "a", "secrets", "no"),
        ("eve", &[], "a", "pods", "no"),
    ] {
        assert_eq!(ask(&rbac, name, groups, namespace, resource), expected, "{name} {namespace} {resource}");
    }
}

#[test]
fn changes_take_effect() {
    let rbac = world();
    rbac.apply(&binding("ClusterRoleBinding", "", "all", ("ClusterRole", "view-pods"), json!([user("eve")])));
    assert_eq!(ask(&rbac, "ann", &[], "", "pods"), "no");
    assert!(ask(&rbac, "eve", &[], "", "pods").starts_with("yes"));
    rbac.apply(&role("ClusterRole", "", "view-pods", "nodes"));
    assert_eq!(ask(&rbac, "eve", &[], "", "pods"), "no");
    rbac.delete(&binding("ClusterRoleBinding", "", "all", ("", ""), json!([])));
    assert_eq!(ask(&rbac, "eve", &[], "", "nodes"), "no");
    rbac.delete(&role("Role", "a", "view-secrets", ""));
    assert_eq!(
        ask(&rbac, "system:serviceaccount:a:builder", &[], "a", "secrets"),
        r#"no RBAC: role.rbac.authorization.k8s.io "view-secrets" not found"#
    );
    for kind in RbacKind::ALL {
        rbac.reset(kind, std::iter::empty::<Value>());
    }
    let index = rbac.index.read();
    assert_eq!(index.size(), 0, "nothing is left behind");
}

#[test]
fn a_reset_replaces_one_kind_only() {
    let rbac = world();
    rbac.reset(
        RbacKind::RoleBinding,
        [&binding("RoleBinding", "c", "new", ("ClusterRole", "view-pods"), json!([user("bob")]))],
    );
    assert_eq!(ask(&rbac, "bob", &[], "a", "pods"), "no");
    assert!(ask(&rbac, "bob", &[], "c", "pods").starts_with("yes"));
    assert!(ask(&rbac, "ann", &[], "c", "pods").starts_with("yes"));
    let tester = |rbac: &Rbac| ask(rbac, "system:serviceaccount:b:tester", &[], "a", "secrets");
    for (kind, ann_lists_pods, tester_lists_secrets) in [
        (RbacKind::ClusterRole, false, true),
        (RbacKind::Role, true, false),
        (RbacKind::ClusterRoleBinding, false, true),
        (RbacKind::RoleBinding, true, false),
    ] {
        let rbac = world();
        rbac.reset(kind, std::iter::empty::<Value>());
        let ann = ask(&rbac, "ann", &[], "a", "pods").starts_with("yes");
        let found = (ann, tester(&rbac).starts_with("yes"));
        assert_eq!(found, (ann_lists_pods, tester_lists_secrets), "{kind:?}");
    }
}

#[test]
fn rules_of_a_user_are_those_of_its_bindings() {
    let rbac = world();
    let of = |name, namespace: &str| {
        let set = rbac.rules_for(User { name, groups: &[] }, namespace);
        (set.rules().map(|rule| rule.resources.join(",")).collect::<Vec<_>>(), set.errors)
    };
    assert_eq!(of("bob", "a"), (vec!["pods".to_owned()], vec![]));
    assert_eq!(of("bob", "b").1, [r#"role.rbac.authorization.k8s.io "none" not found"#]);
    assert_eq!(world().role("a", "view-secrets").map(|rules| rules.len()), Some(1));
}

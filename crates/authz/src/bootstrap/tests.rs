use serde_json::json;

use super::*;
use crate::{Attributes, Chain, RbacKind, User};

fn cluster() -> Chain {
    let chain = Chain::default();
    for (kind, objects) in [
        (RbacKind::ClusterRole, cluster_roles()),
        (RbacKind::Role, roles()),
        (RbacKind::ClusterRoleBinding, cluster_role_bindings()),
        (RbacKind::RoleBinding, role_bindings()),
    ] {
        chain.rbac.reset(kind, &objects);
    }
    chain
}

/// `verb [group:]resource[/sub] [namespace]`
fn may(chain: &Chain, user: &str, groups: &[&str], request: &str) -> bool {
    let mut words = request.split(' ');
    let verb = words.next().unwrap();
    let what = words.next().unwrap();
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let user = User { name: user, groups: &groups };
    let namespace = words.next().unwrap_or("");
    if what.starts_with('/') {
        return chain.authorize(&Attributes { user, verb, path: what, ..Attributes::default() }).is_allowed();
    }
    let (group, resource) = what.split_once(':').unwrap_or(("", what));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = Attributes {
        user,
        verb,
        namespace,
        group,
        resource,
        subresource,
        is_resource: true,
        ..Attributes::default()
    };
    chain.authorize(&attributes).is_allowed()
}

#[test]
fn tables_state_whole_rules() {
    let read = roles::read(
        "# comment\n\na into b\n    read delete on core apps: pods\n        deployments named x y\n    report events\nc in ns\n    get at /a /b/*\n",
    );
    let objects: Vec<Value> = read.into_iter().map(|role| role.into_object("")).collect();
    let brief: Vec<Value> =
        objects.iter().map(|object| json!([object.name(), object.namespace(), object["rules"]])).collect();
    let events = json!({"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch", "update"]});
    let named = json!({"apiGroups": ["", "apps"], "resources": ["pods", "deployments"], "resourceNames": ["x", "y"], "verbs": ["delete", "get", "list", "watch"]});
    assert_eq!(
        brief,
        [
            json!(["a", "", [named, events]]),
            json!(["c", "ns", [{"nonResourceURLs": ["/a", "/b/*"], "verbs": ["get"]}]]),
        ]
    );
    assert_eq!(objects[0]["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-b"], "true");

    // Every word of the built-in tables has its place: a verb is a verb, a group has its dots.
    for rule in stated().chain(super::roles()).flat_map(|role| role.list_at(&["rules"]).to_vec()) {
        let lower = |field: &str| {
            rule.list_at(&[field])
                .iter()
                .all(|word| word.as_str().is_some_and(|word| !word.contains(':') && word != "on"))
        };
        assert!(["verbs", "apiGroups", "resources"].iter().all(|field| lower(field)), "{rule}");
        assert!(!rule.list_at(&["verbs"]).is_empty(), "{rule}");
        assert!(rule.list_at(&["resources"]).is_empty() == rule.list_at(&["apiGroups"]).is_empty(), "{rule}");
    }
}

#[test]
fn components_may_do_their_work_and_no_more() {
    let chain = cluster();
    for (user, groups, request, expected) in [
        ("root", &["system:masters"][..], "delete nodes", true),
        ("jane", &["system:authenticated"], "get /api/v1", true),
        ("jane", &["system:authenticated"], "list pods default", false),
        ("jane", &["system:authenticated"], "create authorization.k8s.io:selfsubjectaccessreviews", true),
        ("system:anonymous", &["system:unauthenticated"], "get /version", true),
        ("system:anonymous", &["system:unauthenticated"], "get /api", false),
        ("system:kube-scheduler", &[], "create pods/binding default", true),
        ("system:kube-scheduler", &[], "delete nodes", false),
        ("system:kube-scheduler", &[], "update coordination.k8s.io:leases kube-system", true),
        ("system:kube-controller-manager", &[], "list apps:deployments", true),
        ("system:kube-controller-manager", &[], "create serviceaccounts/token kube-system", true),
        (
            "system:serviceaccount:kube-system:deployment-controller",
            &[],
            "create apps:replicasets default",
            true,
        ),
        (
            "system:serviceaccount:kube-system:generic-garbage-collector",
            &[],
            "delete x:anything default",
            true,
        ),
        ("system:cloud-controller-manager", &[], "watch services", true),
        ("system:cloud-controller-manager", &[], "update services default", false),
        ("system:cloud-controller-manager", &[], "update coordination.k8s.io:leases kube-system", false),
        ("system:serviceaccount:kube-system:service-controller", &[], "patch services/status default", true),
        ("system:kube-proxy", &[], "watch discovery.k8s.io:endpointslices", true),
        ("system:podnet", &[], "watch networking.k8s.io:networkpolicies", true),
        ("system:podnet", &[], "patch nodes/status", true),
        ("system:podnet", &[], "delete pods default", false),
        ("system:serviceaccount:a:b", &["system:serviceaccounts"], "get /openid/v1/jwks", true),
    ] {
        assert_eq!(may(&chain, user, groups, request), expected, "{user} {request}");
    }
}

#[test]
fn gathering_roles_are_filled() {
    let chain = cluster();
    for role in ["admin", "edit", "view"] {
        chain.rbac.apply(&json!({"kind": "ClusterRoleBinding", "metadata": {"name": role},
            "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [{"kind": "User", "name": role}]}));
    }
    for (request, allowed) in [
        ("list pods a", &["admin", "edit", "view"][..]),
        ("create apps:deployments a", &["admin", "edit"]),
        ("get secrets a", &["admin", "edit"]),
        ("create rbac.authorization.k8s.io:roles a", &["admin"]),
        ("delete nodes", &[]),
    ] {
        for user in ["admin", "edit", "view"] {
            assert_eq!(may(&chain, user, &[], request), allowed.contains(&user), "{user} {request}");
        }
    }
}

#[test]
fn every_binding_has_its_role_and_every_name_is_there_once() {
    let names = |objects: &[Value]| -> Vec<String> {
        objects.iter().map(|object| format!("{}/{}", object.namespace(), object.name())).collect()
    };
    let (cluster_roles, roles) = (cluster_roles(), roles());
    for (bindings, roles) in [(cluster_role_bindings(), &cluster_roles), (role_bindings(), &roles)] {
        let known = names(roles);
        for binding in &bindings {
            let role = format!("{}/{}", binding.namespace(), binding.str_at(&["roleRef", "name"]).unwrap());
            assert!(known.contains(&role), "{role}");
        }
        for mut names in [known, names(&bindings)] {
            let count = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}

#[test]
fn reconciling_adds_what_is_missing_and_takes_nothing_away() {
    let roles = cluster_roles();
    let role = roles.iter().find(|role| role.name() == "system:kube-dns").unwrap();
    assert_eq!(reconcile(None, role), Change::Create(role.clone()));
    assert_eq!(reconcile(Some(role), role), Change::None);

    let extra = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]});
    let mut changed = role.clone();
    changed["rules"] =
        json!([extra, {"apiGroups": [""], "resources": ["endpoints", "services"], "verbs": ["list"]}]);
    changed.remove_at(&["metadata", "labels"]);
    let Change::Update(updated) = reconcile(Some(&changed), role) else { panic!("not updated") };
    assert_eq!(updated["rules"][0], extra);
    assert_eq!(updated["metadata"]["labels"], role["metadata"]["labels"]);
    let read = crate::Rule::read_all(&updated);
    assert!(
        crate::rule::missing(&read.iter().collect::<Vec<_>>(), &crate::Rule::read_all(role))
            .unwrap()
            .is_empty()
    );
    assert_eq!(reconcile(Some(&updated), role), Change::None);

    changed.set_at(&["metadata", "annotations"], json!({AUTOUPDATE: "false"}));
    assert_eq!(reconcile(Some(&changed), role), Change::None);
}

#[test]
fn reconciling_leaves_gathered_rules_to_their_controller() {
    let roles = cluster_roles();
    let admin = roles.iter().find(|role| role.name() == "admin").unwrap();
    let mut filled = admin.clone();
    filled["rules"] = json!([]);
    assert_eq!(reconcile(Some(&filled), admin), Change::None);
}

#[test]
fn a_binding_to_another_role_is_made_anew() {
    let bindings = cluster_role_bindings();
    let binding = bindings.iter().find(|binding| binding.name() == "system:node-proxier").unwrap();
    let mut changed = binding.clone();
    changed["subjects"] = json!([{"kind": "User", "name": "jane"}]);
    let Change::Update(updated) = reconcile(Some(&changed), binding) else { panic!("not updated") };
    assert_eq!(updated.list_at(&["subjects"]).len(), 2);
    assert_eq!(reconcile(Some(&updated), binding), Change::None);
    changed["roleRef"]["name"] = json!("other");
    assert_eq!(
        reconcile(Some(&changed), binding),
        Change::Recreate(binding.clone()),
        "whoever it named is out"
    );
}

#[test]
fn reconciling_knows_subjects_by_more_than_how_they_are_written() {
    let bindings = cluster_role_bindings();
    let binding = bindings.iter().find(|binding| binding.name() == "cluster-admin").unwrap();
    let mut changed = binding.clone();
    for subject in changed["subjects"].as_array_mut().unwrap() {
        subject.remove_at(&["apiGroup"]);
    }
    assert_eq!(reconcile(Some(&changed), binding), Change::None);
    changed["subjects"] = json!([]);
    changed["metadata"]["labels"]["kubernetes.io/bootstrapping"] = json!("mine");
    let Change::Update(updated) = reconcile(Some(&changed), binding) else { panic!("not updated") };
    assert_eq!(updated["subjects"], binding["subjects"]);
    assert_eq!(
        updated["metadata"]["labels"]["kubernetes.io/bootstrapping"], "mine",
        "labels keep their values"
    );
}

#[test]
fn reconciling_gives_gathering_roles_their_selectors() {
    let roles = cluster_roles();
    let admin = roles.iter().find(|role| role.name() == "admin").unwrap();
    let mut emptied = admin.clone();
    emptied["aggregationRule"]["clusterRoleSelectors"] = json!([{"matchLabels": {"mine": "yes"}}]);
    let Change::Update(updated) = reconcile(Some(&emptied), admin) else { panic!("not updated") };
    let selectors = updated.list_at(&["aggregationRule", "clusterRoleSelectors"]);
    assert_eq!(selectors[0], json!({"matchLabels": {"mine": "yes"}}));
    assert_eq!(selectors[1..], *admin.list_at(&["aggregationRule", "clusterRoleSelectors"]));
}

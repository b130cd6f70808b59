//! Who has the roles at the start.

use serde_json::{Value, json};

use super::CONTROLLER;
use super::roles::object;

/// A subject in short form.
enum Who {
    User(&'static str),
    Group(&'static str),
    /// A service account in `kube-system`.
    Account(&'static str),
}

use Who::{Account, Group, User};

/// ClusterRoleBindings, each of the ClusterRole of its own name.
const CLUSTER: &[(&str, &[Who])] = &[
    ("cluster-admin", &[Group("system:masters")]),
    ("system:basic-user", &[Group("system:authenticated")]),
    ("system:cloud-controller-manager", &[User("system:cloud-controller-manager")]),
    ("system:discovery", &[Group("system:authenticated")]),
    ("system:kube-controller-manager", &[User("system:kube-controller-manager")]),
    ("system:kube-dns", &[Account("kube-dns")]),
    ("system:kube-scheduler", &[User("system:kube-scheduler")]),
    ("system:monitoring", &[Group("system:monitoring")]),
    // Nodes have their rights from the Node authoriser; the binding stays so that a subject is not put back.
    ("system:node", &[]),
    ("system:node-proxier", &[User("system:kube-proxy")]),
    ("system:podnet", &[User("system:podnet")]),
    ("system:public-info-viewer", &[Group("system:authenticated"), Group("system:unauthenticated")]),
    ("system:service-account-issuer-discovery", &[Group("system:serviceaccounts")]),
    ("system:volume-scheduler", &[User("system:kube-scheduler")]),
];

/// RoleBindings: namespace, name, role, subjects.
const NAMESPACED: &[(&str, &str, &str, &[Who])] = &[
    (
        "kube-public",
        "system:controller:bootstrap-signer",
        "system:controller:bootstrap-signer",
        &[Account("bootstrap-signer")],
    ),
    (
        "kube-system",
        "system::extension-apiserver-authentication-reader",
        "extension-apiserver-authentication-reader",
        &[User("system:kube-controller-manager"), User("system:kube-scheduler")],
    ),
    (
        "kube-system",
        "system::leader-locking-cloud-controller-manager",
        "system::leader-locking-cloud-controller-manager",
        &[User("system:cloud-controller-manager")],
    ),
    (
        "kube-system",
        "system::leader-locking-kube-controller-manager",
        "system::leader-locking-kube-controller-manager",
        &[
            User("system:kube-controller-manager"),
            Account("kube-controller-manager"),
            Account("leader-election-controller"),
        ],
    ),
    (
        "kube-system",
        "system::leader-locking-kube-scheduler",
        "system::leader-locking-kube-scheduler",
        &[User("system:kube-scheduler"), Account("kube-scheduler")],
    ),
    (
        "kube-system",
        "system:cloud-controller-manager",
        "system:cloud-controller-manager",
        &[User("system:cloud-controller-manager")],
    ),
    (
        "kube-system",
        "system:controller:bootstrap-signer",
        "system:controller:bootstrap-signer",
        &[Account("bootstrap-signer")],
    ),
    (
        "kube-system",
        "system:controller:cloud-provider",
        "system:controller:cloud-provider",
        &[Account("cloud-provider")],
    ),
    (
        "kube-system",
        "system:controller:token-cleaner",
        "system:controller:token-cleaner",
        &[Account("token-cleaner")],
    ),
];

impl Who {
    fn to_value(&self) -> Value {
        match self {
            User(name) => json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}),
            Group(name) => json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}),
            Account(name) => json!({"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}),
        }
    }
}

fn binding(kind: &str, name: &str, role: (&str, &str), subjects: &[Who]) -> Value {
    let mut object = object(kind, name);
    let (role_kind, role_name) = role;
    object["roleRef"] =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role_name});
    if !subjects.is_empty() {
        object["subjects"] = subjects.iter().map(Who::to_value).collect();
    }
    object
}

pub(super) fn cluster_role_bindings(controllers: impl Iterator<Item = &'static str>) -> Vec<Value> {
    let plain = CLUSTER
        .iter()
        .map(|(name, subjects)| binding("ClusterRoleBinding", name, ("ClusterRole", name), subjects));
    let controllers = controllers.map(|account| {
        let name = format!("{CONTROLLER}{account}");
        binding("ClusterRoleBinding", &name, ("ClusterRole", &name), &[Account(account)])
    });
    plain.chain(controllers).collect()
}

pub(super) fn role_bindings() -> Vec<Value> {
    NAMESPACED
        .iter()
        .map(|(namespace, name, role, subjects)| {
            let mut object = binding("RoleBinding", name, ("Role", role), subjects);
            object["metadata"]["namespace"] = json!(namespace);
            object
        })
        .collect()
}

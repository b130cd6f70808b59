//! The objects that kubeadm writes into a cluster, under upstream's names.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Taint;
use serde_json::{Value, json};

/// Group of who joins with a token.
pub const JOINING: &str = "system:bootstrappers:kubeadm:default-node-token";
const NODES: &str = "system:nodes";
const RBAC: &str = "rbac.authorization.k8s.io";

/// The path of an object in the API.
pub fn path(object: &Value) -> anyhow::Result<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let version = text(&object["apiVersion"]).context("an object without apiVersion")?;
    let kind = text(&object["kind"]).context("an object without kind")?;
    let name = text(&object["metadata"]["name"]).context("an object without a name")?;
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = plural(&kind);
    Ok(match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("/{root}/{version}/{plural}/{name}"),
    })
}

/// The name of a kind's collection, as English has it.
fn plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    match lower.as_bytes().last() {
        Some(b'y') => format!("{}ies", &lower[..lower.len() - 1]),
        Some(b's') => format!("{lower}es"),
        _ => format!("{lower}s"),
    }
}

/// A ConfigMap of `kube-system` or `kube-public`.
pub fn config_map(namespace: &str, name: &str, data: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<String, Value> =
        data.iter().map(|(key, text)| ((*key).to_owned(), (*text).into())).collect();
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name}, "data": data,
    })
}

/// Who is bound to a role.
pub enum Subject<'a> {
    /// A group.
    Group(&'a str),
    /// A user.
    User(&'a str),
}

fn subjects(subjects: &[Subject<'_>]) -> Vec<Value> {
    let subject = |kind: &str, name: &str| json!({"apiGroup": RBAC, "kind": kind, "name": name});
    subjects
        .iter()
        .map(|one| match one {
            Subject::Group(name) => subject("Group", name),
            Subject::User(name) => subject("User", name),
        })
        .collect()
}

fn cluster_binding(name: &str, role: &str, to: &[Subject<'_>]) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": subjects(to),
    })
}

fn cluster_role(name: &str, group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole", "metadata": {"name": name},
        "rules": [{"apiGroups": [group], "resources": [resource], "verbs": verbs}],
    })
}

/// A Role that lets one object be read, and who has it.
pub fn readable(namespace: &str, name: &str, resource: &str, object: &str, to: &[Subject<'_>]) -> [Value; 2] {
    let metadata = json!({"namespace": namespace, "name": name});
    [
        json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": metadata,
            "rules": [{"apiGroups": [""], "resources": [resource], "resourceNames": [object], "verbs": ["get"]}],
        }),
        json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
            "subjects": subjects(to),
        }),
    ]
}

/// What makes the users of `admin.conf` administrators.
pub fn administrators() -> Value {
    let group = [Subject::Group("kubeadm:cluster-admins")];
    cluster_binding("kubeadm:cluster-admins", "cluster-admin", &group)
}

/// What machines that join with a token may do.
pub fn joining() -> Vec<Value> {
    let requests = |what: &str| format!("system:certificates.k8s.io:certificatesigningrequests:{what}");
    let tokens = [Subject::Group(JOINING)];
    let nodes = [Subject::Group(NODES)];
    vec![
        cluster_role("kubeadm:get-nodes", "", "nodes", &["get"]),
        cluster_binding("kubeadm:get-nodes", "kubeadm:get-nodes", &tokens),
        cluster_binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", &tokens),
        cluster_binding("kubeadm:node-autoapprove-bootstrap", &requests("nodeclient"), &tokens),
        cluster_binding("kubeadm:node-autoapprove-certificate-rotation", &requests("selfnodeclient"), &nodes),
    ]
}

/// What lets nodes have their further certificates: for serving, of what runs beside the kubelet, and the one with which
/// a node whose certificate has ended comes back. The controller manager approves and signs them.
pub fn node_certificates() -> Vec<Value> {
    const CERTIFICATES: &str = "certificates.k8s.io";
    let nodes = || Subject::Group(NODES);
    let returning = || Subject::Group("system:bootstrappers:node-rejoin");
    let mut objects = Vec::new();
    for (what, to) in [
        ("selfnodeserver", nodes()),
        ("nodeagent", nodes()),
        ("selfnoderejoin", nodes()),
        ("noderejoin", returning()),
    ] {
        let name = format!("magnetite:certificatesigningrequests:{what}");
        let resource = format!("certificatesigningrequests/{what}");
        objects.push(cluster_role(&name, CERTIFICATES, &resource, &["create"]));
        objects.push(cluster_binding(&format!("magnetite:node-autoapprove-{what}"), &name, &[to]));
    }
    objects.push(cluster_binding("magnetite:node-rejoin", "system:node-bootstrapper", &[returning()]));
    let signer = "magnetite:node-rejoin-signer";
    objects.push(json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole", "metadata": {"name": signer},
        "rules": [{
            "apiGroups": [CERTIFICATES], "resources": ["signers"],
            "resourceNames": ["magnetite.internal/node-rejoin"], "verbs": ["approve", "sign"],
        }],
    }));
    let upstream = |signer: &str| format!("system:certificates.k8s.io:{signer}-approver");
    for (name, role) in [
        ("magnetite:kubelet-serving-approver", upstream("kubelet-serving")),
        ("magnetite:kube-apiserver-client-approver", upstream("kube-apiserver-client")),
        (signer, signer.to_owned()),
    ] {
        // The account with --use-service-account-credentials, the user without.
        let mut binding = cluster_binding(name, &role, &[Subject::User("system:kube-controller-manager")]);
        if let Some(subjects) = binding["subjects"].as_array_mut() {
            let account = json!({"kind": "ServiceAccount", "namespace": "kube-system", "name": "certificate-controller"});
            subjects.push(account);
        }
        objects.push(binding);
    }
    objects
}

/// The cluster's configuration, and who reads it.
pub fn kubeadm_config(cluster_configuration: &str) -> Vec<Value> {
    let mut objects =
        vec![config_map("kube-system", "kubeadm-config", &[("ClusterConfiguration", cluster_configuration)])];
    let to = [Subject::Group(JOINING), Subject::Group(NODES)];
    objects.extend(readable(
        "kube-system",
        "kubeadm:nodes-kubeadm-config",
        "configmaps",
        "kubeadm-config",
        &to,
    ));
    objects
}

/// The configurations of every kubelet and kube-proxy, and who reads them.
pub fn kubelet_config(kubelet: &str, kube_proxy: &str) -> Vec<Value> {
    let to = [Subject::Group(JOINING), Subject::Group(NODES)];
    let mut objects = vec![config_map("kube-system", "kubelet-config", &[("kubelet", kubelet)])];
    objects.extend(readable("kube-system", "kubeadm:kubelet-config", "configmaps", "kubelet-config", &to));
    objects.push(config_map("kube-system", "kube-proxy", &[("config.conf", kube_proxy)]));
    objects.extend(readable("kube-system", "kube-proxy", "configmaps", "kube-proxy", &to));
    objects
}

/// The public kubeconfig, and who reads it: everybody.
pub fn cluster_info(kubeconfig: &str) -> Vec<Value> {
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-public"}}),
        config_map("kube-public", "cluster-info", &[("kubeconfig", kubeconfig)]),
    ];
    objects.extend(readable(
        "kube-public",
        "kubeadm:bootstrap-signer-clusterinfo",
        "configmaps",
        "cluster-info",
        &[Subject::User("system:anonymous")],
    ));
    objects
}

/// What makes a node a control plane's: labels, and those of the taints that it lacks.
pub fn control_plane_node(node: &Value, taints: &[Taint]) -> Value {
    let mut all: Vec<Value> = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let there = all.len();
    for taint in taints {
        let is_there =
            |one: &Value| one["key"] == taint.key.as_str() && one["effect"] == taint.effect.as_str();
        if !all.iter().any(is_there) {
            all.push(json!({"key": taint.key, "value": taint.value, "effect": taint.effect}));
        }
    }
    let mut patch = json!({"metadata": {"labels": {
        "node-role.kubernetes.io/control-plane": "",
        "node.kubernetes.io/exclude-from-external-load-balancers": "",
    }}});
    if all.len() > there {
        patch["spec"] = json!({"taints": all});
        // The list is written whole, and others write it too.
        patch["metadata"]["resourceVersion"] = node["metadata"]["resourceVersion"].clone();
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_where_the_api_has_them() {
        for (version, kind, namespace, expected) in [
            ("v1", "ConfigMap", Some("kube-system"), "/api/v1/namespaces/kube-system/configmaps/x"),
            ("v1", "Namespace", None, "/api/v1/namespaces/x"),
            ("networking.k8s.io/v1", "IngressClass", None, "/apis/networking.k8s.io/v1/ingressclasses/x"),
            (
                "networking.k8s.io/v1",
                "NetworkPolicy",
                Some("a"),
                "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/x",
            ),
            (
                "rbac.authorization.k8s.io/v1",
                "ClusterRole",
                None,
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/x",
            ),
        ] {
            let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": namespace}});
            assert_eq!(path(&object).unwrap(), expected);
        }
        assert!(path(&json!({"kind": "Pod"})).is_err());
    }

    #[test]
    fn a_taint_of_the_operators_stays() {
        let node = json!({"spec": {"taints": [{"key": "mine", "effect": "NoExecute"}]}});
        let taint = Taint {
            key: "node-role.kubernetes.io/control-plane".into(),
            effect: "NoSchedule".into(),
            ..Default::default()
        };
        let patch = control_plane_node(&node, std::slice::from_ref(&taint));
        assert_eq!(patch["spec"]["taints"].as_array().unwrap().len(), 2);
        assert!(control_plane_node(&json!({}), &[])["spec"].is_null());
        let has_it = json!({"spec": {"taints": [{"key": taint.key, "effect": "NoSchedule"}]}});
        assert!(control_plane_node(&has_it, &[taint])["spec"].is_null());
    }
}

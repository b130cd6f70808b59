//! What kubeadm writes into a cluster, against a real API server: it can be written twice, and who joins finds there what
//! it needs and no more.

#![allow(clippy::unwrap_used, reason = "a test ends where what it needs is not there")]

use control_plane::ControlPlane;
use kubeadm::{
    addons::ADD_ONS,
    bootstrap_token::{SECRETS, Terms},
    cluster::{Api, objects},
    configuration::{
        self, ClusterSettings, NodeSettings, Surroundings,
        v1beta4::{ApiEndpoint, BootstrapToken, ClusterConfiguration, NodeRegistration},
    },
    init::{apply_all, mark_control_plane, stored, upload_certs},
    sealed::{self, CertificateKey},
};
use serde_json::{Value, json};

const SECRET: &str = "123456.1234567890123456";

fn cluster() -> ClusterSettings {
    let mut configuration = ClusterConfiguration::default();
    // That of the test's API server.
    configuration.networking.service_subnet = "10.96.0.0/24".into();
    configuration.control_plane_endpoint = "api.example.org".into();
    ClusterSettings::new(configuration).unwrap()
}

fn everything(cluster: &ClusterSettings) -> Vec<Value> {
    let text = configuration::print("ClusterConfiguration", &cluster.configuration).unwrap();
    let kubelet = formats::yaml::text(&configuration::kubelet(cluster, None));
    let proxy = formats::yaml::text(&configuration::kube_proxy(cluster, None));
    let mut all = vec![objects::administrators()];
    all.extend(objects::kubeadm_config(&text));
    all.extend(objects::kubelet_config(&kubelet, &proxy));
    all.extend(objects::joining());
    all.extend(objects::node_certificates());
    all.extend(objects::cluster_info("clusters: []\n"));
    all.extend(ADD_ONS.iter().flat_map(|add_on| add_on.objects(cluster).unwrap()));
    let given = BootstrapToken { token: SECRET.into(), ..BootstrapToken::default() };
    all.push(Terms::new(&given, jiff::Timestamp::now()).unwrap().secret());
    all
}

async fn as_user(control_plane: &ControlPlane, user: &str, group: &str) -> Api {
    Api::open(&control_plane.kubeconfig(user, &[group])).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_finds_what_it_needs_and_no_more() {
    let control_plane = ControlPlane::start().await;
    let admin = as_user(&control_plane, "root", "system:masters").await;
    let cluster = cluster();
    for _ in 0..2 {
        apply_all(&admin, &everything(&cluster)).await.unwrap();
    }
    let administrator = as_user(&control_plane, "kubernetes-admin", "kubeadm:cluster-admins").await;
    let secret = administrator.get(&format!("{SECRETS}/bootstrap-token-123456")).await.unwrap().unwrap();
    assert_eq!(Terms::of(&secret).unwrap().token.text(), SECRET);

    let joining = as_user(&control_plane, "system:bootstrap:123456", objects::JOINING).await;
    assert_eq!(stored(&joining).await.unwrap(), cluster.configuration);
    for name in ["kubelet-config", "kube-proxy"] {
        let path = format!("/api/v1/namespaces/kube-system/configmaps/{name}");
        assert!(joining.get(&path).await.unwrap().is_some(), "{name}");
    }
    assert!(joining.get("/api/v1/nodes/w1-k8s").await.unwrap().is_none());
    let refused = joining.get(&format!("{SECRETS}/bootstrap-token-123456")).await.unwrap_err();
    assert!(format!("{refused:#}").contains("forbidden"), "{refused:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_keys_are_read_by_who_joins_and_opened_with_the_key() {
    let control_plane = ControlPlane::start().await;
    let admin = as_user(&control_plane, "root", "system:masters").await;
    let pki = control_plane.directory().join("pki");
    for name in ["ca", "front-proxy-ca", "sa", "etcd/ca"] {
        let public = if name == "sa" { "pub" } else { "crt" };
        pki::write_private(&pki.join(format!("{name}.key")), name).unwrap();
        pki::write_public(&pki.join(format!("{name}.{public}")), name).unwrap();
    }
    let first = CertificateKey::generate().unwrap();
    let second = CertificateKey::generate().unwrap();
    for key in [&first, &second] {
        upload_certs(&admin, &pki, key, false).await.unwrap();
    }
    let joining = as_user(&control_plane, "system:bootstrap:123456", objects::JOINING).await;
    let secret = joining.get(sealed::PATH).await.unwrap().unwrap();
    assert_eq!(sealed::open(&secret, &second, false).unwrap().len(), 8);
    assert!(sealed::open(&secret, &first, false).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_planes_node_is_marked_and_keeps_what_it_has() {
    let control_plane = ControlPlane::start().await;
    let admin = as_user(&control_plane, "root", "system:masters").await;
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "m-k8s", "labels": {"disk": "ssd"}},
        "spec": {"taints": [{"key": "mine", "effect": "NoExecute"}]},
    });
    admin.create("/api/v1/nodes", &node).await.unwrap();
    let surroundings = Surroundings { host_name: "m-k8s".into(), address: "192.0.2.1".parse().ok() };
    let settings =
        NodeSettings::new(&NodeRegistration::default(), &ApiEndpoint::default(), true, &surroundings)
            .unwrap();
    mark_control_plane(&admin, &settings).await.unwrap();
    let marked = admin.get("/api/v1/nodes/m-k8s").await.unwrap().unwrap();
    let labels = &marked["metadata"]["labels"];
    assert_eq!(
        (&labels["disk"], &labels["node-role.kubernetes.io/control-plane"]),
        (&json!("ssd"), &json!(""))
    );
    let taints: Vec<&str> = marked["spec"]["taints"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|taint| taint["key"].as_str())
        .collect();
    // The one between is what every new node has until it is ready.
    assert_eq!(taints, ["mine", "node.kubernetes.io/not-ready", "node-role.kubernetes.io/control-plane"]);
}

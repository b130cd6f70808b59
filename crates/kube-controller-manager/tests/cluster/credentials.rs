//! Certificates for kubelets, tokens in secrets, signatures for who joins.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};

use crate::cluster::Cluster;

fn request(common_name: &str) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    params.distinguished_name.push(DnType::CommonName, common_name);
    let pem = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    STANDARD.encode(pem)
}

async fn ask(cluster: &Cluster, name: &str, common_name: &str, usages: Value) -> String {
    let spec = json!({"request": request(common_name), "usages": usages,
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet"});
    let object = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": name}, "spec": spec});
    let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    cluster.create(path, object).await;
    format!("{path}/{name}")
}

#[tokio::test]
async fn a_kubelet_gets_its_certificate() {
    let cluster = Cluster::start(&[]).await;
    let usages = json!(["digital signature", "client auth"]);
    let path = ask(&cluster, "node", "system:node:w9", usages).await;
    let signed = cluster.eventually(&path, |request| request["status"]["certificate"].is_string()).await;
    assert_eq!(signed["status"]["conditions"][0]["reason"], "AutoApproved");
    let pem = STANDARD.decode(signed["status"]["certificate"].as_str().unwrap()).unwrap();
    assert!(pem.starts_with(b"-----BEGIN CERTIFICATE-----"));

    let server = json!(["digital signature", "client auth", "server auth"]);
    let path = ask(&cluster, "greedy", "system:node:w9", server).await;
    let left = cluster.get(&path).await.unwrap();
    assert!(left["status"]["conditions"].is_null(), "not approved: {left}");
}

#[tokio::test]
async fn a_secret_for_an_account_gets_a_token_that_works_and_goes_with_it() {
    let cluster = Cluster::start(&[]).await;
    let robot = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    cluster.create("/api/v1/namespaces/default/serviceaccounts", robot).await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "robot", "annotations": {"kubernetes.io/service-account.name": "robot"}}});
    cluster.create("/api/v1/namespaces/default/secrets", secret).await;
    let path = "/api/v1/namespaces/default/secrets/robot";
    let filled = cluster.eventually(path, |secret| secret["data"]["token"].is_string()).await;
    assert!(filled["data"]["ca.crt"].is_string() && filled["data"]["namespace"].is_string());
    let token = STANDARD.decode(filled["data"]["token"].as_str().unwrap()).unwrap();
    let refused =
        cluster.get_with_token("/api/v1/pods", std::str::from_utf8(&token).unwrap()).await.unwrap_err();
    assert!(refused.contains("system:serviceaccount:default:robot"), "known, but without rights: {refused}");
    cluster
        .delete_with(
            "/api/v1/namespaces/default/serviceaccounts/robot",
            json!({"propagationPolicy": "Background"}),
        )
        .await;
    cluster.gone(path).await;
}

#[tokio::test]
async fn the_public_kubeconfig_is_signed_for_every_token_until_it_ends() {
    let cluster = Cluster::start(&[]).await;
    let info = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster-info"}, "data": {"kubeconfig": "x"}});
    cluster.create("/api/v1/namespaces/kube-public/configmaps", info).await;
    let token = |id: &str, expiration: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
            "metadata": {"name": format!("bootstrap-token-{id}")},
            "stringData": {"token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true",
                "expiration": expiration}})
    };
    let secrets = "/api/v1/namespaces/kube-system/secrets";
    cluster.create(secrets, token("abcdef", "2999-01-01T00:00:00Z")).await;
    cluster.create(secrets, token("ended0", "2020-01-01T00:00:00Z")).await;
    let path = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
    let signed = cluster.eventually(path, |info| info["data"]["jws-kubeconfig-abcdef"].is_string()).await;
    assert!(signed["data"]["jws-kubeconfig-ended0"].is_null());
    cluster.gone(&format!("{secrets}/bootstrap-token-ended0")).await;
    cluster
        .delete_with(&format!("{secrets}/bootstrap-token-abcdef"), json!({"propagationPolicy": "Background"}))
        .await;
    cluster.eventually(path, |info| info["data"]["jws-kubeconfig-abcdef"].is_null()).await;
}

#[tokio::test]
async fn an_aggregated_role_has_the_rules_of_its_parts() {
    let cluster = Cluster::start(&[]).await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let part = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "part", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        "rules": [{"apiGroups": ["x.io"], "resources": ["things"], "verbs": ["get"]}]});
    cluster.create(roles, part).await;
    let has = |role: &Value| {
        let rules = role["rules"].as_array().cloned().unwrap_or_default();
        rules.iter().any(|rule| rule["apiGroups"] == json!(["x.io"]))
    };
    cluster.eventually(&format!("{roles}/view"), has).await;
    cluster.eventually(&format!("{roles}/edit"), has).await;
    cluster.eventually(&format!("{roles}/admin"), has).await;
}

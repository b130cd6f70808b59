//! Certificates for kubelets, tokens in secrets, signatures for who joins.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use component::client::{Connection, connect};
use pki::Described;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
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

/// A client of somebody, who asks for certificates.
struct Asker(kube::Client);

impl Asker {
    async fn new(cluster: &Cluster, user: &str, groups: &[&str]) -> Self {
        let kubeconfig = cluster.kubeconfig(user, groups);
        let connection = Connection { kubeconfig: Some(&kubeconfig), master: None, user_agent: "test" };
        Self(connect(&connection).await.unwrap())
    }

    /// Asks, and returns where the request is.
    async fn ask(&self, signer: &str, subject: (&[&str], &str), names: &[&str], usage: &str) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for organization in subject.0 {
            params.distinguished_name.push(DnType::OrganizationName, *organization);
        }
        params.distinguished_name.push(DnType::CommonName, subject.1);
        let address = |name: &&str| SanType::IpAddress(name.parse().unwrap());
        params.subject_alt_names = names.iter().map(address).collect();
        let pem = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
        let object = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {"generateName": "csr-"}, "spec": {"request": STANDARD.encode(pem),
                "signerName": signer, "usages": ["digital signature", usage]}});
        let request = http::Request::post(REQUESTS).header("content-type", "application/json");
        let made: Value =
            self.0.request(request.body(object.to_string().into_bytes()).unwrap()).await.unwrap();
        format!("{REQUESTS}/{}", made["metadata"]["name"].as_str().unwrap())
    }
}

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const NODE_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";

/// What an installer allows nodes and the signer.
async fn allow(cluster: &Cluster) {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let create = |what: &str, group: &str| {
        let resource = format!("certificatesigningrequests/{what}");
        (
            what.to_owned(),
            group.to_owned(),
            json!([{"apiGroups": ["certificates.k8s.io"], "resources": [resource], "verbs": ["create"]}]),
        )
    };
    let group =
        |group: &str| json!({"kind": "Group", "name": group, "apiGroup": "rbac.authorization.k8s.io"});
    let signer =
        json!({"kind": "ServiceAccount", "name": "certificate-controller", "namespace": "kube-system"});
    let mut bindings = vec![
        ("asks".to_owned(), "system:node-bootstrapper".to_owned(), group("system:bootstrappers:node-rejoin")),
        (
            "serving".to_owned(),
            "system:certificates.k8s.io:kubelet-serving-approver".to_owned(),
            signer.clone(),
        ),
        (
            "client".to_owned(),
            "system:certificates.k8s.io:kube-apiserver-client-approver".to_owned(),
            signer.clone(),
        ),
        ("rejoin".to_owned(), "node-rejoin-signer".to_owned(), signer),
    ];
    let mut roles = vec![(
        "node-rejoin-signer".to_owned(),
        json!([{"apiGroups": ["certificates.k8s.io"],
        "resources": ["signers"], "resourceNames": ["magnetite.internal/node-rejoin"], "verbs": ["approve", "sign"]}]),
    )];
    for (what, to, rules) in [
        create("selfnodeserver", "system:nodes"),
        create("nodeagent", "system:nodes"),
        create("selfnoderejoin", "system:nodes"),
        create("noderejoin", "system:bootstrappers:node-rejoin"),
    ] {
        roles.push((what.clone(), rules));
        bindings.push((what.clone(), what, group(&to)));
    }
    for (name, rules) in roles {
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name}, "rules": rules});
        cluster.create(&format!("{rbac}/clusterroles"), role).await;
    }
    for (name, role, subject) in bindings {
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": name}, "subjects": [subject],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}});
        cluster.create(&format!("{rbac}/clusterrolebindings"), binding).await;
    }
}

#[tokio::test]
async fn nodes_get_what_they_need_without_a_person() {
    let cluster = Cluster::start(&["--cluster-signing-duration=2h"]).await;
    let node = Asker::new(&cluster, "system:node:w9", &["system:nodes"]).await;
    let signed = |request: &Value| request["status"]["certificate"].is_string();
    // A node may be faster than the installer that allows it to ask.
    let early =
        node.ask("kubernetes.io/kube-apiserver-client", (&[], "system:podnet"), &[], "client auth").await;
    allow(&cluster).await;
    cluster.eventually(&early, signed).await;
    // The node is not there yet: its serving certificate waits for it.
    let serving = node
        .ask(
            "kubernetes.io/kubelet-serving",
            (&["system:nodes"], "system:node:w9"),
            &["10.0.0.9"],
            "server auth",
        )
        .await;
    let agent =
        node.ask("kubernetes.io/kube-apiserver-client", (&[], "system:kube-proxy"), &[], "client auth").await;
    cluster.eventually(&agent, signed).await;
    assert!(cluster.get(&serving).await.unwrap()["status"]["conditions"].is_null());
    let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w9"},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.9"}]}});
    cluster.create("/api/v1/nodes", object).await;
    let serving = cluster.eventually(&serving, signed).await;
    let pem = STANDARD.decode(serving["status"]["certificate"].as_str().unwrap()).unwrap();
    let described = Described::of_pem(std::str::from_utf8(&pem).unwrap()).unwrap();
    assert_eq!(described.not_after.as_second() - described.not_before.as_second(), 2 * 3600);

    let subject: (&[&str], &str) = (&["system:bootstrappers:node-rejoin"], "system:node-rejoin:w9");
    let rejoin = node.ask("magnetite.internal/node-rejoin", subject, &[], "client auth").await;
    cluster.eventually(&rejoin, signed).await;
    let back = Asker::new(&cluster, "system:node-rejoin:w9", &["system:bootstrappers:node-rejoin"]).await;
    let own = back.ask(NODE_CLIENT, (&["system:nodes"], "system:node:w9"), &[], "client auth").await;
    cluster.eventually(&own, signed).await;
    let foreign = back.ask(NODE_CLIENT, (&["system:nodes"], "system:node:w8"), &[], "client auth").await;
    cluster.delete("/api/v1/nodes/w9").await;
    let removed = back.ask(NODE_CLIENT, (&["system:nodes"], "system:node:w9"), &[], "client auth").await;
    // Requests are looked at one after another: when a later one is answered, these have been.
    let last =
        node.ask("kubernetes.io/kube-apiserver-client", (&[], "system:podnet"), &[], "client auth").await;
    cluster.eventually(&last, signed).await;
    for refused in [foreign, removed] {
        assert!(cluster.get(&refused).await.unwrap()["status"]["conditions"].is_null(), "{refused}");
    }
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

#[tokio::test]
async fn a_token_that_nobody_uses_is_marked_and_goes() {
    let cluster = Cluster::start(&["--legacy-service-account-token-clean-up-period=1s"]).await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let secrets = "/api/v1/namespaces/default/secrets";
    for name in ["listed", "used", "asked-for"] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": "default"}}});
        cluster.create(secrets, secret).await;
    }
    let listed = json!({"secrets": [{"name": "listed"}, {"name": "used"}]});
    cluster.patch(&format!("{accounts}/default"), listed).await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
        "containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "secret": {"secretName": "used"}}]}});
    cluster.create("/api/v1/namespaces/default/pods", pod).await;
    // As if uses had been written down for years.
    let tracking =
        "/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking";
    cluster.patch(tracking, json!({"data": {"since": "2020-01-01"}})).await;
    let mark = "kubernetes.io/legacy-token-invalid-since";
    let path = format!("{secrets}/listed");
    cluster.eventually(&path, |secret| secret["metadata"]["labels"][mark].is_string()).await;
    cluster.patch(&path, json!({"metadata": {"labels": {mark: "2020-01-01"}}})).await;
    let left = cluster
        .eventually(secrets, |list| list["items"].as_array().is_some_and(|items| items.len() == 2))
        .await;
    for secret in left["items"].as_array().unwrap() {
        assert!(secret["metadata"]["labels"][mark].is_null(), "{secret}");
    }
}

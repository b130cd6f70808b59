//! Certificates had and renewed from an API server in this process; the test plays who approves and signs.

use std::{path::Path, sync::Arc};

use base64::Engine;
use component::{
    Runtime as Process,
    client::{self, Connection},
};
use control_plane::ControlPlane;
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{authentication::v1::SelfSubjectReview, certificates::v1::CertificateSigningRequest};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use pki::{Authority, Described, Identity, KeyUse, Leaf, Request};
use serde_json::json;
use testkit::eventually;

use super::{Names, Source, Store, ensure, keep_client, keep_serving, show};

/// A control plane, and where the node keeps its certificates.
struct Ground {
    plane: ControlPlane,
    folder: tempfile::TempDir,
}

impl Ground {
    async fn new() -> Self {
        Self { plane: ControlPlane::start().await, folder: tempfile::tempdir().unwrap() }
    }

    fn source(&self) -> Source {
        Source {
            node: "n1".into(),
            store: Store::client(self.folder.path()),
            kubeconfig: self.folder.path().join("kubelet.conf"),
            bootstrap: Some(self.plane.kubeconfig("bootstrap", &["system:masters"])),
        }
    }

    /// Approves and signs every request: the first for a life that is nearly over, the others for an hour.
    async fn sign(&self) {
        let administrator = self.plane.kubeconfig("signer", &["system:masters"]);
        let connection =
            Connection { kubeconfig: Some(&administrator), user_agent: "test", ..Connection::default() };
        let requests: Api<CertificateSigningRequest> = Api::all(client::connect(&connection).await.unwrap());
        let authority = authority(self.plane.directory());
        let mut next = SignedDuration::from_secs(30);
        self.plane.runtime().spawn_session(async move {
            let changes = watcher(requests.clone(), watcher::Config::default()).applied_objects();
            tokio::pin!(changes);
            while let Some(request) = changes.try_next().await.unwrap() {
                let status = request.status.clone().unwrap_or_default();
                if status.conditions.is_none_or(|conditions| conditions.is_empty()) {
                    sign(&requests, &request, &authority, next).await;
                    next = SignedDuration::from_hours(1);
                }
            }
        });
    }

    /// Connects as the kubelet does.
    async fn connect(&self, source: &Source) -> (Client, client::Connections) {
        let connection = Connection {
            kubeconfig: Some(&source.kubeconfig),
            user_agent: "kubelet",
            ..Connection::default()
        };
        let mut config = client::config(&connection).await.unwrap();
        show(&source.store, &mut config.auth_info);
        client::renewable(config).unwrap()
    }
}

fn authority(directory: &Path) -> Authority {
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    Authority::from_pem(&read("ca.crt"), &read("ca.key")).unwrap()
}

async fn sign(
    requests: &Api<CertificateSigningRequest>,
    request: &CertificateSigningRequest,
    authority: &Authority,
    left: SignedDuration,
) {
    let name = request.metadata.name.clone().unwrap();
    let asked = Request::from_pem(std::str::from_utf8(&request.spec.request.0).unwrap()).unwrap();
    let uses: Vec<KeyUse> =
        request.spec.usages.iter().flatten().map(|usage| KeyUse::parse(usage).unwrap()).collect();
    // Its life began a day ago, so that what ends soon is due at once and what ends in an hour as well unless it is new.
    let before = if left < SignedDuration::from_mins(1) {
        SignedDuration::from_hours(24)
    } else {
        SignedDuration::ZERO
    };
    let now = Timestamp::now();
    let certificate = authority.sign(&asked, &uses, now - before, now + left).unwrap();
    let time = now.to_string();
    let approved = json!({"type": "Approved", "status": "True", "reason": "Test", "message": "",
        "lastUpdateTime": time, "lastTransitionTime": time});
    let (params, approved) = (PatchParams::default(), json!({"status": {"conditions": [approved]}}));
    requests.patch_approval(&name, &params, &Patch::Merge(approved)).await.unwrap();
    let certificate = base64::engine::general_purpose::STANDARD.encode(certificate);
    let signed = json!({"status": {"certificate": certificate}});
    requests.patch_status(&name, &params, &Patch::Merge(signed)).await.unwrap();
}

/// Who the API server says a client is, by which certificate.
async fn shown(client: &Client) -> kube::Result<(String, String)> {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await?;
    let user = answer.status.unwrap_or_default().user_info.unwrap_or_default();
    let credential = user.extra.unwrap_or_default().remove("authentication.kubernetes.io/credential-id");
    Ok((user.username.unwrap_or_default(), credential.unwrap_or_default().join(",")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_has_its_certificate_by_the_bootstrap_kubeconfig_and_renews_it_while_it_runs() {
    let ground = Ground::new().await;
    ground.sign().await;
    let (source, process) = (ground.source(), Process::detached());
    ensure(&source, true, &process).await.unwrap();
    let first = source.store.load().unwrap();
    assert_eq!(first.common_name, "system:node:n1");
    let (client, connections) = ground.connect(&source).await;
    let (user, credential) = shown(&client).await.unwrap();
    assert_eq!(user, "system:node:n1");

    let keeping = keep_client(source.clone(), client.clone(), connections, process.clone());
    process.spawn("client certificate", keeping);
    let renewed = eventually(|| async {
        source.store.load().filter(|found| *found != first).ok_or("the certificate is the first one still")
    })
    .await;
    assert!(renewed.not_after > first.not_after);
    // The connection that was opened with the first one has ended: nobody need wait for it to expire.
    eventually(|| async {
        // A request that was under way ends with its connection.
        let (user, now) = shown(&client).await.map_err(|error| error.to_string())?;
        if now != credential { Ok(()) } else { Err(format!("{user} still shows {now}")) }
    })
    .await;
    process.shutdown().cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_certificate_expired_comes_back_by_the_bootstrap_kubeconfig() {
    let ground = Ground::new().await;
    ground.sign().await;
    let (source, process) = (ground.source(), Process::detached());
    ensure(&source, true, &process).await.unwrap();
    let expired = expired(ground.plane.directory());
    source.store.replace(&expired.certificate, &expired.key, Timestamp::now()).unwrap();
    assert!(!source.store.load().unwrap().is_current(Timestamp::now()));
    // At its next start.
    ensure(&source, true, &process).await.unwrap();
    assert!(source.store.load().unwrap().is_current(Timestamp::now()));
    // And while it runs, as after a machine's long sleep.
    source.store.replace(&expired.certificate, &expired.key, Timestamp::now()).unwrap();
    let (client, connections) = ground.connect(&source).await;
    process.spawn(
        "client certificate",
        keep_client(source.clone(), client.clone(), connections, process.clone()),
    );
    eventually(|| async {
        let found = source.store.load().filter(|found| found.is_current(Timestamp::now()));
        found.ok_or("the certificate has expired still")
    })
    .await;
    eventually(|| async {
        let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
        reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.map(drop)
    })
    .await;
    process.shutdown().cancel();
}

fn expired(directory: &Path) -> pki::Issued {
    let mut leaf = Leaf::client("system:node:n1", &["system:nodes"]);
    leaf.days = 1;
    let begun = Timestamp::now() - SignedDuration::from_hours(48);
    authority(directory).issue(&leaf, begun).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_serves_with_what_the_cluster_signed() {
    let ground = Ground::new().await;
    ground.sign().await;
    let process = Process::detached();
    let store = Store::server(ground.folder.path());
    let own = Authority::new("n1-ca", 1, Timestamp::now()).unwrap();
    let own = own.issue(&Leaf::server("n1", &["n1"], &[]), Timestamp::now()).unwrap();
    let identity = Identity::from_pem(own.certificate.as_bytes(), own.key.as_bytes()).unwrap();
    let connection_file = ground.plane.kubeconfig("system:node:n1", &["system:nodes"]);
    let connection =
        Connection { kubeconfig: Some(&connection_file), user_agent: "kubelet", ..Connection::default() };
    let client = client::connect(&connection).await.unwrap();
    let names = || Names { node: "n1".into(), addresses: vec!["10.0.0.1".parse().unwrap()] };
    let keeping = keep_serving(store.clone(), Arc::clone(&identity), names, client, process.clone());
    process.spawn("server certificate", keeping);
    let hour = SignedDuration::from_mins(59);
    let lasting = |found: &Described| found.not_after > Timestamp::now() + hour;
    // The first is due at once, so this is the second.
    let found =
        eventually(|| async { store.load().filter(lasting).ok_or("no certificate that lasts") }).await;
    assert_eq!((found.issuer.as_str(), found.common_name.as_str()), ("kubernetes", "system:node:n1"));
    assert_eq!((found.dns_names.len(), found.addresses.len()), (1, 1));
    eventually(|| async {
        let shown = Described::of(&identity.certificate()).unwrap();
        if shown == found { Ok(()) } else { Err(shown) }
    })
    .await;
    process.shutdown().cancel();
}

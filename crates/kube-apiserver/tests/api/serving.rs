//! Certificates and keys: shown by name, and changed while the server runs.

use std::sync::Arc;

use pki::{Authority, Leaf};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::cluster::{Cluster, secured};

/// The certificate that the server shows to whoever asks for a name.
async fn shown(cluster: &Cluster, authority: &str, name: &str) -> Option<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(cluster.address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    stream.get_ref().1.peer_certificates()?.first().cloned()
}

/// The code of a request with a client certificate of an authority.
async fn code(cluster: &Cluster, authority: &Authority) -> Option<u16> {
    let now = jiff::Timestamp::now();
    let issued = authority.issue(&Leaf::client("jane", &["system:masters"]), now).unwrap();
    let stream = secured(cluster.address, cluster.trusting(Some(issued), "http/1.1")).await?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.ok()?;
    tokio::spawn(connection);
    let request = http::Request::get("/api/v1/namespaces").header("host", "localhost");
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    Some(sender.send_request(request).await.ok()?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_gets_its_own_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let now = jiff::Timestamp::now();
    let authority = Authority::new("public", 1, now).unwrap();
    let issued = authority.issue(&Leaf::server("api", &["api.example.org"], &[]), now).unwrap();
    issued.write(folder.path(), "public").unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let pair = format!("--tls-sni-cert-key={},{}", file("public.crt"), file("public.key"));
    let suites = "--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_AES_128_GCM_SHA256";
    let cluster = Cluster::start_with(&[&pair, suites]).await;
    let own = std::fs::read_to_string(cluster.file("ca.crt")).unwrap();
    let found = shown(&cluster, authority.certificate(), "api.example.org").await.unwrap();
    assert_eq!(found, CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap());
    assert!(shown(&cluster, authority.certificate(), "localhost").await.is_none());
    assert!(shown(&cluster, &own, "localhost").await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities_and_keys_change_without_a_restart() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let token = || async {
        let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
        let asked = json!({"spec": {}});
        admin.post(path, &asked).await.ok()["status"]["token"].as_str().unwrap().to_owned()
    };
    let account = json!({"metadata": {"name": "default"}});
    admin.post("/api/v1/namespaces/default/serviceaccounts", &account).await;
    let review = |token: String| {
        let admin = admin.clone();
        async move {
            let review = json!({"spec": {"token": token}});
            let path = "/apis/authentication.k8s.io/v1/tokenreviews";
            let answer = admin.post(path, &review).await.ok();
            answer["status"]["authenticated"] == Value::Bool(true)
        }
    };
    let old = token().await;
    assert!(review(old.clone()).await);

    // A second key is accepted beside the first, then signs, then is the only one.
    let (private, public) = pki::signing_key().unwrap();
    let first = std::fs::read_to_string(cluster.file("sa.pub")).unwrap();
    std::fs::write(cluster.file("sa.pub"), format!("{first}{public}")).unwrap();
    let published = || async { admin.get("/openid/v1/jwks").await.ok()["keys"].as_array().unwrap().len() };
    testkit::eventually(|| async {
        let count = published().await;
        if count == 2 { Ok(()) } else { Err(count) }
    })
    .await;
    std::fs::write(cluster.file("sa.key"), &private).unwrap();
    std::fs::write(cluster.file("sa.pub"), &public).unwrap();
    testkit::eventually(|| async {
        let count = published().await;
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;
    assert!(!review(old).await, "the old key is gone");
    assert!(review(token().await).await);

    // Another authority's clients come in once its certificate is in the file.
    let other = Authority::new("other", 2, jiff::Timestamp::now()).unwrap();
    assert_eq!(code(&cluster, &other).await, Some(401));
    let both = format!("{}{}", std::fs::read_to_string(cluster.file("ca.crt")).unwrap(), other.certificate());
    std::fs::write(cluster.file("ca.crt"), both).unwrap();
    testkit::eventually(|| async {
        let code = code(&cluster, &other).await;
        if code == Some(200) { Ok(()) } else { Err(code) }
    })
    .await;

    // Servers behind this one are told of it, also when somebody takes away what they are told.
    let path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    let told = || async {
        testkit::eventually(|| async {
            let found = admin.get(path).await.json()["data"]["client-ca-file"].clone();
            let is_told = found.as_str().is_some_and(|found| found.contains(other.certificate()));
            if is_told { Ok(()) } else { Err(found) }
        })
        .await;
    };
    told().await;
    admin.delete(path).await.ok();
    told().await;
}

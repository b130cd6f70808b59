//! Tests of who may read what over a real connection.

use std::collections::BTreeMap;

use http_body_util::BodyExt as _;
use kube::client::Body;
use pki::{Authority, Identity, Leaf, Trust};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tower::service_fn;

use super::*;
use crate::access::clients::ClientFlags;

/// An API server that knows one token, tells of these authorities, and lets jane and the front proxy's joe read.
fn api_server(authorities: BTreeMap<&'static str, String>) -> kube::Client {
    let service = service_fn(move |request: Request<Body>| {
        let map = json!({"metadata": {"name": "extension-apiserver-authentication"}, "data": authorities});
        async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
            let answer = match path.rsplit('/').next() {
                Some("tokenreviews") => {
                    let known = asked["spec"]["token"] == "secret";
                    let user = json!({"username": "jane", "groups": ["system:authenticated"]});
                    json!({"metadata": {}, "spec": asked["spec"], "status": {"authenticated": known, "user": user}})
                }
                Some("subjectaccessreviews") => {
                    let spec = &asked["spec"];
                    assert_eq!(spec["nonResourceAttributes"], json!({"path": "/metrics", "verb": "get"}));
                    let in_all = spec["groups"].as_array().unwrap().contains(&json!("system:authenticated"));
                    let allowed = in_all && matches!(spec["user"].as_str(), Some("jane" | "joe"));
                    json!({"metadata": {}, "spec": spec, "status": {"allowed": allowed}})
                }
                _ => {
                    assert_eq!(
                        path,
                        "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
                    );
                    map
                }
            };
            Ok::<_, std::io::Error>(Response::new(Body::from(answer.to_string().into_bytes())))
        }
    });
    kube::Client::new(service, "default")
}

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    clients: ClientFlags,
}

/// A secure port that is told of its clients by these flags.
async fn port(api_server: kube::Client, flags: &[&str]) -> SocketAddr {
    let flags = <Flags as clap::Parser>::parse_from(["component"].iter().chain(flags)).clients;
    let clients = Clients::new(&flags, api_server.clone()).unwrap();
    let endpoints = Endpoints::secure(api_server, None, clients).unwrap();
    serve(&Runtime::detached(), "127.0.0.1:0".parse().unwrap(), endpoints).await.unwrap()
}

/// The status of the answer to a request for metrics.
async fn asked(address: SocketAddr, identity: Option<Arc<Identity>>, headers: &str) -> u16 {
    let config = Arc::new(pki::client_config(Trust::anybody(), identity).unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(config).connect(name, stream).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that closes without saying goodbye has answered all the same.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

fn identity(authority: &Authority, leaf: &Leaf) -> Option<Arc<Identity>> {
    let issued = authority.issue(leaf, jiff::Timestamp::now()).unwrap();
    Some(Identity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes()).unwrap())
}

fn authority(name: &str) -> Authority {
    Authority::new(name, 1, jiff::Timestamp::now()).unwrap()
}

const TOKEN: &str = "authorization: Bearer secret\r\n";

#[tokio::test]
async fn clients_are_known_by_the_authorities_that_the_cluster_tells_of() {
    let (users, proxies, strangers) = (authority("users"), authority("proxies"), authority("strangers"));
    let told = BTreeMap::from([
        ("client-ca-file", users.certificate().to_owned()),
        ("requestheader-client-ca-file", proxies.certificate().to_owned()),
        ("requestheader-username-headers", "[\"X-Remote-User\"]".to_owned()),
    ]);
    let address = port(api_server(told), &[]).await;
    let by =
        |authority: &Authority, name: &str, groups: &[&str]| identity(authority, &Leaf::client(name, groups));
    for (identity, headers, expected) in [
        (None, "", 401),
        (None, TOKEN, 200),
        (None, "authorization: Bearer other\r\n", 401),
        (by(&users, "jane", &[]), "", 200),
        (by(&users, "jim", &[]), "", 403),
        // What the certificate says comes before what the token says.
        (by(&users, "jim", &[]), TOKEN, 403),
        (by(&users, "root", &["system:masters"]), "", 200),
        (by(&strangers, "jane", &[]), "", 401),
        (by(&strangers, "jane", &[]), TOKEN, 200),
        (by(&proxies, "front", &[]), "x-remote-user: joe\r\n", 200),
        (by(&proxies, "front", &[]), "x-remote-user: jim\r\n", 403),
        (by(&proxies, "front", &[]), "", 401),
        (by(&users, "jim", &[]), "x-remote-user: joe\r\n", 403),
        (None, "x-remote-user: joe\r\n", 401),
    ] {
        assert_eq!(asked(address, identity, headers).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn a_file_of_authorities_counts_and_not_the_clusters() {
    let (users, others) = (authority("users"), authority("others"));
    let path = std::env::temp_dir().join(format!("secure-port-{}.crt", std::process::id()));
    std::fs::write(&path, users.certificate()).unwrap();
    let told = BTreeMap::from([("client-ca-file", others.certificate().to_owned())]);
    let flag = format!("--client-ca-file={}", path.display());
    let address = port(api_server(told.clone()), &[&flag]).await;
    let jane = Leaf::client("jane", &[]);
    assert_eq!(asked(address, identity(&users, &jane), "").await, 200);
    assert_eq!(asked(address, identity(&others, &jane), "").await, 401);

    // Whoever is told to take nothing from the cluster knows nobody by a certificate.
    let address = port(api_server(told), &["--authentication-skip-lookup"]).await;
    assert_eq!(asked(address, identity(&others, &jane), "").await, 401);
    assert_eq!(asked(address, identity(&others, &jane), TOKEN).await, 200);
    std::fs::remove_file(&path).unwrap();
}

//! Tests of who may read what over a real connection.

use std::collections::BTreeMap;

use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use parking_lot::Mutex;
use pki::{Authority, Identity, Leaf, Trust};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tower::service_fn;

use super::*;

type Data = BTreeMap<&'static str, String>;

fn map(authorities: &Data, version: &str) -> Value {
    let metadata = json!({"name": "extension-apiserver-authentication", "resourceVersion": version});
    json!({"metadata": metadata, "data": authorities})
}

/// An API server that knows one token, tells of these authorities and of those that come later, and lets jane and the
/// front proxy's joe read, and whoever is there post to one path.
fn api_server(authorities: Data, later: mpsc::Receiver<Data>) -> kube::Client {
    let later = Arc::new(Mutex::new(Some(later)));
    let service = service_fn(move |request: Request<Body>| {
        let list = json!({"metadata": {"resourceVersion": "1"}, "items": [map(&authorities, "1")]});
        let later = Arc::clone(&later);
        async move {
            let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default());
            let query = query.to_owned();
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
                    let wish = &spec["nonResourceAttributes"];
                    let in_all = spec["groups"].as_array().unwrap().contains(&json!("system:authenticated"));
                    let allowed = in_all
                        && *wish == json!({"path": "/metrics", "verb": "get"})
                        && matches!(spec["user"].as_str(), Some("jane" | "joe"));
                    // As if a rule named the verb and the path.
                    let allowed = allowed || *wish == json!({"path": "/healthz/ping", "verb": "post"});
                    json!({"metadata": {}, "spec": spec, "status": {"allowed": allowed}})
                }
                _ => {
                    assert_eq!(path, "/api/v1/namespaces/kube-system/configmaps");
                    assert!(query.contains("metadata.name%3Dextension-apiserver-authentication"), "{query}");
                    if query.contains("watch=true") {
                        let Some(later) = later.lock().take() else { return std::future::pending().await };
                        let events = stream::unfold(later, async |mut later| {
                            let object = map(&later.recv().await?, "2");
                            let line = format!("{}\n", json!({"type": "MODIFIED", "object": object}));
                            Some((Ok::<_, std::io::Error>(Frame::data(Bytes::from(line))), later))
                        });
                        return Ok(Response::new(StreamBody::new(events).boxed_unsync()));
                    }
                    list
                }
            };
            let body = Full::new(Bytes::from(answer.to_string())).map_err(std::io::Error::other);
            Ok::<_, std::io::Error>(Response::new(body.boxed_unsync()))
        }
    });
    kube::Client::new(service, "default")
}

/// The same, with nothing to come.
fn steady(authorities: Data) -> kube::Client {
    api_server(authorities, mpsc::channel(1).1)
}

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    review: ReviewFlags,
}

/// A secure port that is told of its clients by these flags.
async fn port(api_server: kube::Client, flags: &[&str]) -> SocketAddr {
    let review = <Flags as clap::Parser>::parse_from(["component"].iter().chain(flags)).review;
    let endpoints = Endpoints::secure(api_server, None, &review).unwrap();
    serve(&Runtime::detached(), "127.0.0.1:0".parse().unwrap(), endpoints).await.unwrap()
}

/// The status of the answer to a request for metrics.
async fn asked(address: SocketAddr, identity: Option<Arc<Identity>>, headers: &str) -> u16 {
    asked_to(address, "GET /metrics", identity, headers).await
}

/// The status of the answer to a request of this method for this path.
async fn asked_to(address: SocketAddr, what: &str, identity: Option<Arc<Identity>>, headers: &str) -> u16 {
    let config = Arc::new(pki::client_config(Trust::anybody(), identity).unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(config).connect(name, stream).await.unwrap();
    let request = format!("{what} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
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
    let address = port(steady(told), &[]).await;
    let by =
        |authority: &Authority, name: &str, groups: &[&str]| identity(authority, &Leaf::client(name, groups));
    for (identity, headers, expected) in [
        // Who shows nothing is nobody in particular, and asked about like everybody.
        (None, "", 403),
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
        (None, "x-remote-user: joe\r\n", 403),
        (None, "x-remote-user: joe\r\nauthorization: Bearer other\r\n", 401),
    ] {
        assert_eq!(asked(address, identity, headers).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn the_method_and_the_path_are_asked_about_but_not_of_what_is_open() {
    let address = port(steady(Data::new()), &[]).await;
    for (what, headers, expected) in [
        ("GET /metrics", TOKEN, 200),
        ("HEAD /metrics", TOKEN, 403),
        ("POST /metrics", TOKEN, 403),
        ("PURGE /metrics", TOKEN, 403),
        ("GET /healthz/ping", TOKEN, 403),
        // It is allowed, and not there.
        ("POST /healthz/ping", TOKEN, 404),
        ("GET /healthz", "", 200),
        ("HEAD /livez", "", 200),
        ("POST /healthz", "", 200),
        ("GET /readyz?verbose", "", 200),
        // As upstream has it, what is open is so for whoever shows nothing or something that is accepted.
        ("GET /healthz", "authorization: Bearer other\r\n", 401),
    ] {
        assert_eq!(asked_to(address, what, None, headers).await, expected, "{what} {headers:?}");
    }
    let address = port(steady(Data::new()), &["--authorization-always-allow-paths=/metrics*"]).await;
    for (what, expected) in [("GET /metrics", 200), ("GET /metrics/slis", 200), ("GET /healthz", 403)] {
        assert_eq!(asked_to(address, what, None, "").await, expected, "{what}");
    }
}

#[tokio::test]
async fn authorities_are_others_as_soon_as_the_cluster_tells_of_others() {
    let (old, new) = (authority("old"), authority("new"));
    let told =
        |authority: &Authority| BTreeMap::from([("client-ca-file", authority.certificate().to_owned())]);
    let (tell, later) = mpsc::channel(1);
    let address = port(api_server(told(&old), later), &[]).await;
    let jane = Leaf::client("jane", &[]);
    assert_eq!(asked(address, identity(&old, &jane), "").await, 200);
    assert_eq!(asked(address, identity(&new, &jane), "").await, 401);
    tell.send(told(&new)).await.unwrap();
    let changed = async { while asked(address, identity(&new, &jane), "").await != 200 {} };
    tokio::time::timeout(Duration::from_secs(30), changed).await.unwrap();
    assert_eq!(asked(address, identity(&old, &jane), "").await, 401);
}

#[tokio::test]
async fn nobody_is_let_in_while_the_api_server_is_away() {
    let away = service_fn(async |_: Request<Body>| Err::<Response<Body>, _>(std::io::Error::other("away")));
    let address = port(kube::Client::new(away, "default"), &[]).await;
    let users = authority("users");
    assert_eq!(asked(address, None, "").await, 500);
    assert_eq!(asked(address, None, TOKEN).await, 401);
    assert_eq!(asked(address, identity(&users, &Leaf::client("jane", &["system:masters"])), "").await, 401);
}

#[tokio::test]
async fn a_file_of_authorities_counts_and_not_the_clusters() {
    let (users, others) = (authority("users"), authority("others"));
    let path = std::env::temp_dir().join(format!("secure-port-{}.crt", std::process::id()));
    std::fs::write(&path, users.certificate()).unwrap();
    let told = BTreeMap::from([("client-ca-file", others.certificate().to_owned())]);
    let flag = format!("--client-ca-file={}", path.display());
    let address = port(steady(told.clone()), &[&flag]).await;
    let jane = Leaf::client("jane", &[]);
    assert_eq!(asked(address, identity(&users, &jane), "").await, 200);
    assert_eq!(asked(address, identity(&others, &jane), "").await, 401);

    // Whoever is told to take nothing from the cluster knows nobody by a certificate.
    let address = port(steady(told), &["--authentication-skip-lookup"]).await;
    assert_eq!(asked(address, identity(&others, &jane), "").await, 401);
    assert_eq!(asked(address, identity(&others, &jane), TOKEN).await, 200);
    std::fs::remove_file(&path).unwrap();
}

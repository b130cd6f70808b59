//! API groups that another server serves, behind this server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pki::{Authority, Leaf};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::cluster::{Client, Cluster};

const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Tells what it was asked and by whom; serves discovery.
async fn backend(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
        // One event, and no end.
        let event = json!({"type": "ADDED", "object": {"metadata": {"name": "first"}}});
        let first = futures::stream::iter([Ok(Frame::data(Bytes::from(format!("{event}\n"))))]);
        let events = futures::StreamExt::chain(first, futures::stream::pending());
        return Ok(Response::new(BodyExt::boxed(StreamBody::new(events))));
    }
    let header = |name: &str| -> Vec<String> {
        request.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    let answer = match request.uri().path() {
        "/openapi/v3" => json!({"paths": {
            "apis/wares.example.com/v1": {"serverRelativeURL": "/openapi/v3/apis/wares.example.com/v1?hash=A1"},
            "api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=B2"}}}),
        "/openapi/v2" => json!({
            "paths": {
                "/apis/wares.example.com/v1/wares": {"get": {"responses": {"200": {
                    "schema": {"$ref": "#/definitions/com.example.Ware"}}}}},
                "/api/v1/pods": {"get": {}}},
            "definitions": {
                "com.example.Ware": {"description": "A ware.", "properties": {
                    "metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}}},
                "com.example.Unused": {},
                "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"description": "Another's."}}}),
        "/apis/wares.example.com/v1" => json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "wares.example.com/v1",
            "resources": [{"name": "wares", "singularName": "ware", "namespaced": true, "kind": "Ware",
                "verbs": ["get", "list"], "shortNames": ["wa"]}],
        }),
        _ => json!({
            "path": request.uri().to_string(), "method": request.method().as_str(),
            "user": header("x-remote-user"), "groups": header("x-remote-group"), "token": header("authorization"),
        }),
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.to_string())).boxed());
    if request.uri().path().ends_with("/missing") {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// A server that believes front proxies of the authority, and where it listens.
async fn start_backend(authority: &Authority, directory: &std::path::Path) -> SocketAddr {
    let now = jiff::Timestamp::now();
    authority.issued().write(directory, "ca").unwrap();
    authority
        .issue(&Leaf::server("wares", &["wares.default.svc"], &[]), now)
        .unwrap()
        .write(directory, "wares")
        .unwrap();
    let verifier = pki::client_verifier(&directory.join("ca.crt")).unwrap();
    let identity = pki::Identity::load(&directory.join("wares.crt"), &directory.join("wares.key")).unwrap();
    let acceptor =
        tokio_rustls::TlsAcceptor::from(Arc::new(pki::server_config(identity, Some(verifier)).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                // Without a certificate, headers would be anybody's.
                assert!(stream.get_ref().1.peer_certificates().is_some());
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service_fn(backend)).await;
            });
        }
    });
    address
}

async fn condition(client: &Client, name: &str, wanted: (&str, &str)) -> Value {
    let path = format!("{SERVICES}/{name}");
    testkit::eventually(|| async {
        let found = client.get(&path).await.json()["status"]["conditions"][0].clone();
        let is = (found["status"].as_str().unwrap_or(""), found["reason"].as_str().unwrap_or(""));
        if is == wanted { Ok(()) } else { Err(found) }
    })
    .await;
    client.get(&path).await.json()["status"]["conditions"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_another_server_is_served_while_it_answers() {
    let directory = tempfile::tempdir().unwrap();
    let now = jiff::Timestamp::now();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = Authority::new("front-proxy-ca", 1, now).unwrap();
    authority
        .issue(&Leaf::client("front-proxy-client", &[]), now)
        .unwrap()
        .write(directory.path(), "proxy")
        .unwrap();
    let address = start_backend(&authority, directory.path()).await;
    let file = |name: &str| directory.path().join(name).display().to_string();
    let cluster = Cluster::start_with(&[
        "--proxy-client-cert-file",
        &file("proxy.crt"),
        "--proxy-client-key-file",
        &file("proxy.key"),
    ])
    .await;
    let client = cluster.client("jane", &["system:masters"]).await;

    // The server's own groups are there by themselves.
    condition(&client, "v1.apps", ("True", "Local")).await;
    assert_eq!(client.get(&format!("{SERVICES}/v1.")).await.ok()["spec"]["groupPriorityMinimum"], 18000);
    let plain = client.get("/apis").await.ok();

    let bundle = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, authority.certificate());
    let mut api_service = json!({
        "metadata": {"name": "v1.wares.example.com"},
        "spec": {"group": "wares.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
            "caBundle": bundle, "service": {"namespace": "default", "name": "wares", "port": address.port()}},
    });
    client.post(SERVICES, &api_service).await.ok();
    let missing = condition(&client, "v1.wares.example.com", ("False", "ServiceNotFound")).await;
    assert_eq!(missing["message"], r#"service/wares in "default" is not present"#);
    let wares = "/apis/wares.example.com/v1/namespaces/a/wares";
    let refused = client.get(wares).await;
    assert_eq!((refused.code, &refused.body[..]), (503, &b"service unavailable\n"[..]));
    let stale = client.get_as("/apis", AGGREGATED).await.ok();
    let last = stale["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["metadata"]["name"], "wares.example.com");
    assert_eq!(last["versions"], json!([{"version": "v1", "freshness": "Stale"}]));

    // Woken by the Service, not by time.
    let service =
        json!({"metadata": {"name": "wares"}, "spec": {"type": "ExternalName", "externalName": "localhost"}});
    client.post("/api/v1/namespaces/default/services", &service).await.ok();
    condition(&client, "v1.wares.example.com", ("True", "Passed")).await;
    let answer = client
        .ask(
            Method::GET,
            &format!("{wares}?limit=5"),
            &[("x-remote-user", "root"), ("authorization", "x y")],
            "",
        )
        .await
        .ok();
    assert_eq!(answer["path"], format!("{wares}?limit=5"));
    assert_eq!(answer["user"], json!(["jane"]));
    assert_eq!(answer["groups"], json!(["system:masters", "system:authenticated"]));
    assert_eq!(answer["token"], json!([]));
    assert_eq!(client.get(&format!("{wares}/missing")).await.code, 404);
    assert_eq!(client.post(wares, &json!({})).await.ok()["method"], "POST");
    let mut events = client.watch(&format!("{wares}?watch=true")).await;
    assert_eq!(events.name().await, ("ADDED".to_owned(), "first".to_owned()), "while the watch goes on");

    let fresh = client.get_as("/apis", AGGREGATED).await.ok();
    let last = fresh["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["versions"][0]["freshness"], "Current");
    assert_eq!(last["versions"][0]["resources"][0]["shortNames"], json!(["wa"]));
    let groups = client.get("/apis").await.ok();
    assert_eq!(groups["groups"].as_array().unwrap().len(), plain["groups"].as_array().unwrap().len() + 1);
    assert_eq!(client.get("/apis/wares.example.com").await.ok()["preferredVersion"]["version"], "v1");
    assert_eq!(client.get("/apis/wares.example.com/v1").await.ok()["resources"][0]["kind"], "Ware");

    // What it says of itself in OpenAPI is in this server's documents.
    testkit::eventually(|| async {
        let index = client.get("/openapi/v3").await.ok();
        let url = index["paths"]["apis/wares.example.com/v1"]["serverRelativeURL"].clone();
        if url == "/openapi/v3/apis/wares.example.com/v1?hash=A1" { Ok(()) } else { Err(url) }
    })
    .await;
    let described = client.get("/openapi/v3/apis/wares.example.com/v1?hash=A1").await.ok();
    assert_eq!(described["path"], "/openapi/v3/apis/wares.example.com/v1?hash=A1", "the other's own");
    testkit::eventually(|| async {
        let document = client.get("/openapi/v2").await.ok();
        let definitions = &document["definitions"];
        let wanted = definitions["com.example.Ware"]["description"] == "A ware."
            && definitions["com.example.Unused"].is_null()
            && document["paths"]["/apis/wares.example.com/v1/wares"]["get"].is_object();
        let meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
        assert_ne!(definitions[meta]["description"], "Another's.");
        assert!(
            document["paths"]["/api/v1/pods"].is_null()
                || document["paths"]["/api/v1/pods"]["get"]["tags"].is_array()
        );
        if wanted { Ok(()) } else { Err("not merged yet") }
    })
    .await;

    // Permissions are this server's to check.
    let nobody = cluster.client("nobody", &[]).await;
    let (code, message) = nobody.get(wares).await.refusal();
    assert_eq!(code, 403);
    assert!(
        message.contains(r#"cannot list resource "wares" in API group "wares.example.com""#),
        "{message}"
    );

    // A certificate that the bundle does not vouch for.
    let stranger = Authority::new("stranger", 1, now).unwrap();
    api_service["spec"]["caBundle"] =
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, stranger.certificate()).into();
    let patch = json!({"spec": {"caBundle": api_service["spec"]["caBundle"]}});
    client.patch(&format!("{SERVICES}/v1.wares.example.com"), "merge-patch", &patch).await.ok();
    condition(&client, "v1.wares.example.com", ("False", "FailedDiscoveryCheck")).await;

    client.delete(&format!("{SERVICES}/v1.wares.example.com")).await.ok();
    testkit::eventually(|| async {
        let code = client.get(wares).await.code;
        if code == 404 { Ok(()) } else { Err(code) }
    })
    .await;
    assert_eq!(client.get("/apis").await.ok(), plain);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_longer_served_is_no_longer_registered() {
    let mut cluster = Cluster::start().await;
    let client = cluster.admin().await;
    condition(&client, "v2.autoscaling", ("True", "Local")).await;
    let old = json!({
        "metadata": {"name": "v1beta9.apps", "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}},
        "spec": {"group": "apps", "version": "v1beta9", "groupPriorityMinimum": 100, "versionPriority": 10},
    });
    client.post(SERVICES, &old).await.ok();
    cluster.another("10.0.0.6").await;
    testkit::eventually(|| async {
        let code = client.get(&format!("{SERVICES}/v1beta9.apps")).await.code;
        if code == 404 { Ok(()) } else { Err(code) }
    })
    .await;
    assert_eq!(client.get(&format!("{SERVICES}/v1.apps")).await.code, 200);
}

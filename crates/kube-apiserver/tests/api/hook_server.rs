//! A webhook server inside the test: HTTPS on 127.0.0.1, and an answer for each path.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pki::{Authority, Identity, Leaf};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a webhook was asked: its path, and the request of the review.
pub type Asked = (String, Value);

type Answers = dyn Fn(&str, &Value) -> Value + Send + Sync;

pub struct HookServer {
    port: u16,
    bundle: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl HookServer {
    /// Answers a request to a path with a response, to which the uid is added; `/slow` takes a minute.
    pub async fn start(answer: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) -> Self {
        let now = jiff::Timestamp::now();
        let authority = Authority::new("hooks", 1, now).unwrap();
        let local = [std::net::IpAddr::from([127, 0, 0, 1])];
        let issued = authority.issue(&Leaf::server("hook", &[], &local), now).unwrap();
        let identity = Identity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes()).unwrap();
        let mut tls = pki::server_config(identity, None).unwrap();
        tls.alpn_protocols.clear();
        let tls = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (known, answer): (_, Arc<Answers>) = (asked.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = tls.accept(stream).await else { continue };
                let (known, answer) = (known.clone(), answer.clone());
                let serve = service_fn(move |request| respond(request, known.clone(), answer.clone()));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve),
                );
            }
        });
        Self { port, bundle: BASE64_STANDARD.encode(authority.certificate()), asked }
    }

    /// A webhook of a configuration, asked at a path about configmaps that are created, changed or deleted; `more` says
    /// otherwise.
    pub fn hook(&self, name: &str, path: &str, more: &Value) -> Value {
        let mut hook = json!({
            "name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"url": format!("https://127.0.0.1:{}{path}", self.port), "caBundle": self.bundle},
            "rules": [{"operations": ["CREATE", "UPDATE", "DELETE"], "apiGroups": [""], "apiVersions": ["v1"],
                "resources": ["configmaps"]}],
        });
        for (key, value) in more.as_object().unwrap() {
            hook[key] = value.clone();
        }
        hook
    }

    /// What was asked since the last look.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock())
    }
}

/// A response that changes the object.
pub fn patch(operations: &Value) -> Value {
    json!({"allowed": true, "patchType": "JSONPatch", "patch": BASE64_STANDARD.encode(operations.to_string())})
}

async fn respond(
    request: Request<Incoming>,
    known: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<Answers>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap();
    let (kind, version) = (review["kind"].clone(), review["apiVersion"].clone());
    assert!(version == "admission.k8s.io/v1" || version == "apiextensions.k8s.io/v1", "{version}");
    let request = review["request"].clone();
    known.lock().push((path.clone(), request.clone()));
    if path == "/slow" {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    }
    let mut response = answer(&path, &request);
    response["uid"] = request["uid"].clone();
    let review = json!({"kind": kind, "apiVersion": version, "response": response});
    Ok(Response::new(Full::new(Bytes::from(review.to_string()))))
}

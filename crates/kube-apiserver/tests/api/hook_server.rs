//! A webhook server inside the test: HTTPS on 127.0.0.1, and an answer for each path.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use serde_json::{Value, json};
use testkit::HttpsServer;
use testkit::https_server::{Answer, Asked as Request};

/// What a webhook was asked: its path, and the request of the review.
pub type Asked = (String, Value);

pub struct HookServer {
    server: HttpsServer,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl HookServer {
    /// Answers a request to a path with a response, to which the uid is added; to `/slow` no answer comes.
    pub async fn start(answer: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let known = asked.clone();
        let server = HttpsServer::start(&[], move |request| {
            let (request, review) = read(request);
            known.lock().push(request.clone());
            respond(request, review, &answer)
        });
        Self { server: server.await.unwrap(), asked }
    }

    /// A webhook of a configuration, asked at a path about configmaps that are created, changed or deleted; `more` says
    /// otherwise.
    pub fn hook(&self, name: &str, path: &str, more: &Value) -> Value {
        let mut hook = json!({
            "name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"url": format!("{}{path}", self.server.url),
                "caBundle": BASE64_STANDARD.encode(&self.server.authority)},
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

fn read(request: &Request) -> (Asked, Value) {
    let mut review = request.json();
    let version = &review["apiVersion"];
    assert!(version == "admission.k8s.io/v1" || version == "apiextensions.k8s.io/v1", "{version}");
    ((request.path().to_owned(), review["request"].take()), review)
}

fn respond((path, request): Asked, mut review: Value, answer: impl Fn(&str, &Value) -> Value) -> Answer {
    if path == "/slow" {
        return Answer::Never;
    }
    let mut response = answer(&path, &request);
    response["uid"] = request["uid"].clone();
    review["response"] = response;
    Answer::Json(review)
}

//! An administrator's requests, and waiting for what they should find.

use http::Request;
use serde_json::{Value, json};
use testkit::eventually;

use crate::ControlPlane;

const JSON: &str = "application/json";

impl ControlPlane {
    async fn ask(&self, method: &str, path: &str, kind: &str, body: &Value) -> Result<Value, String> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request =
            Request::builder().method(method).uri(path).header("content-type", kind).body(body).unwrap();
        self.client.request(request).await.map_err(|error| error.to_string())
    }

    /// Gets what is at a path, or the server's message.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.ask("GET", path, "", &Value::Null).await
    }

    /// Creates an object in the collection at a path, which the server must accept.
    pub async fn create(&self, path: &str, object: Value) -> Value {
        self.try_create(path, object).await.unwrap()
    }

    /// Creates an object in the collection at a path, or returns the server's message.
    pub async fn try_create(&self, path: &str, object: Value) -> Result<Value, String> {
        self.ask("POST", path, JSON, &object).await
    }

    /// Changes what is at a path by a strategic merge patch.
    pub async fn patch(&self, path: &str, patch: Value) -> Value {
        self.ask("PATCH", path, "application/strategic-merge-patch+json", &patch).await.unwrap()
    }

    /// Deletes what is at a path, as its kind does by default.
    pub async fn delete(&self, path: &str) {
        self.ask("DELETE", path, "", &Value::Null).await.unwrap();
    }

    /// Deletes what is at a path with fields of `DeleteOptions`.
    pub async fn delete_with(&self, path: &str, options: Value) {
        let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if let (Some(body), Some(options)) = (body.as_object_mut(), options.as_object()) {
            body.extend(options.clone());
        }
        self.ask("DELETE", path, JSON, &body).await.unwrap();
    }

    /// Waits until what is at a path is as it should be; shows what it was last if it never is.
    pub async fn eventually(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let is_so = &is_so;
        eventually(|| async move {
            match self.get(path).await {
                Ok(found) if is_so(&found) => Ok(found),
                Ok(found) => Err(found.to_string()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Waits until nothing is at a path.
    pub async fn gone(&self, path: &str) {
        eventually(|| async move {
            match self.get(path).await {
                Err(error) if error.contains("not found") => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
}

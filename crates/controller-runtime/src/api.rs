//! Requests to the API server, made in the name of one controller.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, header};
use kube::Client;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::objects::Resource;
use identity::Identity;

pub mod identity;
pub mod path;

pub use path::{path_of, resource_path};

/// How long one request may take; the API server's own limit is one minute.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused; its words are upstream's.
    #[error("{message}")]
    Status {
        /// The HTTP code.
        code: u16,
        /// The one-word reason.
        reason: String,
        /// The sentence.
        message: String,
        /// The reasons of the details, such as `NamespaceTerminating`.
        causes: Vec<String>,
    },
    /// The object changed since it was read into the store.
    #[error("{0} has changed since it was seen")]
    Stale(String),
    /// The request did not reach the server, or its answer not us.
    #[error("request failed")]
    Transport(#[source] kube::Error),
    /// No answer came in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The path, the body or the answer is not what it must be.
    #[error("malformed request or answer: {0}")]
    Malformed(String),
}

impl Error {
    fn code(&self) -> u16 {
        match self {
            Error::Status { code, .. } => *code,
            Error::Stale(_) => 409,
            Error::Transport(_) | Error::TimedOut(_) | Error::Malformed(_) => 0,
        }
    }

    /// Tells whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code() == 404
    }

    /// Tells whether the object changed in between.
    pub fn is_conflict(&self) -> bool {
        self.code() == 409 && !self.is_already_exists()
    }

    /// Tells whether an object of this name exists already.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Error::Status { reason, .. } if reason == "AlreadyExists")
    }

    /// Tells whether the server understood and refused for good.
    pub fn is_invalid(&self) -> bool {
        self.code() == 422
    }

    /// Tells whether the namespace is on its way out, so that nothing can be created in it.
    pub fn is_namespace_terminating(&self) -> bool {
        matches!(self, Error::Status { causes, .. } if causes.iter().any(|cause| cause == "NamespaceTerminating"))
    }

    /// Tells whether the server does not serve this method for this resource.
    pub fn is_method_not_supported(&self) -> bool {
        self.code() == 405
    }
}

impl informer::Failure for Error {
    fn is_conflict(&self) -> bool {
        Error::is_conflict(self)
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Error {
        match error {
            kube::Error::Api(status) => Error::Status {
                code: status.code,
                causes: status
                    .details
                    .map(|details| details.causes.into_iter().map(|cause| cause.reason).collect())
                    .unwrap_or_default(),
                reason: status.reason,
                message: status.message,
            },
            error => Error::Transport(error),
        }
    }
}

/// The form of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch {
    /// RFC 7386.
    Merge,
    /// Lists merge by their keys.
    Strategic,
    /// RFC 6902.
    Json,
}

impl Patch {
    fn content_type(self) -> &'static str {
        match self {
            Patch::Merge => "application/merge-patch+json",
            Patch::Strategic => "application/strategic-merge-patch+json",
            Patch::Json => "application/json-patch+json",
        }
    }
}

/// What happens to the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They go afterwards.
    Background,
    /// They go first.
    Foreground,
    /// They stay.
    Orphan,
}

impl Propagation {
    fn as_str(self) -> &'static str {
        match self {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        }
    }
}

/// What a deletion asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delete<'a> {
    /// Deletes only this very object.
    pub uid: Option<&'a str>,
    /// Deletes only this version.
    pub resource_version: Option<&'a str>,
    /// The seconds granted for an orderly end; 0 removes a pod at once.
    pub grace_period_seconds: Option<i64>,
    /// What happens to dependents.
    pub propagation: Option<Propagation>,
}

impl Delete<'_> {
    fn body(&self) -> Value {
        let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if self.uid.is_some() || self.resource_version.is_some() {
            let mut preconditions = json!({});
            if let Some(uid) = self.uid {
                preconditions["uid"] = uid.into();
            }
            if let Some(version) = self.resource_version {
                preconditions["resourceVersion"] = version.into();
            }
            body["preconditions"] = preconditions;
        }
        if let Some(seconds) = self.grace_period_seconds {
            body["gracePeriodSeconds"] = seconds.into();
        }
        if let Some(propagation) = self.propagation {
            body["propagationPolicy"] = propagation.as_str().into();
        }
        body
    }
}

/// Makes requests in the name of one controller. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    client: Client,
    identity: Option<Arc<Identity>>,
}

impl Api {
    /// Makes requests as the client's own user.
    pub fn new(client: Client) -> Api {
        Api { client, identity: None }
    }

    /// Makes requests as a service account, through a client without credentials of its own.
    pub fn with_identity(client: Client, identity: Identity) -> Api {
        Api { client, identity: Some(Arc::new(identity)) }
    }

    /// Reads what is at a path.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.send(Method::GET, path, "", None).await
    }

    /// Reads an object's metadata only.
    pub async fn get_metadata(&self, path: &str) -> Result<Value, Error> {
        let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        self.send_accepting(Method::GET, path, "", None, accept).await
    }

    /// Reads what is at a path in another form than plain JSON.
    pub async fn get_as(&self, path: &str, accept: &str) -> Result<Value, Error> {
        self.send_accepting(Method::GET, path, "", None, accept).await
    }

    /// Reads what is at a path straight into a type, which may leave most of it out.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send_accepting(Method::GET, path, "", None, "application/json").await
    }

    /// Deletes everything in the collection at a path.
    pub async fn delete_collection(&self, path: &str, propagation: Propagation) -> Result<Value, Error> {
        let delete = Delete { propagation: Some(propagation), ..Delete::default() };
        self.send(Method::DELETE, path, "application/json", Some(&delete.body())).await
    }

    /// Lists the metadata of what is at a path.
    pub async fn list_metadata(&self, path: &str) -> Result<Value, Error> {
        let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        self.send_accepting(Method::GET, path, "", None, accept).await
    }

    /// Creates an object in the collection at a path.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, Error> {
        self.send(Method::POST, path, "application/json", Some(object)).await
    }

    /// Replaces the object at a path.
    pub async fn update(&self, path: &str, object: &Value) -> Result<Value, Error> {
        self.send(Method::PUT, path, "application/json", Some(object)).await
    }

    /// Patches the object at a path.
    pub async fn patch(&self, path: &str, form: Patch, patch: &Value) -> Result<Value, Error> {
        self.send(Method::PATCH, path, form.content_type(), Some(patch)).await
    }

    /// Deletes the object at a path.
    pub async fn delete(&self, path: &str, delete: Delete<'_>) -> Result<Value, Error> {
        self.send(Method::DELETE, path, "application/json", Some(&delete.body())).await
    }

    /// Reads the object, changes it and writes it back, to the object itself or to a subresource.
    ///
    /// Fails with [`Error::Stale`] if the object is no longer the version that `seen` was decided on: the store
    /// holds only part of it, so the whole is read first. `change` returns whether anything is to be written.
    pub async fn modify<K: Resource>(
        &self,
        seen: &K,
        subresource: &str,
        change: impl FnOnce(&mut Value) -> bool,
    ) -> Result<(), Error> {
        let path = path_of(seen);
        let mut live = self.get(&path).await?;
        if live["metadata"]["resourceVersion"] != *seen.resource_version() {
            return Err(Error::Stale(path));
        }
        if !change(&mut live) {
            return Ok(());
        }
        let path = if subresource.is_empty() { path } else { format!("{path}/{subresource}") };
        self.update(&path, &live).await.map(drop)
    }

    /// Writes an object's status; fields of the status that are not given stay as they are, `null` removes.
    pub async fn update_status<K: Resource>(&self, seen: &K, status: &Value) -> Result<(), Error> {
        self.modify(seen, "status", |live| merge(&mut live["status"], status)).await
    }

    /// Writes a status that was counted from what was asked for and not from the status before: it holds as long
    /// as nothing else was asked for, even if the store has not yet seen the last status written.
    pub async fn update_counted_status<K: Resource>(&self, seen: &K, status: &Value) -> Result<(), Error> {
        let path = path_of(seen);
        let mut live = self.get(&path).await?;
        let metadata = &live["metadata"];
        if metadata["generation"] != seen.metadata().generation || metadata["uid"] != *seen.uid() {
            return Err(Error::Stale(path));
        }
        if merge(&mut live["status"], status) {
            self.update(&format!("{path}/status"), &live).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        self.send_accepting(method, path, kind, body, "application/json").await
    }

    async fn send_accepting<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
        accept: &str,
    ) -> Result<T, Error> {
        let bytes = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| Error::Malformed(error.to_string()))?,
            None => Vec::new(),
        };
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, accept);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let mut request = request.body(bytes).map_err(|error| Error::Malformed(error.to_string()))?;
        if let Some(identity) = &self.identity {
            let token = identity.token().await?;
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|error| Error::Malformed(error.to_string()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        match tokio::time::timeout(TIMEOUT, self.client.request::<T>(request)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let error = Error::from(error);
                if error.code() == 401
                    && let Some(identity) = &self.identity
                {
                    // The key that signed the token, or its service account, is gone: the next request asks anew.
                    identity.forget();
                }
                Err(error)
            }
            Err(_) => Err(Error::TimedOut(TIMEOUT)),
        }
    }
}

/// Sets the given fields of a value, removes those given as `null`; tells whether anything changed.
pub fn merge(value: &mut Value, change: &Value) -> bool {
    let Value::Object(change) = change else {
        let differs = value != change;
        *value = change.clone();
        return differs;
    };
    if !value.is_object() {
        *value = json!({});
    }
    let Some(map) = value.as_object_mut() else { return false };
    let mut changed = false;
    for (name, field) in change {
        if field.is_null() {
            changed |= map.remove(name).is_some();
        } else if map.get(name) != Some(field) {
            map.insert(name.clone(), field.clone());
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_sets_removes_and_keeps() {
        let mut status = json!({"replicas": 1, "ready": 1, "foreign": true});
        assert!(merge(&mut status, &json!({"replicas": 2, "ready": null})));
        assert_eq!(status, json!({"replicas": 2, "foreign": true}));
        assert!(!merge(&mut status, &json!({"replicas": 2, "ready": null})));
        let mut absent = Value::Null;
        assert!(merge(&mut absent, &json!({"replicas": 0})));
        assert_eq!(absent, json!({"replicas": 0}));
    }

    #[test]
    fn deletions_say_what_they_require() {
        let delete = Delete { uid: Some("u"), grace_period_seconds: Some(0), ..Delete::default() };
        assert_eq!(
            delete.body(),
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "u"}, "gracePeriodSeconds": 0})
        );
    }
}

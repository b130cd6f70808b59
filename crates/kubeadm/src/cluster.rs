//! The cluster's API: the one place that talks to it. Objects are JSON values, written whole by server-side apply.

pub mod certificates;
pub mod objects;

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};
use component::client::{Connection, connect, from_config};
use http::{Method, Request};
use kube::{Client, Config};
use serde_json::Value;

/// Who writes: the manager of fields, the user agent.
const AGENT: &str = "kubeadm";
/// How often something that is to come is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// A connection to the API.
#[derive(Clone)]
pub struct Api {
    client: Client,
}

impl Api {
    /// Connects as a kubeconfig's user.
    pub async fn open(kubeconfig: &Path) -> anyhow::Result<Self> {
        let connection =
            Connection { kubeconfig: Some(kubeconfig), user_agent: AGENT, ..Connection::default() };
        Ok(Self { client: connect(&connection).await? })
    }

    /// Connects as the user of a kubeconfig's text.
    pub async fn of(kubeconfig: &str) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("making a directory for a kubeconfig")?;
        let path = directory.path().join("kubeconfig");
        pki::write_private(&path, kubeconfig)?;
        Self::open(&path).await
    }

    /// Connects as nobody to a server that any certificate makes believed: what it says must be proved otherwise.
    pub fn unchecked(server: &str) -> anyhow::Result<Self> {
        let mut config = Config::new(server.parse().with_context(|| format!("server {server:?}"))?);
        config.accept_invalid_certs = true;
        Ok(Self { client: from_config(config)? })
    }

    /// Connects as nobody to a server of an authority.
    pub fn anonymous(server: &str, authority: &str) -> anyhow::Result<Self> {
        let mut config = Config::new(server.parse().with_context(|| format!("server {server:?}"))?);
        let certificates = pki::certificates_of(authority)?;
        config.root_cert = Some(certificates.iter().map(|certificate| certificate.to_vec()).collect());
        Ok(Self { client: from_config(config)? })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<Value, kube::Error> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, content_type)
            .header(http::header::ACCEPT, "application/json")
            .body(body)
            .map_err(kube::Error::HttpError)?;
        self.client.request(request).await
    }

    /// Reads an object; `None` when there is none.
    pub async fn get(&self, path: &str) -> anyhow::Result<Option<Value>> {
        match self.send(Method::GET, path, "application/json", None).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(plain(error)).with_context(|| format!("reading {path}")),
        }
    }

    /// Waits until an object is there and, if asked, is as it should be.
    pub async fn wait(
        &self,
        path: &str,
        within: Duration,
        good: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let end = tokio::time::Instant::now() + within;
        loop {
            let why = match self.get(path).await {
                Ok(Some(object)) if good(&object) => return Ok(object),
                Ok(Some(_)) => "it is there and not yet as it should be".to_owned(),
                Ok(None) => "it is not there".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            if tokio::time::Instant::now() >= end {
                bail!("waited {within:?} for {path}: {why}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Makes an object, or brings the one of its name to what is said here.
    pub async fn apply(&self, object: &Value) -> anyhow::Result<Value> {
        let path = objects::path(object)?;
        let with = format!("{path}?fieldManager={AGENT}&force=true");
        self.send(Method::PATCH, &with, "application/apply-patch+yaml", Some(object))
            .await
            .map_err(plain)
            .with_context(|| format!("writing {path}"))
    }

    /// Makes a new object in a collection.
    pub async fn create(&self, collection: &str, object: &Value) -> anyhow::Result<Value> {
        self.send(Method::POST, collection, "application/json", Some(object))
            .await
            .map_err(plain)
            .with_context(|| format!("creating in {collection}"))
    }

    /// Changes some fields of an object.
    pub async fn merge(&self, path: &str, patch: &Value) -> anyhow::Result<Value> {
        self.send(Method::PATCH, path, "application/merge-patch+json", Some(patch))
            .await
            .map_err(plain)
            .with_context(|| format!("changing {path}"))
    }

    /// Deletes an object; says whether there was one.
    pub async fn delete(&self, path: &str) -> anyhow::Result<bool> {
        match self.send(Method::DELETE, path, "application/json", None).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(plain(error)).with_context(|| format!("deleting {path}")),
        }
    }

    /// Whether the server says that it is ready.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let request = Request::get("/readyz").body(Vec::new())?;
        self.client.request_text(request).await.map(drop).map_err(plain)
    }
}

/// A failure with the server's own words for what it refused.
fn plain(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) => anyhow::anyhow!("{}", status.message),
        other => anyhow::anyhow!("{}", component::cause::whole(&other)),
    }
}

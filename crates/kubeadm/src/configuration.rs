//! What a cluster and its machines are to be like: read from a file, filled up, checked, printed.

mod checked;
mod components;
mod migrate;
#[cfg(test)]
mod tests;
pub mod v1beta4;

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use checked::{ClusterSettings, Endpoint, NodeSettings, Surroundings, duration_days, node_name};
pub use components::{KUBELET_GROUP, PROXY_GROUP, kube_proxy, kubelet, merge};
pub use migrate::migrate;

use v1beta4::{API_VERSION, ClusterConfiguration, InitConfiguration, JoinConfiguration, ResetConfiguration};

/// The documents of a configuration file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Documents {
    /// `InitConfiguration`.
    pub init: Option<InitConfiguration>,
    /// `ClusterConfiguration`.
    pub cluster: Option<ClusterConfiguration>,
    /// `JoinConfiguration`.
    pub join: Option<JoinConfiguration>,
    /// `ResetConfiguration`.
    pub reset: Option<ResetConfiguration>,
    /// `KubeletConfiguration` of every node.
    pub kubelet: Option<Value>,
    /// `KubeProxyConfiguration` of every node.
    pub kube_proxy: Option<Value>,
}

impl Documents {
    /// Reads a file; without one, there are none.
    pub fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = if path == Path::new("-") {
            std::io::read_to_string(std::io::stdin()).context("reading standard input")?
        } else {
            std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?
        };
        Self::parse(&text).with_context(|| format!("configuration {}", path.display()))
    }

    /// Reads the documents of a text.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut documents = Self::default();
        for document in formats::yaml::documents(text)? {
            documents.take(migrate(document)?)?;
        }
        Ok(documents)
    }

    fn take(&mut self, mut document: Value) -> anyhow::Result<()> {
        let field = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        let (version, kind) = (field("apiVersion"), field("kind"));
        let group = version.split_once('/').map_or("", |(group, _)| group);
        match (group, kind.as_str()) {
            (KUBELET_GROUP, "KubeletConfiguration") => return put(&mut self.kubelet, document, &kind),
            (PROXY_GROUP, "KubeProxyConfiguration") => return put(&mut self.kube_proxy, document, &kind),
            ("kubeadm.k8s.io", _) => {}
            _ => bail!("apiVersion {version:?} with kind {kind:?} is not a configuration that kubeadm knows"),
        }
        if let Some(fields) = document.as_object_mut() {
            fields.remove("apiVersion");
            fields.remove("kind");
        }
        match kind.as_str() {
            "InitConfiguration" => put(&mut self.init, decode(document, &kind)?, &kind),
            "ClusterConfiguration" => put(&mut self.cluster, decode(document, &kind)?, &kind),
            "JoinConfiguration" => put(&mut self.join, decode(document, &kind)?, &kind),
            "ResetConfiguration" => put(&mut self.reset, decode(document, &kind)?, &kind),
            // Says nothing that an upgrade here is not told by flags.
            "UpgradeConfiguration" => Ok(()),
            _ => bail!("kubeadm.k8s.io has no kind {kind:?}"),
        }
    }
}

fn decode<T: DeserializeOwned>(document: Value, kind: &str) -> anyhow::Result<T> {
    serde_json::from_value(document).with_context(|| format!("strict decoding error: {kind}"))
}

fn put<T>(place: &mut Option<T>, value: T, kind: &str) -> anyhow::Result<()> {
    if place.replace(value).is_some() {
        bail!("{kind} is there twice");
    }
    Ok(())
}

/// A document of kubeadm's group as YAML.
pub fn print(kind: &str, document: &impl Serialize) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(document)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("apiVersion".into(), API_VERSION.into());
        fields.insert("kind".into(), kind.into());
    }
    Ok(formats::yaml::text(&value))
}

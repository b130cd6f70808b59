//! `ResourceQuotaConfiguration`: what may only be used where a quota covers it.

use apimachinery::FieldError;
use pod_strategy::resources::ResourceList;
use serde::Deserialize;
use serde_json::Value;
use strategy::read::Read;

use super::scopes::{self, Requirement};
use crate::configuration::{self, Kinds};

const KINDS: &Kinds = &[
    ("apiserver.config.k8s.io/v1", "ResourceQuotaConfiguration"),
    ("resourcequota.admission.k8s.io/v1", "Configuration"),
    ("resourcequota.admission.k8s.io/v1beta1", "Configuration"),
    ("resourcequota.admission.k8s.io/v1alpha1", "Configuration"),
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    limited_resources: Vec<LimitedResource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LimitedResource {
    api_group: String,
    resource: String,
    match_contains: Vec<String>,
    match_scopes: Vec<Value>,
}

/// What may not be used without a quota.
#[derive(Debug, Default)]
pub struct Limited(Vec<LimitedResource>);

impl Limited {
    /// Reads the plugin's configuration.
    pub fn parse(configuration: Option<&Value>) -> Result<Self, String> {
        let read = configuration.map(|configuration| configuration::read(configuration, KINDS));
        let Configuration { limited_resources } = read.transpose()?.unwrap_or_default();
        let mut errors = Vec::new();
        for (index, limited) in limited_resources.iter().enumerate() {
            if limited.resource.is_empty() {
                errors.push(FieldError::required(format!("limitedResources[{index}].resource"), ""));
            }
        }
        configuration::joined(&errors)?;
        Ok(Self(limited_resources))
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of what an object uses, the names that a quota must cover.
    pub(super) fn names<'u>(&self, group: &str, resource: &str, usage: &'u ResourceList) -> Vec<&'u str> {
        let own = self.0.iter().filter(|limited| limited.api_group == group && limited.resource == resource);
        let parts: Vec<&String> = own.flat_map(|limited| &limited.match_contains).collect();
        let used = usage.iter().filter(|(_, amount)| amount.sign() > 0).map(|(name, _)| name.as_str());
        used.filter(|name| parts.iter().any(|part| name.contains(part.as_str()))).collect()
    }

    /// The scopes that an object is in and that a quota must cover.
    pub(super) fn scopes<'l>(&'l self, group: &str, resource: &str, object: &Value) -> Vec<Requirement<'l>> {
        let all = self.0.iter().flat_map(|limited| &limited.match_scopes).map(|scope| Requirement {
            scope: scope.text("scopeName"),
            operator: scope.text("operator"),
            values: scope.items("values"),
        });
        all.filter(|requirement| scopes::holds(requirement, group, resource, object)).collect()
    }
}

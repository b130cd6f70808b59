//! `PodSecurityConfiguration`: what holds in namespaces without labels, and who is exempt.

use apimachinery::{FieldError, names};
use serde::Deserialize;
use serde_json::Value;

use super::policy::{self, Policy, check_level, check_version};
use crate::configuration::{self, Kinds};

const KINDS: &Kinds = &[
    ("pod-security.admission.config.k8s.io/v1", "PodSecurityConfiguration"),
    ("pod-security.admission.config.k8s.io/v1beta1", "PodSecurityConfiguration"),
    ("pod-security.admission.config.k8s.io/v1alpha1", "PodSecurityConfiguration"),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Configuration {
    defaults: Defaults,
    exemptions: Exemptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
struct Defaults {
    enforce: String,
    enforce_version: String,
    audit: String,
    audit_version: String,
    warn: String,
    warn_version: String,
}

/// To whom the standards do not apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Exemptions {
    pub(super) usernames: Vec<String>,
    pub(super) namespaces: Vec<String>,
    pub(super) runtime_classes: Vec<String>,
}

/// Reads the configuration, or says in upstream's words what is wrong with it.
pub(super) fn read(configuration: &Value) -> Result<(Policy, Exemptions), String> {
    let Configuration { defaults, exemptions } =
        configuration::read(configuration, KINDS).map_err(|why| {
            if why.starts_with("unknown field") { format!("strict decoding error: {why}") } else { why }
        })?;
    let mut errors = Vec::new();
    let modes = [
        ("enforce", &defaults.enforce, &defaults.enforce_version),
        ("warn", &defaults.warn, &defaults.warn_version),
        ("audit", &defaults.audit, &defaults.audit_version),
    ];
    for (name, level, version) in modes {
        if !level.is_empty() {
            errors.extend(check_level(&format!("defaults.{name}"), level));
        }
        if !version.is_empty() {
            errors.extend(check_version(&format!("defaults.{name}-version"), version));
        }
    }
    each("namespaces", &exemptions.namespaces, names::dns1123_label_errors, &mut errors);
    each("runtimeClasses", &exemptions.runtime_classes, names::dns1123_subdomain_errors, &mut errors);
    let unnamed = |name: &str| match name {
        "" => vec!["username must not be empty".to_owned()],
        _ => Vec::new(),
    };
    each("usernames", &exemptions.usernames, unnamed, &mut errors);
    configuration::joined(&errors)?;
    let policy = Policy {
        enforce: policy::standard(&defaults.enforce, &defaults.enforce_version),
        audit: policy::standard(&defaults.audit, &defaults.audit_version),
        warn: policy::standard(&defaults.warn, &defaults.warn_version),
    };
    Ok((policy, exemptions))
}

fn each(list: &str, items: &[String], check: impl Fn(&str) -> Vec<String>, errors: &mut Vec<FieldError>) {
    for (index, item) in items.iter().enumerate() {
        let field = format!("exemptions.{list}[{index}]");
        let wrong = check(item);
        if !wrong.is_empty() {
            errors.push(FieldError::invalid(field, item.as_str(), wrong.join(", ")));
        } else if items[..index].contains(item) {
            errors.push(FieldError::duplicate(field, item.as_str()));
        }
    }
}

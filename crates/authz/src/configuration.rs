//! `AuthorizationConfiguration` of `apiserver.config.k8s.io`: its form, and what makes one wrong, in upstream's words.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use apimachinery::FieldError;
use apimachinery::names::dns1123_subdomain_errors;
use apimachinery::time::{format_go_duration, parse_go_duration};
use serde::Deserialize;
use serde_json::Value;

use crate::webhook::Condition;

const GROUP: &str = "apiserver.config.k8s.io";
const KIND: &str = "AuthorizationConfiguration";
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];
const TYPES: [&str; 6] = ["ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"];
/// How many match conditions a webhook may have.
const MOST_CONDITIONS: usize = 64;

/// The authorisers in their order.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    authorizers: Vec<AuthorizerSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct AuthorizerSection {
    r#type: String,
    name: String,
    webhook: Option<WebhookSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct WebhookSection {
    timeout: String,
    #[serde(rename = "authorizedTTL")]
    authorized_ttl: String,
    cache_authorized_requests: Option<bool>,
    #[serde(rename = "unauthorizedTTL")]
    unauthorized_ttl: String,
    cache_unauthorized_requests: Option<bool>,
    subject_access_review_version: String,
    match_condition_subject_access_review_version: String,
    failure_policy: String,
    connection_info: ConnectionSection,
    match_conditions: Vec<ConditionSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ConnectionSection {
    r#type: String,
    kube_config_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ConditionSection {
    expression: String,
}

/// One of the authorisers that a configuration names.
#[derive(Debug)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// What an authoriser is.
#[derive(Debug)]
pub enum Kind {
    /// One of the server's own.
    Own(crate::Mode),
    /// A service that is asked.
    Webhook(Box<WebhookConfiguration>),
}

/// How a webhook is asked.
#[derive(Debug)]
pub struct WebhookConfiguration {
    /// How long it may take.
    pub timeout: Duration,
    /// How long a yes is remembered; zero, if it is not.
    pub authorized_ttl: Duration,
    /// How long anything else is remembered; zero, if it is not.
    pub unauthorized_ttl: Duration,
    /// The version of `SubjectAccessReview` that it is sent.
    pub version: String,
    /// What a failure means: everybody else decides, or the request is refused.
    pub deny_on_failure: bool,
    /// The kubeconfig that says where it is.
    pub kubeconfig: String,
    /// When it is asked: when all of these hold.
    pub conditions: Vec<Condition>,
}

/// Reads a configuration. `is_file` says whether what is at a path is a file.
pub fn read(mut value: Value, is_file: impl Fn(&str) -> io::Result<bool>) -> Result<Vec<Named>, String> {
    let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (field("apiVersion"), field("kind"));
    let (group, version) = apimachinery::gvk::split_api_version(&api_version);
    if kind != KIND || group != GROUP || !VERSIONS.contains(&version) {
        return Err(format!(
            "no kind {kind:?} is registered for version {api_version:?}; use {GROUP}/v1, {KIND}"
        ));
    }
    if let Some(fields) = value.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    let file: File =
        serde_json::from_value(value).map_err(|error| format!("strict decoding error: {error}"))?;
    let mut errors = Errors { errors: Vec::new(), is_file: &is_file };
    let named = errors.authorizers(file.authorizers);
    match errors.errors.as_slice() {
        [] => Ok(named),
        [one] => Err(one.to_string()),
        many => {
            let many: Vec<String> = many.iter().map(ToString::to_string).collect();
            Err(format!("[{}]", many.join(", ")))
        }
    }
}

struct Errors<'a> {
    errors: Vec<FieldError>,
    is_file: &'a dyn Fn(&str) -> io::Result<bool>,
}

impl Errors<'_> {
    fn required(&mut self, field: String, why: &str) {
        self.errors.push(FieldError::required(field, why));
    }

    fn invalid(&mut self, field: String, value: &str, why: impl Into<String>) {
        self.errors.push(FieldError::invalid(field, value, why));
    }

    fn authorizers(&mut self, sections: Vec<AuthorizerSection>) -> Vec<Named> {
        if sections.is_empty() {
            self.required("authorizers".into(), "at least one authorization mode must be defined");
        }
        let (mut types, mut names) = (BTreeSet::new(), BTreeSet::new());
        let mut named = Vec::new();
        for (index, section) in sections.into_iter().enumerate() {
            let path = format!("authorizers[{index}]");
            let AuthorizerSection { r#type, name, webhook } = section;
            if r#type.is_empty() {
                self.required(format!("{path}.type"), "");
                continue;
            }
            if !TYPES.contains(&r#type.as_str()) {
                self.errors.push(FieldError::not_supported(format!("{path}.type"), r#type.as_str(), &TYPES));
                continue;
            }
            if !types.insert(r#type.clone()) && r#type != "Webhook" {
                self.errors.push(FieldError::duplicate(format!("{path}.type"), r#type.as_str()));
                continue;
            }
            self.name(&name, names.contains(&name), format!("{path}.name"));
            names.insert(name.clone());
            let kind = match (r#type.as_str(), webhook) {
                ("Webhook", None) => {
                    self.required(format!("{path}.webhook"), "required when type=Webhook");
                    continue;
                }
                ("Webhook", Some(webhook)) => match self.webhook(&webhook, &path) {
                    Some(webhook) => Kind::Webhook(Box::new(webhook)),
                    None => continue,
                },
                (own, webhook) => {
                    if webhook.is_some() {
                        let why = "may only be specified when type=Webhook";
                        self.invalid(format!("{path}.webhook"), "non-null", why);
                    }
                    match own.parse() {
                        Ok(mode) => Kind::Own(mode),
                        Err(_) => continue,
                    }
                }
            };
            named.push(Named { name, kind });
        }
        named
    }

    fn name(&mut self, name: &str, seen: bool, field: String) {
        if name.is_empty() {
            return self.required(field, "");
        }
        if seen {
            return self.errors.push(FieldError::duplicate(field, name));
        }
        let errors = dns1123_subdomain_errors(name);
        if !errors.is_empty() {
            self.invalid(field, name, format!("authorizer name is invalid: {}", errors.join(", ")));
        }
    }

    /// Upstream names a webhook's fields without the word `webhook`.
    fn webhook(&mut self, section: &WebhookSection, path: &str) -> Option<WebhookConfiguration> {
        let before = self.errors.len();
        let timeout = self.duration(&section.timeout, format!("{path}.timeout"), None, Some(30));
        let field = |name: &str| format!("{path}.{name}");
        let authorized = self.duration(&section.authorized_ttl, field("authorizedTTL"), Some(300), None);
        let unauthorized = self.duration(&section.unauthorized_ttl, field("unauthorizedTTL"), Some(30), None);
        self.one_of(
            &section.subject_access_review_version,
            &["v1", "v1beta1"],
            format!("{path}.subjectAccessReviewVersion"),
        );
        let field = format!("{path}.matchConditionSubjectAccessReviewVersion");
        match section.match_condition_subject_access_review_version.as_str() {
            "" if !section.match_conditions.is_empty() => {
                self.required(field, "required if match conditions are specified");
            }
            "" | "v1" => {}
            other => self.errors.push(FieldError::not_supported(field, other, &["v1"])),
        }
        self.one_of(&section.failure_policy, &["NoOpinion", "Deny"], format!("{path}.failurePolicy"));
        let kubeconfig = self.connection(&section.connection_info, &format!("{path}.connectionInfo"));
        let conditions = self.conditions(&section.match_conditions, &format!("{path}.matchConditions"));
        let cached =
            |wanted: Option<bool>, ttl: Duration| if wanted == Some(false) { Duration::ZERO } else { ttl };
        (self.errors.len() == before).then(|| WebhookConfiguration {
            timeout,
            authorized_ttl: cached(section.cache_authorized_requests, authorized),
            unauthorized_ttl: cached(section.cache_unauthorized_requests, unauthorized),
            version: section.subject_access_review_version.clone(),
            deny_on_failure: section.failure_policy == "Deny",
            kubeconfig,
            conditions,
        })
    }

    fn one_of(&mut self, value: &str, known: &[&str], field: String) {
        if value.is_empty() {
            self.required(field, "");
        } else if !known.contains(&value) {
            self.errors.push(FieldError::not_supported(field, value, known));
        }
    }

    /// A duration; `default` in seconds stands for none, where it may.
    fn duration(
        &mut self,
        text: &str,
        field: String,
        default: Option<u64>,
        longest: Option<u64>,
    ) -> Duration {
        let nanos = if text.is_empty() { Some(0) } else { parse_go_duration(text) };
        if let (Some(0), Some(default)) = (nanos, default) {
            return Duration::from_secs(default);
        }
        let why = match longest {
            Some(seconds) => format!("must be > 0s and <= {seconds}s"),
            None => "must be > 0s".to_owned(),
        };
        match nanos {
            Some(0) => self.required(field, ""),
            None => self.invalid(field, text, format!("time: invalid duration {text:?}")),
            Some(nanos) => {
                let duration = u64::try_from(nanos).map(Duration::from_nanos);
                match duration {
                    Ok(duration) if longest.is_none_or(|most| duration <= Duration::from_secs(most)) => {
                        return duration;
                    }
                    _ => self.invalid(field, &format_go_duration(nanos), why),
                }
            }
        }
        Duration::ZERO
    }

    fn connection(&mut self, section: &ConnectionSection, path: &str) -> String {
        let field = format!("{path}.kubeConfigFile");
        let file = section.kube_config_file.as_deref();
        match (section.r#type.as_str(), file) {
            ("", _) => self.required(format!("{path}.type"), ""),
            ("InClusterConfig", Some(file)) => {
                self.invalid(field, file, "can only be set when type=KubeConfigFile");
            }
            ("InClusterConfig", None) => {
                let why = "unable to load in-cluster configuration: this server runs outside of the cluster";
                self.invalid(format!("{path}.type"), "InClusterConfig", why);
            }
            ("KubeConfigFile", None | Some("")) => self.required(field, ""),
            ("KubeConfigFile", Some(file)) => {
                if !file.starts_with('/') {
                    self.invalid(field, file, "must be an absolute path");
                    return file.to_owned();
                }
                match (self.is_file)(file) {
                    Ok(true) => {}
                    Ok(false) => self.invalid(field, file, "must be a regular file"),
                    Err(error) => {
                        let why = format!("error loading file: stat {file}: {}", in_go_words(&error));
                        self.invalid(field, file, why);
                    }
                }
                return file.to_owned();
            }
            (other, _) => self.errors.push(FieldError::not_supported(
                format!("{path}.type"),
                other,
                &["InClusterConfig", "KubeConfigFile"],
            )),
        }
        String::new()
    }

    fn conditions(&mut self, sections: &[ConditionSection], path: &str) -> Vec<Condition> {
        if sections.len() > MOST_CONDITIONS {
            self.errors.push(FieldError::too_many(path, sections.len(), MOST_CONDITIONS));
            return Vec::new();
        }
        let mut seen = BTreeSet::new();
        let mut conditions = Vec::new();
        for (index, section) in sections.iter().enumerate() {
            let field = format!("{path}[{index}].expression");
            let text = section.expression.as_str();
            if text.trim().is_empty() {
                self.required(field, "");
            } else if !seen.insert(text) {
                self.errors.push(FieldError::duplicate(field, text));
            } else {
                match Condition::new(text) {
                    Ok(condition) => conditions.push(condition),
                    Err(why) => self.invalid(field, text, why),
                }
            }
        }
        conditions
    }
}

/// What went wrong with a file, as Go says it.
fn in_go_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;

//! `EncryptionConfiguration` of `apiserver.config.k8s.io/v1`: its form, and what makes one wrong.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;

use super::{
    ciphers::Cipher,
    kms::Kms,
    providers::{Key, Providers, Writer},
    rules::Pattern,
};

/// What is encrypted by what, as `--encryption-provider-config` says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EncryptionConfiguration {
    api_version: String,
    kind: String,
    #[serde(default)]
    resources: Vec<ResourceConfiguration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResourceConfiguration {
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    providers: Vec<Provider>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Provider {
    aescbc: Option<Keys>,
    aesgcm: Option<Keys>,
    secretbox: Option<Keys>,
    identity: Option<Identity>,
    kms: Option<KmsSection>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct KmsSection {
    api_version: String,
    name: String,
    cachesize: Option<i64>,
    endpoint: String,
    timeout: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default)]
    keys: Vec<NamedKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedKey {
    #[serde(default)]
    name: String,
    #[serde(default)]
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {}

/// What is wrong with a configuration, and where. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigurationError(String);

impl std::fmt::Debug for EncryptionConfiguration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncryptionConfiguration").finish_non_exhaustive()
    }
}

type Rule = (Vec<Pattern>, Providers);

impl EncryptionConfiguration {
    /// The rules in order; an error names the first thing that is wrong.
    pub(super) fn parsed(&self) -> Result<Vec<Rule>, ConfigurationError> {
        let wrong = |text: String| Err(ConfigurationError(text));
        if self.api_version != "apiserver.config.k8s.io/v1" || self.kind != "EncryptionConfiguration" {
            return wrong(format!(
                "no kind \"{}\" is registered for version \"{}\": an EncryptionConfiguration of apiserver.config.k8s.io/v1 is needed",
                self.kind, self.api_version
            ));
        }
        if self.resources.is_empty() {
            return wrong("resources: Required value: provider must contain at least one resource".into());
        }
        let rules = self.resources.iter().enumerate();
        rules.map(|(index, rule)| rule.parsed(&format!("resources[{index}]"))).collect()
    }
}

impl ResourceConfiguration {
    fn parsed(&self, path: &str) -> Result<Rule, ConfigurationError> {
        let required =
            |what: &str, why: &str| ConfigurationError(format!("{path}.{what}: Required value: {why}"));
        if self.resources.is_empty() {
            return Err(required("resources", "provider must contain at least one resource"));
        }
        if self.providers.is_empty() {
            return Err(required("providers", "provider must contain at least one provider"));
        }
        let mut patterns: Vec<Pattern> = Vec::new();
        for (index, name) in self.resources.iter().enumerate() {
            let pattern = pattern(name)
                .and_then(|pattern| {
                    let masked = |known: &Pattern| known.covers(&pattern) || pattern.covers(known);
                    match patterns.iter().any(masked) {
                        true => Err("using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed since they will be masked"),
                        false => Ok(pattern),
                    }
                })
                .map_err(|why| {
                    ConfigurationError(format!("{path}.resources[{index}]: Invalid value: {name:?}: {why}"))
                })?;
            patterns.push(pattern);
        }
        let mut writers = Vec::new();
        for (index, provider) in self.providers.iter().enumerate() {
            writers.extend(provider.writers(&format!("{path}.providers[{index}]"))?);
        }
        Ok((patterns, Providers(writers)))
    }
}

fn pattern(name: &str) -> Result<Pattern, &'static str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("resource name should not contain capital letters");
    }
    let pattern = Pattern::parse(name);
    match &pattern {
        Pattern::Resource { group, plural } => {
            if plural.is_empty() {
                return Err(
                    "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources",
                );
            }
            if group.contains('*') || plural.contains('*') {
                return Err("resource name should not contain a partial wildcard");
            }
            if name.contains('/') {
                return Err("subresources are not encrypted: name the resource");
            }
            if group == "events.k8s.io" {
                return Err("encrypting events.events.k8s.io is not allowed: name them events");
            }
        }
        Pattern::Group(group) => {
            // Without a dot there is no group, and `*` alone is neither core's nor everything.
            if name == "*" {
                return Err(
                    "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources",
                );
            }
            if group.contains('*') {
                return Err("resource name should not contain a partial wildcard");
            }
            if group == "extensions" {
                return Err("the group extensions was removed and cannot be used for encryption");
            }
        }
        Pattern::Everything => {}
    }
    Ok(pattern)
}

impl Provider {
    fn writers(&self, path: &str) -> Result<Vec<Writer>, ConfigurationError> {
        let ciphers = [
            (Cipher::AesCbc, &self.aescbc),
            (Cipher::AesGcm, &self.aesgcm),
            (Cipher::Secretbox, &self.secretbox),
        ];
        let named = ciphers.iter().filter_map(|(cipher, keys)| Some((*cipher, keys.as_ref()?)));
        let named: Vec<(Cipher, &Keys)> = named.collect();
        match (named.as_slice(), &self.identity, &self.kms) {
            ([], Some(_), None) => Ok(vec![Writer::Identity]),
            ([(cipher, keys)], None, None) => keys.writers(*cipher, &format!("{path}.{}", cipher.name())),
            ([], None, Some(kms)) => Ok(vec![Writer::Kms(kms.service(&format!("{path}.kms"))?)]),
            ([], None, None) => Err(ConfigurationError(format!(
                "{path}: Required value: provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
            ))),
            _ => Err(ConfigurationError(format!(
                "{path}: Invalid value: more than one provider specified in a single element, should split into different list elements"
            ))),
        }
    }
}

impl KmsSection {
    fn service(&self, path: &str) -> Result<std::sync::Arc<Kms>, ConfigurationError> {
        let wrong = |text: String| ConfigurationError(format!("{path}.{text}"));
        let invalid =
            |field: &str, value: &str, why: &str| wrong(format!("{field}: Invalid value: {value:?}: {why}"));
        match self.api_version.as_str() {
            "v2" => {}
            "" | "v1" => {
                return Err(invalid(
                    "apiVersion",
                    &self.api_version,
                    "KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead",
                ));
            }
            other => {
                let why =
                    format!("unsupported apiVersion {other} for KMS provider, only v1 and v2 are supported");
                return Err(invalid("apiVersion", other, &why));
            }
        }
        if self.name.is_empty() {
            return Err(wrong("name: Required value: name is a mandatory field for a provider".into()));
        }
        if self.name.contains(':') {
            let why = format!("invalid KMS provider name {}, must not contain ':'", self.name);
            return Err(invalid("name", &self.name, &why));
        }
        if let Some(size) = self.cachesize {
            return Err(invalid("cachesize", &size.to_string(), "cachesize is not supported in v2"));
        }
        if self.endpoint.is_empty() {
            return Err(wrong(
                "endpoint: Required value: endpoint is a mandatory field for a provider".into(),
            ));
        }
        let Some(path) = self.endpoint.strip_prefix("unix://") else {
            let scheme = self.endpoint.split("://").next().unwrap_or_default();
            let why = format!("unsupported scheme {scheme:?} for KMS provider, only unix is supported");
            return Err(invalid("endpoint", &self.endpoint, &why));
        };
        if !path.starts_with('/') {
            return Err(invalid("endpoint", &self.endpoint, "the path of the socket must be absolute"));
        }
        let timeout = match self.timeout.as_deref() {
            None => Duration::from_secs(3),
            Some(text) => duration(text)
                .filter(|timeout| !timeout.is_zero())
                .ok_or_else(|| invalid("timeout", text, "timeout should be a positive value"))?,
        };
        Ok(Kms::new(&self.name, &self.endpoint, timeout))
    }
}

/// A duration as Go writes it.
fn duration(text: &str) -> Option<Duration> {
    let nanos = apimachinery::time::parse_go_duration(text)?;
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

impl Keys {
    fn writers(&self, cipher: Cipher, path: &str) -> Result<Vec<Writer>, ConfigurationError> {
        if self.keys.is_empty() {
            return Err(ConfigurationError(format!(
                "{path}.keys: Required value: {} must contain at least one key",
                cipher.name()
            )));
        }
        let keys = self.keys.iter().enumerate();
        keys.map(|(index, key)| key.writer(cipher, &format!("{path}.keys[{index}]"))).collect()
    }
}

impl NamedKey {
    fn writer(&self, cipher: Cipher, path: &str) -> Result<Writer, ConfigurationError> {
        let wrong = |text: String| ConfigurationError(format!("{path}.{text}"));
        if self.name.is_empty() {
            return Err(wrong("name: Required value: name must be specified".into()));
        }
        if self.secret.is_empty() {
            return Err(wrong("secret: Required value: secret must be specified".into()));
        }
        let secret = BASE64_STANDARD.decode(&self.secret).map_err(|_| {
            wrong("secret: Invalid value: \"REDACTED\": secret must be base64 encoded".into())
        })?;
        let lengths = cipher.key_lengths();
        if !lengths.contains(&secret.len()) {
            let expected: Vec<String> = lengths.iter().map(usize::to_string).collect();
            return Err(wrong(format!(
                "secret: Invalid value: \"REDACTED\": secret is not of the expected length, got {}, expected one of [{}]",
                secret.len(),
                expected.join(" ")
            )));
        }
        Ok(Writer::Key(Key::new(cipher, &self.name, secret)))
    }
}

//! `--authentication-config`, `--oidc-*`, `--authentication-token-webhook-*` and `--token-auth-file`: who may come without
//! credentials, and whose tokens are believed besides the server's own.

mod fetch;
mod issuers;
mod oidc_flags;
mod token_webhook;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use apimachinery::FieldError;
use authn::jwt::{self, JwtAuthenticator, JwtIssuer};
use authn::{Anonymous, Outside, TokenFile};
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::issuers::{Issuers, follow};
pub use self::oidc_flags::OidcFlags;
pub use self::token_webhook::TokenWebhookFlags;
use crate::flags::Flags;

const GROUP: &str = "apiserver.config.k8s.io";
const KIND: &str = "AuthenticationConfiguration";
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct File {
    jwt: Vec<JwtAuthenticator>,
    anonymous: Option<AnonymousSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct AnonymousSection {
    enabled: bool,
    conditions: Vec<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Condition {
    path: String,
}

/// What the flags and their files say of authentication.
pub struct Configured {
    /// Who may come without credentials.
    pub anonymous: Anonymous,
    /// `--token-auth-file`
    pub token_file: Option<TokenFile>,
    /// Other issuers, where there are any or a file may come to name some.
    pub issuers: Option<Arc<Issuers>>,
    /// Those who are asked about tokens, in order.
    pub outside: Vec<Arc<dyn Outside>>,
}

/// Reads the flags and the files that they name.
pub fn load(flags: &Flags, api_audiences: &[String]) -> anyhow::Result<Configured> {
    let from_flags = oidc_flags::section(&flags.oidc)?;
    if from_flags.is_some() && flags.authentication_config.is_some() {
        bail!("authentication-config file and oidc-* flags are mutually exclusive");
    }
    let own = &flags.service_account_issuer;
    let (mut section, mut issuers) = (None, None);
    if let Some(path) = &flags.authentication_config {
        let read = read_file(path, own)?;
        section = read.anonymous;
        // An empty list may be filled while the server runs.
        issuers = Some(Issuers::new(read.issuers, own.clone())?);
    }
    if let Some((section, algorithms)) = from_flags {
        let issuer = jwt::issuer_of_flags(section, own, algorithms)
            .map_err(|errors| anyhow::anyhow!(aggregate(&errors)))?;
        issuers = Some(Issuers::new(vec![issuer], own.clone())?);
    }
    let token_file = flags.token_auth_file.as_deref().map(token_file).transpose()?;
    let mut outside: Vec<Arc<dyn Outside>> = Vec::new();
    outside.extend(issuers.iter().map(|issuers| issuers.clone() as Arc<dyn Outside>));
    if let Some(webhook) = token_webhook::load(&flags.token_webhook, api_audiences)? {
        outside.push(webhook);
    }
    Ok(Configured { anonymous: anonymous(section, flags.anonymous_auth)?, token_file, issuers, outside })
}

fn token_file(path: &Path) -> anyhow::Result<TokenFile> {
    let context = || format!("--token-auth-file {}", path.display());
    let text = std::fs::read_to_string(path).with_context(context)?;
    TokenFile::read(&text).with_context(context)
}

/// The section and the flag exclude each other.
fn anonymous(section: Option<Anonymous>, flag: Option<bool>) -> anyhow::Result<Anonymous> {
    if section.is_some() && flag.is_some() {
        bail!(
            "--anonymous-auth flag cannot be set when anonymous field is configured in authentication \
            configuration file"
        );
    }
    Ok(match (section, flag) {
        (Some(anonymous), _) => anonymous,
        (None, None) => Anonymous::default(),
        (None, Some(true)) => Anonymous::Enabled,
        (None, Some(false)) => Anonymous::Disabled,
    })
}

/// What a file says.
struct Read {
    text: String,
    anonymous: Option<Anonymous>,
    issuers: Vec<JwtIssuer>,
}

fn read_file(path: &Path, own_issuers: &[String]) -> anyhow::Result<Read> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    read(text, own_issuers).with_context(|| format!("--authentication-config {}", path.display()))
}

fn read(text: String, own_issuers: &[String]) -> anyhow::Result<Read> {
    let mut value: Value = serde_saphyr::from_str(&text).context("this is no YAML")?;
    let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (field("apiVersion"), field("kind"));
    let (group, version) = apimachinery::gvk::split_api_version(&api_version);
    ensure!(
        kind == KIND && group == GROUP && VERSIONS.contains(&version),
        "no kind {kind:?} is registered for version {api_version:?}; use {GROUP}/v1, {KIND}"
    );
    if let Some(fields) = value.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    let file: File = serde_json::from_value(value).context("strict decoding error")?;
    let (issuers, mut errors) = match jwt::issuers(file.jwt, own_issuers) {
        Ok(issuers) => (issuers, Vec::new()),
        Err(errors) => (Vec::new(), errors),
    };
    let anonymous = file.anonymous.map(section).transpose().unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    ensure!(errors.is_empty(), aggregate(&errors));
    Ok(Read { text, anonymous, issuers })
}

/// Errors as upstream joins them.
fn aggregate(errors: &[FieldError]) -> String {
    match errors {
        [one] => one.to_string(),
        many => {
            let many: Vec<String> = many.iter().map(ToString::to_string).collect();
            format!("[{}]", many.join(", "))
        }
    }
}

fn section(section: AnonymousSection) -> Result<Anonymous, FieldError> {
    let paths: Vec<String> = section.conditions.into_iter().map(|condition| condition.path).collect();
    match (section.enabled, paths.is_empty()) {
        (true, true) => Ok(Anonymous::Enabled),
        (true, false) => Ok(Anonymous::Paths(paths)),
        (false, true) => Ok(Anonymous::Disabled),
        (false, false) => {
            // Shown under the name that the field has inside upstream's server.
            let shown: Vec<Value> = paths.into_iter().map(|path| json!({"Path": path})).collect();
            let why = "enabled should be set to true when conditions are defined";
            Err(FieldError::invalid("anonymous.conditions", shown, why))
        }
    }
}

#[cfg(test)]
mod tests;

//! `--authentication-config`: who may come without credentials, and whose tokens are believed.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use authn::Anonymous;
use serde::Deserialize;
use serde_json::Value;

const GROUP: &str = "apiserver.config.k8s.io";
const KIND: &str = "AuthenticationConfiguration";
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct File {
    jwt: Vec<Value>,
    anonymous: Option<AnonymousSection>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AnonymousSection {
    enabled: bool,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Condition {
    path: String,
}

/// Reads the file and the flag, which exclude each other, into who may come without credentials.
pub fn anonymous(file: Option<&Path>, flag: Option<bool>) -> anyhow::Result<Anonymous> {
    let section = match file {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            read(&text).with_context(|| format!("--authentication-config {}", path.display()))?
        }
        None => None,
    };
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

fn read(text: &str) -> anyhow::Result<Option<Anonymous>> {
    let mut value: Value = serde_saphyr::from_str(text).context("this is no YAML")?;
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
    ensure!(
        file.jwt.is_empty(),
        "jwt: Forbidden: this server verifies no tokens of other issuers; remove the jwt authenticators"
    );
    let Some(section) = file.anonymous else { return Ok(None) };
    if !section.enabled {
        ensure!(
            section.conditions.is_empty(),
            "anonymous.conditions: Invalid value: enabled should be set to true when conditions are defined"
        );
        return Ok(Some(Anonymous::Disabled));
    }
    if section.conditions.is_empty() {
        return Ok(Some(Anonymous::Enabled));
    }
    let paths: Vec<String> = section.conditions.into_iter().map(|condition| condition.path).collect();
    if let Some(index) = paths.iter().position(|path| !path.starts_with('/')) {
        bail!(
            "anonymous.conditions[{index}].path: Invalid value: {:?}: must be an absolute path",
            paths[index]
        );
    }
    Ok(Some(Anonymous::Paths(paths)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &str, expected: Result<Option<Anonymous>, &str>) {
        let text =
            format!("apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n{fields}");
        let found = read(&text).map_err(|error| format!("{error:#}"));
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{fields}"),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => panic!("{fields}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn conditions_name_exact_paths() {
        check("", Ok(None));
        check("jwt: []", Ok(None));
        check("anonymous: {enabled: true}", Ok(Some(Anonymous::Enabled)));
        check("anonymous: {enabled: false}", Ok(Some(Anonymous::Disabled)));
        let paths = Anonymous::Paths(vec!["/livez".into(), "/readyz".into()]);
        check(
            "anonymous:\n  enabled: true\n  conditions:\n  - path: /livez\n  - path: /readyz\n",
            Ok(Some(paths)),
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        check(
            "anonymous: {enabled: false, conditions: [{path: /livez}]}",
            Err("enabled should be set to true"),
        );
        check("anonymous: {enabled: true, conditions: [{path: livez}]}", Err("anonymous.conditions[0].path"));
        check("anonymous: {conditions: []}", Err("missing field `enabled`"));
        check("anonymus: {enabled: true}", Err("unknown field `anonymus`"));
        check("jwt: [{issuer: {url: 'https://issuer.example.org'}}]", Err("jwt: Forbidden"));
        let other =
            read("apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n").unwrap_err();
        assert!(other.to_string().starts_with("no kind \"AuthorizationConfiguration\""), "{other}");
        let version = read("apiVersion: apiserver.config.k8s.io/v9\nkind: AuthenticationConfiguration\n");
        assert!(version.is_err());
        let beta = read("apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\n");
        assert_eq!(beta.unwrap(), None);
    }

    #[test]
    fn the_flag_and_the_file_exclude_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authentication.yaml");
        let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n";
        std::fs::write(&path, head).unwrap();
        assert_eq!(anonymous(Some(&path), Some(false)).unwrap(), Anonymous::Disabled);
        assert_eq!(anonymous(None, None).unwrap(), Anonymous::default());
        std::fs::write(&path, format!("{head}anonymous: {{enabled: true}}\n")).unwrap();
        let refused = anonymous(Some(&path), Some(true)).unwrap_err();
        assert!(refused.to_string().starts_with("--anonymous-auth flag cannot be set"), "{refused}");
    }
}

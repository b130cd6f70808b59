//! Secrets.

mod key_pair;

use std::borrow::Cow;

use apimachinery::ObjectExt;
use apimachinery::go::misfit;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use pod_strategy::env::config_key_errors;
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;
use strategy::{Strategy, field_text};

/// The rules of Secrets.
pub struct Secret;

/// Bytes that the values of a Secret or ConfigMap may take together.
pub const SIZE_LIMIT: usize = 1024 * 1024;

const DATA: Path<'static> = Path::root("data");
/// What upstream says of a change to data that was declared immutable.
pub(crate) const SEALED: &str = "field is immutable when `immutable` is set";

impl Strategy for Secret {
    fn default(&self, object: &mut Value) {
        write::zero(object, "type", "Opaque");
        if let Some(plain) = write::fields(object).remove("stringData")
            && let Value::Object(plain) = plain
            && !plain.is_empty()
        {
            let data = write::ensure(object, "data");
            for (key, value) in plain {
                write::set(data, &key, BASE64_STANDARD.encode(value.as_str().unwrap_or_default()));
            }
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let mut size = 0;
        for (key, value) in object.entries("data") {
            errors.invalid_each(&DATA.key(key), &Value::from(key.as_str()), config_key_errors(key));
            size += decoded_len(value.as_str().unwrap_or_default());
        }
        if size > SIZE_LIMIT {
            errors.too_long(&DATA, SIZE_LIMIT);
        }
        validate_type(object, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        errors.immutable(&Path::root("type"), &new["type"], &old["type"]);
        validate_sealed(new, old, &["data"], errors);
        self.validate(new, errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        warnings(object)
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        warnings(new)
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["type"]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        (name == "type").then(|| field_text(object, name))
    }
}

/// What keeps a server from using the certificate and the key.
fn warnings(secret: &Value) -> Vec<String> {
    if secret.text("type") != "kubernetes.io/tls" {
        return Vec::new();
    }
    let text = |key: &str| {
        let bytes = BASE64_STANDARD.decode(secret["data"].text(key)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    key_pair::error(&text("tls.crt"), &text("tls.key")).into_iter().collect()
}

/// Adds the errors of changes to an object that was declared immutable.
pub(crate) fn validate_sealed(new: &Value, old: &Value, fields: &[&str], errors: &mut Errors) {
    if old.flag("immutable") != Some(true) {
        return;
    }
    if new.flag("immutable") != Some(true) {
        errors.forbidden(&Path::root("immutable"), SEALED);
    }
    for field in fields {
        if !same_entries(&new[*field], &old[*field]) {
            errors.forbidden(&Path::root(field), SEALED);
        }
    }
}

/// Whether two maps have the same entries, the empty ones among them.
fn same_entries(new: &Value, old: &Value) -> bool {
    let has_none = |map: &Value| map.as_object().is_none_or(Map::is_empty);
    new == old || (has_none(new) && has_none(old))
}

/// Bytes that a base64 text stands for.
pub(crate) fn decoded_len(text: &str) -> usize {
    text.len() / 4 * 3
        - text.bytes().rev().take(2).filter(|byte| *byte == b'=').count().min(text.len() / 4 * 3)
}

fn validate_type(object: &Value, errors: &mut Errors) {
    let data = &object["data"];
    let has = |key: &str| data.get(key).is_some();
    let mut require = |keys: &[&str]| {
        for key in keys {
            if !has(key) {
                errors.required(&DATA.key(key), "");
            }
        }
    };
    match object.text("type") {
        "kubernetes.io/service-account-token" => {
            const ACCOUNT: &str = "kubernetes.io/service-account.name";
            if object.annotation(ACCOUNT).unwrap_or_default().is_empty() {
                let path = Path::root("metadata.annotations");
                errors.required(&path.key(ACCOUNT), "");
            }
        }
        "kubernetes.io/tls" => require(&["tls.crt", "tls.key"]),
        "kubernetes.io/ssh-auth" if data.text("ssh-privatekey").is_empty() => {
            errors.required(&DATA.key("ssh-privatekey"), "");
        }
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            require(&["username", "password"]);
        }
        "kubernetes.io/dockercfg" => validate_json(data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => validate_json(data, ".dockerconfigjson", errors),
        _ => {}
    }
}

fn validate_json(data: &Value, key: &str, errors: &mut Errors) {
    let Some(text) = data.get(key).and_then(Value::as_str) else {
        errors.required(&DATA.key(key), "");
        return;
    };
    let bytes = BASE64_STANDARD.decode(text).unwrap_or_default();
    if let Some(why) = map_error(&bytes) {
        errors.invalid(&DATA.key(key), "<secret contents redacted>", why);
    }
}

/// Why a text cannot be read into a map of Go, in Go's words; null leaves a map as it is.
fn map_error(text: &[u8]) -> Option<String> {
    match schema::parse(text).map(|parsed| parsed.value) {
        Ok(Value::Object(_) | Value::Null) => None,
        Ok(other) => Some(misfit(&other, "map[string]interface {}")),
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, defaulted, updated};

    #[test]
    fn plain_text_becomes_data() {
        let object =
            defaulted(&Secret, json!({"stringData": {"a": "b"}, "data": {"a": "eA==", "c": "eA=="}}));
        assert_eq!(object, json!({"type": "Opaque", "data": {"a": "Yg==", "c": "eA=="}}));
        assert_eq!((decoded_len("Yg=="), decoded_len("YWJj"), decoded_len("")), (1, 3, 0));
    }

    #[test]
    fn each_type_has_its_keys() {
        for (object, expected) in [
            (json!({"data": {"a": ""}}), ""),
            (
                json!({"data": {"": ""}}),
                "data[]: Invalid value: \"\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            ),
            (
                json!({"type": "kubernetes.io/tls"}),
                "data[tls.crt]: Required value\ndata[tls.key]: Required value",
            ),
            (
                json!({"type": "kubernetes.io/service-account-token"}),
                "metadata.annotations[kubernetes.io/service-account.name]: Required value",
            ),
            (json!({"type": "kubernetes.io/dockerconfigjson"}), "data[.dockerconfigjson]: Required value"),
            (json!({"type": "kubernetes.io/dockercfg", "data": {".dockercfg": "bnVsbA=="}}), ""),
            (
                json!({"type": "kubernetes.io/dockercfg", "data": {".dockercfg": ""}}),
                "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": unexpected end of JSON input",
            ),
            (
                json!({"type": "kubernetes.io/dockercfg", "data": {".dockercfg": "eA=="}}),
                "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": invalid character 'x' looking for beginning of value",
            ),
            (
                json!({"type": "kubernetes.io/dockercfg", "data": {".dockercfg": "W10="}}),
                "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": json: cannot unmarshal array into Go value of type map[string]interface {}",
            ),
            (json!({"type": "kubernetes.io/basic-auth", "data": {"username": ""}}), ""),
            (
                json!({"type": "kubernetes.io/basic-auth"}),
                "data[username]: Required value\ndata[password]: Required value",
            ),
            (
                json!({"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": ""}}),
                "data[ssh-privatekey]: Required value",
            ),
        ] {
            assert_eq!(created(&Secret, object), expected);
        }
    }

    #[test]
    fn sealed_data_stays() {
        let old = json!({"immutable": true, "data": {"a": "eA=="}});
        assert_eq!(
            updated(&Secret, json!({"data": {"a": "eQ=="}}), old),
            "immutable: Forbidden: field is immutable when `immutable` is set\ndata: Forbidden: field is immutable when `immutable` is set"
        );
        let (bare, empty) = (json!({"immutable": true}), json!({"immutable": true, "data": {"a": ""}}));
        for (new, old) in [(&bare, &empty), (&empty, &bare)] {
            assert_eq!(
                updated(&Secret, new.clone(), old.clone()),
                "data: Forbidden: field is immutable when `immutable` is set",
                "a key without a value is a key"
            );
        }
        assert_eq!(
            updated(&Secret, json!({"type": "b"}), json!({"type": "a"})),
            "type: Invalid value: \"b\": field is immutable"
        );
    }
}

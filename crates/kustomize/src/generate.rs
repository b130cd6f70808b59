//! Config maps and secrets from files and literals, and the hash that ends their names.

use base64::Engine;
use formats::json;
use serde_json::{Value, json};

use apimachinery::object::ObjectExt;

use crate::error::{Error, Result};
use crate::files::Files;

/// Makes the config map or secret of a generator.
pub(crate) fn generate(files: &Files<'_>, config: &Value, generator: &Value, kind: &str) -> Result<Value> {
    let name = generator["name"].as_str().unwrap_or("");
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
    let mut add = |key: &str, value: &[u8]| {
        let encoded = || base64::engine::general_purpose::STANDARD.encode(value);
        match (kind, std::str::from_utf8(value)) {
            ("ConfigMap", Ok(text)) => object["data"][key] = text.into(),
            ("ConfigMap", Err(_)) => object["binaryData"][key] = encoded().into(),
            _ => object["data"][key] = encoded().into(),
        }
    };
    for literal in generator.list_at(&["literals"]).iter().filter_map(Value::as_str) {
        let (key, value) =
            literal.split_once('=').ok_or_else(|| Error::invalid(format!("invalid literal {literal}")))?;
        add(key, value.trim_matches(['"', '\'']).as_bytes());
    }
    for file in generator.list_at(&["files"]).iter().filter_map(Value::as_str) {
        let (key, path) = file.split_once('=').unwrap_or((file.rsplit('/').next().unwrap_or(file), file));
        let bytes = files.read(path)?;
        add(key, &bytes);
    }
    for file in generator.list_at(&["envs"]).iter().filter_map(Value::as_str) {
        for line in files
            .read_text(file)?
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            add(key, value.as_bytes());
        }
    }
    if kind == "Secret" {
        object["type"] = generator["type"].as_str().unwrap_or("Opaque").into();
    }
    if !generator["namespace"].is_null() {
        object["metadata"]["namespace"] = generator["namespace"].clone();
    }
    let options = [&config["generatorOptions"], &generator["options"]];
    for option in options {
        for field in ["labels", "annotations"] {
            for (key, value) in option[field].as_object().into_iter().flatten() {
                object["metadata"][field][key] = value.clone();
            }
        }
    }
    if !options.iter().any(|options| options["disableNameSuffixHash"] == true) {
        // As kustomize: the content alone, whatever the name.
        let mut content = json!({"kind": kind, "name": "", "data": object["data"]});
        if content["data"].is_null() {
            content["data"] = "".into();
        }
        if kind == "Secret" {
            content["type"] = object["type"].clone();
        } else if !object["binaryData"].is_null() {
            content["binaryData"] = object["binaryData"].clone();
        }
        object["metadata"]["name"] = format!("{name}-{}", hash(&content)).into();
    }
    Ok(object)
}

/// Ten letters and digits that stand for a content.
pub fn hash(content: &Value) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(json::compact(content).as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.chars()
        .take(10)
        .map(|c| match c {
            '0' => 'g',
            '1' => 'h',
            '3' => 'k',
            'a' => 'm',
            'e' => 't',
            other => other,
        })
        .collect()
}

//! `kubectl create configmap`, and reading keys from files, literals and env files.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{MANAGER, generated};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result, go_io_error};

/// Creates a config map.
pub static COMMAND: Command = Command {
    name: "configmap",
    aliases: &["cm"],
    short: "Create a config map from a local file, directory or literal value",
    examples: "
# Each file of a directory becomes a key
kubectl create configmap settings --from-file=conf/

# A file under a chosen key
kubectl create configmap settings --from-file=app.conf=conf/production.conf

# Keys and values
kubectl create configmap settings --from-literal=colour=blue --from-literal=size=3",
    usage: "configmap NAME [--from-file=[key=]source] [--from-literal=key1=value1] [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, SOURCES, HASH],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

/// Where keys come from.
pub const SOURCES: &[Flag] = &[
    Flag::list("from-env-file", "File with lines of key=value."),
    Flag::list("from-file", "File or directory, or key=file: the content becomes the value."),
    Flag::array("from-literal", "A key and its value (key=value)."),
];

/// A hash at the end of the name.
pub const HASH: &[Flag] = &[Flag::switch("append-hash", "Add a hash of the content to the name.")];

async fn run(invocation: Invocation) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    for (key, value) in pairs(&invocation)? {
        match String::from_utf8(value) {
            Ok(text) => object["data"][&key] = text.into(),
            Err(bytes) => object["binaryData"][&key] = STANDARD.encode(bytes.as_bytes()).into(),
        }
    }
    if invocation.is("append-hash") {
        let hash = configmap_hash(&object);
        object["metadata"]["name"] = format!("{name}-{hash}").into();
    }
    generated(&invocation, object, "configmaps", true, "configmap:").await
}

/// The keys and values that the flags name; a key may come only once.
pub fn pairs(invocation: &Invocation) -> Result<Vec<(String, Vec<u8>)>> {
    let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
    let env_files = invocation.list("from-env-file");
    if !env_files.is_empty() && (invocation.changed("from-file") || invocation.changed("from-literal")) {
        return Err(Error::message("from-env-file cannot be combined with from-file or from-literal"));
    }
    let mut add = |key: String, value: Vec<u8>| -> Result<()> {
        if let Some(problem) = invalid_key(&key) {
            return Err(Error::message(format!(
                "\"{key}\" is not a valid key name for a ConfigMap: {problem}"
            )));
        }
        if pairs.iter().any(|(known, _)| *known == key) {
            return Err(Error::message(format!(
                "cannot add key \"{key}\", another key by that name already exists in Data for ConfigMap"
            )));
        }
        pairs.push((key, value));
        Ok(())
    };
    for source in invocation.list("from-file") {
        let (key, path) = match source.split_once('=') {
            Some((key, path)) if !key.is_empty() && !path.is_empty() => (Some(key), path),
            Some(("", _)) => {
                return Err(Error::message(format!("key name for file path {} missing", &source[1..])));
            }
            Some((key, _)) => return Err(Error::message(format!("file path for key name {key} missing"))),
            None => (None, source.as_str()),
        };
        let path = Path::new(path);
        let metadata = std::fs::metadata(path).map_err(|error| {
            Error::message(format!("error reading {}: {}", path.display(), go_io_error(&error)))
        })?;
        if metadata.is_dir() {
            if let Some(key) = key {
                return Err(Error::message(format!("cannot give a key name ({key}) for a directory path")));
            }
            let mut files: Vec<_> = std::fs::read_dir(path)?.flatten().map(|entry| entry.path()).collect();
            files.sort();
            for file in files.iter().filter(|file| file.is_file()) {
                let name = file_name(file);
                if invalid_key(&name).is_none() {
                    add(name, std::fs::read(file)?)?;
                }
            }
        } else {
            let key = key.map_or_else(|| file_name(path), str::to_string);
            add(key, std::fs::read(path)?)?;
        }
    }
    for literal in invocation.list("from-literal") {
        let (key, value) = literal
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Error::message(format!("invalid literal source {literal}, expected key=value")))?;
        // Quotes around a value are the shell's, as upstream reads them.
        let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        add(key.to_string(), unquoted.unwrap_or(value).as_bytes().to_vec())?;
    }
    for file in env_files {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Error::message(format!("error reading {file}: {}", go_io_error(&error))))?;
        for line in
            text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            match line.split_once('=') {
                Some((key, value)) => add(key.to_string(), value.as_bytes().to_vec())?,
                // A name alone takes its value from the environment.
                None => add(line.to_string(), std::env::var(line).unwrap_or_default().into_bytes())?,
            }
        }
    }
    Ok(pairs)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn invalid_key(key: &str) -> Option<&'static str> {
    let valid = !key.is_empty()
        && key.len() <= 253
        && key != "."
        && !key.starts_with("..")
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    (!valid).then_some(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    )
}

fn configmap_hash(object: &Value) -> String {
    let mut content =
        json!({"data": object["data"], "kind": "ConfigMap", "name": object["metadata"]["name"]});
    if content["data"].is_null() {
        content["data"] = "".into();
    }
    if !object["binaryData"].is_null() {
        content["binaryData"] = object["binaryData"].clone();
    }
    kustomize::hash(&content)
}

//! Kubeconfig files: where they are, how several become one, and how they are written back.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::Invocation;
use crate::error::{Error, Result, go_io_error};

/// The lists of a kubeconfig: list, field of an entry, in the words of an error.
pub const SECTIONS: [(&str, &str); 3] = [("clusters", "cluster"), ("users", "user"), ("contexts", "context")];

/// Fields of clusters and users that hold paths, relative to the file they are in.
const PATHS: [&str; 4] = ["certificate-authority", "client-certificate", "client-key", "tokenFile"];

/// The files that are read, in order of precedence.
pub fn files(invocation: &Invocation) -> Vec<PathBuf> {
    let explicit = invocation.text("kubeconfig");
    if !explicit.is_empty() {
        return vec![explicit.into()];
    }
    match std::env::var("KUBECONFIG") {
        Ok(list) if !list.is_empty() => {
            list.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect()
        }
        _ => vec![home().join(".kube/config")],
    }
}

/// The user's home directory.
pub fn home() -> PathBuf {
    std::env::var_os("HOME").map(PathBuf::from).unwrap_or_else(|| "/".into())
}

/// Reads one file as it is; a file that is not there is empty.
pub fn read(path: &Path) -> Result<Value> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(Error::message(format!(
                "error loading config file \"{}\": open {}: {}",
                path.display(),
                path.display(),
                go_io_error(&error)
            )));
        }
    };
    let value = if text.trim().is_empty() {
        Value::Null
    } else {
        formats::yaml::one(&text).map_err(|error| {
            Error::message(format!("error loading config file \"{}\": {error}", path.display()))
        })?
    };
    let mut config = json!({"apiVersion": "v1", "kind": "Config", "clusters": [], "contexts": [],
        "current-context": "", "preferences": {}, "users": []});
    if let Value::Object(fields) = value {
        for (name, field) in fields {
            if !field.is_null() {
                config[name] = field;
            }
        }
    }
    Ok(config)
}

/// All files as one: the first that names a thing wins. Paths become absolute.
pub fn merged(invocation: &Invocation) -> Result<Value> {
    let explicit = !invocation.text("kubeconfig").is_empty();
    let mut merged: Option<Value> = None;
    for path in files(invocation) {
        if explicit && !path.exists() {
            return Err(Error::message(format!("stat {}: no such file or directory", path.display())));
        }
        let mut config = read(&path)?;
        absolute(&mut config, &path);
        merged = Some(match merged {
            None => config,
            Some(first) => merge(first, config),
        });
    }
    match merged {
        Some(config) => Ok(config),
        None => read(Path::new("")),
    }
}

/// Writes a file that only its owner can read.
pub fn write(path: &Path, config: &Value) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    let text = formats::yaml::text(config);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(())
}

/// The entry of a list with this name.
pub fn entry<'a>(config: &'a Value, list: &str, field: &str, name: &str) -> Option<&'a Value> {
    config[list].as_array()?.iter().find(|entry| entry["name"] == name).map(|entry| &entry[field])
}

/// The entry of a list with this name, made if it is not there.
pub fn entry_mut<'a>(config: &'a mut Value, list: &str, field: &str, name: &str) -> Result<&'a mut Value> {
    if !config[list].is_array() {
        config[list] = json!([]);
    }
    let entries = config[list].as_array_mut().ok_or_else(|| Error::message("the kubeconfig has no lists"))?;
    let at = match entries.iter().position(|entry| entry["name"] == name) {
        Some(at) => at,
        None => {
            entries.push(json!({"name": name, field: {}}));
            entries.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
            entries.iter().position(|entry| entry["name"] == name).unwrap_or(0)
        }
    };
    if !entries[at][field].is_object() {
        entries[at][field] = json!({});
    }
    Ok(&mut entries[at][field])
}

fn merge(mut first: Value, second: Value) -> Value {
    for (list, _) in SECTIONS {
        let more = second[list].as_array().cloned().unwrap_or_default();
        if let Some(entries) = first[list].as_array_mut() {
            for entry in more {
                if !entries.iter().any(|known| known["name"] == entry["name"]) {
                    entries.push(entry);
                }
            }
        }
    }
    if first["current-context"].as_str().unwrap_or("").is_empty() {
        first["current-context"] = second["current-context"].clone();
    }
    first
}

fn absolute(config: &mut Value, file: &Path) {
    let base = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let base = if base.is_absolute() { base } else { std::env::current_dir().unwrap_or_default().join(base) };
    for (list, field) in SECTIONS {
        for entry in config[list].as_array_mut().into_iter().flatten() {
            for name in PATHS {
                if let Some(path) = entry[field].get_mut(name)
                    && let Some(relative) =
                        path.as_str().filter(|path| !path.is_empty() && !path.starts_with('/'))
                {
                    *path = Value::String(base.join(relative).to_string_lossy().into_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_that_names_a_thing_wins() {
        let first = json!({"clusters": [{"name": "a", "cluster": {"server": "1"}}], "users": [], "contexts": [], "current-context": ""});
        let second = json!({"clusters": [{"name": "a", "cluster": {"server": "2"}}, {"name": "b", "cluster": {}}],
            "users": [], "contexts": [], "current-context": "x"});
        let merged = merge(first, second);
        assert_eq!(merged["clusters"][0]["cluster"]["server"], "1");
        assert_eq!(merged["clusters"][1]["name"], "b");
        assert_eq!(merged["current-context"], "x");
    }

    #[test]
    fn relative_paths_belong_to_their_file() {
        let mut config = json!({"clusters": [{"name": "a", "cluster": {"certificate-authority": "ca.crt"}}]});
        absolute(&mut config, Path::new("/etc/k/config"));
        assert_eq!(config["clusters"][0]["cluster"]["certificate-authority"], "/etc/k/ca.crt");
    }
}

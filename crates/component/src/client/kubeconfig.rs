//! A component's kubeconfig, read from its file.

use std::path::Path;

use anyhow::Context as _;
use kube::config::Kubeconfig;
use serde_json::Value;

/// Where files are named: the list, the entry in it, and its fields.
const FILES: [(&str, &str, &[&str]); 2] = [
    ("clusters", "cluster", &["certificate-authority"]),
    ("users", "user", &["client-certificate", "client-key", "tokenFile"]),
];

/// Reads a kubeconfig. Files that it names are found from where it lies.
///
/// It is read by way of a tree: a YAML reader of each of its types would be code that runs once in a process's life.
pub fn read(path: &Path) -> anyhow::Result<Kubeconfig> {
    let text = std::fs::read_to_string(path)?;
    let mut tree: Value = serde_saphyr::from_str(&text)?;
    if let Some(directory) = path.parent() {
        settle(&mut tree, directory);
    }
    serde_json::from_value(tree).context("this is not a kubeconfig")
}

fn settle(tree: &mut Value, directory: &Path) {
    for (list, entry, fields) in FILES {
        for named in tree.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            for field in fields {
                let Some(value) = named.get_mut(entry).and_then(|entry| entry.get_mut(*field)) else {
                    continue;
                };
                if let Some(file) = value.as_str().filter(|file| !file.is_empty()) {
                    *value = directory.join(file).to_string_lossy().into();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_from_where_the_kubeconfig_lies() {
        let mut tree = serde_json::json!({
            "clusters": [{"name": "a", "cluster": {"certificate-authority": "pki/ca.crt"}}, {"name": "b"}],
            "users": [{"name": "u", "user": {"client-certificate": "/abs/u.crt", "tokenFile": "token", "token": "t"}}],
        });
        settle(&mut tree, Path::new("/etc/kubernetes"));
        assert_eq!(tree["clusters"][0]["cluster"]["certificate-authority"], "/etc/kubernetes/pki/ca.crt");
        assert_eq!(tree["users"][0]["user"]["client-certificate"], "/abs/u.crt");
        assert_eq!(tree["users"][0]["user"]["tokenFile"], "/etc/kubernetes/token");
        assert_eq!(tree["users"][0]["user"]["token"], "t");
    }
}

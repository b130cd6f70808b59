//! ServiceAccounts.

use serde_json::Value;

use strategy::Strategy;
use strategy::read::Read;

/// The rules of ServiceAccounts.
pub struct ServiceAccount;

const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";

impl Strategy for ServiceAccount {
    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let enforces = !object["metadata"]["annotations"].text(ENFORCE).is_empty();
        enforces
            .then(|| {
                format!(
                    "metadata.annotations[{ENFORCE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
                )
            })
            .into_iter()
            .collect()
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        let said = |object: &Value| object["metadata"]["annotations"].get(ENFORCE).is_some();
        if said(old) { Vec::new() } else { self.create_warnings(new) }
    }
}

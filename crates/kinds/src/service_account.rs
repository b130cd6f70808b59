//! ServiceAccounts.

use serde_json::{Value, json};

use strategy::Strategy;
use strategy::read::Read;
use strategy::write;

/// The rules of ServiceAccounts.
pub struct ServiceAccount;

const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";

impl Strategy for ServiceAccount {
    fn prepare_for_create(&self, object: &mut Value) {
        keep_names(object);
    }

    fn prepare_for_update(&self, new: &mut Value, _old: &Value) {
        keep_names(new);
    }

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

/// Of its secrets, an account keeps the names alone.
fn keep_names(account: &mut Value) {
    for secret in write::items(account, "secrets") {
        *secret = match secret.text("name") {
            "" => json!({}),
            name => json!({"name": name}),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_kept_by_name() {
        let sent = json!({"secrets": [{"name": "a", "namespace": "x", "kind": "Secret"}, {"uid": "1"}],
            "imagePullSecrets": [{"name": "b"}]});
        let kept = json!({"secrets": [{"name": "a"}, {}], "imagePullSecrets": [{"name": "b"}]});
        let (mut new, mut changed) = (sent.clone(), sent);
        ServiceAccount.prepare_for_create(&mut new);
        ServiceAccount.prepare_for_update(&mut changed, &json!({}));
        assert_eq!((&new, &changed), (&kept, &kept));
    }
}

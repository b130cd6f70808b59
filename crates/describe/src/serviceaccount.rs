//! `kubectl describe serviceaccount`.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{annotations, labels, line, name, text};
use cli_runtime::error::Result;
use cli_runtime::resource::Session;

/// Writes a service account's description with its tokens.
pub async fn describe(out: &mut String, session: &Session, account: &Value) -> Result<()> {
    name(out, account);
    labels(out, account);
    annotations(out, account);
    let path = format!("/api/v1/namespaces/{}/secrets", account.namespace());
    let secrets = session
        .list_path(&path, "", "type=kubernetes.io/service-account-token", 500)
        .await
        .map(|list| list["items"].as_array().cloned().unwrap_or_default())
        .unwrap_or_default();
    let tokens: Vec<String> = secrets
        .iter()
        .filter(|secret| secret.annotation("kubernetes.io/service-account.uid") == Some(account.uid()))
        .map(|secret| secret.name().to_string())
        .collect();
    let names =
        |field: &str| account.list_at(&[field]).iter().map(|entry| text(&entry["name"])).collect::<Vec<_>>();
    for (title, names) in [
        ("Image pull secrets", names("imagePullSecrets")),
        ("Mountable secrets", names("secrets")),
        ("Tokens", tokens),
    ] {
        if names.is_empty() {
            line!(out, "{title}:\t<none>");
        }
        for (index, name) in names.iter().enumerate() {
            let title = if index == 0 { format!("{title}:") } else { String::new() };
            line!(out, "{title}\t{name}");
        }
    }
    Ok(())
}

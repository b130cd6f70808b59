//! `kubectl describe namespace`.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{annotations, conditions, labels, line, quota, text};
use cli_runtime::error::Result;
use cli_runtime::resource::Session;

/// Writes a namespace's description with its quotas and limits.
pub async fn describe(out: &mut String, session: &Session, namespace: &Value) -> Result<()> {
    line!(out, "Name:\t{}", namespace.name());
    labels(out, namespace);
    annotations(out, namespace);
    line!(out, "Status:\t{}", text(&namespace["status"]["phase"]));
    conditions(out, namespace, &["Type", "Status", "LastTransitionTime", "Reason", "Message"]);
    let path = format!("/api/v1/namespaces/{}", namespace.name());
    let quotas = session.client.get(&format!("{path}/resourcequotas")).await.unwrap_or_default();
    if quotas.list_at(&["items"]).is_empty() {
        line!(out, "\nNo resource quota.");
    } else {
        line!(out, "\nResource Quotas");
        for entry in quotas.list_at(&["items"]) {
            line!(out, "  Name:\t{}", entry.name());
            quota::table(out, entry, "  ");
        }
    }
    let limits = session.client.get(&format!("{path}/limitranges")).await.unwrap_or_default();
    if limits.list_at(&["items"]).is_empty() {
        line!(out, "\nNo LimitRange resource.");
    } else {
        line!(out, "\nResource Limits");
        quota::limit_rows(out, limits.list_at(&["items"]), " ");
    }
    Ok(())
}

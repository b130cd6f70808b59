//! `kubectl apply --prune`: what was applied before and is in no file any more is deleted.

use std::collections::BTreeSet;

use crate::commands::delete::Deletion;
use cli_runtime::cli::{DryRun, Invocation};
use cli_runtime::error::Result;
use cli_runtime::last_applied::LAST_APPLIED;
use cli_runtime::print;
use cli_runtime::resource::{Item, Session};

/// The types that are looked through when none are named, as upstream.
const DEFAULT: &[(&str, &str)] = &[
    ("v1", "ConfigMap"),
    ("v1", "Endpoints"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("v1", "ReplicationController"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("networking.k8s.io/v1", "Ingress"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
];

/// Deletes applied objects that are not among those of this run.
pub async fn prune(
    session: &Session,
    invocation: &Invocation,
    applied: &[Item],
    dry_run: DryRun,
) -> Result<()> {
    let kept: BTreeSet<&str> =
        applied.iter().filter_map(|item| item.object["metadata"]["uid"].as_str()).collect();
    let namespaces: BTreeSet<&str> = applied.iter().filter_map(|item| item.namespace.as_deref()).collect();
    let named: Vec<(String, String)> = invocation
        .list("prune-allowlist")
        .iter()
        .filter_map(|entry| entry.rsplit_once('/'))
        .map(|(version, kind)| (version.trim_start_matches("core/").to_string(), kind.to_string()))
        .collect();
    let kinds: Vec<(String, String)> = match named.is_empty() {
        true => DEFAULT.iter().map(|(version, kind)| ((*version).into(), (*kind).into())).collect(),
        false => named,
    };
    let mut deletion = Deletion::from_flags(invocation, dry_run)?;
    deletion.quiet = true;
    for (version, kind) in kinds {
        let Ok(resource) = session.mapper.of_kind(&version, &kind).await else { continue };
        let scopes: Vec<Option<&str>> = match resource.namespaced {
            true => namespaces.iter().map(|namespace| Some(*namespace)).collect(),
            false => vec![None],
        };
        for scope in scopes {
            for item in session.list(&resource, scope, invocation.text("selector"), "").await? {
                let uid = item.object["metadata"]["uid"].as_str().unwrap_or("");
                let applied = !item.object["metadata"]["annotations"][LAST_APPLIED].is_null();
                if applied && !kept.contains(uid) && item.object["metadata"]["deletionTimestamp"].is_null() {
                    deletion.delete(session, &item).await?;
                    outln!("{} pruned{}", print::name(&item.object), dry_run.suffix());
                }
            }
        }
    }
    Ok(())
}

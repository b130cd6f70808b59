//! `kubectl apply --server-side`.

use std::collections::BTreeSet;

use apimachinery::object::ObjectExt;
use managed_fields::csa;
use serde_json::{Value, json};

use cli_runtime::cli::{DryRun, Invocation};
use cli_runtime::client::{APPLY, JSON_PATCH, with_query};
use cli_runtime::error::{Error, Result};
use cli_runtime::last_applied::LAST_APPLIED;
use cli_runtime::resource::{Item, Session};

/// Who applies on the server, unless something else is said.
pub const MANAGER: &str = "kubectl";
/// Who keeps the annotation of client-side apply, once the server applies.
const ANNOTATION_MANAGER: &str = "kubectl-last-applied";
/// How often owners are written anew that another write has changed in between.
const ATTEMPTS: usize = 5;

/// The manager that applies: what is typed, or the default of the way that is chosen.
pub fn manager(invocation: &Invocation) -> &str {
    match invocation.is("server-side") && !invocation.changed("field-manager") {
        true => MANAGER,
        false => invocation.text("field-manager"),
    }
}

/// Sends the object as it is; the server merges it and records who owns which field.
pub async fn apply(
    session: &Session,
    invocation: &Invocation,
    item: &Item,
    dry_run: DryRun,
) -> Result<Value> {
    let query = [
        ("dryRun", dry_run.parameter()),
        ("fieldManager", manager(invocation)),
        ("fieldValidation", cli_runtime::change::field_validation(invocation.text("validate"))),
        ("force", if invocation.is("force-conflicts") { "true" } else { "false" }),
    ];
    let mut object = item.object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    let subresource = invocation.text("subresource");
    if !subresource.is_empty() {
        // Through a subresource nothing is made.
        session.client.get(&item.path_of(subresource)).await?;
    }
    let path = with_query(&item.path_of(subresource), &query);
    let send = || session.client.patch(&path, APPLY, &object);
    let applied = send().await.map_err(explain)?;
    if dry_run == DryRun::Server || !subresource.is_empty() {
        return Ok(applied);
    }
    match migrate(session, invocation, item, &applied).await {
        Ok(false) => Ok(applied),
        // What was kept for want of an owner can go now.
        Ok(true) => send().await.or_else(|error| {
            errln!(
                "Warning: failed to re-apply configuration after performing Server-Side Apply migration. This is non-fatal and will be retried next time you apply. Error: {}",
                error.reported()
            );
            Ok(applied)
        }),
        Err(error) => {
            errln!(
                "Warning: server rejected managed fields migration to Server-Side Apply. This is non-fatal and will be retried next time you apply. Error: {}",
                error.reported()
            );
            Ok(applied)
        }
    }
}

fn explain(error: Error) -> Error {
    match error {
        Error::Server { status, .. } if status["reason"] == "Conflict" => Error::message(format!(
            "{}
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts",
            status["message"].as_str().unwrap_or("a conflict")
        )),
        Error::Server { status, .. } if status["code"] == 415 => Error::message(format!(
            "Server-side apply not available on the server: ({})",
            status["message"].as_str().unwrap_or("")
        )),
        other => other,
    }
}

/// Makes what kubectl wrote while it merged by itself what it applied; says whether there was any such field.
async fn migrate(session: &Session, invocation: &Invocation, item: &Item, applied: &Value) -> Result<bool> {
    let unreadable = |error: managed_fields::DecodeError| Error::message(error.to_string());
    let mut object = applied.clone();
    let owners = |object: &Value, applied| {
        csa::owners_of_annotation(&fields(object), LAST_APPLIED, applied).map_err(unreadable)
    };
    if manager(invocation) == MANAGER
        && let Some(annotation) = object.annotation(LAST_APPLIED)
        && owners(&object, true)?.is_empty()
    {
        // Without an owner of its own the annotation would go with the fields of client-side apply.
        let mut keep = json!({
            "apiVersion": object.api_version(), "kind": object.kind(),
            "metadata": { "name": object.name(), "annotations": { LAST_APPLIED: annotation } },
        });
        if !object.namespace().is_empty() {
            keep["metadata"]["namespace"] = object.namespace().into();
        }
        let path = with_query(&item.path(), &[("fieldManager", ANNOTATION_MANAGER)]);
        object = session.client.patch(&path, APPLY, &keep).await?;
    }
    let updaters: BTreeSet<String> = owners(&object, false)?;
    for attempt in 1.. {
        let upgraded = csa::upgraded(&fields(&object), &updaters, manager(invocation)).map_err(unreadable)?;
        let Some(upgraded) = upgraded else { return Ok(false) };
        let upgraded: Value =
            serde_json::from_str(&upgraded).map_err(|error| Error::message(error.to_string()))?;
        let patch = json!([
            { "op": "replace", "path": "/metadata/managedFields", "value": upgraded },
            { "op": "replace", "path": "/metadata/resourceVersion", "value": object.resource_version() },
        ]);
        match session.client.patch(&item.path(), JSON_PATCH, &patch).await {
            Ok(_) => return Ok(true),
            Err(error) if error.is_conflict() && attempt < ATTEMPTS => {
                object = session.client.get(&item.path()).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn fields(object: &Value) -> String {
    match &object["metadata"]["managedFields"] {
        Value::Null => "[]".to_owned(),
        fields => fields.to_string(),
    }
}

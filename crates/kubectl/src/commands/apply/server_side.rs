//! `kubectl apply --server-side`.

use serde_json::Value;

use cli_runtime::cli::{DryRun, Invocation};
use cli_runtime::client::{APPLY, with_query};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session};

/// Sends the object as it is; the server merges it and records who owns which field.
pub async fn apply(
    session: &Session,
    invocation: &Invocation,
    item: &Item,
    dry_run: DryRun,
) -> Result<Value> {
    let manager = match invocation.changed("field-manager") {
        true => invocation.text("field-manager"),
        false => "kubectl",
    };
    let query = [
        ("dryRun", dry_run.parameter()),
        ("fieldManager", manager),
        ("fieldValidation", cli_runtime::change::field_validation(invocation.text("validate"))),
        ("force", if invocation.is("force-conflicts") { "true" } else { "false" }),
    ];
    let mut object = item.object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    let sent = session.client.patch(&with_query(&item.path(), &query), APPLY, &object).await;
    sent.map_err(|error| match error {
        Error::Server { status, .. } if status["reason"] == "Conflict" => Error::message(format!(
            "Apply failed with {}\nPlease review the fields above--they currently have other managers. Here are the ways you can resolve this warning:\n* If you intend to manage all of these fields, please re-run the apply command with the `--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your manifest to remove references to the fields that should keep their current managers.\n* You may co-own fields by updating your manifest to match the existing value; in this case, you'll become the manager if the other manager(s) stop managing the field (remove it from their configuration).\nSee https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts",
            status["message"].as_str().unwrap_or("a conflict").trim_start_matches("Apply failed with ")
        )),
        Error::Server { status, .. } if status["code"] == 415 => Error::message(format!(
            "Server-side apply not available on the server: ({})",
            status["message"].as_str().unwrap_or("")
        )),
        other => other.during("applying", &item.source),
    })
}

//! Changing objects on the server: what label, annotate, set, scale and the like share.

use apimachinery::object::ObjectExt;
use patch::Merging;
use serde_json::Value;

use crate::cli::{DryRun, Invocation};
use crate::client::{JSON_PATCH, MERGE, STRATEGIC, with_query};
use crate::error::{Error, Result};
use crate::last_applied::{self, LAST_APPLIED};
use crate::print;
use crate::resource::{Item, Pick, Session, args, files};

/// The objects to change: read from the server, or from the files alone with `--local`.
pub async fn targets(session: &Session, invocation: &Invocation, args: &[String]) -> Result<Vec<Item>> {
    if invocation.is("local") {
        if !args.is_empty() {
            return Err(Error::message("one or more files must be specified as -f when --local is set"));
        }
        let mut items = Vec::new();
        for document in files::read(invocation).await? {
            let name = document.object["metadata"]["name"].as_str().unwrap_or("").to_string();
            let api_version = document.object["apiVersion"].as_str().unwrap_or("");
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let resource = crate::discovery::Resource {
                group: group.into(),
                version: version.into(),
                kind: document.object["kind"].as_str().unwrap_or("").into(),
                ..Default::default()
            };
            items.push(Item {
                resource: resource.into(),
                namespace: None,
                name,
                object: document.object,
                source: document.source,
            });
        }
        return Ok(items);
    }
    let picks = args::named_picks(session, invocation, args).await?;
    let listed = picks.iter().any(|pick| matches!(pick, Pick::List(_)));
    let (items, errors) = session.objects(invocation, picks).await;
    Error::all(errors)?;
    if items.is_empty() && listed {
        errln!("No resources found");
    }
    Ok(items)
}

/// Whether nothing is to be sent: a client dry run or `--local`.
pub fn stays_here(invocation: &Invocation) -> Result<bool> {
    Ok(invocation.is("local") || invocation.dry_run()? == DryRun::Client)
}

/// Sends a patch and returns the object as it is then; a dry run on the client changes a copy.
pub async fn patched(
    session: &Session,
    invocation: &Invocation,
    item: &Item,
    kind: &str,
    patch: &Value,
) -> Result<Value> {
    if stays_here(invocation)? {
        return locally(&item.object, kind, patch);
    }
    let dry_run = invocation.dry_run()?.parameter();
    let query = [("dryRun", dry_run), ("fieldManager", invocation.text("field-manager"))];
    session.client.patch(&with_query(&item.path(), &query), kind, patch).await
}

/// Applies a patch to a copy of an object.
pub fn locally(object: &Value, kind: &str, patch: &Value) -> Result<Value> {
    match (kind, Merging::of(object)) {
        (JSON_PATCH, _) => {
            let mut object = object.clone();
            patch::json_patch(&mut object, patch)?;
            Ok(object)
        }
        (STRATEGIC, merging @ Merging::Strategic(_)) => Ok(merging.patched(object, patch)?),
        (STRATEGIC, Merging::Json) => Err(Error::message(format!(
            "strategic merge patch is not supported for {}, Kind={} locally, try --type merge",
            object.api_version(),
            object.kind()
        ))),
        _ => Ok(Merging::Json.patched(object, patch)?),
    }
}

/// The media type of the patches that a way of merging makes.
pub fn media_type(merging: Merging) -> &'static str {
    match merging {
        Merging::Strategic(_) => STRATEGIC,
        Merging::Json => MERGE,
    }
}

/// Prints `pod/x labeled`, or the object in the format of `-o`.
pub fn report(invocation: &Invocation, object: &Value, done: &str) -> Result<()> {
    let suffix = if invocation.is("local") { "" } else { invocation.dry_run()?.suffix() };
    print::result(invocation, object, &format!("{done}{suffix}"))
}

/// Splits arguments into resource arguments and changes, which the test recognises.
pub fn split(args: &[String], is_change: impl Fn(&str) -> bool) -> (Vec<String>, Vec<String>) {
    let at = args.iter().position(|arg| is_change(arg)).unwrap_or(args.len());
    (args[..at].to_vec(), args[at..].to_vec())
}

/// The server's word for what `--validate` asks.
pub fn field_validation(flag: &str) -> &'static str {
    match flag {
        "warn" => "Warn",
        "ignore" | "false" => "Ignore",
        "" => "",
        _ => "Strict",
    }
}

/// With `--warnings-as-errors`, a warning of the server ends the command with an error.
pub fn warnings_as_errors(invocation: &Invocation, session: &Session) -> Result<()> {
    match (invocation.is("warnings-as-errors"), session.client.warnings()) {
        (false, _) | (true, 0) => Ok(()),
        (true, 1) => Err(Error::message("1 warning received")),
        (true, count) => Err(Error::message(format!("{count} warnings received"))),
    }
}

/// Query parameters of a request that writes.
pub fn write_query(invocation: &Invocation, dry_run: DryRun) -> [(&'static str, &str); 3] {
    [
        ("dryRun", dry_run.parameter()),
        ("fieldManager", invocation.text("field-manager")),
        ("fieldValidation", field_validation(invocation.text("validate"))),
    ]
}

/// Creates an object in a collection, with its configuration recorded if `--save-config` asks for it, and returns it
/// as it is then; a dry run on the client sends nothing.
pub async fn created(
    session: &Session,
    invocation: &Invocation,
    collection: &str,
    mut object: Value,
) -> Result<Value> {
    let dry_run = invocation.dry_run()?;
    // What was applied once stays known as such.
    if invocation.is("save-config") || !object["metadata"]["annotations"][LAST_APPLIED].is_null() {
        last_applied::record(&mut object);
    }
    if dry_run == DryRun::Client {
        return Ok(object);
    }
    session.client.post(&with_query(collection, &write_query(invocation, dry_run)), &object).await
}

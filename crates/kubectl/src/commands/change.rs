//! Changing objects on the server: what label, annotate, set, scale and the like share.

use serde_json::{Value, json};

use crate::cli::{DryRun, Invocation};
use crate::client::with_query;
use crate::error::{Error, Result};
use crate::print;
use crate::resource::{Item, Pick, Session, args, files};

/// The objects to change: read from the server, or from the files alone with `--local`.
pub async fn targets(session: &Session, invocation: &Invocation, args: &[String]) -> Result<Vec<Item>> {
    if invocation.is("local") {
        if !args.is_empty() {
            return Err(Error::message("one or more files must be specified as -f when --local is set"));
        }
        let mut items = Vec::new();
        for document in files::read(invocation)? {
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
    let dry_run = if invocation.dry_run()? == DryRun::Server { "All" } else { "" };
    let query = [("dryRun", dry_run), ("fieldManager", invocation.text("field-manager"))];
    session.client.patch(&with_query(&item.path(), &query), kind, patch).await
}

/// Applies a patch to a copy of an object.
pub fn locally(object: &Value, kind: &str, patch: &Value) -> Result<Value> {
    let mut object = object.clone();
    match kind {
        crate::client::MERGE => json_patch::merge(&mut object, patch),
        crate::client::JSON_PATCH => {
            let operations: json_patch::Patch =
                serde_json::from_value(patch.clone()).map_err(|error| Error::message(error.to_string()))?;
            json_patch::patch(&mut object, &operations).map_err(|error| Error::message(error.to_string()))?;
        }
        _ => object = super::apply::strategic(&object, patch)?,
    }
    Ok(object)
}

/// Prints `pod/x labeled`, or the object in the format of `-o`.
pub fn report(invocation: &Invocation, object: &Value, done: &str) -> Result<()> {
    let suffix = if invocation.is("local") { "" } else { invocation.dry_run()?.suffix() };
    print::result(invocation, object, &format!("{done}{suffix}"))
}

/// The JSON merge patch that turns one value into another.
pub fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (from, to) else { return to.clone() };
    let mut patch = json!({});
    for (key, value) in new {
        match old.get(key) {
            Some(known) if known == value => {}
            Some(known) if known.is_object() && value.is_object() => patch[key] = merge_patch(known, value),
            _ => patch[key] = value.clone(),
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch[key] = Value::Null;
    }
    patch
}

/// Splits arguments into resource arguments and changes, which the test recognises.
pub fn split(args: &[String], is_change: impl Fn(&str) -> bool) -> (Vec<String>, Vec<String>) {
    let at = args.iter().position(|arg| is_change(arg)).unwrap_or(args.len());
    (args[..at].to_vec(), args[at..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_patch_names_only_what_differs() {
        let from = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]});
        let to = json!({"a": 1, "b": {"c": 3}, "e": [2], "f": null});
        assert_eq!(merge_patch(&from, &to), json!({"b": {"c": 3, "d": null}, "e": [2], "f": null}));
    }
}

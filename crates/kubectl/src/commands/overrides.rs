//! `--overrides`: JSON that changes a generated object before it is sent.

use serde_json::Value;

use crate::cli::Invocation;
use crate::error::{Error, Result};

/// Applies `--overrides` in the way that `--override-type` says.
pub fn apply(invocation: &Invocation, mut object: Value) -> Result<Value> {
    let text = invocation.text("overrides");
    if text.is_empty() {
        return Ok(object);
    }
    let change: Value = serde_json::from_str(text)
        .map_err(|error| Error::message(format!("invalid --overrides: {error}")))?;
    match invocation.text("override-type") {
        "merge" => json_patch::merge(&mut object, &change),
        "json" => {
            let operations: json_patch::Patch = serde_json::from_value(change)
                .map_err(|error| Error::message(format!("invalid --overrides: {error}")))?;
            json_patch::patch(&mut object, &operations).map_err(|error| Error::message(error.to_string()))?;
        }
        "strategic" => object = super::apply::strategic(&object, &change)?,
        other => {
            return Err(Error::message(format!(
                "invalid override type: {other}, valid options are: json, merge, strategic"
            )));
        }
    }
    Ok(object)
}

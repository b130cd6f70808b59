//! `--overrides`: JSON that changes a generated object before it is sent.

use serde_json::Value;

use cli_runtime::change;
use cli_runtime::cli::Invocation;
use cli_runtime::client::{JSON_PATCH, MERGE, STRATEGIC};
use cli_runtime::error::{Error, Result};

/// Applies `--overrides` in the way that `--override-type` says.
pub fn apply(invocation: &Invocation, object: Value) -> Result<Value> {
    let text = invocation.text("overrides");
    if text.is_empty() {
        return Ok(object);
    }
    let change: Value = serde_json::from_str(text)
        .map_err(|error| Error::message(format!("invalid --overrides: {error}")))?;
    let kind = match invocation.text("override-type") {
        "merge" => MERGE,
        "json" => JSON_PATCH,
        "strategic" => STRATEGIC,
        other => {
            return Err(Error::message(format!(
                "invalid override type: {other}, valid options are: json, merge, strategic"
            )));
        }
    };
    change::locally(&object, kind, &change)
}

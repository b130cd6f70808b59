//! Reading YAML as Kubernetes does: several documents, octal numbers as in `defaultMode: 0644`.

use serde_json::Value;

use crate::error::{Error, Result};

/// Reads one document.
pub fn one(text: &str) -> Result<Value> {
    Ok(documents(text)?.into_iter().next().unwrap_or(Value::Null))
}

/// Reads all documents of a text; empty ones are left out.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let trimmed = text.trim_start_matches('\u{feff}').trim_start();
    if trimmed.starts_with('{') {
        let stream = serde_json::Deserializer::from_str(trimmed).into_iter::<Value>();
        if let Ok(values) = stream.collect::<std::result::Result<Vec<Value>, _>>() {
            return Ok(values);
        }
    }
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    let values: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| Error::message(format!("error converting YAML to JSON: yaml: {error}")))?;
    Ok(values.into_iter().filter(|value| !value.is_null()).collect())
}

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
    let values: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        Error::message(format!("error converting YAML to JSON: yaml: {}", in_words(&error.to_string())))
    })?;
    Ok(values.into_iter().filter(|value| !value.is_null()).collect())
}

/// A parser's complaint with its place in front, and without what it was about to read, as Go's parser has it.
fn in_words(complaint: &str) -> String {
    let Some((what, place)) = complaint.rsplit_once(" at line ") else { return complaint.to_owned() };
    let line = place.split(',').next().unwrap_or(place);
    let what = match what.rsplit_once(", ") {
        _ if what.starts_with("tabs disallowed") => "found character that cannot start any token",
        Some((_, problem)) if what.starts_with("while ") => problem,
        _ => what,
    };
    format!("line {line}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_begin_with_the_line() {
        for (text, complaint) in [
            ("a:\n\t- b\n", "line 2: found character that cannot start any token"),
            ("a: b\n c: d\n", "line 2: mapping values are not allowed in this context"),
        ] {
            let said = documents(text).unwrap_err().to_string();
            assert_eq!(said, format!("error converting YAML to JSON: yaml: {complaint}"), "{text}");
        }
    }
}

//! Label selectors as text turned into label selector objects.

use serde_json::{Value, json};

use cli_runtime::error::{Error, Result};

/// `a=b,c in (d,e),!f` as a `LabelSelector`.
pub fn label_selector(text: &str) -> Result<Value> {
    apimachinery::labels::parse(text).map_err(|error| Error::message(error.to_string()))?;
    let mut selector = json!({});
    let mut expressions = Vec::new();
    for term in split(text) {
        let term = term.trim();
        let words: Vec<&str> = term.split_whitespace().collect();
        if let [key, operator @ ("in" | "notin"), ..] = words.as_slice() {
            let list =
                term.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(list, _)| list);
            let values: Vec<&str> = list.split(',').map(str::trim).collect();
            let operator = if *operator == "in" { "In" } else { "NotIn" };
            expressions.push(json!({"key": key, "operator": operator, "values": values}));
        } else if let Some((key, value)) = term.split_once("!=") {
            expressions.push(json!({"key": key.trim(), "operator": "NotIn", "values": [value.trim()]}));
        } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            selector["matchLabels"][key.trim()] = value.trim().into();
        } else if let Some(key) = term.strip_prefix('!') {
            expressions.push(json!({"key": key.trim(), "operator": "DoesNotExist"}));
        } else if !term.is_empty() {
            expressions.push(json!({"key": term, "operator": "Exists"}));
        }
    }
    if !expressions.is_empty() {
        selector["matchExpressions"] = expressions.into();
    }
    Ok(selector)
}

/// Splits at commas outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

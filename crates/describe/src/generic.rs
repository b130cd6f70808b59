//! Descriptions of kinds that have no describer of their own: every field, under its name in words.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{annotations, labels, line, text};

/// Writes an object's description, field by field.
pub fn describe(out: &mut String, object: &Value) {
    line!(out, "Name:\t{}", object.name());
    line!(out, "Namespace:\t{}", object.namespace());
    labels(out, object);
    annotations(out, object);
    let hidden = ["name", "namespace", "labels", "annotations", "managedFields"];
    fields(
        out,
        object,
        0,
        &|path| path.len() == 2 && path[0] == "metadata" && hidden.contains(&path[1]),
        &mut Vec::new(),
    );
}

fn fields<'a>(
    out: &mut String,
    value: &'a Value,
    depth: usize,
    skip: &dyn Fn(&[&str]) -> bool,
    path: &mut Vec<&'a str>,
) {
    let indent = "  ".repeat(depth);
    for (key, field) in value.as_object().into_iter().flatten() {
        path.push(key);
        if !skip(path) {
            let title = words(key);
            match field {
                Value::Object(inner) if !inner.is_empty() => {
                    line!(out, "{indent}{title}:");
                    fields(out, field, depth + 1, skip, path);
                }
                Value::Object(_) | Value::Null => {}
                Value::Array(items) => {
                    line!(out, "{indent}{title}:");
                    list(out, items, depth + 1, skip, path);
                }
                scalar => line!(out, "{indent}{title}:\t{}", text(scalar)),
            }
        }
        path.pop();
    }
}

fn list<'a>(
    out: &mut String,
    items: &'a [Value],
    depth: usize,
    skip: &dyn Fn(&[&str]) -> bool,
    path: &mut Vec<&'a str>,
) {
    let indent = "  ".repeat(depth);
    for item in items {
        match item {
            Value::Object(_) => fields(out, item, depth, skip, path),
            Value::Array(inner) => list(out, inner, depth + 1, skip, path),
            scalar => line!(out, "{indent}{}", text(scalar)),
        }
    }
}

/// `creationTimestamp` as `Creation Timestamp`, `apiVersion` as `API Version`.
fn words(key: &str) -> String {
    if key.contains(['.', '/', '-', ' ', ':']) {
        return key.to_string();
    }
    let chars: Vec<char> = key.chars().collect();
    let mut words: Vec<String> = vec![String::new()];
    for (at, c) in chars.iter().enumerate() {
        let next_lower = chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        let after_lower = at > 0 && chars[at - 1].is_lowercase();
        if at > 0 && c.is_uppercase() && (after_lower || next_lower) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(*c);
        }
    }
    words
        .into_iter()
        .map(|word| match word.to_lowercase().as_str() {
            acronym @ ("api" | "uri" | "url" | "uid" | "osb" | "guid") => acronym.to_uppercase(),
            _ => {
                let mut letters = word.chars();
                letters
                    .next()
                    .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
                    .unwrap_or_default()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_words() {
        for (key, expected) in [
            ("apiVersion", "API Version"),
            ("creationTimestamp", "Creation Timestamp"),
            ("podIP", "Pod IP"),
            ("uid", "UID"),
            ("a.b/c", "a.b/c"),
        ] {
            assert_eq!(words(key), expected);
        }
    }
}

//! `-o custom-columns`: a table of what JSONPath expressions find.

use apimachinery::go::printed;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::jsonpath::{Template, relaxed, show};
use crate::tabwriter;

/// Headers and where their values are.
pub struct Columns {
    columns: Vec<(String, Template)>,
}

impl Columns {
    /// Reads `NAME:.metadata.name,IMAGE:.spec.image`.
    pub fn parse(spec: &str) -> Result<Self> {
        let mut columns = Vec::new();
        for column in split(spec) {
            let (header, path) =
                column.split_once(':').filter(|(_, path)| !path.is_empty()).ok_or_else(|| {
                    Error::message(format!(
                        "unexpected custom-columns spec: {column}, expected <header>:<json-path-expr>"
                    ))
                })?;
            columns.push((header.to_string(), Template::parse(&relaxed(path)?, true)?));
        }
        Ok(Self { columns })
    }

    /// Reads a file: headers on the first line, paths on the second.
    pub fn parse_file(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let (headers, paths) = match (lines.next(), lines.next()) {
            (Some(headers), Some(paths)) => (headers.split_whitespace(), paths.split_whitespace()),
            _ => {
                return Err(Error::message(
                    "invalid template, missing spec line. Expected format is one line of space separated column headers, one line of space separated column specs.",
                ));
            }
        };
        let (headers, paths): (Vec<_>, Vec<_>) = (headers.collect(), paths.collect());
        if headers.len() != paths.len() {
            return Err(Error::message(format!(
                "number of headers ({}) and field specifications ({}) don't match",
                headers.len(),
                paths.len()
            )));
        }
        let columns = headers
            .iter()
            .zip(paths)
            .map(|(header, path)| Ok((header.to_string(), Template::parse(&relaxed(path)?, true)?)))
            .collect::<Result<_>>()?;
        Ok(Self { columns })
    }

    /// The rows of objects, with or without headers.
    pub fn render(&self, objects: &[Value], headers: bool) -> Result<String> {
        let mut text = String::new();
        let line = |text: &mut String, cells: Vec<String>| {
            text.push_str(&cells.join("\t"));
            text.push('\n');
        };
        if headers {
            line(&mut text, self.columns.iter().map(|(header, _)| header.clone()).collect());
        }
        for object in objects {
            let mut cells = Vec::new();
            for (_, template) in &self.columns {
                let found = template.values(object)?;
                let shown = found.into_iter().map(cell).collect::<Vec<_>>().join(",");
                cells.push(if shown.is_empty() { "<none>".into() } else { shown });
            }
            line(&mut text, cells);
        }
        Ok(if text.is_empty() { text } else { tabwriter::align(&text, tabwriter::TABLE) })
    }
}

/// A value as Go prints one, but for nothing at all.
fn cell(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => printed(value),
        _ => show(value),
    }
}

/// Splits at commas outside brackets.
fn split(spec: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in spec.chars() {
        match c {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

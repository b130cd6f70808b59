//! Tables: those that the server makes, and their extra columns.

use apimachinery::object::ObjectExt;
use serde_json::Value;

/// Which columns a table shows.
#[derive(Clone, Default)]
pub struct Options {
    /// Columns of lower priority too.
    pub wide: bool,
    /// No header line.
    pub no_headers: bool,
    /// A first column with the namespace.
    pub with_namespace: bool,
    /// `pod/` before names.
    pub kind: Option<String>,
    /// A last column with all labels.
    pub show_labels: bool,
    /// Columns for these labels.
    pub label_columns: Vec<String>,
    /// A first column with the type of watch event.
    pub event: Option<String>,
}

/// Rows whose columns keep their widths over several writes, as a watch needs it.
#[derive(Default)]
pub struct Rows {
    widths: Vec<usize>,
}

impl Rows {
    /// Aligns rows; columns never get narrower than before.
    pub fn align(&mut self, rows: &[Vec<String>]) -> String {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        self.widths.resize(self.widths.len().max(columns), 6);
        for row in rows {
            for (index, cell) in row.iter().enumerate().take(row.len().saturating_sub(1)) {
                self.widths[index] = self.widths[index].max(cell.chars().count() + 3);
            }
        }
        let mut text = String::new();
        for row in rows {
            for (index, cell) in row.iter().enumerate() {
                text.push_str(cell);
                if index + 1 < row.len() {
                    let pad = self.widths[index].saturating_sub(cell.chars().count());
                    text.extend(std::iter::repeat_n(' ', pad));
                }
            }
            text.push('\n');
        }
        text
    }
}

/// The rows of a server's table, headers first unless they are not wanted.
pub fn rows(table: &Value, options: &Options) -> Vec<Vec<String>> {
    let definitions = table["columnDefinitions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shown: Vec<usize> = (0..definitions.len())
        .filter(|index| options.wide || definitions[*index]["priority"].as_i64().unwrap_or(0) == 0)
        .collect();
    let mut rows = Vec::new();
    if !options.no_headers && !definitions.is_empty() {
        let mut header = Vec::new();
        if options.event.is_some() {
            header.push("EVENT".to_string());
        }
        if options.with_namespace {
            header.push("NAMESPACE".to_string());
        }
        header.extend(
            shown.iter().map(|index| definitions[*index]["name"].as_str().unwrap_or("").to_uppercase()),
        );
        header.extend(
            options
                .label_columns
                .iter()
                .map(|label| label.rsplit('/').next().unwrap_or(label).to_uppercase()),
        );
        if options.show_labels {
            header.push("LABELS".into());
        }
        rows.push(header);
    }
    for row in table["rows"].as_array().into_iter().flatten() {
        let object = &row["object"];
        let mut cells = Vec::new();
        if let Some(event) = &options.event {
            cells.push(event.clone());
        }
        if options.with_namespace {
            cells.push(object.namespace().to_string());
        }
        for index in &shown {
            let mut cell = cell(&row["cells"][*index]);
            if *index == 0
                && let Some(kind) = &options.kind
            {
                cell = format!("{kind}/{cell}");
            }
            cells.push(cell);
        }
        for label in &options.label_columns {
            cells.push(object.label(label).unwrap_or("").to_string());
        }
        if options.show_labels {
            cells.push(labels(object));
        }
        rows.push(cells);
    }
    rows
}

/// `a=b,c=d`, or `<none>`.
pub fn labels(object: &Value) -> String {
    join(&object["metadata"]["labels"])
}

/// A map of texts as `a=b,c=d`, or `<none>`.
pub fn join(map: &Value) -> String {
    let pairs: Vec<String> = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| {
            format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_string))
        })
        .collect();
    if pairs.is_empty() { "<none>".into() } else { pairs.join(",") }
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".into(),
        other => other.to_string(),
    };
    match text.find(['\n', '\r', '\u{c}']) {
        Some(end) => format!("{}...", &text[..end]),
        None => text.replace('\t', " "),
    }
}

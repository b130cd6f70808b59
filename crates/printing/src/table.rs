//! The `Table` document that a list or an object is answered as.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{Column, Printer};

/// What of the object goes along with its row (`includeObject`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata, as `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the query parameter `includeObject`; `None` for a value that is none of the three.
    pub fn from_query(value: &str) -> Option<Self> {
        Some(match value {
            "" | "Metadata" => Include::Metadata,
            "None" => Include::None,
            "Object" => Include::Object,
            _ => return None,
        })
    }
}

/// Makes a table. `metadata` is that of the list, or has only the resourceVersion of a single object.
pub fn table<'v>(
    printer: &Printer,
    items: impl IntoIterator<Item = &'v Value>,
    metadata: Value,
    include: Include,
    now: Timestamp,
) -> Value {
    let rows: Vec<Value> = items.into_iter().map(|object| row(printer, object, include, now)).collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions(printer.columns()),
        "rows": rows,
    })
}

/// Makes `columnDefinitions`.
pub fn definitions(columns: &[Column]) -> Value {
    columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.ty,
                "format": column.format,
                "description": "",
                "priority": column.priority,
            })
        })
        .collect()
}

/// Makes one row.
pub fn row(printer: &Printer, object: &Value, include: Include, now: Timestamp) -> Value {
    let mut row = row_of(printer.cells(object, now), object, include);
    if printer.kind == "Pod"
        && let Some(condition) = ended(object)
    {
        row["conditions"] = json!([condition]);
    }
    row
}

/// Makes a row of cells.
pub fn row_of(cells: Vec<Value>, object: &Value, include: Include) -> Value {
    let mut row = Map::new();
    row.insert("cells".to_owned(), cells.into());
    match include {
        Include::None => {}
        Include::Object => {
            row.insert("object".to_owned(), object.clone());
        }
        Include::Metadata => {
            let partial = json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"],
            });
            row.insert("object".to_owned(), partial);
        }
    }
    Value::Object(row)
}

/// Marks the row of a pod that has run to its end.
fn ended(pod: &Value) -> Option<Value> {
    let (reason, message) = match pod["status"]["phase"].as_str()? {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!({"type": "Completed", "status": "True", "reason": reason, "message": message}))
}

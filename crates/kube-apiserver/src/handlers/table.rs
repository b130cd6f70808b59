//! Tables: rows of cells for people, as `kubectl get` prints them.

use apimachinery::Status;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::http::Query;
use crate::http::negotiate::TableVersion;
use crate::registry::Entry;

/// What comes with each row (`includeObject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Include {
    Nothing,
    Metadata,
    Object,
}

/// The columns of a resource, and how rows are made for one client.
pub struct Columns {
    group: String,
    kind: String,
    version: TableVersion,
    include: Include,
    /// A watch sends the columns with its first event only.
    sent: bool,
}

impl Columns {
    /// Reads what the client wants in each row.
    pub fn new(entry: &Entry, version: TableVersion, query: &Query<'_>) -> Result<Self, Status> {
        let include = match query.get("includeObject") {
            None | Some("Metadata") => Include::Metadata,
            Some("None") => Include::Nothing,
            Some("Object") => Include::Object,
            Some(other) => {
                return Err(Status::bad_request(format!("unrecognized includeObject value: \"{other}\"")));
            }
        };
        Ok(Self {
            group: entry.row.group.to_string(),
            kind: entry.row.kind.to_string(),
            version,
            include,
            sent: false,
        })
    }

    fn definitions(&self) -> Value {
        columns(&self.group, &self.kind)
            .iter()
            .map(|column| {
                json!({
                    "name": column.name, "type": column.kind, "format": column.format,
                    "description": column.description, "priority": column.priority,
                })
            })
            .collect()
    }

    fn row(&self, object: &Value, now: Timestamp) -> Value {
        let cells = cells(&self.group, &self.kind, object, now);
        let version = self.version.api_version();
        let included = match self.include {
            Include::Nothing => Value::Null,
            Include::Metadata => {
                json!({ "kind": "PartialObjectMetadata", "apiVersion": version, "metadata": object["metadata"] })
            }
            Include::Object => object.clone(),
        };
        json!({ "cells": cells, "object": included })
    }

    /// A table of one object, for an event of a watch.
    pub fn one(&mut self, object: &Value) -> Value {
        let definitions = if self.sent { json!([]) } else { self.definitions() };
        self.sent = true;
        json!({
            "kind": "Table", "apiVersion": self.version.api_version(),
            "metadata": { "resourceVersion": object["metadata"]["resourceVersion"] },
            "columnDefinitions": definitions,
            "rows": [self.row(object, Timestamp::now())],
        })
    }
}

/// A table of many objects.
pub struct Rows {
    columns: Columns,
    rows: Vec<Value>,
    now: Timestamp,
}

impl Rows {
    /// An empty table.
    pub fn new(entry: &Entry, version: TableVersion, query: &Query<'_>) -> Result<Self, Status> {
        Ok(Self { columns: Columns::new(entry, version, query)?, rows: Vec::new(), now: Timestamp::now() })
    }

    /// Adds an object.
    pub fn add(&mut self, object: &Value) -> Result<(), Status> {
        self.rows.push(self.columns.row(object, self.now));
        Ok(())
    }

    /// The table, with the list's metadata.
    pub fn finish(self, metadata: Value) -> Value {
        json!({
            "kind": "Table", "apiVersion": self.columns.version.api_version(),
            "metadata": metadata,
            "columnDefinitions": self.columns.definitions(),
            "rows": self.rows,
        })
    }
}

/// A table of one object.
pub fn of_object(entry: &Entry, object: &Value, version: TableVersion, query: &Query<'_>) -> Result<Value, Status> {
    Ok(Columns::new(entry, version, query)?.one(object))
}

struct Col { name: &'static str, kind: &'static str, format: &'static str, description: &'static str, priority: i32 }
fn columns(_group: &str, _kind: &str) -> &'static [Col] {
    &[
        Col { name: "Name", kind: "string", format: "name", description: "Name must be unique within a namespace.", priority: 0 },
        Col { name: "Created At", kind: "date", format: "", description: "", priority: 0 },
    ]
}
fn cells(_group: &str, _kind: &str, object: &Value, _now: Timestamp) -> Vec<Value> {
    vec![object["metadata"]["name"].clone(), object["metadata"]["creationTimestamp"].clone()]
}

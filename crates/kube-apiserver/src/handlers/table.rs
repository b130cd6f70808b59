//! Tables: rows of cells for people, as `kubectl get` prints them.

use apimachinery::Status;
use jiff::Timestamp;
use printing::{Include, Printer};
use serde_json::{Value, json};

use crate::http::Query;
use crate::http::negotiate::TableVersion;
use crate::registry::Entry;

/// The columns of a resource, and how rows are made for one client.
pub struct Columns {
    printer: &'static Printer,
    version: TableVersion,
    include: Include,
    /// A watch sends the columns with its first event only.
    sent: bool,
}

impl Columns {
    /// Reads what the client wants in each row.
    pub fn new(entry: &Entry, version: TableVersion, query: &Query<'_>) -> Result<Self, Status> {
        let asked = query.get("includeObject").unwrap_or_default();
        let include = Include::from_query(asked)
            .ok_or_else(|| Status::bad_request(format!("unrecognized includeObject value: \"{asked}\"")))?;
        // Cells are made of the stored form, which is what printers read.
        Ok(Self {
            printer: printing::printer(&entry.row.group, &entry.row.kind),
            version,
            include,
            sent: false,
        })
    }

    fn row(&self, object: &Value, now: Timestamp) -> Value {
        printing::row(self.printer, object, self.include, now)
    }

    fn document(&self, metadata: Value, definitions: Value, rows: Vec<Value>) -> Value {
        json!({
            "kind": "Table", "apiVersion": self.version.api_version(), "metadata": metadata,
            "columnDefinitions": definitions, "rows": rows,
        })
    }

    /// A table of one object, for an event of a watch.
    pub fn one(&mut self, object: &Value) -> Value {
        let definitions = if self.sent { json!([]) } else { printing::definitions(self.printer.columns()) };
        self.sent = true;
        let metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
        self.document(metadata, definitions, vec![self.row(object, Timestamp::now())])
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
    pub fn add(&mut self, object: &Value) {
        self.rows.push(self.columns.row(object, self.now));
    }

    /// The table, with the list's metadata.
    pub fn finish(self, metadata: Value) -> Value {
        let definitions = printing::definitions(self.columns.printer.columns());
        self.columns.document(metadata, definitions, self.rows)
    }
}

/// A table of one object.
pub fn of_object(
    entry: &Entry,
    object: &Value,
    version: TableVersion,
    query: &Query<'_>,
) -> Result<Value, Status> {
    Ok(Columns::new(entry, version, query)?.one(object))
}

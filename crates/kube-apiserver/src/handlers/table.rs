//! Tables: rows of cells for people, as `kubectl get` prints them.

use std::sync::Arc;

use apimachinery::Status;
use jiff::Timestamp;
use printing::{Include, Printer};
use serde_json::{Value, json};

use crate::http::Query;
use crate::http::negotiate::MetaVersion;
use crate::registry::{Custom, Entry, Rules};

/// Where a resource's columns come from.
enum Cells {
    /// From this program.
    Written(&'static Printer),
    /// From its definition.
    Declared(Arc<Custom>),
}

impl Cells {
    fn definitions(&self) -> Value {
        match self {
            Cells::Written(printer) => printing::definitions(printer.columns()),
            Cells::Declared(custom) => custom.columns.definitions(),
        }
    }
}

/// The columns of a resource, and how rows are made for one client.
pub struct Columns {
    printer: Cells,
    version: MetaVersion,
    include: Include,
    /// A watch sends the columns with its first event only.
    sent: bool,
}

impl Columns {
    /// Reads what the client wants in each row.
    pub fn new(entry: &Entry, version: MetaVersion, query: &Query<'_>) -> Result<Self, Status> {
        let asked = query.get("includeObject").unwrap_or_default();
        let include = Include::from_query(asked)
            .ok_or_else(|| Status::bad_request(format!("unrecognized includeObject value: \"{asked}\"")))?;
        // Cells are made of the stored form, which is what printers read.
        Ok(Self {
            printer: match &entry.strategy {
                Rules::BuiltIn(_) => Cells::Written(printing::printer(&entry.row.group, &entry.row.kind)),
                Rules::Custom(custom) => Cells::Declared(custom.clone()),
            },
            version,
            include,
            sent: false,
        })
    }

    fn row(&self, object: &Value, now: Timestamp) -> Value {
        match &self.printer {
            Cells::Written(printer) => printing::row(printer, object, self.include, now),
            Cells::Declared(custom) => {
                printing::row_of(custom.columns.cells(object, now), object, self.include)
            }
        }
    }

    fn document(&self, metadata: Value, definitions: Value, rows: Vec<Value>) -> Value {
        json!({
            "kind": "Table", "apiVersion": self.version.api_version(), "metadata": metadata,
            "columnDefinitions": definitions, "rows": rows,
        })
    }

    /// A table of one object, for an event of a watch.
    pub fn one(&mut self, object: &Value) -> Value {
        let definitions = if self.sent { json!([]) } else { self.printer.definitions() };
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
    pub fn new(entry: &Entry, version: MetaVersion, query: &Query<'_>) -> Result<Self, Status> {
        Ok(Self { columns: Columns::new(entry, version, query)?, rows: Vec::new(), now: Timestamp::now() })
    }

    /// Adds an object.
    pub fn add(&mut self, object: &Value) {
        self.rows.push(self.columns.row(object, self.now));
    }

    /// The table, with the list's metadata.
    pub fn finish(self, metadata: Value) -> Value {
        let definitions = self.columns.printer.definitions();
        self.columns.document(metadata, definitions, self.rows)
    }
}

/// A table of one object.
pub fn of_object(
    entry: &Entry,
    object: &Value,
    version: MetaVersion,
    query: &Query<'_>,
) -> Result<Value, Status> {
    Ok(Columns::new(entry, version, query)?.one(object))
}

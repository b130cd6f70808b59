//! Table columns of the built-in kinds, as the server prints them for `kubectl get`.
//!
//! Objects are read as they are stored; what is absent prints as upstream prints Go's zero value.

mod cell;
mod column;
mod custom;
mod kinds;
mod table;

use jiff::Timestamp;
use serde_json::Value;

pub use column::Column;
pub use custom::{CustomColumn, CustomColumns};
pub use table::{Include, definitions, row, row_of, table};

/// How a kind is printed.
#[derive(Debug)]
pub struct Printer {
    group: &'static str,
    kind: &'static str,
    columns: &'static [Column],
    cells: fn(&Value, Timestamp) -> Vec<Value>,
}

impl Printer {
    /// Lists the columns, those of `-o wide` too.
    pub fn columns(&self) -> &'static [Column] {
        self.columns
    }

    /// Makes the cells of an object, one for each column.
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        (self.cells)(object, now)
    }
}

/// Finds how a kind is printed; kinds without columns of their own print name and time of creation.
pub fn printer(group: &str, kind: &str) -> &'static Printer {
    kinds::ALL
        .iter()
        .flat_map(|printers| printers.iter())
        .find(|printer| printer.kind == kind && printer.group == group)
        .unwrap_or(&kinds::DEFAULT)
}

/// Lists the columns of a kind.
pub fn columns(group: &str, kind: &str) -> &'static [Column] {
    printer(group, kind).columns()
}

/// Makes the cells of an object.
pub fn cells(group: &str, kind: &str, object: &Value, now: Timestamp) -> Vec<Value> {
    printer(group, kind).cells(object, now)
}

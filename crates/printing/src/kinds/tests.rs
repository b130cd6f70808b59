//! What each kind shows of itself.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Include, printer, table};

mod access;
mod core;
mod networking;
mod pods;
mod scheduling;
mod storage;
mod workloads;

const NOW: &str = "2026-01-02T00:00:00Z";

/// Prints an object as `kubectl get -o wide` would, without the name (first) where it has one.
fn check(group: &str, kind: &str, object: Value, expected: &str) {
    let printer = printer(group, kind);
    let now: Timestamp = NOW.parse().unwrap();
    let cells = printer.cells(&object, now);
    assert_eq!(cells.len(), printer.columns().len(), "{kind} has as many cells as columns");
    let shown: Vec<String> = cells
        .iter()
        .map(|cell| match cell {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
        .collect();
    assert_eq!(shown.join(" | "), expected, "{kind}");
}

/// Metadata of an object that is an hour old.
fn meta(name: &str) -> Value {
    json!({"name": name, "creationTimestamp": "2026-01-01T23:00:00Z"})
}

/// Whatever an object holds, every kind prints as many cells as columns and nothing panics.
#[test]
fn odd_objects_print_too() {
    let now: Timestamp = NOW.parse().unwrap();
    let odd = json!({"metadata": [], "spec": "x", "status": {"conditions": [1, {}], "phase": 3}, "subsets": [null]});
    for printers in super::ALL {
        for printer in *printers {
            for object in [&Value::Null, &json!({}), &odd] {
                assert_eq!(printer.cells(object, now).len(), printer.columns().len(), "{printer:?}");
            }
        }
    }
}

#[test]
fn a_table_holds_definitions_rows_and_metadata_of_objects() {
    let object = json!({"metadata": {"name": "done"}, "spec": {}, "status": {"phase": "Succeeded"}});
    let table = table(
        printer("", "Pod"),
        [&object],
        json!({"resourceVersion": "7"}),
        Include::Metadata,
        NOW.parse().unwrap(),
    );
    assert_eq!(table["metadata"]["resourceVersion"], "7");
    assert_eq!(
        table["columnDefinitions"][0],
        json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0})
    );
    let row = &table["rows"][0];
    assert_eq!(row["conditions"][0]["reason"], "Succeeded");
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    assert!(row["object"].get("spec").is_none());
}

//! Endpoint slices.

use apimachinery::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::Printer;
use crate::cell::{UNSET, age, first_of, name, text};
use crate::column::{AGE, NAME, string};

pub(super) const PRINTERS: &[Printer] = &[Printer {
    group: "discovery.k8s.io",
    kind: "EndpointSlice",
    columns: &[NAME, string("AddressType"), string("Ports"), string("Endpoints"), AGE],
    cells,
}];

fn cells(slice: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = slice
        .list_at(&["ports"])
        .iter()
        .map(|port| match (port.i64_at(&["port"]), port.str_at(&["name"])) {
            (Some(number), _) => number.to_string(),
            (None, Some(name)) => name.to_owned(),
            (None, None) => "*".to_owned(),
        })
        .collect();
    let addresses: Vec<String> = slice
        .list_at(&["endpoints"])
        .iter()
        .flat_map(|endpoint| endpoint.list_at(&["addresses"]))
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect();
    let some = |texts: &[String]| -> Value {
        match first_of(texts, 3) {
            text if text.is_empty() => UNSET.into(),
            text => text.into(),
        }
    };
    vec![name(slice), text(slice, &["addressType"]).into(), some(&ports), some(&addresses), age(slice, now)]
}

//! Events, in the form of either group.

use apimachinery::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::cell::{name, number, since, text};
use crate::column::{string, wide};
use crate::{Column, Printer};

pub(super) const PRINTERS: &[Printer] = &[
    Printer { group: "", kind: "Event", columns: COLUMNS, cells: |event, now| cells(event, now, &CORE) },
    Printer {
        group: "events.k8s.io",
        kind: "Event",
        columns: COLUMNS,
        cells: |event, now| cells(event, now, &NEW),
    },
];

const COLUMNS: &[Column] = &[
    string("Last Seen"),
    string("Type"),
    string("Reason"),
    string("Object"),
    wide("Subobject"),
    wide("Source"),
    string("Message"),
    wide("First Seen"),
    wide("Count"),
    wide("Name"),
];

/// What the groups call the same fields.
struct Words {
    object: &'static str,
    message: &'static str,
    source: &'static str,
    reporter: &'static str,
    first: &'static str,
    last: &'static str,
    count: &'static str,
}

const CORE: Words = Words {
    object: "involvedObject",
    message: "message",
    source: "source",
    reporter: "reportingComponent",
    first: "firstTimestamp",
    last: "lastTimestamp",
    count: "count",
};

const NEW: Words = Words {
    object: "regarding",
    message: "note",
    source: "deprecatedSource",
    reporter: "reportingController",
    first: "deprecatedFirstTimestamp",
    last: "deprecatedLastTimestamp",
    count: "deprecatedCount",
};

fn cells(event: &Value, now: Timestamp, words: &Words) -> Vec<Value> {
    let first = since(event.str_at(&[words.first]).or_else(|| event.str_at(&["eventTime"])), now);
    let mut last = match event.str_at(&[words.last]) {
        Some(then) => since(Some(then), now),
        None => first.clone(),
    };
    let mut count = number(event, &[words.count]);
    if let Some(series) = event.get("series") {
        last = since(series.str_at(&["lastObservedTime"]), now);
        count = number(series, &["count"]);
    } else if count == 0 {
        // An event of the new form that happened once has no count.
        count = 1;
    }
    let object = |field: &str| text(event, &[words.object, field]);
    let kind = object("kind").to_lowercase();
    let target = match object("name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let first_of = |a: &'static str, b: &str| match text(event, &[words.source, a]) {
        "" => text(event, &[b]).to_owned(),
        found => found.to_owned(),
    };
    let source = match (first_of("component", words.reporter), first_of("host", "reportingInstance")) {
        (component, instance) if instance.is_empty() => component,
        (component, instance) => format!("{component}, {instance}"),
    };
    vec![
        last.into(),
        text(event, &["type"]).into(),
        text(event, &["reason"]).into(),
        target.into(),
        object("fieldPath").into(),
        source.into(),
        text(event, &[words.message]).trim().into(),
        first.into(),
        count.into(),
        name(event),
    ]
}

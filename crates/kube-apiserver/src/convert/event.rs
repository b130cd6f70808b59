//! Events of events.k8s.io/v1 and of core/v1: the same fields under other names.

use serde_json::Value;

/// The name in events.k8s.io/v1, and in core/v1.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// From core/v1.
pub(super) fn to_new(event: &mut Value) {
    rename(event, NAMES.iter().map(|(new, core)| (*core, *new)));
}

/// To core/v1.
pub(super) fn to_core(event: &mut Value) {
    rename(event, NAMES.iter().copied());
    // The core type has it always.
    if let Some(fields) = event.as_object_mut() {
        fields.entry("involvedObject").or_insert_with(|| Value::Object(Default::default()));
    }
}

fn rename<'a>(event: &mut Value, names: impl Iterator<Item = (&'a str, &'a str)>) {
    let Some(fields) = event.as_object_mut() else { return };
    for (from, to) in names {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_go_there_and_back() {
        let core = json!({
            "metadata": {"name": "a"}, "involvedObject": {"kind": "Pod"}, "message": "m", "reason": "r",
            "reportingComponent": "c", "source": {"component": "s"}, "count": 3, "type": "Normal",
        });
        let mut event = core.clone();
        to_new(&mut event);
        assert_eq!(event["regarding"]["kind"], "Pod");
        assert_eq!((&event["note"], &event["deprecatedCount"]), (&json!("m"), &json!(3)));
        to_core(&mut event);
        assert_eq!(event, core);
    }
}

//! What is said of events.

use serde_json::{Value, json};

use super::{CoreEvent, NewEvent};
use strategy::testing::{agree, created, updated};
use strategy::{NameRule, Strategy};

fn reported(change: Value) -> Value {
    let mut event = json!({"metadata": {"namespace": "default"}, "type": "Normal", "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingComponent": "a/b", "reportingInstance": "i", "action": "Do", "reason": "R"});
    for (key, value) in change.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

#[test]
fn an_event_lives_beside_its_object() {
    let event = |namespace: &str, involved: &str, time: Value| {
        reported(
            json!({"metadata": {"namespace": namespace}, "involvedObject": {"namespace": involved}, "eventTime": time}),
        )
    };
    let now = json!("2026-01-01T00:00:00.000000Z");
    let other = "involvedObject.namespace: Invalid value: \"y\": does not match event.namespace";
    let none = "involvedObject.namespace: Invalid value: \"\": does not match event.namespace";
    for (namespace, involved, time, expected) in [
        ("x", "x", Value::Null, ""),
        ("default", "", Value::Null, ""),
        ("x", "y", Value::Null, other),
        ("x", "", Value::Null, none),
        ("kube-system", "", Value::Null, none),
        ("x", "y", now.clone(), ""),
        ("default", "", now.clone(), ""),
        ("kube-system", "", now.clone(), ""),
        ("x", "", now, none),
    ] {
        assert_eq!(created(&CoreEvent, event(namespace, involved, time)), expected, "{namespace} {involved}");
    }
    assert!(created(&CoreEvent, event("X", "X", Value::Null)).starts_with("namespace: Invalid value: \"X\""));
    assert_eq!((CoreEvent.name_rule(), NewEvent.name_rule()), (NameRule::PathSegment, NameRule::Subdomain));
}

#[test]
fn new_events_say_who_reports() {
    let long = "x".repeat(129);
    let note = "x".repeat(1025);
    let cases = [
        (json!({}), ""),
        (json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}}), ""),
        (
            json!({"reportingComponent": "-", "reportingInstance": "", "action": "", "reason": "", "type": "Odd"}),
            "reportingController: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
            reportingInstance: Required value\n\
            action: Required value\n\
            reason: Required value\n\
            type: Invalid value: \"\": has invalid value: Odd",
        ),
        (
            json!({"reportingInstance": long, "action": long, "reason": long, "message": note}),
            "reportingInstance: Invalid value: \"\": can have at most 128 characters\n\
            action: Invalid value: \"\": can have at most 128 characters\n\
            reason: Invalid value: \"\": can have at most 128 characters\n\
            message: Invalid value: \"\": can have at most 1024 characters",
        ),
        (
            json!({"eventTime": null, "series": {"count": 1}, "firstTimestamp": "t", "lastTimestamp": "t", "count": 1, "source": {"host": "h"}}),
            "series.count: Invalid value: \"\": should be at least 2\n\
            series.lastObservedTime: Required value\n\
            eventTime: Required value\n\
            firstTimestamp: Invalid value: \"\": needs to be unset\n\
            lastTimestamp: Invalid value: \"\": needs to be unset\n\
            count: Invalid value: \"\": needs to be unset\n\
            source: Invalid value: \"\": needs to be unset",
        ),
        (json!({"source": {"component": "c"}}), "source: Invalid value: \"\": needs to be unset"),
    ];
    agree(
        cases
            .into_iter()
            .map(|(change, expected)| (change.to_string(), created(&NewEvent, reported(change)), expected)),
    );
    let bare = reported(json!({"reportingComponent": ""}));
    let told = |strategy: &dyn Strategy| created(strategy, bare.clone()).lines().next().unwrap().to_owned();
    assert_eq!(told(&NewEvent), "reportingController: Required value");
    assert_eq!(told(&CoreEvent), "reportingComponent: Required value");
}

#[test]
fn only_the_series_of_a_new_event_changes() {
    let check = |change: Value| updated(&NewEvent, reported(change), reported(json!({})));
    assert_eq!(check(json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}})), "");
    assert!(check(json!({"series": {"count": 1}})).starts_with("series.count: "));
    let odd = || reported(json!({"series": {"count": 1}}));
    assert_eq!(updated(&NewEvent, odd(), odd()), "", "what was so before is left alone");
    assert_eq!(check(json!({"eventTime": "2026-01-01T00:00:00.0000009Z"})), "");
    for (key, path, value) in [
        ("involvedObject", "involvedObject", json!({"name": "n"})),
        ("reason", "reason", json!("S")),
        ("message", "message", json!("m")),
        ("source", "source", json!({"host": "h"})),
        ("firstTimestamp", "firstTimestamp", json!("2026-01-01T00:00:00Z")),
        ("lastTimestamp", "lastTimestamp", json!("2026-01-01T00:00:00Z")),
        ("count", "count", json!(1)),
        ("type", "type", json!("Warning")),
        ("eventTime", "eventTime", json!("2026-01-01T00:00:00.000001Z")),
        ("action", "action", json!("Undo")),
        ("related", "related", json!({"name": "n"})),
        ("reportingComponent", "reportingController", json!("c/d")),
        ("reportingInstance", "reportingInstance", json!("j")),
    ] {
        let told = check(json!({key: value}));
        assert_eq!(told, format!("{path}: Invalid value: {value}: field is immutable"));
    }
    assert!(check(json!({"action": ""})).starts_with("action: Required value"));
}

#[test]
fn the_source_falls_back_to_who_reports() {
    let event = json!({"reportingComponent": "kubelet"});
    assert_eq!(CoreEvent.selectable_field(&event, "source").unwrap(), "kubelet");
}

//! Events of both groups, in the form of core/v1 in which they are stored.

use std::borrow::Cow;

use apimachinery::ObjectExt;
use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::{Dependents, NameRule, Strategy, field_text};

/// The rules of events sent to core/v1.
pub struct CoreEvent;
/// The stricter rules of events sent to events.k8s.io/v1.
pub struct NewEvent;

/// What events.k8s.io calls `reportingComponent`.
const REPORTING: &str = "reportingController";

const FIELDS: [&str; 11] = [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

impl Strategy for CoreEvent {
    /// The names of old events hold whatever their objects are called.
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_any(object, "reportingComponent", errors);
    }

    fn dependents(&self) -> Dependents {
        Dependents::None
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &FIELDS
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        selectable(object, name)
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }
}

impl Strategy for NewEvent {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_any(object, REPORTING, errors);
        validate_series(object, errors);
        if !object.has("eventTime") {
            errors.required(&Path::root("eventTime"), "");
        }
        if !matches!(object.text("type"), "Normal" | "Warning") {
            errors.invalid(&Path::root("type"), "", format!("has invalid value: {}", object.text("type")));
        }
        for key in ["firstTimestamp", "lastTimestamp"] {
            if object.has(key) {
                errors.invalid(&Path::root(key), "", "needs to be unset");
            }
        }
        if object.int("count").unwrap_or(0) != 0 {
            errors.invalid(&Path::root("count"), "", "needs to be unset");
        }
        if !object["source"].text("component").is_empty() || !object["source"].text("host").is_empty() {
            errors.invalid(&Path::root("source"), "", "needs to be unset");
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_any(new, REPORTING, errors);
        if !same(&new["series"], &old["series"]) {
            validate_series(new, errors);
        }
        for (key, path) in [
            ("involvedObject", "involvedObject"),
            ("reason", "reason"),
            ("message", "message"),
            ("source", "source"),
            ("firstTimestamp", "firstTimestamp"),
            ("lastTimestamp", "lastTimestamp"),
            ("count", "count"),
            ("type", "type"),
            ("eventTime", "eventTime"),
            ("action", "action"),
            ("related", "related"),
            ("reportingComponent", REPORTING),
            ("reportingInstance", "reportingInstance"),
        ] {
            // Clients may know less of a moment than was stored.
            if key != "eventTime" || microsecond(new, key) != microsecond(old, key) {
                errors.immutable(&Path::root(path), &new[key], &old[key]);
            }
        }
    }

    fn dependents(&self) -> Dependents {
        Dependents::None
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &FIELDS
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        selectable(object, name)
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }
}

fn selectable<'a>(object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
    match name {
        "source" => {
            let component = object["source"].text("component");
            let reporting = object.text("reportingComponent");
            Some(Cow::Borrowed(if component.is_empty() { reporting } else { component }))
        }
        _ => FIELDS.contains(&name).then(|| field_text(object, name)),
    }
}

/// The microsecond of a moment.
fn microsecond(object: &Value, key: &str) -> Option<i64> {
    let moment = apimachinery::time::parse(object.text(key))?;
    Some(moment.as_nanosecond().div_euclid(1000) as i64)
}

/// Validates what holds for events of both groups; `reporting` is what this one calls who reports.
fn validate_any(object: &Value, reporting: &str, errors: &mut Errors) {
    let involved = object["involvedObject"].text("namespace");
    let own = object.namespace();
    // Events of cluster-wide objects live in a namespace too.
    let matches = match (object.has("eventTime"), involved) {
        (false, "") => matches!(own, "" | "default"),
        (false, involved) => involved == own,
        (true, "") => matches!(own, "default" | "kube-system"),
        (true, _) => true,
    };
    if !matches {
        errors.invalid(&Path::root("involvedObject.namespace"), involved, "does not match event.namespace");
    }
    if object.has("eventTime") {
        validate_reporting(object, reporting, errors);
    }
    let found = names::errors(NameRule::Subdomain, own);
    errors.invalid_each(&Path::root("namespace"), &Value::from(own), found);
}

fn validate_reporting(object: &Value, reporting: &str, errors: &mut Errors) {
    let (controller, path) = (object.text("reportingComponent"), Path::root(reporting));
    if controller.is_empty() {
        errors.required(&path, "");
    }
    errors.invalid_each(&path, &Value::from(controller), names::qualified_name_errors(controller));
    for (key, max) in [("reportingInstance", 128), ("action", 128), ("reason", 128)] {
        let text = object.text(key);
        if text.is_empty() {
            errors.required(&Path::root(key), "");
        }
        if text.len() > max {
            errors.invalid(&Path::root(key), "", format!("can have at most {max} characters"));
        }
    }
    if object.text("message").len() > 1024 {
        errors.invalid(&Path::root("message"), "", "can have at most 1024 characters");
    }
}

fn validate_series(object: &Value, errors: &mut Errors) {
    let series = &object["series"];
    if series.is_null() {
        return;
    }
    if series.int("count").unwrap_or(0) < 2 {
        errors.invalid(&Path::root("series.count"), "", "should be at least 2");
    }
    if !series.has("lastObservedTime") {
        errors.required(&Path::root("series.lastObservedTime"), "");
    }
}

#[cfg(test)]
mod tests;

//! Events of both groups, in the form of core/v1 in which they are stored.

use std::borrow::Cow;

use apimachinery::ObjectExt;
use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::{Dependents, NameRule, Strategy, field_text};

/// The rules of events sent to core/v1.
pub struct CoreEvent;
/// The stricter rules of events sent to events.k8s.io/v1.
pub struct NewEvent;

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
    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_namespace(object, errors);
        if object.has("eventTime") {
            validate_reporting(object, errors);
        }
        let found = names::errors(NameRule::Subdomain, object.namespace());
        errors.invalid_each(&Path::root("namespace"), &Value::from(object.namespace()), found);
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
        validate_namespace(object, errors);
        if object.has("eventTime") {
            validate_reporting(object, errors);
        } else {
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
        validate_series(object, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
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
            ("reportingComponent", "reportingController"),
            ("reportingInstance", "reportingInstance"),
        ] {
            errors.immutable(&Path::root(path), &new[key], &old[key]);
        }
        validate_series(new, errors);
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

fn validate_namespace(object: &Value, errors: &mut Errors) {
    let involved = object["involvedObject"].text("namespace");
    let own = object.namespace();
    // Events of cluster-wide objects live in `default`.
    let matches = if involved.is_empty() { matches!(own, "" | "default") } else { involved == own };
    if !matches {
        errors.invalid(&Path::root("involvedObject.namespace"), involved, "does not match event.namespace");
    }
}

fn validate_reporting(object: &Value, errors: &mut Errors) {
    let controller = object.text("reportingComponent");
    if controller.is_empty() {
        errors.required(&Path::root("reportingController"), "");
    }
    let found = names::qualified_name_errors(controller);
    errors.invalid_each(&Path::root("reportingController"), &Value::from(controller), found);
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
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::created;

    #[test]
    fn an_event_lives_beside_its_object() {
        let event = |namespace: &str, involved: &str| json!({"metadata": {"namespace": namespace}, "involvedObject": {"namespace": involved}});
        assert_eq!(created(&CoreEvent, event("x", "x")), "");
        assert_eq!(created(&CoreEvent, event("default", "")), "");
        assert_eq!(
            created(&CoreEvent, event("x", "y")),
            "involvedObject.namespace: Invalid value: \"y\": does not match event.namespace"
        );
    }

    #[test]
    fn new_events_say_who_reports() {
        let event = json!({"metadata": {"namespace": "default"}, "type": "Normal", "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingComponent": "a/b", "reportingInstance": "i", "action": "Do", "reason": "R"});
        assert_eq!(created(&NewEvent, event.clone()), "");
        let mut bare = event;
        bare["action"] = json!("");
        bare["type"] = json!("Odd");
        assert_eq!(
            created(&NewEvent, bare),
            "action: Required value\ntype: Invalid value: \"\": has invalid value: Odd"
        );
    }

    #[test]
    fn the_source_falls_back_to_who_reports() {
        let event = json!({"reportingComponent": "kubelet"});
        assert_eq!(CoreEvent.selectable_field(&event, "source").unwrap(), "kubelet");
    }
}

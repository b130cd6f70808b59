//! PriorityClasses.

use apimachinery::ObjectExt;
use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, Strategy};

/// The rules of PriorityClasses.
pub struct PriorityClass;

/// The largest priority outside the system's own classes.
pub const HIGHEST_USER_PRIORITY: i64 = 1_000_000_000;
/// The classes that the server makes, with their priorities and descriptions.
pub const SYSTEM_CLASSES: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2 * HIGHEST_USER_PRIORITY,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2 * HIGHEST_USER_PRIORITY + 1000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
];

impl Strategy for PriorityClass {
    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn default(&self, object: &mut Value) {
        write::missing(object, "preemptionPolicy", "PreemptLowerPriority");
    }

    fn never_deleted(&self, name: &str) -> Option<&'static str> {
        let is_systems = SYSTEM_CLASSES.iter().any(|(known, _, _)| *known == name);
        is_systems.then_some("this is a system priority class and cannot be deleted")
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let name = object.name();
        let value = object.int("value").unwrap_or(0);
        if name.starts_with("system-") {
            let class = SYSTEM_CLASSES.iter().find(|(known, _, _)| *known == name);
            let why = match class {
                None => Some(format!("{name} is not a known system priority class")),
                Some((_, known, _)) if *known != value => {
                    Some(format!("value of {name} PriorityClass must be {known}"))
                }
                Some(_) if object.bool_at(&["globalDefault"]) == Some(true) => {
                    Some(format!("globalDefault of {name} PriorityClass must be false"))
                }
                Some(_) => None,
            };
            if let Some(why) = why {
                errors.forbidden(
                    &Path::root("metadata.name"),
                    format!("priority class names with 'system-' prefix are reserved for system use only. error: {why}"),
                );
            }
        } else if value > HIGHEST_USER_PRIORITY {
            errors.forbidden(
                &Path::root("value"),
                format!("maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"),
            );
        }
        let path = Path::root("preemptionPolicy");
        match object.text("preemptionPolicy") {
            "PreemptLowerPriority" | "Never" => {}
            "" => errors.required(&path, ""),
            other => errors.unsupported(&path, other, &["PreemptLowerPriority", "Never"]),
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        if new.int("value").unwrap_or(0) != old.int("value").unwrap_or(0) {
            errors.forbidden(&Path::root("value"), "may not be changed in an update.");
        }
        let path = Path::root("preemptionPolicy");
        errors.immutable(&path, &new["preemptionPolicy"], &old["preemptionPolicy"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, updated};

    #[test]
    fn the_highest_priorities_are_the_systems() {
        assert_eq!(created(&PriorityClass, json!({"metadata": {"name": "a"}, "value": 5})), "");
        assert_eq!(
            created(&PriorityClass, json!({"metadata": {"name": "a"}, "value": 2_000_000_000})),
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"
        );
        assert_eq!(
            created(&PriorityClass, json!({"metadata": {"name": "system-x"}, "value": 5})),
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x is not a known system priority class"
        );
        assert_eq!(
            created(
                &PriorityClass,
                json!({"metadata": {"name": "system-node-critical"}, "value": 2_000_001_000})
            ),
            ""
        );
        for (policy, expected) in [
            ("Never", ""),
            ("", "preemptionPolicy: Required value"),
            (
                "Some",
                "preemptionPolicy: Unsupported value: \"Some\": supported values: \"PreemptLowerPriority\", \"Never\"",
            ),
        ] {
            let class = json!({"metadata": {"name": "a"}, "value": 5, "preemptionPolicy": policy});
            assert_eq!(created(&PriorityClass, class), expected, "{policy}");
        }
        assert!(PriorityClass.never_deleted("system-node-critical").is_some());
        assert!(PriorityClass.never_deleted("system").is_none());
        assert_eq!(
            updated(&PriorityClass, json!({"value": 1}), json!({"value": 2})),
            "value: Forbidden: may not be changed in an update."
        );
    }
}

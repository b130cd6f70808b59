//! What is said of objects that are not as they must be, all of it at once.

mod admission_policy;
mod api_service;
mod cron_job;
mod csi;
mod daemon_set;
mod service;

use serde_json::{Value, json};
use strategy::testing::{created, updated};

use crate::strategy;

/// Compares what is said of new objects.
fn check(group: &str, kind: &str, cases: &[(Value, &str)]) {
    for (object, expected) in cases {
        assert_eq!(created(strategy(group, kind), object.clone()), *expected, "{kind}: {object}");
    }
}

/// Compares what is said of changes, each from the first object to the second.
fn check_updates(group: &str, kind: &str, cases: &[(Value, Value, &str)]) {
    for (old, new, expected) in cases {
        assert_eq!(
            updated(strategy(group, kind), new.clone(), old.clone()),
            *expected,
            "{kind}: {old} {new}"
        );
    }
}

fn template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

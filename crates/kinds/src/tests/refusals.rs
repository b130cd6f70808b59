//! What is said of objects that are not as they must be, all of it at once.

mod addresses;
mod admission_policy;
mod api_service;
mod coordination;
mod cron_job;
mod csi;
mod daemon_set;
mod devices;
mod flow_control;
mod pod_certificates;
mod runtime_class;
mod selectors;
mod service;
mod storage_version_migration;
mod webhooks;

use serde_json::{Value, json};
use strategy::testing::{created, found, updated};

use crate::strategy;

/// Compares what is said of new objects.
fn check(group: &str, kind: &str, cases: &[(Value, &str)]) {
    let told = cases.iter().map(|(object, expected)| {
        (object.to_string(), created(strategy(group, kind), object.clone()), *expected)
    });
    compare(kind, told);
}

/// Compares what is said of changes, each from the first object to the second.
fn check_updates(group: &str, kind: &str, cases: &[(Value, Value, &str)]) {
    let told = cases.iter().map(|(old, new, expected)| {
        (format!("{old} {new}"), updated(strategy(group, kind), new.clone(), old.clone()), *expected)
    });
    compare(kind, told);
}

/// Compares what is said of updates of the status, each from the first object to the second.
fn check_statuses(group: &str, kind: &str, cases: &[(Value, Value, &str)]) {
    let told = cases.iter().map(|(old, new, expected)| {
        let found = found(|errors| strategy(group, kind).validate_status_update(new, old, errors));
        (format!("{old} {new}"), found, *expected)
    });
    compare(kind, told);
}

/// Tells of every case that is not as expected.
fn compare<'a>(kind: &str, cases: impl Iterator<Item = (String, String, &'a str)>) {
    let mut wrong = String::new();
    for (case, found, expected) in cases.filter(|(_, found, expected)| found != expected) {
        wrong.push_str(&format!("{kind}: {case}\n--- expected\n{expected}\n--- found\n{found}\n\n"));
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

//! What is said of Leases and LeaseCandidates.

use serde_json::{Value, json};

use super::{check, check_updates};

const GROUP: &str = "coordination.k8s.io";

#[test]
fn leases_and_candidates() {
    let lease = |spec: Value| json!({ "spec": spec });
    check(
        GROUP,
        "Lease",
        &[
            (
                lease(json!({"leaseDurationSeconds": 1, "strategy": "a.example/b", "preferredHolder": "h"})),
                "",
            ),
            (
                lease(json!({"leaseDurationSeconds": 0, "leaseTransitions": -1, "strategy": "Some"})),
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0\n\
                spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0\n\
                spec.strategy.strategy: Unsupported value: \"Some\": supported values: \"OldestEmulationVersion\"",
            ),
            (
                lease(json!({"strategy": "a.example/-"})),
                "spec.strategy.strategy: Invalid value: \"a.example/-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ),
            (
                lease(json!({"strategy": "", "preferredHolder": "h"})),
                "spec.strategy.strategy: Unsupported value: \"\": supported values: \"OldestEmulationVersion\"\n\
                spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined",
            ),
        ],
    );
    let candidate = |change: Value| {
        let mut spec = json!({"leaseName": "l", "binaryVersion": "1.36.0", "emulationVersion": "1.35.0",
            "strategy": "OldestEmulationVersion"});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({"metadata": {"name": "c"}, "spec": spec})
    };
    check(
        GROUP,
        "LeaseCandidate",
        &[
            (candidate(json!({})), ""),
            (candidate(json!({"strategy": "a.example/b", "emulationVersion": ""})), ""),
            (
                candidate(json!({"leaseName": "", "binaryVersion": "", "strategy": ""})),
                "spec.leaseName: Required value\n\
                spec.binaryVersion: Required value\n\
                spec.strategy: Required value",
            ),
            (
                candidate(json!({"binaryVersion": "v1.36.0", "emulationVersion": "1.36"})),
                "spec.emulationVersion: Invalid value: \"1.36\": must be a valid semantic version\n\
                spec.binaryVersion: Invalid value: \"v1.36.0\": must be a valid semantic version\n\
                spec.emulationVersion: Required value: must be specified when `strategy` is 'OldestEmulationVersion'",
            ),
            (
                candidate(
                    json!({"binaryVersion": "1.36.0-rc.1", "emulationVersion": "1.36.0", "strategy": "Some"}),
                ),
                "spec.binaryVersion: Invalid value: \"1.36.0-rc.1\": must be greater than or equal to `emulationVersion`\n\
                spec.strategy.strategy: Unsupported value: \"Some\": supported values: \"OldestEmulationVersion\"",
            ),
        ],
    );
    check_updates(
        GROUP,
        "LeaseCandidate",
        &[(
            candidate(json!({})),
            candidate(json!({"leaseName": "m"})),
            "spec.leaseName: Invalid value: \"m\": field is immutable",
        )],
    );
}

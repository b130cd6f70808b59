//! What is said of StorageVersionMigrations.

use serde_json::{Value, json};

use super::{check, check_statuses, check_updates};

const GROUP: &str = "storagemigration.k8s.io";
const KIND: &str = "StorageVersionMigration";

#[test]
fn storage_version_migrations() {
    let of =
        |group: &str, resource: &str| json!({"spec": {"resource": {"group": group, "resource": resource}}});
    check(
        GROUP,
        KIND,
        &[
            (of("", "pods"), ""),
            (of("a.example", "things"), ""),
            (of("", ""), "spec.resource.resource: Required value: resource is required to be set"),
            (
                of("A", "1s"),
                "spec.resource.resource: Invalid value: \"1s\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')\n\
                spec.resource.group: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
        ],
    );
    check_updates(
        GROUP,
        KIND,
        &[(
            of("", "pods"),
            of("", "1s"),
            "spec.resource.resource: Invalid value: \"1s\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')\n\
            spec: Invalid value: {\"resource\":{\"group\":\"\",\"resource\":\"1s\"}}: field is immutable",
        )],
    );
    let status = |version: &str, conditions: &[&str]| {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|kind| json!({"type": kind, "status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"}))
            .collect();
        json!({"status": {"resourceVersion": version, "conditions": conditions}})
    };
    let shown = |kind: &str| status("", &[kind])["status"]["conditions"].to_string();
    let gone = |kind: &str, word: &str| {
        format!(
            "status.conditions: Invalid value: {}: {word} condition cannot be set to false once it is true",
            shown(kind)
        )
    };
    let both = status("7", &["Succeeded", "Failed", "Running"]);
    let all = both["status"]["conditions"].to_string();
    let contradicts = format!(
        "status.conditions: Invalid value: {all}: Both success and failed conditions cannot be true at the same time\n\
        status.conditions: Invalid value: {all}: Running condition cannot be true when success condition is true\n\
        status.conditions: Invalid value: {all}: Running condition cannot be true when failed condition is true"
    );
    check_statuses(
        GROUP,
        KIND,
        &[
            (status("", &[]), status("7", &["Running"]), ""),
            (status("7", &["Running"]), status("7", &["Succeeded"]), ""),
            (status("7", &[]), both.clone(), &contradicts),
            (status("7", &["Succeeded"]), status("7", &["Running"]), &gone("Running", "Success")),
            (status("7", &["Failed"]), status("7", &["Running"]), &gone("Running", "Failed")),
            (
                status("7", &[]),
                status("8", &[]),
                "status.resourceVersion: Invalid value: \"8\": field is immutable",
            ),
        ],
    );
    let told = |version: &str| {
        let (new, old) = (status(version, &[]), status("", &[]));
        strategy::testing::found(|errors| {
            crate::strategy(GROUP, KIND).validate_status_update(&new, &old, errors)
        })
    };
    for bad in ["-1", "x", "01"] {
        assert!(
            told(bad).starts_with(&format!("status.resourceVersion: Invalid value: \"{bad}\": ")),
            "{}",
            told(bad)
        );
    }
}

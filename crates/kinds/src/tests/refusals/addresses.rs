//! What is said of IPAddresses.

use serde_json::{Value, json};

use super::{check, check_updates};

const GROUP: &str = "networking.k8s.io";

#[test]
fn addresses() {
    let of = |parent: Value| json!({"spec": {"parentRef": parent}});
    let service = json!({"resource": "services", "name": "s", "namespace": "n"});
    check(
        GROUP,
        "IPAddress",
        &[
            (of(service.clone()), ""),
            (
                of(json!({"group": "A", "resource": "", "name": ".."})),
                "spec.parentRef.group: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.parentRef.resource: Required value\n\
                spec.parentRef.name: Invalid value: \"..\": may not be '..'",
            ),
        ],
    );
    check_updates(
        GROUP,
        "IPAddress",
        &[(
            of(service),
            of(json!({"resource": "services", "name": ""})),
            "spec.parentRef.name: Required value\n\
            spec.parentRef: Invalid value: {\"name\":\"\",\"resource\":\"services\"}: field is immutable",
        )],
    );
}

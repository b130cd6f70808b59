//! What is said of APIServices.

use serde_json::{Value, json};

use super::{check, check_statuses};

#[test]
fn api_services() {
    let service = |change: Value| {
        let mut object = json!({"metadata": {"name": "v1.a.example"}, "spec": {"group": "a.example", "version": "v1",
            "groupPriorityMinimum": 1, "versionPriority": 1, "service": {"name": "s", "namespace": "n"}}});
        for (key, value) in change.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        object
    };
    check(
        "apiregistration.k8s.io",
        "APIService",
        &[
            (service(json!({})), ""),
            (
                service(json!({"groupPriorityMinimum": 20000, "versionPriority": 1000, "caBundle": "Yg=="})),
                "",
            ),
            (service(json!({"service": null})), ""),
            (
                service(
                    json!({"version": "v2", "groupPriorityMinimum": 0, "versionPriority": 0, "service": {}}),
                ),
                "metadata.name: Invalid value: \"v1.a.example\": must be `spec.version+\".\"+spec.group`: \"v2.a.example\"\n\
                spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000\n\
                spec.versionPriority: Invalid value: 0: must be positive and less than 1000\n\
                spec.service.namespace: Required value\n\
                spec.service.name: Required value",
            ),
            (
                service(json!({"groupPriorityMinimum": 20001, "versionPriority": 1001, "caBundle": "Yg==",
                    "insecureSkipTLSVerify": true, "service": {"name": "s", "namespace": "n", "port": 65536}})),
                "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000\n\
                spec.versionPriority: Invalid value: 1001: must be positive and less than 1000\n\
                spec.service.port: Invalid value: 65536: port is not valid: must be between 1 and 65535, inclusive\n\
                spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
            ),
            (
                service(json!({"service": {"name": "s", "namespace": "n", "port": 0}})),
                "spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
            ),
            (
                service(json!({"service": null, "caBundle": "Yg==", "insecureSkipTLSVerify": true})),
                "spec.caBundle: Invalid value: \"1 bytes\": local APIServices may not have a caBundle\n\
                spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
            ),
            (
                service(json!({"group": "A", "version": "1", "service": null})),
                "metadata.name: Invalid value: \"v1.a.example\": must be `spec.version+\".\"+spec.group`: \"1.A\"\n\
                spec.group: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.version: Invalid value: \"1\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
            ),
            (
                service(json!({"group": "", "version": "v2"})),
                "metadata.name: Invalid value: \"v1.a.example\": must be `spec.version+\".\"+spec.group`: \"v2.\"\n\
                spec.group: Required value: only v1 may have an empty group and it better be legacy kube",
            ),
        ],
    );
    let status = |status: &str| json!({"status": {"conditions": [{"type": "Available", "status": status}]}});
    check_statuses(
        "apiregistration.k8s.io",
        "APIService",
        &[
            (json!({}), status("True"), ""),
            (
                json!({}),
                status("Maybe"),
                "status.conditions[0].status: Unsupported value: \"Maybe\": supported values: \"True\", \"False\", \"Unknown\"",
            ),
        ],
    );
}

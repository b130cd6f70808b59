//! What is said of APIServices.

use serde_json::{Value, json};

use super::check;

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
                "spec.caBundle: Invalid value: \"\": local APIServices may not have a caBundle\n\
                spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
            ),
        ],
    );
}

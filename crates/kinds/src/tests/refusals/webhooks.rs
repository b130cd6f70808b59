//! What is said of webhook configurations.

use serde_json::{Value, json};

use super::{check, check_updates};

const GROUP: &str = "admissionregistration.k8s.io";
const KIND: &str = "ValidatingWebhookConfiguration";

#[test]
fn webhook_configurations() {
    let hook = |change: Value| {
        let mut hook = json!({"name": "a.b.c", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"url": "https://x"}});
        hook.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        hook
    };
    let one = |change: Value| json!({"webhooks": [hook(change)]});
    let rule = json!({"operations": ["STEAL"], "apiGroups": ["*", "apps"], "apiVersions": [""], "resources": ["", "*", "pods"], "scope": "All"});
    let label = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    let all = format!(
        "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three segments separated by dots\n\
        webhooks[0].rules[0].operations[0]: Unsupported value: \"STEAL\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"DELETE\", \"UPDATE\"\n\
        webhooks[0].rules[0].apiGroups: Invalid value: [\"*\",\"apps\"]: if '*' is present, must not specify other API groups\n\
        webhooks[0].rules[0].apiVersions[0]: Required value\n\
        webhooks[0].rules[0].resources[0]: Required value\n\
        webhooks[0].rules[0].resources: Invalid value: [\"\",\"*\",\"pods\"]: if '*' is present, must not specify other resources without subresources\n\
        webhooks[0].rules[0].scope: Unsupported value: \"All\": supported values: \"*\", \"Cluster\", \"Namespaced\"\n\
        webhooks[0].clientConfig: Required value: exactly one of url or service is required\n\
        webhooks[0].matchConditions[0].expression: Required value\n\
        webhooks[0].admissionReviewVersions[0]: Invalid value: \"V2\": {label}\n\
        webhooks[0].admissionReviewVersions[1]: Invalid value: \"V2\": duplicate version\n\
        webhooks[0].admissionReviewVersions: Invalid value: [\"V2\",\"V2\"]: must include at least one of v1, v1beta1"
    );
    check(
        GROUP,
        KIND,
        &[
            (one(json!({})), ""),
            (
                one(
                    json!({"name": "a.b", "rules": [rule], "clientConfig": {}, "admissionReviewVersions": ["V2", "V2"],
                    "matchConditions": [{"name": "c"}]}),
                ),
                &all,
            ),
            // As upstream, the last of those without a subresource decides.
            (
                one(
                    json!({"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["pods", "*"]}]}),
                ),
                "",
            ),
            (
                json!({"webhooks": [hook(json!({"name": ""})), hook(json!({"name": ""}))]}),
                "webhooks[0].name: Required value\n\
                webhooks[1].name: Required value",
            ),
            (
                one(json!({"name": "A_.b"})),
                "webhooks[0].name: Invalid value: \"A_.b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
            (
                one(json!({"sideEffects": ""})),
                "webhooks[0].sideEffects: Unsupported value: \"\": supported values: \"None\", \"NoneOnDryRun\"",
            ),
        ],
    );
    let twice = json!({"webhooks": [hook(json!({})), hook(json!({}))]});
    let condition = json!([{"name": "c", "expression": "object.metadata.name ="}]);
    check_updates(
        GROUP,
        KIND,
        &[
            // What was wrong already may stay so.
            (twice.clone(), twice.clone(), ""),
            (one(json!({"sideEffects": "Some"})), one(json!({"sideEffects": "Unknown"})), ""),
            (
                one(json!({"admissionReviewVersions": ["v7"]})),
                one(json!({"admissionReviewVersions": ["v8"]})),
                "",
            ),
            (
                one(json!({"matchConditions": condition})),
                one(json!({"matchConditions": condition, "timeoutSeconds": 3})),
                "",
            ),
            (one(json!({})), twice, "webhooks[1].name: Duplicate value: \"a.b.c\""),
            (
                one(json!({"sideEffects": "Some"})),
                one(json!({"sideEffects": "Other"})),
                "webhooks[0].sideEffects: Unsupported value: \"Other\": supported values: \"None\", \"NoneOnDryRun\", \"Some\", \"Unknown\"",
            ),
        ],
    );
}

//! What is said of admission policies and their bindings.

use serde_json::{Value, json};

use super::check;
use crate::strategy;

#[test]
fn admission_policies() {
    let rule = json!({"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]});
    let policy = |spec: Value| {
        let mut full =
            json!({"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"metadata": {"name": "p"}, "spec": full})
    };
    let conditions = |count: usize| -> Vec<Value> {
        (0..count).map(|number| json!({"name": format!("c{number}"), "expression": "true"})).collect()
    };
    let annotations = |count: usize| -> Vec<Value> {
        (0..count).map(|number| json!({"key": format!("k{number}"), "valueExpression": "'a'"})).collect()
    };
    let most = format!("'{}'", "a".repeat(5 * 1024 - 2));
    check(
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicy",
        &[
            (policy(json!({"matchConditions": conditions(64), "auditAnnotations": annotations(20)})), ""),
            (
                policy(
                    json!({"validations": [], "auditAnnotations": [{"key": "k", "valueExpression": most}]}),
                ),
                "",
            ),
            (
                policy(json!({"matchConditions": conditions(65), "auditAnnotations": annotations(21)})),
                "spec.matchConditions: Too many: 65: must have at most 64 items\n\
                spec.auditAnnotations: Too many: 21: must have at most 20 items",
            ),
            (
                policy(json!({"failurePolicy": "Some", "matchConstraints": null, "validations": [],
                    "matchConditions": [{"name": "", "expression": ""}, {"name": "-", "expression": "1"}, {"name": "a", "expression": "true"}, {"name": "a", "expression": "true"}],
                    "paramKind": {"apiVersion": "", "kind": ""}})),
                "spec.failurePolicy: Unsupported value: \"Some\": supported values: \"Fail\", \"Ignore\"\n\
                spec.paramKind.apiVersion: Required value\n\
                spec.paramKind.kind: Required value\n\
                spec.matchConstraints: Required value\n\
                spec.matchConditions[0].expression: Required value\n\
                spec.matchConditions[0].name: Required value\n\
                spec.matchConditions[1].expression: Invalid value: \"1\": must evaluate to bool\n\
                spec.matchConditions[1].name: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.matchConditions[3].name: Duplicate value: \"a\"\n\
                spec.validations: Required value: validations or auditAnnotations must contain at least one item",
            ),
            (
                policy(json!({"paramKind": {"apiVersion": "A/", "kind": "1"},
                    "matchConstraints": {"matchPolicy": "", "resourceRules": [], "namespaceSelector": {"matchLabels": {"-": "x"}},
                        "objectSelector": {"matchLabels": {"-": "x"}}, "excludeResourceRules": [{}]}})),
                "spec.paramKind.apiVersion: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.paramKind.apiVersion: Invalid value: \"A/\": version must be specified\n\
                spec.paramKind.kind: Invalid value: \"1\": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')\n\
                spec.matchConstraints.matchPolicy: Required value\n\
                spec.matchConstraints.namespaceSelector.matchLabels: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.matchConstraints.labelSelector.matchLabels: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.matchConstraints.excludeResourceRules[0].apiGroups: Required value\n\
                spec.matchConstraints.excludeResourceRules[0].apiVersions: Required value\n\
                spec.matchConstraints.excludeResourceRules[0].resources: Required value\n\
                spec.matchConstraints.excludeResourceRules[0].operations: Required value\n\
                spec.matchConstraints.resourceRules: Required value",
            ),
            (
                policy(json!({"paramKind": {"apiVersion": "V1", "kind": "Limit"}})),
                "spec.paramKind.apiVersion: Invalid value: \"V1\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
            ),
            (
                policy(json!({"paramKind": {"apiVersion": "a.example/V1", "kind": "Limit"}})),
                "spec.paramKind.apiVersion: Invalid value: \"V1\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
            ),
            (
                policy(
                    json!({"variables": [{"name": "", "expression": "1"}, {"name": "a b", "expression": "1"}, {"name": "_a1", "expression": "1"},
                    {"name": "_a1", "expression": ""}]}),
                ),
                "spec.variables[0].name: Required value: name is not specified\n\
                spec.variables[1].name: Invalid value: \"a b\": name is not a valid CEL identifier\n\
                spec.variables[3].name: Duplicate value: \"_a1\"\n\
                spec.variables[3].expression: Required value",
            ),
            (
                policy(json!({"validations": [{"expression": " "}, {"expression": "true", "message": " "},
                    {"expression": "true", "message": "a\nb"}, {"expression": "true &&\ntrue"}, {"expression": "true &&\ntrue", "message": "a"},
                    {"expression": "true &&\ntrue", "messageExpression": " "}, {"expression": "true", "reason": "Forbidden"}, {"expression": "true", "reason": "Some"}]})),
                "spec.validations[0].expression: Required value: expression is not specified\n\
                spec.validations[1].message: Invalid value: \" \": message must be non-empty if specified\n\
                spec.validations[2].message: Invalid value: \"a\\n\
                b\": message must not contain line breaks\n\
                spec.validations[5].messageExpression: Invalid value: \" \": must be non-empty if specified\n\
                spec.validations[7].reason: Unsupported value: \"Some\": supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\", \"Unauthorized\"",
            ),
            (
                policy(
                    json!({"auditAnnotations": [{"key": "-", "valueExpression": "1"}, {"key": "k", "valueExpression": format!("{most} ")},
                    {"key": "k", "valueExpression": format!("'a' + {most}")}, {"key": "n", "valueExpression": "null"}]}),
                ),
                "spec.auditAnnotations[0].key: Invalid value: \"p/-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.auditAnnotations[0].valueExpression: Invalid value: \"1\": must evaluate to one of [string null_type]\n\
                spec.auditAnnotations[2].key: Duplicate value: \"k\"\n\
                spec.auditAnnotations[2].valueExpression: Too long: may not be more than 5120 bytes",
            ),
        ],
    );
    let mutating = |spec: Value| {
        let mut full = json!({"matchConstraints": {"resourceRules": [rule]}, "reinvocationPolicy": "IfNeeded",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}]});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"metadata": {"name": "p"}, "spec": full})
    };
    check(
        "admissionregistration.k8s.io",
        "MutatingAdmissionPolicy",
        &[
            (mutating(json!({})), ""),
            (
                mutating(json!({"mutations": [], "reinvocationPolicy": ""})),
                "spec.mutations: Required value: mutations must contain at least one item\n\
                spec.reinvocationPolicy: Required value",
            ),
            (
                mutating(
                    json!({"mutations": [{}, {"patchType": "Some"}, {"patchType": "JSONPatch"}], "reinvocationPolicy": "Some"}),
                ),
                "spec.mutations[0].patchType: Required value\n\
                spec.mutations[1].patchType: Unsupported value: \"Some\": supported values: \"ApplyConfiguration\", \"JSONPatch\"\n\
                spec.mutations[2].jsonPatch.expression: Required value\n\
                spec.reinvocationPolicy: Unsupported value: \"Some\": supported values: \"IfNeeded\", \"Never\"",
            ),
        ],
    );
    let binding = |spec: Value| {
        let mut full = json!({"policyName": "p", "validationActions": ["Deny"]});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"spec": full})
    };
    let bindings = [
        (
            binding(
                json!({"paramRef": {"name": "a"}, "validationActions": ["Deny", "Audit"], "matchResources": {}}),
            ),
            "",
        ),
        (
            binding(
                json!({"paramRef": {"selector": {}, "parameterNotFoundAction": "Allow"}, "validationActions": ["Warn", "Audit"]}),
            ),
            "",
        ),
        (
            binding(json!({"policyName": "", "paramRef": {}, "validationActions": []})),
            "spec.policyName: Required value\n\
                spec.paramRef: Required value: one of name or selector must be specified\n\
                spec.validationActions: Required value: at least one validation action is required",
        ),
        (
            binding(json!({"paramRef": {"name": "a", "selector": {}, "parameterNotFoundAction": "Some"},
                "validationActions": ["Deny", "Warn", "Deny", "Some"], "matchResources": {"matchPolicy": "Some"}})),
            "spec.matchResources.matchPolicy: Unsupported value: \"Some\": supported values: \"Equivalent\", \"Exact\"\n\
                spec.paramRef.name: Invalid value: \"a\": name and selector are mutually exclusive\n\
                spec.paramRef.parameterNotFoundAction: Unsupported value: \"Some\": supported values: \"Allow\", \"Deny\"\n\
                spec.validationActions[2]: Duplicate value: \"Deny\"\n\
                spec.validationActions[3]: Unsupported value: \"Some\": supported values: \"Audit\", \"Deny\", \"Warn\"\n\
                spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Deny\",\"Some\"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
        ),
    ];
    check("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", &bindings);
    check(
        "admissionregistration.k8s.io",
        "MutatingAdmissionPolicyBinding",
        &[
            (json!({"spec": {"policyName": "p"}}), ""),
            (
                json!({"spec": {"policyName": "p", "paramRef": {}}}),
                "spec.paramRef: Required value: one of name or selector must be specified",
            ),
        ],
    );
    let mut given = policy(json!({}));
    strategy("admissionregistration.k8s.io", "ValidatingAdmissionPolicy").default(&mut given);
    assert_eq!(given["spec"]["failurePolicy"], "Fail");
    assert_eq!(
        given["spec"]["matchConstraints"],
        json!({"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [
            {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"], "scope": "*"}]})
    );
}

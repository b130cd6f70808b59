//! What is said of admission policies and their bindings.

use serde_json::{Value, json};

use strategy::testing::updated;

use super::{check, check_statuses, check_updates};
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
    let many = format!(
        "spec.matchConditions: Too many: 65: must have at most 64 items\n\
        spec.auditAnnotations: Invalid value: {}: must not have more than 20 auditAnnotations",
        Value::from(annotations(21))
    );
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
            (policy(json!({"matchConditions": conditions(65), "auditAnnotations": annotations(21)})), &many),
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
                spec.validations: Required value: validations or auditAnnotations must contain at least one item\n\
                spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
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
                spec.matchConstraints.objectSelector.matchLabels: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.matchConstraints.excludeResourceRules[0].operations: Required value\n\
                spec.matchConstraints.excludeResourceRules[0].apiGroups: Required value\n\
                spec.matchConstraints.excludeResourceRules[0].apiVersions: Required value\n\
                spec.matchConstraints.excludeResourceRules[0].resources: Required value\n\
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
                    {"name": "_a1", "expression": "2"}, {"name": "namespace", "expression": ""}]}),
                ),
                "spec.variables[0].name: Required value: name is not specified\n\
                spec.variables[1].name: Invalid value: \"a b\": name is not a valid CEL identifier\n\
                spec.variables[4].name: Invalid value: \"namespace\": name is not a valid CEL identifier\n\
                spec.variables[4].expression: Required value: expression is not specified",
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
                spec.validations[7].reason: Unsupported value: \"Some\": supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\"",
            ),
            (
                policy(
                    json!({"auditAnnotations": [{"key": "-", "valueExpression": "1"}, {"key": "k", "valueExpression": format!("{most} ")},
                    {"key": "k", "valueExpression": format!("'a' + {most}")}, {"key": "n", "valueExpression": "null"}, {"key": "o", "valueExpression": " "},
                    {"key": "l", "valueExpression": "  gone"}]}),
                ),
                "spec.auditAnnotations[0].key: Invalid value: \"p/-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.auditAnnotations[0].valueExpression: Invalid value: \"1\": must evaluate to one of [string null_type]\n\
                spec.auditAnnotations[2].valueExpression: Required value: must not exceed 5120 bytes in length\n\
                spec.auditAnnotations[2].key: Duplicate value: \"k\"\n\
                spec.auditAnnotations[4].valueExpression: Required value: valueExpression is not specified\n\
                spec.auditAnnotations[5].valueExpression: Invalid value: \"  gone\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'gone' (in container '')\n \
                | gone\n \
                | ^",
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
                spec.mutations[2].jsonPatch: Required value: must be specified when patchType is JSONPatch\n\
                spec.reinvocationPolicy: Unsupported value: \"Some\": supported values: \"IfNeeded\", \"Never\"",
            ),
            (
                mutating(json!({"mutations": [
                    {"patchType": "JSONPatch", "applyConfiguration": {"expression": "Object{}"}},
                    {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": " "}, "jsonPatch": {"expression": "[]"}},
                ]})),
                "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch\n\
                spec.mutations[0].applyConfiguration: Invalid value: \"{applyConfiguration}\": must not be specified when patchType is JSONPatch\n\
                spec.mutations[1].applyConfiguration.expression: Required value\n\
                spec.mutations[1].jsonPatch: Invalid value: \"{jsonPatch}\": must not be specified when patchType is ApplyConfiguration",
            ),
            (
                mutating(
                    json!({"matchConstraints": {"resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"],
                    "resources": ["*"], "operations": ["CREATE", "UPDATE", "CONNECT", "DELETE"]}]}}),
                ),
                "spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\"",
            ),
        ],
    );
    let rules =
        json!([{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["DELETE"]}]);
    check(
        "admissionregistration.k8s.io",
        "MutatingAdmissionPolicyBinding",
        &[(
            json!({"spec": {"policyName": "p", "matchResources": {"resourceRules": rules}}}),
            "spec.matchResources.resourceRules.operations: Unsupported value: \"DELETE\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\"",
        )],
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
            "spec.paramRef.name: Forbidden: name and selector are mutually exclusive\n\
                spec.paramRef.selector: Forbidden: name and selector are mutually exclusive\n\
                spec.paramRef.parameterNotFoundAction: Unsupported value: \"Some\": supported values: \"Deny\", \"Allow\"\n\
                spec.matchResources.matchPolicy: Unsupported value: \"Some\": supported values: \"Equivalent\", \"Exact\"\n\
                spec.validationActions[2]: Duplicate value: \"Deny\"\n\
                spec.validationActions[3]: Unsupported value: \"Some\": supported values: \"Audit\", \"Deny\", \"Warn\"\n\
                spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Deny\",\"Some\"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
        ),
        (
            binding(json!({"paramRef": {"name": "a/b", "parameterNotFoundAction": ""},
                "matchResources": {"resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"],
                    "operations": ["*"], "resourceNames": ["x", "a/b", "x"]}]}})),
            "spec.paramRef.name: Invalid value: \"a/b\": may not contain '/'\n\
                spec.paramRef.parameterNotFoundAction: Required value\n\
                spec.matchResources.resourceRules[0].resourceNames[1]: Invalid value: \"a/b\": may not contain '/'\n\
                spec.matchResources.resourceRules[0].resourceNames[2]: Duplicate value: \"x\"",
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
    let broken = json!([{"name": "c", "expression": "object.metadata.name ="}]);
    let kind = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let conditioned = policy(json!({ "matchConditions": broken }));
    check_updates(
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicy",
        &[(conditioned.clone(), policy(json!({"matchConditions": broken, "failurePolicy": "Ignore"})), "")],
    );
    let (old, new) = (conditioned, policy(json!({"matchConditions": broken, "paramKind": kind})));
    assert!(
        updated(strategy("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"), new, old)
            .starts_with("spec.matchConditions[0].expression: Invalid value: "),
        "what it may name has changed"
    );
    let warnings = |warnings: Value| json!({"status": {"typeChecking": {"expressionWarnings": warnings}}});
    check_statuses(
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicy",
        &[
            (
                json!({}),
                warnings(json!([{"fieldRef": "spec.validations[0].expression", "warning": "w"}])),
                "",
            ),
            (
                json!({}),
                warnings(json!([{"fieldRef": " "}])),
                "status.typeChecking.expressionWarnings[0].warning: Required value\n\
                status.typeChecking.expressionWarnings[0].fieldRef: Required value",
            ),
            (
                json!({}),
                json!({"status": {"conditions": [{"type": "A"}]}}),
                "status.conditions[0].status: Unsupported value: \"\": supported values: \"False\", \"True\", \"Unknown\"\n\
                status.conditions[0].lastTransitionTime: Required value: must be set\n\
                status.conditions[0].reason: Required value: must be set",
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

//! What is said of FlowSchemas and PriorityLevelConfigurations.

use serde_json::{Value, json};

use super::{check, check_statuses};

const GROUP: &str = "flowcontrol.apiserver.k8s.io";
const VERBS: &str = "supported values: \"create\", \"delete\", \"deletecollection\", \"get\", \"list\", \"patch\", \"proxy\", \"update\", \"watch\"";

fn schema(name: &str, change: Value) -> Value {
    let mut spec = json!({"priorityLevelConfiguration": {"name": "l"}, "matchingPrecedence": 5, "rules": []});
    spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    json!({"metadata": {"name": name}, "spec": spec})
}

#[test]
fn flow_schemas() {
    let subject = |subject: Value| {
        let rule = json!({"subjects": [subject], "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/"]}]});
        schema("s", json!({"rules": [rule]}))
    };
    let resources = |change: Value| {
        let mut of = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["n"]});
        of.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        schema(
            "s",
            json!({"rules": [{"subjects": [{"kind": "User", "user": {"name": "u"}}], "resourceRules": [of]}]}),
        )
    };
    let paths = |verbs: Value, urls: Value| {
        let of = json!({"verbs": verbs, "nonResourceURLs": urls});
        schema(
            "s",
            json!({"rules": [{"subjects": [{"kind": "User", "user": {"name": "u"}}], "nonResourceRules": [of]}]}),
        )
    };
    let at = "spec.rules[0].resourceRules[0]";
    let below = "spec.rules[0].nonResourceRules[0]";
    let unsupported = format!("{at}.verbs: Unsupported value: [\"get\",\"steal\"]: {VERBS}");
    let unsupported_paths = format!("{below}.verbs: Unsupported value: [\"head\"]: {VERBS}");
    let no_words = format!(
        "{at}.verbs: Required value: verbs must contain at least one value\n\
        {at}.apiGroups: Required value: resource rules must supply at least one api group"
    );
    let no_space = format!(
        "{at}.namespaces[0]: Invalid value: \"N\": each member of this list must be '*' or a DNS-1123 label; a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    );
    let urls = format!(
        "{below}.verbs: Required value: verbs must contain at least one value\n\
        {below}.nonResourceURLs[0]: Invalid value: \"\": must not be empty\n\
        {below}.nonResourceURLs[1]: Invalid value: \"/a/*/*\": wildcard can only do suffix matching"
    );
    check(
        GROUP,
        "FlowSchema",
        &[
            (schema("s", json!({})), ""),
            (resources(json!({"verbs": ["proxy"], "namespaces": ["*"]})), ""),
            (paths(json!(["watch"]), json!(["/", "/a/*"])), ""),
            (paths(json!(["*"]), json!(["*"])), ""),
            (resources(json!({"verbs": ["get", "steal"]})), &unsupported),
            (paths(json!(["head"]), json!(["/"])), &unsupported_paths),
            (resources(json!({"verbs": [], "apiGroups": []})), &no_words),
            (resources(json!({"namespaces": ["N"]})), &no_space),
            (paths(json!([]), json!(["", "/a/*/*"])), &urls),
            (
                schema(
                    "s",
                    json!({"distinguisherMethod": {"type": "Some"}, "priorityLevelConfiguration": {}}),
                ),
                "spec.distinguisherMethod.type: Unsupported value: {\"type\":\"Some\"}: supported values: \"ByNamespace\", \"ByUser\"\n\
                spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
            ),
            (
                subject(json!({"kind": "Some", "user": {"name": "u"}})),
                "spec.rules[0].subjects[0].kind: Unsupported value: \"Some\": supported values: \"Group\", \"ServiceAccount\", \"User\"",
            ),
            (
                subject(json!({"kind": "Group", "user": {"name": "u"}})),
                "spec.rules[0].subjects[0].group: Required value: group is required when subject kind is 'Group'\n\
                spec.rules[0].subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User'",
            ),
            (
                subject(json!({"kind": "ServiceAccount", "serviceAccount": {"name": "_", "namespace": "N"}})),
                "spec.rules[0].subjects[0].serviceAccount.name: Invalid value: \"_\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.rules[0].subjects[0].serviceAccount.namespace: Invalid value: \"N\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            ),
            (
                subject(json!({"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "n"}})),
                "",
            ),
            (
                schema(
                    "exempt",
                    json!({"matchingPrecedence": 1, "priorityLevelConfiguration": {"name": "exempt"}}),
                ),
                "spec: Invalid value: {\"matchingPrecedence\":1,\"priorityLevelConfiguration\":{\"name\":\"exempt\"},\"rules\":[]}: spec of 'exempt' must equal the fixed value",
            ),
        ],
    );
    let condition = |kinds: &[&str]| {
        let conditions: Vec<Value> = kinds.iter().map(|kind| json!({"type": kind})).collect();
        json!({"status": {"conditions": conditions}})
    };
    for kind in ["FlowSchema", "PriorityLevelConfiguration"] {
        check_statuses(
            GROUP,
            kind,
            &[
                (json!({}), condition(&["a", "b"]), ""),
                (
                    json!({}),
                    condition(&["", "a", "a"]),
                    "status.conditions[0].type: Required value: must not be empty\n\
                    status.conditions[2].type: Duplicate value: \"a\"",
                ),
            ],
        );
    }
}

#[test]
fn priority_levels() {
    let level = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
    let reject = json!({"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}});
    check(
        GROUP,
        "PriorityLevelConfiguration",
        &[
            (level("catch-all", json!({"type": "Limited", "limited": reject})), ""),
            (level("exempt", json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 7}})), ""),
            (
                level("exempt", json!({"type": "Exempt", "limited": {"limitResponse": {"type": "Reject"}}})),
                "spec.limited: Forbidden: must be nil if the type is not Limited\n\
                spec: Invalid value: {\"limited\":{\"lendablePercent\":0,\"limitResponse\":{\"type\":\"Reject\"},\"nominalConcurrencyShares\":30},\"type\":\"Exempt\"}: spec of 'exempt' except the 'spec.exempt' field must equal the fixed value",
            ),
            (
                level(
                    "catch-all",
                    json!({"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}),
                ),
                "spec: Invalid value: {\"limited\":{\"lendablePercent\":0,\"limitResponse\":{\"type\":\"Reject\"},\"nominalConcurrencyShares\":30},\"type\":\"Limited\"}: spec of 'catch-all' must equal the fixed value",
            ),
            (
                level("l", json!({"type": "Exempt"})),
                "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'",
            ),
            (
                level(
                    "l",
                    json!({"type": "Limited", "limited": {"nominalConcurrencyShares": -1, "lendablePercent": 101,
                    "borrowingLimitPercent": -1, "limitResponse": {"type": "Some"}}}),
                ),
                "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer\n\
                spec.limited.limitResponse.type: Unsupported value: \"Some\": supported values: \"Queue\", \"Reject\"\n\
                spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive\n\
                spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
            ),
        ],
    );
}

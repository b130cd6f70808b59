//! What is said of network policies, and what is made of them.

use serde_json::{Value, json};

use super::NetworkPolicy;
use strategy::testing::{agree, created, defaulted};

#[test]
fn types_follow_the_rules() {
    let types =
        |spec: Value| defaulted(&NetworkPolicy, json!({ "spec": spec }))["spec"]["policyTypes"].clone();
    assert_eq!(types(json!({})), json!(["Ingress"]));
    assert_eq!(types(json!({"egress": [{}]})), json!(["Ingress", "Egress"]));
    assert_eq!(types(json!({"egress": [{}], "policyTypes": ["Egress"]})), json!(["Egress"]));
    let object = defaulted(
        &NetworkPolicy,
        json!({"spec": {"egress": [{"ports": [{"port": 53}]}], "ingress": [{"ports": [{"protocol": "UDP"}]}]}}),
    );
    assert_eq!(object["spec"]["egress"][0]["ports"][0]["protocol"], "TCP");
    assert_eq!(object["spec"]["ingress"][0]["ports"][0]["protocol"], "UDP");
}

#[test]
fn rules_name_peers_and_ports() {
    let peer = |peer: Value| json!({"ingress": [{"from": [peer]}]});
    let port = |port: Value| json!({"egress": [{"ports": [port]}]});
    let block = |cidr: &str, except: Value| peer(json!({"ipBlock": {"cidr": cidr, "except": except}}));
    let cases = [
        (json!({"policyTypes": ["Egress", "Ingress"]}), ""),
        (peer(json!({"podSelector": {}, "namespaceSelector": {}})), ""),
        (port(json!({"port": 80, "endPort": 80, "protocol": "SCTP"})), ""),
        (port(json!({"port": "http", "protocol": "UDP"})), ""),
        (port(json!({})), ""),
        (block("10.0.0.0/8", json!(["10.1.0.0/16"])), ""),
        (
            json!({"policyTypes": ["Ingress", "Egress", "Ingress"]}),
            "spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Ingress\"]: may not specify more than two policyTypes",
        ),
        (
            json!({"policyTypes": ["Some"]}),
            "spec.policyTypes[0]: Unsupported value: \"Some\": supported values: \"Ingress\", \"Egress\"",
        ),
        (
            json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Some"}]}}),
            "spec.podSelector.matchExpressions[0].operator: Invalid value: \"Some\": not a valid selector operator",
        ),
        (
            port(json!({"protocol": "ICMP", "port": 0})),
            "spec.egress[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"TCP\", \"UDP\", \"SCTP\"\n\
            spec.egress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            port(json!({"port": 80, "endPort": 79})),
            "spec.egress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
        ),
        (
            port(json!({"port": 80, "endPort": 65536})),
            "spec.egress[0].ports[0].endPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
        ),
        (
            port(json!({"port": "1", "endPort": 80})),
            "spec.egress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is non-numeric\n\
            spec.egress[0].ports[0].port: Invalid value: \"1\": must contain at least one letter (a-z)",
        ),
        (
            port(json!({"endPort": 80})),
            "spec.egress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is not specified",
        ),
        (peer(json!({})), "spec.ingress[0].from[0]: Required value: must specify a peer"),
        (
            json!({"egress": [{"to": [{"podSelector": {"matchLabels": {"a": "-"}}, "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]}]}),
            "spec.egress[0].to[0].podSelector.matchLabels: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')\n\
            spec.egress[0].to[0].namespaceSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            peer(json!({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}})),
            "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
        ),
        (block("", json!(["x"])), "spec.ingress[0].from[0].ipBlock.cidr: Required value"),
        (
            block("x", json!(["y"])),
            "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        ),
        (
            block("10.0.0.0/8", json!(["11.0.0.0/16", "x", "10.0.0.0/8", "10.0.0.0/7", "10.1.0.1/16"])),
            "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`\n\
            spec.ingress[0].from[0].ipBlock.except[1]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)\n\
            spec.ingress[0].from[0].ipBlock.except[2]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`\n\
            spec.ingress[0].from[0].ipBlock.except[3]: Invalid value: \"10.0.0.0/7\": must be a strict subset of `cidr`\n\
            spec.ingress[0].from[0].ipBlock.except[4]: Invalid value: \"10.1.0.1/16\": must not have bits set beyond the prefix length",
        ),
        (
            block("010.0.0.0/8", json!(["11.0.0.0/16"])),
            "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"010.0.0.0/8\": must not have leading 0s in IP or prefix length\n\
            spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
        ),
    ];
    agree(cases.into_iter().map(|(spec, expected)| {
        (spec.to_string(), created(&NetworkPolicy, json!({ "spec": spec })), expected)
    }));
}

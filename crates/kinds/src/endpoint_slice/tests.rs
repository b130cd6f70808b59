//! What is said of endpoint slices, and what is made of them.

use serde_json::{Value, json};

use super::EndpointSlice;
use strategy::Strategy;
use strategy::testing::{agree, created, defaulted, updated};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn check(cases: Vec<(Value, String)>) {
    agree(cases.iter().map(|(slice, expected)| {
        let mut case = slice.to_string();
        case.truncate(200);
        (case, created(&EndpointSlice, slice.clone()), &**expected)
    }));
}

/// A slice of one endpoint.
fn of(kind: &str, endpoint: Value) -> Value {
    json!({"addressType": kind, "endpoints": [endpoint]})
}

#[test]
fn addresses_are_of_their_type() {
    let at = |kind: &str, address: &str| of(kind, json!({"addresses": [address]}));
    let of_addresses = |count: usize| of("IPv4", json!({"addresses": vec!["10.0.0.1"; count]}));
    let wrong =
        |address: &str, why: &str| format!("endpoints[0].addresses[0]: Invalid value: \"{address}\": {why}");
    check(vec![
        (json!({"addressType": "IPv4"}), String::new()),
        (at("IPv4", "10.0.0.1"), String::new()),
        (at("IPv6", "fd00::1"), String::new()),
        (at("FQDN", "a.example"), String::new()),
        (at("FQDN", "a.example."), String::new()),
        (json!({}), "addressType: Required value".to_owned()),
        (
            at("Some", "x"),
            "addressType: Unsupported value: \"Some\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""
                .to_owned(),
        ),
        (at("IPv4", "fd00::1"), wrong("fd00::1", "must be a valid IPv4 address")),
        (at("IPv6", "10.0.0.1"), wrong("10.0.0.1", "must be a valid IPv6 address")),
        (
            at("IPv4", "127.0.0.1"),
            wrong("127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ),
        (at("FQDN", ""), "endpoints[0].addresses[0]: Required value".to_owned()),
        (
            at("FQDN", "example"),
            wrong("example", "should be a domain with at least two segments separated by dots"),
        ),
        (at("FQDN", "A.example."), wrong("A.example", SUBDOMAIN)),
        (
            at("FQDN", &format!("{}.b", "a".repeat(64))),
            wrong(&"a".repeat(64), "must be no more than 63 bytes"),
        ),
        (
            of("IPv4", json!({"addresses": []})),
            "endpoints[0].addresses: Required value: must contain at least 1 address".to_owned(),
        ),
        (of_addresses(100), String::new()),
        (of_addresses(101), "endpoints[0].addresses: Too many: 101: must have at most 100 items".to_owned()),
        (
            json!({"addressType": "IPv4", "endpoints": vec![json!({"addresses": ["10.0.0.1"]}); 1000]}),
            String::new(),
        ),
        (
            json!({"addressType": "IPv4", "endpoints": vec![json!({}); 1001]}),
            "endpoints: Too many: 1001: must have at most 1000 items".to_owned(),
        ),
    ]);
}

#[test]
fn endpoints_say_where_they_are() {
    let with = |change: Value| {
        let mut endpoint = json!({"addresses": ["10.0.0.1"]});
        for (key, value) in change.as_object().unwrap() {
            endpoint[key] = value.clone();
        }
        of("IPv4", endpoint)
    };
    let topology = |count: usize| -> Value {
        (0..count).map(|number| (format!("k{number}"), json!("v"))).collect::<serde_json::Map<_, _>>().into()
    };
    let named = |names: &[&str]| -> Value { names.iter().map(|name| json!({ "name": name })).collect() };
    let many: Vec<String> = (0..9).map(|number| format!("z{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let at = "endpoints[0]";
    check(vec![
        (with(json!({"nodeName": "a.b", "hostname": "h"})), String::new()),
        (
            with(json!({"nodeName": "A", "hostname": "a.b"})),
            format!(
                "{at}.nodeName: Invalid value: \"A\": {SUBDOMAIN}\n{at}.hostname: Invalid value: \"a.b\": {LABEL}"
            ),
        ),
        (with(json!({"deprecatedTopology": topology(16)})), String::new()),
        (
            with(json!({"deprecatedTopology": topology(17)})),
            format!("{at}.deprecatedTopology: Too many: 17: must have at most 16 items"),
        ),
        (
            with(json!({"deprecatedTopology": {"-": "v", "k": "-"}})),
            format!(
                "{at}.deprecatedTopology: Invalid value: \"-\": {NAME}\n{at}.deprecatedTopology: Invalid value: \"-\": {VALUE}"
            ),
        ),
        (with(json!({"hints": {"forZones": named(&["a", ""]), "forNodes": named(&["w1"])}})), String::new()),
        (
            with(json!({"hints": {"forZones": named(&many[..8]), "forNodes": named(&many[..8])}})),
            String::new(),
        ),
        (
            with(json!({"hints": {"forZones": named(&["a", "a", "-"])}})),
            format!(
                "{at}.hints.forZones[1].name: Duplicate value: \"a\"\n{at}.hints.forZones[2].name: Invalid value: \"-\": {VALUE}"
            ),
        ),
        (
            with(json!({"hints": {"forNodes": named(&["a", "a", "A"])}})),
            format!(
                "{at}.hints.forNodes[1].name: Duplicate value: \"a\"\n{at}.hints.forNodes[2].name: Invalid value: \"A\": {SUBDOMAIN}"
            ),
        ),
        (
            with(json!({"hints": {"forZones": named(&many), "forNodes": named(&["A"])}})),
            format!("{at}.hints.forZones: Too many: 9: must have at most 8 items"),
        ),
        (
            with(json!({"hints": {"forNodes": named(&many)}})),
            format!("{at}.hints.forNodes: Too many: 9: must have at most 8 items"),
        ),
    ]);
}

#[test]
fn ports_are_named_once() {
    let ports = |ports: Value| json!({"addressType": "IPv4", "ports": ports});
    let many = |count: usize| ports((0..count).map(|number| json!({"name": format!("p{number}")})).collect());
    check(vec![
        (
            ports(json!([{"name": "a", "port": 80, "appProtocol": "a.example/b"}, {"protocol": "SCTP"}])),
            String::new(),
        ),
        (ports(json!([{"port": 65536}])), String::new()),
        (
            ports(
                json!([{"name": "A", "protocol": "ICMP", "appProtocol": "-"}, {"name": "b", "protocol": ""}, {"name": "b"}]),
            ),
            format!(
                "ports[0].name: Invalid value: \"A\": {LABEL}\n\
                ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"\n\
                ports[0].appProtocol: Invalid value: \"-\": {NAME}\n\
                ports[1].protocol: Unsupported value: \"\": supported values: \"SCTP\", \"TCP\", \"UDP\"\n\
                ports[2].name: Duplicate value: \"b\""
            ),
        ),
        (ports(json!([{}, {}])), "ports[1].name: Duplicate value: \"\"".to_owned()),
        (many(20001), "ports: Too many: 20001: must have at most 20000 items".to_owned()),
    ]);
    let full = defaulted(&EndpointSlice, ports(json!([{}])));
    assert_eq!(full["ports"][0], json!({"name": "", "protocol": "TCP"}));
}

#[test]
fn a_slice_stays_of_its_type() {
    assert_eq!(
        updated(&EndpointSlice, json!({"addressType": "IPv6"}), json!({"addressType": "IPv4"})),
        "addressType: Invalid value: \"IPv6\": field is immutable"
    );
    let old = json!({"metadata": {"generation": 1, "labels": {"a": "b"}}, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}]});
    let counted = |change: &dyn Fn(&mut Value)| {
        let mut new = old.clone();
        change(&mut new);
        EndpointSlice.prepare_for_update(&mut new, &old);
        new["metadata"]["generation"].as_i64()
    };
    assert_eq!(counted(&|new| new["metadata"]["annotations"] = json!({"a": "b"})), Some(1));
    assert_eq!(counted(&|new| new["metadata"]["labels"] = json!({"a": "c"})), Some(2));
    assert_eq!(counted(&|new| new["endpoints"] = json!([])), Some(2));
    assert_eq!(counted(&|new| new["ports"] = json!([{"port": 1}])), Some(2));
    assert_eq!(
        EndpointSlice.create_warnings(&json!({"addressType": "FQDN"})),
        ["addressType: FQDN endpoints are deprecated"]
    );
}

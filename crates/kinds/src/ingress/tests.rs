//! What is said of ingresses and their classes, and what is made of them.

use serde_json::{Value, json};

use super::{Ingress, IngressClass};
use strategy::Strategy;
use strategy::testing::{agree, created, defaulted, found, updated};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn backend() -> Value {
    json!({"service": {"name": "web", "port": {"number": 80}}})
}

/// Compares what is said of ingresses with these specs.
fn check(cases: Vec<(Value, String)>) {
    let told: Vec<(String, String)> = cases
        .iter()
        .map(|(spec, _)| (spec.to_string(), created(&Ingress, json!({ "spec": spec }))))
        .collect();
    agree(told.into_iter().zip(&cases).map(|((case, told), (_, expected))| (case, told, &**expected)));
}

#[test]
fn ingresses_lead_somewhere() {
    let host = |host: &str| json!({"rules": [{ "host": host }]});
    let tls = |tls: Value| json!({"defaultBackend": backend(), "tls": [tls]});
    let at = "spec.rules[0].host: Invalid value:";
    let long = format!("*.{}a", "a.".repeat(126));
    check(vec![
        (json!({"defaultBackend": backend()}), String::new()),
        (host("*.a.example"), String::new()),
        (host("a.example"), String::new()),
        (host(""), String::new()),
        (
            json!({}),
            "spec: Invalid value: \"null\": either `defaultBackend` or `rules` must be specified".to_owned(),
        ),
        (host("a_b"), format!("{at} \"a_b\": {SUBDOMAIN}")),
        (host("10.0.0.1"), format!("{at} \"10.0.0.1\": must be a DNS name, not an IP address")),
        (host("10.0.0.01"), format!("{at} \"10.0.0.01\": must be a DNS name, not an IP address")),
        (
            host("fd00::1"),
            format!("{at} \"fd00::1\": must be a DNS name, not an IP address\n{at} \"fd00::1\": {SUBDOMAIN}"),
        ),
        (host("a.*"), format!("{at} \"a.*\": {WILDCARD}")),
        (host("*.A"), format!("{at} \"*.A\": {WILDCARD}")),
        (host(&long), format!("{at} \"{long}\": must be no more than 253 bytes")),
        (tls(json!({"hosts": ["a.example", "*.a.example", "10.0.0.1"], "secretName": "a.b"})), String::new()),
        (
            tls(json!({"hosts": ["A", "*"], "secretName": "S"})),
            format!(
                "spec.tls[0].hosts[0]: Invalid value: \"A\": {SUBDOMAIN}\n\
                spec.tls[0].hosts[1]: Invalid value: \"*\": {WILDCARD}\n\
                spec.tls[0].secretName: Invalid value: \"S\": {SUBDOMAIN}"
            ),
        ),
        (json!({"defaultBackend": backend(), "ingressClassName": "a.b"}), String::new()),
        (
            json!({"defaultBackend": backend(), "ingressClassName": "A"}),
            format!("spec.ingressClassName: Invalid value: \"A\": {SUBDOMAIN}"),
        ),
    ]);
}

#[test]
fn paths_are_of_their_type() {
    let path = |kind: &str, path: &str| json!({"rules": [{"http": {"paths": [{"pathType": kind, "path": path, "backend": backend()}]}}]});
    let at = "spec.rules[0].http.paths[0]";
    let absolute = |path: &str| format!("{at}.path: Invalid value: \"{path}\": must be an absolute path");
    let not = |path: &str, bad: &str| format!("{at}.path: Invalid value: \"{path}\": {bad}");
    check(vec![
        (path("Exact", "/a"), String::new()),
        (path("Prefix", "/"), String::new()),
        (path("ImplementationSpecific", ""), String::new()),
        (path("ImplementationSpecific", "/a//b/.."), String::new()),
        (path("ImplementationSpecific", "a"), absolute("a")),
        (path("Exact", "a"), absolute("a")),
        (path("Exact", ""), absolute("")),
        (path("Prefix", "a"), absolute("a")),
        (path("Exact", "/a//b"), not("/a//b", "must not contain '//'")),
        (path("Exact", "/a/./b"), not("/a/./b", "must not contain '/./'")),
        (path("Exact", "/a/../b"), not("/a/../b", "must not contain '/../'")),
        (path("Exact", "/a%2fb"), not("/a%2fb", "must not contain '%2f'")),
        (path("Exact", "/a%2Fb"), not("/a%2Fb", "must not contain '%2F'")),
        (path("Prefix", "/a/.."), not("/a/..", "cannot end with '/..'")),
        (path("Prefix", "/a/."), not("/a/.", "cannot end with '/.'")),
        (
            path("Some", "a"),
            format!(
                "{at}.pathType: Unsupported value: \"Some\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\""
            ),
        ),
        (
            path("", "a"),
            format!(
                "{at}.pathType: Unsupported value: \"\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\""
            ),
        ),
        (
            json!({"rules": [{"http": {"paths": [{"path": "a", "backend": {}}]}}]}),
            format!("{at}.pathType: Required value: pathType must be specified"),
        ),
        (json!({"rules": [{"http": {"paths": []}}]}), "spec.rules[0].http.paths: Required value".to_owned()),
    ]);
}

#[test]
fn backends_are_one_thing() {
    let of = |backend: Value| json!({ "defaultBackend": backend });
    let port = |port: Value| of(json!({"service": {"name": "web", "port": port}}));
    let resource = |resource: Value| of(json!({ "resource": resource }));
    let at = "spec.defaultBackend";
    check(vec![
        (port(json!({"name": "http"})), String::new()),
        (port(json!({"number": 65535})), String::new()),
        (resource(json!({"apiGroup": "a.example", "kind": "K", "name": "n"})), String::new()),
        (of(json!({})), format!("{at}: Invalid value: \"\": resource or service backend is required")),
        (
            of(json!({"service": {}, "resource": {}})),
            format!("{at}: Invalid value: \"\": cannot set both resource and service backends"),
        ),
        (
            of(json!({"service": {}})),
            format!(
                "{at}.service.name: Required value\n{at}: Required value: port name or number is required"
            ),
        ),
        (
            of(json!({"service": {"name": "W", "port": {"number": 1}}})),
            format!("{at}.service.name: Invalid value: \"W\": {LABEL}"),
        ),
        (
            port(json!({"name": "http", "number": 80})),
            format!("{at}: Invalid value: \"\": cannot set both port name & port number"),
        ),
        (
            port(json!({"name": "1"})),
            format!("{at}.service.port.name: Invalid value: \"1\": must contain at least one letter (a-z)"),
        ),
        (
            port(json!({"number": 65536})),
            format!("{at}.service.port.number: Invalid value: 65536: must be between 1 and 65535, inclusive"),
        ),
        (
            resource(json!({"apiGroup": "A"})),
            format!(
                "{at}.resource.apiGroup: Invalid value: \"A\": {SUBDOMAIN}\n\
                {at}.resource.kind: Required value: kind is required\n\
                {at}.resource.name: Required value: name is required"
            ),
        ),
        (
            resource(json!({"kind": "a/b", "name": "a%b"})),
            format!(
                "{at}.resource.kind: Invalid value: \"a/b\": may not contain '/'\n\
                {at}.resource.name: Invalid value: \"a%b\": may not contain '%'"
            ),
        ),
    ]);
}

#[test]
fn a_class_is_told_once() {
    let ingress = |annotation: Value, class: Value| json!({"metadata": {"annotations": annotation}, "spec": {"defaultBackend": backend(), "ingressClassName": class}});
    let old = json!({"kubernetes.io/ingress.class": "a"});
    assert_eq!(created(&Ingress, ingress(old.clone(), json!("a"))), "");
    assert_eq!(
        created(&Ingress, ingress(old.clone(), json!("b"))),
        "annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both are specified"
    );
    assert_eq!(
        updated(&Ingress, ingress(old.clone(), json!("b")), ingress(old.clone(), json!("b"))),
        "",
        "it is not asked of what is there"
    );
    assert_eq!(
        Ingress.create_warnings(&ingress(old.clone(), Value::Null)),
        [
            "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
        ]
    );
    assert_eq!(Ingress.create_warnings(&ingress(old, json!("a"))), [""; 0]);
    assert_eq!(Ingress.create_warnings(&ingress(json!({}), Value::Null)), [""; 0]);
}

#[test]
fn what_was_taken_before_may_stay() {
    let named =
        |secret: &str| json!({"spec": {"defaultBackend": backend(), "tls": [{ "secretName": secret }]}});
    assert_eq!(updated(&Ingress, named("T"), named("S")), "");
    assert!(
        updated(&Ingress, named("T"), named("s")).starts_with("spec.tls[0].secretName: Invalid value: \"T\"")
    );
    let wild = |host: &str, path: &str| json!({"spec": {"rules": [{"host": host, "http": {"paths": [{"pathType": "Exact", "path": path, "backend": backend()}]}}]}});
    assert_eq!(updated(&Ingress, wild("*.a", "b"), wild("*.a", "a")), "");
    let told = "spec.rules[0].http.paths[0].path: Invalid value: \"b\": must be an absolute path";
    assert_eq!(updated(&Ingress, wild("*.a", "b"), wild("*.a", "/a")), told);
    assert_eq!(updated(&Ingress, wild("a.a", "b"), wild("*.a", "a")), told);
    assert_eq!(updated(&Ingress, wild("*.a", "b"), wild("a.a", "a")), told);
}

#[test]
fn a_balancer_is_somewhere() {
    let mut fresh = json!({"spec": {}, "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}});
    Ingress.prepare_for_create(&mut fresh);
    assert_eq!(fresh["status"], json!({"loadBalancer": {}}));
    let placed = json!({"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1", "hostname": "a.example"}, {"ip": "ten"},
        {"hostname": "A"}, {"hostname": "10.0.0.01"}]}}});
    let at = "status.loadBalancer.ingress";
    assert_eq!(
        found(|errors| Ingress.validate_status_update(&placed, &placed, errors)),
        format!(
            "{at}[1].ip: Invalid value: \"ten\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)\n\
            {at}[2].hostname: Invalid value: \"A\": {SUBDOMAIN}\n\
            {at}[3].hostname: Invalid value: \"10.0.0.01\": must be a DNS name, not an IP address"
        )
    );
}

#[test]
fn classes_have_a_controller() {
    let class = |controller: &str, parameters: Value| json!({"spec": {"controller": controller, "parameters": parameters}});
    let long = format!("a.example/{}", "b".repeat(241));
    let of = |parameters: Value| class("a.example/b", parameters);
    let path = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
    let cases = [
        (class("a.example/b", Value::Null), String::new()),
        (class(&long[..250], Value::Null), String::new()),
        (class(&long, Value::Null), "spec.controller: Too long: may not be more than 250 bytes".to_owned()),
        (class("", Value::Null), "spec.controller: Required value".to_owned()),
        (
            class("a", Value::Null),
            "spec.controller: Invalid value: \"a\": must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned(),
        ),
        (
            class("A/b c", Value::Null),
            format!(
                "spec.controller: Invalid value: \"A\": {SUBDOMAIN}\nspec.controller: Invalid value: \"b c\": {path}"
            ),
        ),
        (of(json!({"kind": "K", "name": "n"})), String::new()),
        (of(json!({"kind": "K", "name": "n", "scope": "Namespace", "namespace": "x"})), String::new()),
        (
            of(json!({"apiGroup": "A", "scope": "Namespace"})),
            format!(
                "spec.parameters.apiGroup: Invalid value: \"A\": {SUBDOMAIN}\n\
                spec.parameters.kind: Required value: kind is required\n\
                spec.parameters.name: Required value: name is required\n\
                spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"
            ),
        ),
        (
            of(json!({"kind": "K", "name": "n", "scope": "Namespace", "namespace": "X"})),
            format!("spec.parameters.namespace: Invalid value: \"X\": {LABEL}"),
        ),
        (
            of(json!({"kind": "K", "name": "n", "namespace": "x"})),
            "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'".to_owned(),
        ),
        (
            of(json!({"kind": "K", "name": "n", "scope": "Some"})),
            "spec.parameters.scope: Unsupported value: \"Some\": supported values: \"Cluster\", \"Namespace\"".to_owned(),
        ),
    ];
    agree(
        cases
            .iter()
            .map(|(class, expected)| (class.to_string(), created(&IngressClass, class.clone()), &**expected)),
    );
    let full = defaulted(&IngressClass, of(json!({"kind": "K", "name": "n"})));
    assert_eq!(full["spec"]["parameters"]["scope"], "Cluster");
    assert_eq!(
        updated(&IngressClass, class("b.example/c", Value::Null), of(Value::Null)),
        "spec.controller: Invalid value: \"b.example/c\": field is immutable"
    );
}

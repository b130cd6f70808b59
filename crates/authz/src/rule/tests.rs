use serde_json::json;

use super::*;

fn attributes<'a>(verb: &'a str, group: &'a str, resource: &'a str, name: &'a str) -> Attributes<'a> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Attributes { verb, group, resource, subresource, name, is_resource: true, ..Attributes::default() }
}

#[test]
fn rules_match_as_upstreams() {
    let rule = |rule: Value| Rule::read(&rule);
    let pods = rule(json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}));
    let scale = rule(json!({"apiGroups": ["*"], "resources": ["*/scale"], "verbs": ["*"]}));
    let named =
        rule(json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["s"]}));
    let all = rule(json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}));
    for (rule, verb, group, resource, name, expected) in [
        (&pods, "get", "", "pods", "web", true),
        (&pods, "delete", "", "pods", "web", false),
        (&pods, "get", "", "pods/log", "web", false),
        (&pods, "get", "apps", "pods", "web", false),
        (&scale, "update", "apps", "deployments/scale", "d", true),
        (&scale, "update", "apps", "deployments", "d", false),
        (&scale, "update", "apps", "deployments/status", "d", false),
        (&named, "get", "", "secrets", "s", true),
        (&named, "get", "", "secrets", "t", false),
        (&named, "get", "", "secrets", "", false),
        (&all, "anything", "x", "y/z", "", true),
    ] {
        let allowed = rule.allows(&attributes(verb, group, resource, name));
        assert_eq!(allowed, expected, "{verb} {group} {resource} {name} by {rule}");
    }
    let path = |verb, path| Attributes { verb, path, ..Attributes::default() };
    let paths = rule(json!({"nonResourceURLs": ["/healthz", "/api/*"], "verbs": ["get"]}));
    for (path, expected) in [
        (path("get", "/healthz"), true),
        (path("get", "/healthz/etcd"), false),
        (path("get", "/api/v1"), true),
        (path("get", "/api/"), true),
        (path("get", "/api"), false),
        (path("post", "/api/v1"), false),
    ] {
        assert_eq!(paths.allows(&path), expected, "{path:?}");
    }
    assert!(!all.allows(&path("get", "/api")), "rules on resources say nothing about paths");
}

#[test]
fn missing_permissions_are_named_each_resource_once() {
    let check = |held: Value, wanted: Value| -> String {
        let read =
            |rules: &Value| -> Vec<Rule> { rules.as_array().unwrap().iter().map(Rule::read).collect() };
        let (held, wanted) = (read(&held), read(&wanted));
        let missing = missing(&held.iter().collect::<Vec<_>>(), &wanted).unwrap();
        missing.iter().map(Rule::to_string).collect::<Vec<_>>().join("\n")
    };
    let pods = |verbs: &[&str]| json!({"apiGroups": [""], "resources": ["pods"], "verbs": verbs});
    assert_eq!(check(json!([pods(&["get"]), pods(&["list"])]), json!([pods(&["get", "list"])])), "");
    assert_eq!(
        check(json!([pods(&["get"])]), json!([pods(&["get", "list", "watch"])])),
        r#"{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}"#
    );
    let one = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["get"]});
    let whole = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]});
    assert_eq!(check(json!([whole]), json!([one])), "");
    assert_eq!(
        check(json!([one]), json!([whole])),
        r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}"#
    );
    let some = |names: &[&str]| json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": names, "verbs": ["get"]});
    assert_eq!(check(json!([some(&["a", "b"])]), json!([one])), "");
    assert_eq!(
        check(json!([some(&["b"])]), json!([one])),
        r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get"]}"#
    );
    let all = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
    assert_eq!(check(json!([all]), json!([one, pods(&["*"])])), "");
    let paths = json!({"nonResourceURLs": ["/a/b", "/c"], "verbs": ["get"]});
    assert_eq!(
        check(json!([all, {"nonResourceURLs": ["/a/*"], "verbs": ["*"]}]), json!([paths])),
        r#"{NonResourceURLs:["/c"], Verbs:["get"]}"#
    );
    let scale = json!({"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["update"]});
    let of_deployments =
        json!({"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["update"]});
    assert_eq!(check(json!([scale]), json!([of_deployments])), "");
}

#[test]
fn a_rule_too_large_to_compare_is_refused_not_computed() {
    let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let rule = Rule::read(&json!({"apiGroups": many, "resources": many, "verbs": many}));
    assert_eq!(missing(&[], &[rule]), None);
}

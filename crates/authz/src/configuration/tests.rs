use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

fn file(authorizers: Value) -> Value {
    json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration",
        "authorizers": authorizers})
}

/// What is at a path.
fn at(path: &str) -> io::Result<bool> {
    match path {
        "/etc/webhook" => Ok(true),
        "/etc" => Ok(false),
        "/root/webhook" => Err(io::ErrorKind::PermissionDenied.into()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn webhook(change: impl FnOnce(&mut Value)) -> Value {
    let mut webhook = json!({
        "timeout": "3s", "subjectAccessReviewVersion": "v1", "failurePolicy": "Deny",
        "matchConditionSubjectAccessReviewVersion": "v1",
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "/etc/webhook"},
        "matchConditions": [{"expression": "has(request.resourceAttributes)"}],
    });
    change(&mut webhook);
    json!([{"type": "Webhook", "name": "w", "webhook": webhook}])
}

fn check(authorizers: Value, expected: Expect) {
    let found = match read(file(authorizers), at) {
        Ok(named) => named.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join("\n"),
        Err(error) => error,
    };
    expected.assert_eq(&found);
}

#[test]
fn authorisers_keep_their_order() {
    check(
        json!([{"type": "Node", "name": "node"}, webhook(|_| {})[0], {"type": "RBAC", "name": "rbac"}]),
        expect![[r#"
            Named { name: "node", kind: Own(Node) }
            Named { name: "w", kind: Webhook(WebhookConfiguration { timeout: 3s, authorized_ttl: 300s, unauthorized_ttl: 30s, version: "v1", deny_on_failure: true, kubeconfig: "/etc/webhook", conditions: [has(request.resourceAttributes)] }) }
            Named { name: "rbac", kind: Own(Rbac) }"#]],
    );
    check(
        webhook(|webhook| {
            webhook["authorizedTTL"] = json!("1m");
            webhook["unauthorizedTTL"] = json!("0s");
            webhook["failurePolicy"] = json!("NoOpinion");
            webhook["matchConditions"] = json!([]);
        }),
        expect![[
            r#"Named { name: "w", kind: Webhook(WebhookConfiguration { timeout: 3s, authorized_ttl: 60s, unauthorized_ttl: 30s, version: "v1", deny_on_failure: false, kubeconfig: "/etc/webhook", conditions: [] }) }"#
        ]],
    );
}

#[test]
fn answers_may_be_forgotten() {
    let told = webhook(|webhook| webhook["cacheUnauthorizedRequests"] = json!(false));
    let named = read(file(told), at).unwrap();
    let Kind::Webhook(webhook) = &named[0].kind else { panic!("no webhook") };
    assert_eq!(
        (webhook.authorized_ttl, webhook.unauthorized_ttl),
        (Duration::from_secs(300), Duration::ZERO)
    );
}

#[test]
fn a_wrong_configuration_says_where() {
    check(json!([]), expect!["authorizers: Required value: at least one authorization mode must be defined"]);
    check(
        json!([{"name": "a"}, {"type": "Foo", "name": "b"}, {"type": "RBAC", "name": "c"},
            {"type": "RBAC", "name": "d"}, {"type": "Node", "name": "c"}, {"type": "AlwaysDeny", "name": "_"},
            {"type": "AlwaysAllow"}]),
        expect![[
            r#"[authorizers[0].type: Required value, authorizers[1].type: Unsupported value: "Foo": supported values: "ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook", authorizers[3].type: Duplicate value: "RBAC", authorizers[4].name: Duplicate value: "c", authorizers[5].name: Invalid value: "_": authorizer name is invalid: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), authorizers[6].name: Required value]"#
        ]],
    );
    check(
        json!([{"type": "Webhook", "name": "a"}, {"type": "RBAC", "name": "b", "webhook": {}}]),
        expect![[
            r#"[authorizers[0].webhook: Required value: required when type=Webhook, authorizers[1].webhook: Invalid value: "non-null": may only be specified when type=Webhook]"#
        ]],
    );
    check(
        webhook(|webhook| *webhook = json!({"matchConditions": [{"expression": "true"}]})),
        expect![
            "[authorizers[0].timeout: Required value, authorizers[0].subjectAccessReviewVersion: Required value, authorizers[0].matchConditionSubjectAccessReviewVersion: Required value: required if match conditions are specified, authorizers[0].failurePolicy: Required value, authorizers[0].connectionInfo.type: Required value]"
        ],
    );
    check(
        webhook(|webhook| {
            webhook["timeout"] = json!("1.5m");
            webhook["unauthorizedTTL"] = json!("-1s");
            webhook["failurePolicy"] = json!("Ignore");
            webhook["connectionInfo"]["kubeConfigFile"] = json!("relative");
            webhook["matchConditions"] = json!([{"expression": " "}, {"expression": "true"}, {"expression": "true"}, {"expression": " true"}]);
        }),
        expect![[
            r#"[authorizers[0].timeout: Invalid value: "1m30s": must be > 0s and <= 30s, authorizers[0].unauthorizedTTL: Invalid value: "-1s": must be > 0s, authorizers[0].failurePolicy: Unsupported value: "Ignore": supported values: "NoOpinion", "Deny", authorizers[0].connectionInfo.kubeConfigFile: Invalid value: "relative": must be an absolute path, authorizers[0].matchConditions[0].expression: Required value, authorizers[0].matchConditions[2].expression: Duplicate value: "true"]"#
        ]],
    );
    for (connection, why) in [
        (
            json!({"type": "InClusterConfig", "kubeConfigFile": "/etc/webhook"}),
            "can only be set when type=KubeConfigFile",
        ),
        (json!({"type": "InClusterConfig"}), "unable to load in-cluster configuration"),
        (json!({"type": "KubeConfigFile", "kubeConfigFile": "/etc"}), "must be a regular file"),
        (
            json!({"type": "KubeConfigFile", "kubeConfigFile": "/etc/none"}),
            "error loading file: stat /etc/none: no such file or directory",
        ),
        (
            json!({"type": "KubeConfigFile", "kubeConfigFile": "/root/webhook"}),
            "error loading file: stat /root/webhook: permission denied",
        ),
        (json!({"type": "Url"}), "Unsupported value: \"Url\""),
    ] {
        let wrong = webhook(|webhook| webhook["connectionInfo"] = connection);
        let error = read(file(wrong), at).unwrap_err();
        assert!(error.starts_with("authorizers[0].connectionInfo") && error.contains(why), "{error}");
    }
    let of_conditions = |count: usize| {
        let conditions: Vec<Value> =
            (0..count).map(|number| json!({"expression": format!("request.uid == '{number}'")})).collect();
        let sent = webhook(|webhook| webhook["matchConditions"] = json!(conditions));
        read(file(sent), |_| Ok(true)).map(|named| named.len())
    };
    assert_eq!(of_conditions(64), Ok(1));
    assert_eq!(
        of_conditions(65).unwrap_err(),
        "authorizers[0].matchConditions: Too many: 65: must have at most 64 items"
    );
    let most = webhook(|webhook| webhook["timeout"] = json!("30s"));
    assert!(read(file(most), |_| Ok(true)).is_ok());
    for (expression, why) in [
        ("request.usr == 'x'", "undefined field 'usr'"),
        ("request.user", "must evaluate to bool"),
        ("request.resourceAttributes.fieldSelector.requirements.all(r, r.key == 1)", "no matching overload"),
    ] {
        let wrong = webhook(|webhook| webhook["matchConditions"] = json!([{"expression": expression}]));
        let error = read(file(wrong), |_| Ok(true)).unwrap_err();
        assert!(error.starts_with("authorizers[0].matchConditions[0].expression"), "{error}");
        assert!(error.contains(why), "{error}");
    }
    let unknown = read(
        json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration",
        "authorisers": []}),
        |_| Ok(true),
    );
    assert!(unknown.unwrap_err().contains("unknown field `authorisers`"));
}

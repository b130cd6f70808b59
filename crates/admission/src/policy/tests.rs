//! Policies over requests in a small cluster.

use serde_json::json;

use super::*;
use crate::testing::{Cluster, Request};
use crate::{Context, Plugin};

fn cluster(policy: Value, binding: Value) -> Cluster {
    let mut full = json!({"metadata": {"name": "p", "uid": "1"}, "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"],
            "resources": ["*"]}]},
    }});
    for (key, value) in policy.as_object().unwrap() {
        full["spec"][key] = value.clone();
    }
    let mut bound = json!({"metadata": {"name": "b", "uid": "2"}, "spec": {"policyName": "p", "validationActions": ["Deny"]}});
    for (key, value) in binding.as_object().unwrap() {
        bound["spec"][key] = value.clone();
    }
    Cluster::new()
        .with(GROUP, "validatingadmissionpolicies", full.clone())
        .with(GROUP, "validatingadmissionpolicybindings", bound.clone())
        .with(GROUP, "mutatingadmissionpolicies", full)
        .with(GROUP, "mutatingadmissionpolicybindings", bound)
        .with("", "namespaces", json!({"metadata": {"name": "x", "labels": {"env": "prod"}}}))
        .with(
            "",
            "configmaps",
            json!({"metadata": {"name": "limits", "namespace": "x"}, "data": {"most": "2"}}),
        )
}

fn deployment(replicas: i64) -> Value {
    json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web"}, "spec": {"replicas": replicas}})
}

fn judged(policy: Value, binding: Value) -> (Result<(), String>, Vec<String>) {
    let plugin = ValidatingAdmissionPolicy::default();
    let request = Request::create("apps", "deployments").inside("x").named("web");
    let (result, warnings) = request
        .run(&cluster(policy, binding), |context: &mut Context| plugin.validate(context, &deployment(5)));
    (result.map_err(|status| format!("{} {} {}", status.code, status.reason, status.message)), warnings)
}

fn denied(words: &str) -> Result<(), String> {
    Err(format!(
        "422 Invalid deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: {words}"
    ))
}

#[test]
fn expressions_that_do_not_hold_refuse_in_upstreams_words() {
    let by = |validation: Value| judged(json!({"validations": [validation]}), json!({})).0;
    assert_eq!(by(json!({"expression": "object.spec.replicas <= 5"})), Ok(()));
    assert_eq!(
        by(json!({"expression": "object.spec.replicas < 5"})),
        denied("failed expression: object.spec.replicas < 5")
    );
    assert_eq!(by(json!({"expression": "false", "message": "too many"})), denied("too many"));
    assert_eq!(
        by(
            json!({"expression": "false", "message": "m", "messageExpression": "'not ' + string(object.spec.replicas)"})
        ),
        denied("not 5")
    );
    assert_eq!(
        by(json!({"expression": "object.spec.none == 1"})),
        denied("expression 'object.spec.none == 1' resulted in error: no such key: none")
    );
    let forbidden = by(json!({"expression": "false", "message": "m", "reason": "Forbidden"})).unwrap_err();
    assert!(forbidden.starts_with("403 Forbidden "), "{forbidden}");
}

#[test]
fn variables_parameters_and_the_namespace_are_there() {
    let policy = |expression: &str| {
        json!({
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "variables": [
                {"name": "most", "expression": "int(params.data.most)"},
                {"name": "twice", "expression": "variables.most * 2"},
                {"name": "broken", "expression": "object.nothing"},
            ],
            "validations": [{"expression": expression, "message": "m"}],
        })
    };
    let bound = json!({"paramRef": {"name": "limits", "parameterNotFoundAction": "Deny"}});
    let by = |expression: &str| judged(policy(expression), bound.clone()).0;
    assert_eq!(by("variables.twice == 4 && variables.most == 2"), Ok(()));
    assert_eq!(by("object.spec.replicas <= variables.twice"), denied("m"));
    assert_eq!(by("namespaceObject.metadata.labels.env == 'prod' || variables.broken"), Ok(()));
    assert_eq!(by("request.userInfo.username == 'jane' && request.operation == 'CREATE'"), Ok(()));
    assert_eq!(by("authorizer.group('apps').resource('deployments').check('delete').allowed()"), denied("m"));
    assert_eq!(by("authorizer.requestResource.check('create').allowed()"), denied("m"));
    let none = json!({"paramRef": {"name": "gone", "parameterNotFoundAction": "Deny"}});
    assert_eq!(
        judged(policy("true"), none).0,
        denied(
            "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
        )
    );
    let none = json!({"paramRef": {"name": "gone", "parameterNotFoundAction": "Allow"}});
    assert_eq!(judged(policy("false"), none).0, Ok(()));
}

#[test]
fn bindings_say_what_comes_of_it() {
    let policy = || json!({"validations": [{"expression": "false", "message": "m"}]});
    let warned = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': m".to_owned();
    assert_eq!(judged(policy(), json!({"validationActions": ["Warn"]})), (Ok(()), vec![warned]));
    assert_eq!(judged(policy(), json!({"validationActions": ["Audit"]})), (Ok(()), vec![]));
    assert_eq!(judged(policy(), json!({"policyName": "other"})).0, Ok(()));
    let elsewhere = json!({"matchResources": {"namespaceSelector": {"matchLabels": {"env": "test"}}}});
    assert_eq!(judged(policy(), elsewhere).0, Ok(()));
    let open = json!({"failurePolicy": "Ignore", "validations": [{"expression": "object.none"}]});
    assert_eq!(judged(open, json!({})).0, Ok(()));
    let unmatched = json!({"matchConditions": [{"name": "n", "expression": "object.spec.replicas > 9"}],
        "validations": [{"expression": "false"}]});
    assert_eq!(judged(unmatched, json!({})).0, Ok(()));
    let excluded = json!({"validations": [{"expression": "false"}], "matchConstraints": {
        "resourceRules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}],
        "excludeResourceRules": [{"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["*"], "resources": ["*"]}]}});
    assert_eq!(judged(excluded, json!({})).0, Ok(()));
}

fn changed(policy: Value) -> Result<Value, String> {
    let plugin = MutatingAdmissionPolicy::default();
    let request = Request::create("apps", "deployments").inside("x").named("web");
    let mut object = deployment(5);
    let work = |context: &mut Context| plugin.admit(context, &mut object);
    request.run(&cluster(policy, json!({})), work).0.map_err(|status| status.message)?;
    Ok(object)
}

#[test]
fn objects_are_changed_by_what_expressions_make() {
    let apply = |expression: &str| {
        changed(json!({"reinvocationPolicy": "Never", "mutations": [
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]}))
    };
    let patch = |expression: &str| {
        changed(json!({"reinvocationPolicy": "Never", "mutations": [
            {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}]}))
    };
    let labelled = apply("Object{metadata: Object.metadata{labels: {'a': object.metadata.name}}}").unwrap();
    assert_eq!(labelled["metadata"]["labels"]["a"], "web");
    assert_eq!(
        apply("Object{spec: Object.spec{replicas: object.spec.replicas + 1}}").unwrap()["spec"]["replicas"],
        6
    );
    let patched = patch(
        "[JSONPatch{op: 'test', path: '/spec/replicas', value: 5}, JSONPatch{op: 'add', path: '/metadata/labels', value: {'k': 'v'}}]",
    );
    assert_eq!(patched.unwrap()["metadata"]["labels"], json!({"k": "v"}));
    let refused = patch("[JSONPatch{op: 'remove', path: '/none'}]").unwrap_err();
    assert!(refused.contains("policy 'p' with binding 'b' denied request: JSON Patch: "), "{refused}");
}

#[test]
fn one_call_may_cost_less_than_all_together() {
    // Each look costs about a tenth of a million: a thousand texts of a thousand letters.
    let dear = |times: usize| {
        let look = "object.spec.texts.all(t, t.contains('b') == false)";
        vec![look; times].join(" && ")
    };
    let judge = |validations: Value| {
        let plugin = ValidatingAdmissionPolicy::default();
        let request = Request::create("apps", "deployments").inside("x").named("web");
        let mut object = deployment(5);
        object["spec"]["texts"] = vec![Value::from("a".repeat(1000)); 1000].into();
        let cluster = cluster(json!({ "validations": validations }), json!({}));
        let (result, _) = request.run(&cluster, |context: &mut Context| plugin.validate(context, &object));
        result.map_err(|status| status.message)
    };
    let validation = |times: usize| json!({"expression": dear(times)});
    assert_eq!(judge(json!([validation(5)])), Ok(()));
    assert_eq!(judge(json!([validation(5), validation(5), validation(5)])), Ok(()));
    let refused = judge(json!([validation(15)])).unwrap_err();
    assert!(
        refused.ends_with("resulted in error: operation cancelled: actual cost limit exceeded"),
        "{refused}"
    );
    let all = vec![validation(5); 30];
    let refused = judge(Value::from(all)).unwrap_err();
    assert!(refused.contains("running out of cost budget"), "{refused}");
}

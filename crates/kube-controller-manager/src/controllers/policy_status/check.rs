//! Which kinds a policy names, and what its expressions get wrong about them.

use std::collections::BTreeSet;
use std::fmt;

use cel::types::{Place, Type};
use cel::{Environment, Program};
use kinds::admission_expressions::{Variables, of_policy};
use serde_json::{Value, json};

/// How many kinds a policy is checked against, as upstream.
pub const MOST_KINDS: usize = 10;

/// A kind under its group and version.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// API group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}, Kind={}", self.group, self.version, self.kind)
    }
}

/// Resources of a group and version that a policy names.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// API group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural names.
    pub resources: Vec<String>,
}

/// What the rules of a policy name one by one; of rules with wildcards or subresources nothing is said.
pub fn named(policy: &Value) -> Vec<Named> {
    let mut named = Vec::new();
    let rules = policy["spec"]["matchConstraints"]["resourceRules"].as_array().into_iter().flatten();
    for rule in rules {
        let texts = |key: &str, wild: &[char]| -> Vec<String> {
            let list = rule[key].as_array().into_iter().flatten().filter_map(Value::as_str);
            let list: BTreeSet<String> = list.map(str::to_owned).collect();
            if list.iter().any(|text| text.contains(wild)) { Vec::new() } else { list.into_iter().collect() }
        };
        let (groups, versions) = (texts("apiGroups", &['*']), texts("apiVersions", &['*']));
        let resources = texts("resources", &['*', '/']);
        if resources.is_empty() {
            continue;
        }
        for group in &groups {
            for version in &versions {
                let (group, version) = (group.clone(), version.clone());
                named.push(Named { group, version, resources: resources.clone() });
            }
        }
    }
    named
}

/// The kind of a policy's parameters.
pub fn parameter(policy: &Value) -> Option<Kind> {
    let kind = &policy["spec"]["paramKind"];
    let api_version = kind["apiVersion"].as_str()?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Some(Kind {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind["kind"].as_str()?.to_owned(),
    })
}

/// What is wrong with the validations of a policy, as `status.typeChecking.expressionWarnings`.
pub fn warnings<'t>(
    policy: &Value,
    kinds: &[(&Kind, Place<'t>)],
    parameter: Option<Place<'t>>,
) -> Vec<Value> {
    let environments: Vec<(&Kind, Environment<'t>)> =
        kinds.iter().map(|(kind, place)| (*kind, environment(policy, place, parameter.as_ref()))).collect();
    let mut warnings = Vec::new();
    let validations = policy["spec"]["validations"].as_array().into_iter().flatten();
    for (index, validation) in validations.enumerate() {
        for field in ["expression", "messageExpression"] {
            let Some(text) = validation[field].as_str().filter(|text| !text.is_empty()) else { continue };
            let wrong = environments.iter().filter_map(|(kind, environment)| {
                let error = Program::check(text, environment).err()?;
                Some(format!("{kind}: compilation failed: {error}\n"))
            });
            let wrong: Vec<String> = wrong.collect();
            if !wrong.is_empty() {
                let field = format!("spec.validations[{index}].{field}");
                warnings.push(json!({"fieldRef": field, "warning": wrong.join("\n")}));
            }
        }
    }
    warnings
}

/// What expressions may name when the object is of a kind.
fn environment<'t>(policy: &Value, object: &Place<'t>, parameter: Option<&Place<'t>>) -> Environment<'t> {
    let mut environment =
        of_policy(policy).with_place("object", object.clone()).with_place("oldObject", object.clone());
    if let Some(parameter) = parameter {
        environment = environment.with_place("params", parameter.clone());
    }
    let mut variables = Variables::default();
    for variable in policy["spec"]["variables"].as_array().into_iter().flatten() {
        let (name, text) = (variable["name"].as_str(), variable["expression"].as_str());
        let (Some(name), Some(text)) = (name, text) else { continue };
        let checked = Program::check(text, &variables.within(&environment));
        variables.declare(name, checked.map_or(Type::Dyn, |checked| checked.output));
    }
    variables.within(&environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::policy_status::openapi::Document;

    #[test]
    fn only_what_is_named_one_by_one_is_checked() {
        let policy = |rules: Value| json!({"spec": {"matchConstraints": {"resourceRules": rules}}});
        let rule = |groups: Value, versions: Value, resources: Value| json!({"apiGroups": groups, "apiVersions": versions, "resources": resources});
        let named = |rules: Value| {
            let named = named(&policy(rules)).into_iter();
            named
                .map(|one| format!("{}/{}: {}", one.group, one.version, one.resources.join(",")))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            named(json!([rule(json!(["apps", ""]), json!(["v1"]), json!(["pods", "deployments"]))])),
            ["/v1: deployments,pods", "apps/v1: deployments,pods"]
        );
        for (groups, versions, resources) in
            [("*", "v1", "pods"), ("", "*", "pods"), ("", "v1", "*"), ("", "v1", "pods/exec")]
        {
            assert!(named(json!([rule(json!([groups]), json!([versions]), json!([resources]))])).is_empty());
        }
    }

    #[test]
    fn expressions_are_checked_against_each_kind() {
        let kind = |name: &str| Kind { group: "apps".into(), version: "v1".into(), kind: name.into() };
        let schema = |name: &str, field: &str| {
            json!({"type": "object", "properties": {
                    "metadata": {"allOf": [{"$ref": "#/components/schemas/Meta"}], "default": {}},
                    "spec": {"type": "object", "properties": {field: {"type": "integer"}}}},
                "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": name}]})
        };
        let document = json!({"components": {"schemas": {
            "Deployment": schema("Deployment", "replicas"), "DaemonSet": schema("DaemonSet", "revisions"),
            "Meta": {"type": "object", "properties": {"labels": {"type": "object", "additionalProperties": {"type": "string"}}}}}}});
        let document: Document = serde_json::from_value(document).unwrap();
        let (deployment, daemon_set) = (kind("Deployment"), kind("DaemonSet"));
        let places = [&daemon_set, &deployment].map(|kind| (kind, document.place(kind).unwrap()));
        let warned = |validations: Value| {
            let policy = json!({"spec": {"validations": validations,
                "variables": [{"name": "count", "expression": "object.spec.replicas"}]}});
            warnings(&policy, &places, None)
        };
        assert!(warned(json!([{"expression": "object.metadata.labels['a'] == 'b'"}])).is_empty());
        assert_eq!(
            warned(json!([{"expression": "true"}, {"expression": "object.spec.replicas > 1"}])),
            [json!({"fieldRef": "spec.validations[1].expression", "warning":
                "apps/v1, Kind=DaemonSet: compilation failed: ERROR: <input>:1:12: undefined field 'replicas'\n | object.spec.replicas > 1\n | ...........^\n"})]
        );
        let both = warned(json!([{"expression": "true", "messageExpression": "object.none"}]));
        assert_eq!(both[0]["fieldRef"], "spec.validations[0].messageExpression");
        let lines: Vec<&str> =
            both[0]["warning"].as_str().unwrap().lines().filter(|line| line.contains("Kind=")).collect();
        assert_eq!(lines.len(), 2);
        let of_variable = warned(json!([{"expression": "variables.count == 'x'"}]));
        assert!(
            of_variable[0]["warning"].as_str().unwrap().contains("found no matching overload"),
            "{of_variable:?}"
        );
    }
}

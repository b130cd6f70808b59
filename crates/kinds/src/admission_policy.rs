//! ValidatingAdmissionPolicies, MutatingAdmissionPolicies and their bindings.

use apimachinery::names::{dns1035_label_errors, dns1123_subdomain_errors};
use cel::Environment;
use cel::types::Type;
use serde_json::{Value, json};

use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::selectors;
use strategy::write;
use strategy::{Keeps, Strategy};

use crate::admission_expressions::{self, Gives, Variables};
use crate::matched_rules;

/// The rules of policies.
pub struct Policy {
    /// Whether the policy changes objects.
    pub mutating: bool,
}

/// The rules of bindings of policies.
pub struct PolicyBinding {
    /// Whether the policy bound changes objects.
    pub mutating: bool,
}

const SPEC: Path<'static> = Path::root("spec");
const MOST_ANNOTATIONS: usize = 20;
const LONGEST_VALUE: usize = 5 * 1024;

fn default_match(resources: &mut Value) {
    write::missing(resources, "matchPolicy", "Equivalent");
    write::missing(resources, "namespaceSelector", json!({}));
    write::missing(resources, "objectSelector", json!({}));
    for list in ["resourceRules", "excludeResourceRules"] {
        for rule in write::items(resources, list) {
            write::missing(rule, "scope", "*");
        }
    }
}

impl Strategy for Policy {
    fn keeps(&self) -> Keeps {
        if self.mutating { Keeps::Generation } else { Keeps::StatusAndGeneration }
    }

    fn status_alone(&self) -> bool {
        !self.mutating
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        write::missing(spec, "failurePolicy", "Fail");
        if let Some(constraints) = write::object(spec, "matchConstraints") {
            default_match(constraints);
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        if !matches!(spec.text("failurePolicy"), "Fail" | "Ignore") {
            errors.unsupported(&SPEC.child("failurePolicy"), spec.text("failurePolicy"), &["Fail", "Ignore"]);
        }
        if spec.has("paramKind") {
            validate_parameter_kind(&spec["paramKind"], &SPEC.child("paramKind"), errors);
        }
        let constraints_path = SPEC.child("matchConstraints");
        if !spec.has("matchConstraints") {
            errors.required(&constraints_path, "");
        } else {
            validate_match(&spec["matchConstraints"], &constraints_path, errors);
            if spec["matchConstraints"].items("resourceRules").is_empty() {
                errors.required(&constraints_path.child("resourceRules"), "");
            }
        }
        let environment = admission_expressions::of_policy(object);
        admission_expressions::check_conditions(
            spec.items("matchConditions"),
            &environment,
            &SPEC.child("matchConditions"),
            errors,
        );
        let environment = check_variables(spec, &environment, errors);
        if self.mutating {
            let environment = environment.with_objects();
            let mutations_path = SPEC.child("mutations");
            if spec.items("mutations").is_empty() {
                errors.required(&mutations_path, "mutations must contain at least one item");
            }
            for (index, mutation) in spec.items("mutations").iter().enumerate() {
                let path = mutations_path.index(index);
                let key = match mutation.text("patchType") {
                    "ApplyConfiguration" => "applyConfiguration",
                    "JSONPatch" => "jsonPatch",
                    "" => {
                        errors.required(&path.child("patchType"), "");
                        continue;
                    }
                    other => {
                        errors.unsupported(
                            &path.child("patchType"),
                            other,
                            &["ApplyConfiguration", "JSONPatch"],
                        );
                        continue;
                    }
                };
                let gives = if key == "jsonPatch" { Gives::Patches } else { Gives::Object };
                let path = path.child(key);
                let path = path.child("expression");
                admission_expressions::check(
                    mutation[key].text("expression"),
                    gives,
                    &environment,
                    &path,
                    errors,
                );
            }
            match spec.text("reinvocationPolicy") {
                "" => errors.required(&SPEC.child("reinvocationPolicy"), ""),
                "IfNeeded" | "Never" => {}
                other => {
                    errors.unsupported(&SPEC.child("reinvocationPolicy"), other, &["IfNeeded", "Never"]);
                }
            }
            return;
        }
        let validations = spec.items("validations");
        let validations_path = SPEC.child("validations");
        if validations.is_empty() && spec.items("auditAnnotations").is_empty() {
            errors.required(
                &validations_path,
                "validations or auditAnnotations must contain at least one item",
            );
        }
        for (index, validation) in validations.iter().enumerate() {
            let path = validations_path.index(index);
            check_validation(validation, &environment, &path, errors);
        }
        let annotations_path = SPEC.child("auditAnnotations");
        let annotations = spec.items("auditAnnotations");
        if annotations.len() > MOST_ANNOTATIONS {
            errors.too_many(&annotations_path, annotations.len(), MOST_ANNOTATIONS);
        }
        for (index, annotation) in annotations.iter().enumerate() {
            let path = annotations_path.index(index);
            let key = annotation.text("key");
            // In the audit log the policy's name stands before the key.
            let full = format!("{}/{key}", object["metadata"].text("name"));
            let found = strategy::names::qualified_name_errors(&full);
            errors.invalid_each(&path.child("key"), &Value::from(full), found);
            if annotations[..index].iter().any(|other| other.text("key") == key) {
                errors.duplicate(&path.child("key"), key);
            }
            if annotation.text("valueExpression").trim().len() > LONGEST_VALUE {
                errors.too_long(&path.child("valueExpression"), LONGEST_VALUE);
            }
            let expression = annotation.text("valueExpression");
            let path = path.child("valueExpression");
            admission_expressions::check(expression, Gives::TextOrNull, &environment, &path, errors);
        }
    }
}

/// Validates the kind of a policy's parameters.
fn validate_parameter_kind(kind: &Value, path: &Path, errors: &mut Errors) {
    let version_path = path.child("apiVersion");
    let api_version = kind.text("apiVersion");
    let parts: Vec<&str> = api_version.split('/').collect();
    match parts.as_slice() {
        [""] => errors.required(&version_path, ""),
        [version] => {
            errors.invalid_each(&version_path, &Value::from(*version), dns1035_label_errors(version));
        }
        [group, version] => {
            if !group.is_empty() {
                let found = dns1123_subdomain_errors(group);
                errors.invalid_each(&version_path, &Value::from(*group), found);
            }
            if version.is_empty() {
                errors.invalid(&version_path, api_version, "version must be specified");
            } else {
                errors.invalid_each(&version_path, &Value::from(*version), dns1035_label_errors(version));
            }
        }
        _ => {
            let why = format!("unexpected GroupVersion string: {api_version}");
            errors.invalid(&version_path, api_version, why);
        }
    }
    let name = kind.text("kind");
    if name.is_empty() {
        errors.required(&path.child("kind"), "");
        return;
    }
    let found = dns1035_label_errors(&name.to_lowercase());
    if !found.is_empty() {
        let why = format!("may have mixed case, but should otherwise match: {}", found.join(","));
        errors.invalid(&path.child("kind"), name, why);
    }
}

/// Validates which requests a policy or a binding is about.
fn validate_match(resources: &Value, path: &Path, errors: &mut Errors) {
    match resources.text("matchPolicy") {
        "Equivalent" | "Exact" => {}
        "" => errors.required(&path.child("matchPolicy"), ""),
        other => errors.unsupported(&path.child("matchPolicy"), other, &["Equivalent", "Exact"]),
    }
    for (key, said) in [("namespaceSelector", "namespaceSelector"), ("objectSelector", "labelSelector")] {
        selectors::validate(&resources[key], &path.child(said), errors);
    }
    for list in ["resourceRules", "excludeResourceRules"] {
        for (index, rule) in resources.items(list).iter().enumerate() {
            matched_rules::validate(rule, &path.child(list).index(index), errors);
        }
    }
}

/// Checks the variables, each of which may use those before it; gives the environment with all of them.
fn check_variables<'t>(spec: &Value, environment: &Environment<'t>, errors: &mut Errors) -> Environment<'t> {
    let mut variables = Variables::default();
    let items = spec.items("variables");
    let list_path = SPEC.child("variables");
    for (index, variable) in items.iter().enumerate() {
        let path = list_path.index(index);
        let name = variable.text("name");
        if name.is_empty() {
            errors.required(&path.child("name"), "name is not specified");
        } else if !is_identifier(name) {
            errors.invalid(&path.child("name"), name, "name is not a valid CEL identifier");
        } else if items[..index].iter().any(|other| other.text("name") == name) {
            errors.duplicate(&path.child("name"), name);
        }
        let environment = variables.within(environment);
        let path = path.child("expression");
        let expression = variable.text("expression");
        let ty = admission_expressions::check(expression, Gives::Anything, &environment, &path, errors);
        variables.declare(name, ty.unwrap_or(Type::Dyn));
    }
    variables.within(environment)
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

fn check_validation(validation: &Value, environment: &Environment<'_>, path: &Path, errors: &mut Errors) {
    let expression = validation.text("expression");
    if expression.trim().is_empty() {
        errors.required(&path.child("expression"), "expression is not specified");
    } else {
        admission_expressions::check(expression, Gives::Bool, environment, &path.child("expression"), errors);
    }
    let said = validation.text("messageExpression");
    if !said.is_empty() {
        let path = path.child("messageExpression");
        if said.trim().is_empty() {
            errors.invalid(&path, said, "must be non-empty if specified");
        } else {
            admission_expressions::check(said, Gives::Text, environment, &path, errors);
        }
    }
    // An expression of several lines needs no message, unlike in definitions of custom resources.
    let message = validation.text("message");
    if !message.is_empty() && message.trim().is_empty() {
        errors.invalid(&path.child("message"), message, "message must be non-empty if specified");
    } else if message.trim().contains(['\n', '\r']) {
        errors.invalid(&path.child("message"), message, "message must not contain line breaks");
    }
    const REASONS: [&str; 4] = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];
    let reason = validation.text("reason");
    if !reason.is_empty() && !REASONS.contains(&reason) {
        errors.unsupported(&path.child("reason"), reason, &REASONS);
    }
}

impl Strategy for PolicyBinding {
    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        if let Some(resources) = write::object(spec, "matchResources") {
            default_match(resources);
        }
        if let Some(reference) = write::object(spec, "paramRef") {
            write::missing(reference, "parameterNotFoundAction", "Deny");
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        let policy = spec.text("policyName");
        if policy.is_empty() {
            errors.required(&SPEC.child("policyName"), "");
        } else {
            let found = dns1123_subdomain_errors(policy);
            errors.invalid_each(&SPEC.child("policyName"), &spec["policyName"], found);
        }
        if spec.has("matchResources") {
            validate_match(&spec["matchResources"], &SPEC.child("matchResources"), errors);
        }
        if spec.has("paramRef") {
            let (reference, path) = (&spec["paramRef"], SPEC.child("paramRef"));
            match (!reference.text("name").is_empty(), reference.has("selector")) {
                (true, true) => {
                    let why = "name and selector are mutually exclusive";
                    errors.invalid(&path.child("name"), reference.text("name"), why);
                }
                (false, false) => errors.required(&path, "one of name or selector must be specified"),
                _ => {}
            }
            if !matches!(reference.text("parameterNotFoundAction"), "Allow" | "Deny") {
                let (path, action) =
                    (path.child("parameterNotFoundAction"), reference.text("parameterNotFoundAction"));
                errors.unsupported(&path, action, &["Allow", "Deny"]);
            }
        }
        if self.mutating {
            return;
        }
        let actions = spec.items("validationActions");
        let path = SPEC.child("validationActions");
        if actions.is_empty() {
            errors.required(&path, "at least one validation action is required");
        }
        for (index, action) in actions.iter().enumerate() {
            const KNOWN: [&str; 3] = ["Audit", "Deny", "Warn"];
            if !KNOWN.iter().any(|known| action == known) {
                errors.unsupported(&path.index(index), action.clone(), &KNOWN);
            }
            if actions[..index].contains(action) {
                errors.duplicate(&path.index(index), action.clone());
            }
        }
        let has = |name: &str| actions.iter().any(|action| action == name);
        if has("Deny") && has("Warn") {
            errors.invalid(
                &path,
                spec["validationActions"].clone(),
                "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::created;

    fn rule() -> Value {
        json!({"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]})
    }

    #[test]
    fn policies_say_what_they_are_about() {
        let policy = |constraints: Value, kind: Value| {
            validating(
                json!({"matchConstraints": constraints, "paramKind": kind, "validations": [{"expression": "true"}]}),
            )
        };
        let kind = json!({"apiVersion": "a.example/v1", "kind": "Limit"});
        assert_eq!(policy(json!({"resourceRules": [rule()]}), kind.clone()), "");
        assert_eq!(
            policy(json!({"matchPolicy": "Some", "resourceRules": [rule()]}), kind.clone()),
            "spec.matchConstraints.matchPolicy: Unsupported value: \"Some\": supported values: \"Equivalent\", \"Exact\""
        );
        assert_eq!(
            policy(
                json!({"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}]}),
                kind
            ),
            "spec.matchConstraints.resourceRules[0].resources: Required value"
        );
        assert_eq!(
            policy(json!({"resourceRules": [rule()]}), json!({"apiVersion": "a/b/c", "kind": "Limit"})),
            "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c"
        );
        let binding = json!({"spec": {"policyName": "P", "validationActions": ["Deny"], "matchResources": {"resourceRules": [{}]}}});
        let wrong = created(&PolicyBinding { mutating: false }, binding);
        assert!(
            wrong.contains("spec.policyName: Invalid value: \"P\"")
                && wrong.contains("resourceRules[0].operations"),
            "{wrong}"
        );
    }

    fn validating(spec: Value) -> String {
        let mut full = json!({"matchConstraints": {"resourceRules": [rule()]}, "failurePolicy": "Fail"});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        created(&Policy { mutating: false }, json!({"metadata": {"name": "p"}, "spec": full}))
    }

    #[test]
    fn expressions_must_be_of_their_types() {
        let by = |validation: Value| validating(json!({"validations": [validation]}));
        assert_eq!(
            by(
                json!({"expression": "object.spec.replicas > 1", "messageExpression": "'got ' + object.spec.replicas"})
            ),
            ""
        );
        let wrong = by(json!({"expression": "object.spec.replicas > 1", "messageExpression": "1"}));
        assert_eq!(
            wrong,
            "spec.validations[0].messageExpression: Invalid value: \"1\": must evaluate to string"
        );
        let unknown = by(json!({"expression": "params.x"}));
        assert!(
            unknown.contains("compilation failed: ") && unknown.contains("undeclared reference to 'params'"),
            "{unknown}"
        );
        let unknown = by(json!({"expression": "request.nothing == 1"}));
        assert!(unknown.contains("undefined field 'nothing'"), "{unknown}");
    }

    #[test]
    fn variables_know_those_before_them() {
        let spec = json!({"variables": [{"name": "a", "expression": "1"}, {"name": "b", "expression": "variables.a + 1"}],
            "validations": [{"expression": "variables.b > 1"}]});
        assert_eq!(validating(spec), "");
        let spec = json!({"variables": [{"name": "b", "expression": "variables.a + 1"}, {"name": "a", "expression": "1"}],
            "validations": [{"expression": "true"}]});
        assert!(validating(spec).contains("spec.variables[0].expression: Invalid value: "));
    }

    #[test]
    fn mutations_make_objects_or_patches() {
        let by = |mutation: Value| {
            let spec = json!({"matchConstraints": {"resourceRules": [rule()]}, "failurePolicy": "Fail",
                "reinvocationPolicy": "Never", "mutations": [mutation]});
            created(&Policy { mutating: true }, json!({"spec": spec}))
        };
        let apply = |expression: &str| {
            by(json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}))
        };
        assert_eq!(apply("Object{spec: Object.spec{replicas: 2}}"), "");
        assert!(apply("true").ends_with("must evaluate to Object"));
        let patch =
            |expression: &str| by(json!({"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}));
        assert_eq!(patch("[JSONPatch{op: 'add', path: '/a', value: 1}]"), "");
        assert!(patch("1").ends_with("must evaluate to list(JSONPatch)"));
    }
}

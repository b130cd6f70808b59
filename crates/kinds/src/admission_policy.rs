//! ValidatingAdmissionPolicies, MutatingAdmissionPolicies and their bindings.

use cel::Environment;
use cel::types::Type;
use serde_json::{Value, json};

use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, Strategy};

use crate::admission_expressions::{self, Gives, Variables};

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
        for key in ["apiVersion", "kind"] {
            if spec.has("paramKind") && spec["paramKind"].text(key).is_empty() {
                errors.required(&SPEC.child("paramKind").child(key), "");
            }
        }
        let constraints_path = SPEC.child("matchConstraints");
        if !spec.has("matchConstraints") {
            errors.required(&constraints_path, "");
        } else if spec["matchConstraints"].items("resourceRules").is_empty() {
            errors.required(&constraints_path.child("resourceRules"), "");
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
        for (index, annotation) in spec.items("auditAnnotations").iter().enumerate() {
            let path = annotations_path.index(index);
            let key = annotation.text("key");
            if key.is_empty() {
                errors.required(&path.child("key"), "");
            }
            let expression = annotation.text("valueExpression");
            let path = path.child("valueExpression");
            admission_expressions::check(expression, Gives::TextOrNull, &environment, &path, errors);
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
        admission_expressions::check(said, Gives::Text, environment, &path, errors);
    }
    let message = validation.text("message");
    if !message.is_empty() {
        if message.trim().is_empty() {
            errors.invalid(&path.child("message"), message, "message must be non-empty if specified");
        } else if message.trim().contains('\n') {
            errors.invalid(&path.child("message"), message, "message must not contain line breaks");
        }
    } else if expression.trim().contains('\n') && said.is_empty() {
        errors
            .required(&path.child("message"), "message must be specified if expression contains line breaks");
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
        if spec.text("policyName").is_empty() {
            errors.required(&SPEC.child("policyName"), "");
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

    fn validating(spec: Value) -> String {
        let mut full = json!({"matchConstraints": {"resourceRules": [{}]}, "failurePolicy": "Fail"});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        created(&Policy { mutating: false }, json!({"spec": full}))
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
            let spec = json!({"matchConstraints": {"resourceRules": [{}]}, "failurePolicy": "Fail",
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

//! ValidatingAdmissionPolicies, MutatingAdmissionPolicies and their bindings.

use apimachinery::names::{dns1035_label_errors, dns1123_subdomain_errors, path_segment_errors};
use cel::Environment;
use cel::types::Type;
use serde_json::{Value, json};

use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::selectors;
use strategy::write;
use strategy::{Keeps, Strategy};

use crate::admission_expressions::{self, Gives, Variables};
use crate::conditions;
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
        self.validate_policy(object, true, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let stays = |key: &str| same(&new["spec"][key], &old["spec"][key]);
        // Conditions that stay, and may name what they could, are not judged again.
        self.validate_policy(new, !(stays("paramKind") && stays("matchConditions")), errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_status(&new["status"], errors);
    }
}

impl Policy {
    fn validate_policy(&self, object: &Value, with_conditions: bool, errors: &mut Errors) {
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
            if self.mutating {
                validate_operations(&spec["matchConstraints"], &constraints_path, errors);
            }
        }
        let environment = admission_expressions::of_policy(object);
        if with_conditions {
            admission_expressions::check_conditions(
                spec.items("matchConditions"),
                &environment,
                &SPEC.child("matchConditions"),
                errors,
            );
        }
        let variables = check_variables(spec, &environment, errors);
        let environment = variables.within(&environment);
        if self.mutating {
            let environment = environment.with_objects();
            let mutations_path = SPEC.child("mutations");
            if spec.items("mutations").is_empty() {
                errors.required(&mutations_path, "mutations must contain at least one item");
            }
            for (index, mutation) in spec.items("mutations").iter().enumerate() {
                let path = mutations_path.index(index);
                validate_mutation(mutation, &environment, &path, errors);
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
        let (validations, annotations) = (spec.items("validations"), spec.items("auditAnnotations"));
        if validations.is_empty() && annotations.is_empty() {
            for key in ["validations", "auditAnnotations"] {
                let why = "validations or auditAnnotations must contain at least one item";
                errors.required(&SPEC.child(key), why);
            }
        }
        let messages = variables.within(&admission_expressions::of_messages(object));
        for (index, validation) in validations.iter().enumerate() {
            let path = SPEC.child("validations");
            check_validation(validation, &environment, &messages, &path.index(index), errors);
        }
        let annotations_path = SPEC.child("auditAnnotations");
        if annotations.len() > MOST_ANNOTATIONS {
            let why = format!("must not have more than {MOST_ANNOTATIONS} auditAnnotations");
            errors.invalid(&annotations_path, annotations.to_vec(), why);
        }
        let name = object["metadata"].text("name");
        for (index, annotation) in annotations.iter().enumerate() {
            let path = annotations_path.index(index);
            check_annotation(annotation, name, &environment, &path, errors);
            let key = annotation.text("key");
            if annotations[..index].iter().any(|other| other.text("key") == key) {
                errors.duplicate(&path.child("key"), key);
            }
        }
    }
}

/// Validates how a policy changes objects: by the one way that it names.
fn validate_mutation(mutation: &Value, environment: &Environment<'_>, path: &Path, errors: &mut Errors) {
    let patch_type = mutation.text("patchType");
    let (key, other, gives) = match patch_type {
        "ApplyConfiguration" => ("applyConfiguration", "jsonPatch", Gives::Object),
        "JSONPatch" => ("jsonPatch", "applyConfiguration", Gives::Patches),
        "" => return errors.required(&path.child("patchType"), ""),
        other => {
            return errors.unsupported(&path.child("patchType"), other, &["ApplyConfiguration", "JSONPatch"]);
        }
    };
    if mutation.has(key) {
        // Shown as it is without the blanks around it.
        let (expression, path) = (mutation[key].text("expression").trim(), path.child(key));
        admission_expressions::check(expression, gives, environment, &path.child("expression"), errors);
    } else {
        errors.required(&path.child(key), format!("must be specified when patchType is {patch_type}"));
    }
    if mutation.has(other) {
        let why = format!("must not be specified when patchType is {patch_type}");
        errors.invalid(&path.child(other), format!("{{{other}}}"), why);
    }
}

/// Validates that only such requests are changed as have an object to change.
fn validate_operations(resources: &Value, path: &Path, errors: &mut Errors) {
    const KNOWN: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];
    let rules_path = path.child("resourceRules");
    let path = rules_path.child("operations");
    for operation in resources.items("resourceRules").iter().flat_map(|rule| rule.items("operations")) {
        if !KNOWN.iter().any(|known| operation == known) {
            errors.unsupported(&path, operation.clone(), &KNOWN);
        }
    }
}

/// Validates what a policy adds to the audit log.
fn check_annotation(
    annotation: &Value,
    policy: &str,
    environment: &Environment<'_>,
    path: &Path,
    errors: &mut Errors,
) {
    let (key, key_path) = (annotation.text("key"), path.child("key"));
    if policy.is_empty() {
        errors.invalid(&key_path, key, "requires metadata.name be non-empty");
    } else {
        // In the audit log the policy's name stands before the key.
        let full = format!("{policy}/{key}");
        let found = strategy::names::qualified_name_errors(&full);
        errors.invalid_each(&key_path, &Value::from(full), found);
    }
    let (expression, path) = (annotation.text("valueExpression"), path.child("valueExpression"));
    if expression.trim().is_empty() {
        errors.required(&path, "valueExpression is not specified");
    } else if expression.trim().len() > LONGEST_VALUE {
        errors.required(&path, format!("must not exceed {LONGEST_VALUE} bytes in length"));
    } else {
        // Places are told in what is left of it when it is trimmed; it is shown as it was written.
        let compiled = admission_expressions::compile(expression.trim(), Gives::TextOrNull, environment);
        if let Err(why) = compiled {
            errors.invalid(&path, expression, why);
        }
    }
}

/// Validates what was found out about a policy.
fn validate_status(status: &Value, errors: &mut Errors) {
    let status_path = Path::root("status");
    let path = status_path.child("typeChecking");
    let path = path.child("expressionWarnings");
    for (index, warning) in status["typeChecking"].items("expressionWarnings").iter().enumerate() {
        let path = path.index(index);
        if warning.text("warning").is_empty() {
            errors.required(&path.child("warning"), "");
        }
        if warning.text("fieldRef").trim().is_empty() {
            errors.required(&path.child("fieldRef"), "");
        }
    }
    conditions::validate(status.items("conditions"), &status_path.child("conditions"), errors);
}

/// Validates the kind of a policy's parameters.
fn validate_parameter_kind(kind: &Value, path: &Path, errors: &mut Errors) {
    let version_path = path.child("apiVersion");
    let api_version = kind.text("apiVersion");
    let parts: Vec<&str> = api_version.split('/').collect();
    match parts.as_slice() {
        [""] => errors.required(&version_path, ""),
        [version] => {
            invalid_once(&version_path, version, &dns1035_label_errors(version), errors);
        }
        [group, version] => {
            if !group.is_empty() {
                invalid_once(&version_path, group, &dns1123_subdomain_errors(group), errors);
            }
            if version.is_empty() {
                errors.invalid(&version_path, api_version, "version must be specified");
            } else {
                invalid_once(&version_path, version, &dns1035_label_errors(version), errors);
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

/// Tells of everything that is wrong with a value at once.
fn invalid_once(path: &Path, value: &str, found: &[String], errors: &mut Errors) {
    if !found.is_empty() {
        errors.invalid(path, value, found.join(","));
    }
}

/// Validates which requests a policy or a binding is about.
fn validate_match(resources: &Value, path: &Path, errors: &mut Errors) {
    match resources.text("matchPolicy") {
        "Equivalent" | "Exact" => {}
        "" => errors.required(&path.child("matchPolicy"), ""),
        other => errors.unsupported(&path.child("matchPolicy"), other, &["Equivalent", "Exact"]),
    }
    for key in ["namespaceSelector", "objectSelector"] {
        selectors::validate(&resources[key], &path.child(key), errors);
    }
    for list in ["resourceRules", "excludeResourceRules"] {
        for (index, rule) in resources.items(list).iter().enumerate() {
            matched_rules::validate(rule, &path.child(list).index(index), errors);
        }
    }
}

/// Checks the variables, each of which may use those before it.
fn check_variables<'t>(spec: &Value, environment: &Environment<'t>, errors: &mut Errors) -> Variables<'t> {
    let mut variables = Variables::default();
    let items = spec.items("variables");
    let list_path = SPEC.child("variables");
    for (index, variable) in items.iter().enumerate() {
        let path = list_path.index(index);
        let name = variable.text("name");
        if name.trim().is_empty() {
            errors.required(&path.child("name"), "name is not specified");
        } else if !is_identifier(name) {
            errors.invalid(&path.child("name"), name, "name is not a valid CEL identifier");
        }
        let environment = variables.within(environment);
        let path = path.child("expression");
        let expression = variable.text("expression");
        if expression.trim().is_empty() {
            errors.required(&path, "expression is not specified");
            variables.declare(name, Type::Dyn);
            continue;
        }
        let ty = admission_expressions::check(expression, Gives::Anything, &environment, &path, errors);
        variables.declare(name, ty.unwrap_or(Type::Dyn));
    }
    variables
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.bytes();
    !cel::is_word(name)
        && letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

fn check_validation<'t>(
    validation: &Value,
    environment: &Environment<'t>,
    messages: &Environment<'t>,
    path: &Path,
    errors: &mut Errors,
) {
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
            admission_expressions::check(said, Gives::Text, messages, &path, errors);
        }
    }
    // An expression of several lines needs no message, unlike in definitions of custom resources.
    let message = validation.text("message");
    if !message.is_empty() && message.trim().is_empty() {
        errors.invalid(&path.child("message"), message, "message must be non-empty if specified");
    } else if message.trim().contains(['\n', '\r']) {
        errors.invalid(&path.child("message"), message, "message must not contain line breaks");
    }
    const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
    let reason = validation.text("reason");
    if validation.has("reason") && !REASONS.contains(&reason) {
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
        if spec.has("paramRef") {
            validate_reference(&spec["paramRef"], &SPEC.child("paramRef"), errors);
        }
        if spec.has("matchResources") {
            validate_match(&spec["matchResources"], &SPEC.child("matchResources"), errors);
        }
        if self.mutating {
            validate_operations(&spec["matchResources"], &SPEC.child("matchResources"), errors);
            return;
        }
        let actions = spec.items("validationActions");
        let path = SPEC.child("validationActions");
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
        if actions.is_empty() {
            errors.required(&path, "at least one validation action is required");
        }
    }
}

/// Validates by what a binding finds its parameters.
fn validate_reference(reference: &Value, path: &Path, errors: &mut Errors) {
    let name = reference.text("name");
    let exclusive = "name and selector are mutually exclusive";
    let has_both = !name.is_empty() && reference.has("selector");
    if !name.is_empty() {
        errors.invalid_each(&path.child("name"), &Value::from(name), path_segment_errors(name));
    }
    if has_both {
        errors.forbidden(&path.child("name"), exclusive);
    }
    selectors::validate(&reference["selector"], &path.child("selector"), errors);
    if has_both {
        errors.forbidden(&path.child("selector"), exclusive);
    }
    if name.is_empty() && !reference.has("selector") {
        errors.required(path, "one of name or selector must be specified");
    }
    let path = path.child("parameterNotFoundAction");
    match reference.text("parameterNotFoundAction") {
        "" => errors.required(&path, ""),
        "Allow" | "Deny" => {}
        other => errors.unsupported(&path, other, &["Deny", "Allow"]),
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
        let unasked = by(json!({"expression": "authorizer.path('/x').check('get').allowed()",
            "messageExpression": "string(authorizer.path('/x').check('get').allowed())"}));
        assert!(unasked.starts_with("spec.validations[0].messageExpression: Invalid value: "), "{unasked}");
        assert!(unasked.contains("undeclared reference to 'authorizer'"), "{unasked}");
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
        for blank in ["", " \n"] {
            assert_eq!(apply(blank), "spec.mutations[0].applyConfiguration.expression: Required value");
            assert_eq!(patch(blank), "spec.mutations[0].jsonPatch.expression: Required value");
        }
        assert_eq!(
            patch("\n true "),
            "spec.mutations[0].jsonPatch.expression: Invalid value: \"true\": must evaluate to list(JSONPatch)"
        );
        assert_eq!(
            patch(" x"),
            "spec.mutations[0].jsonPatch.expression: Invalid value: \"x\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'x' (in container '')\n | x\n | ^"
        );
    }
}

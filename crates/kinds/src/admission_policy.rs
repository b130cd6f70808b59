//! ValidatingAdmissionPolicies, MutatingAdmissionPolicies and their bindings; their expressions are checked by
//! whoever evaluates them.

use serde_json::{Value, json};

use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, Strategy};

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
        if self.mutating {
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
                if mutation[key].text("expression").is_empty() {
                    errors.required(&path.child(key).child("expression"), "");
                }
            }
            if spec.text("reinvocationPolicy").is_empty() {
                errors.required(&SPEC.child("reinvocationPolicy"), "");
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
            if validation.text("expression").trim().is_empty() {
                errors.required(&path.child("expression"), "expression is not specified");
            }
        }
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

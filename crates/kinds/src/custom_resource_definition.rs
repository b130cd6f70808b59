//! CustomResourceDefinitions.

mod conversion;
mod names;
mod versions;

#[cfg(test)]
mod tests;

pub use conversion::lacks_authorities;

use crate::definition_warnings;
use serde_json::{Value, json};
use strategy::field::{Errors, Path};
use strategy::read::{Read, at};
use strategy::write;
use strategy::{Keeps, Strategy};

/// The rules of CustomResourceDefinitions.
pub struct CustomResourceDefinition;

/// Holds a definition until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

const SPEC: Path<'static> = Path::root("spec");
const STATUS: Path<'static> = Path::root("status");

impl Strategy for CustomResourceDefinition {
    fn takes_any_finalizer(&self) -> bool {
        true
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        definition_warnings::of(object)
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        definition_warnings::of(new)
    }

    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn default(&self, object: &mut Value) {
        let Some(spec) = write::object(object, "spec") else { return };
        if let Some(names) = write::object(spec, "names") {
            let kind = names.text("kind").to_owned();
            write::zero(names, "singular", kind.to_lowercase());
            if !kind.is_empty() {
                write::zero(names, "listKind", format!("{kind}List"));
            }
        }
        write::missing(spec, "conversion", json!({"strategy": "None"}));
        let service = ["conversion", "webhook", "clientConfig", "service"]
            .iter()
            .try_fold(spec, |value, field| write::object(value, field));
        if let Some(service) = service {
            write::missing(service, "port", json!(443));
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        self.keeps().prepare_for_create(object);
        let versions = object["spec"]["versions"].as_array().into_iter().flatten();
        let stored: Vec<Value> = versions
            .filter(|version| version.flag("storage") == Some(true))
            .map(|version| version["name"].clone())
            .collect();
        write::set(write::ensure(object, "status"), "storedVersions", stored);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        self.keeps().prepare_for_update(new, old);
        // From now on there may be objects in the version that is stored now.
        let mut stored: Vec<Value> = new["status"]["storedVersions"].as_array().cloned().unwrap_or_default();
        let versions = new["spec"]["versions"].as_array().into_iter().flatten();
        let storing = versions.filter(|version| version.flag("storage") == Some(true));
        for name in storing.map(|version| version["name"].clone()).collect::<Vec<_>>() {
            if !stored.contains(&name) {
                stored.push(name);
            }
        }
        write::set(write::ensure(new, "status"), "storedVersions", stored);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        let wanted = format!("{}.{}", spec["names"].text("plural"), spec.text("group"));
        let name = object["metadata"].text("name");
        if name != wanted {
            errors.invalid(&Path::root("metadata.name"), name, "must be spec.names.plural+\".\"+spec.group");
        }
        validate_spec(object, None, errors);
        versions::validate_stored(object, errors);
        validate_policies(object, None, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(new, Some(old), errors);
        let fields: &[&[&str]] = if is_established(old) {
            &[&["scope"], &["names", "kind"], &["group"], &["names", "plural"]]
        } else {
            &[&["group"], &["names", "plural"]]
        };
        for field in fields {
            let (after, before) = (at(&new["spec"], field), at(&old["spec"], field));
            errors.immutable(&Path::root(&format!("spec.{}", field.join("."))), after, before);
        }
        names::validate(&new["status"]["acceptedNames"], &STATUS.child("acceptedNames"), errors);
        versions::validate_stored(new, errors);
        validate_policies(new, Some(old), errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        names::validate(&new["status"]["acceptedNames"], &STATUS.child("acceptedNames"), errors);
    }

    fn deletion_finalizer(&self) -> Option<&'static str> {
        Some(CLEANUP)
    }
}

/// Validates the spec of a definition, new or changed.
fn validate_spec(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &object["spec"];
    names::validate_group(spec.text("group"), errors);
    match spec.text("scope") {
        "Cluster" | "Namespaced" => {}
        "" => errors.required(&SPEC.child("scope"), ""),
        other => errors.unsupported(&SPEC.child("scope"), other, &["Cluster", "Namespaced"]),
    }
    versions::validate(spec, errors);
    names::validate_required(&spec["names"], errors);
    names::validate(&spec["names"], &SPEC.child("names"), errors);
    errors.extend(custom_resources::faults(spec, old.map(|old| &old["spec"])));
    versions::validate_shared(spec, errors);
    conversion::validate(spec, old, errors);
}

/// Validates what is asked of a definition as a whole, where it is not as it was: that it was approved, and that it
/// knows its fields.
fn validate_policies(new: &Value, old: Option<&Value>, errors: &mut Errors) {
    names::validate_approval(new, old, errors);
    let keeps_unknown = |object: &Value| object["spec"].flag("preserveUnknownFields") == Some(true);
    if keeps_unknown(new) && !old.is_some_and(keeps_unknown) {
        errors.invalid(
            &SPEC.child("preserveUnknownFields"),
            true,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        );
    }
}

/// Whether a definition is served.
fn is_established(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .into_iter()
        .any(|condition| condition.text("type") == "Established" && condition.text("status") == "True")
}

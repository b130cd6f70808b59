//! CustomResourceDefinitions.

mod conversion;
mod names;
mod versions;

#[cfg(test)]
mod tests;

use crate::definition_warnings;
use serde_json::{Value, json};
use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
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
        validate(object, errors);
        errors.extend(custom_resources::faults(&object["spec"], None));
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate(new, errors);
        errors.extend(custom_resources::faults(&new["spec"], Some(&old["spec"])));
        let fields: &[&[&str]] = if is_established(old) {
            &[&["group"], &["names", "plural"], &["scope"], &["names", "kind"]]
        } else {
            &[&["group"], &["names", "plural"]]
        };
        for field in fields {
            let at =
                |object: &Value| field.iter().fold(object["spec"].clone(), |value, key| value[*key].clone());
            if !same(&at(new), &at(old)) {
                let path = format!("spec.{}", field.join("."));
                errors.invalid(&Path::root(&path), at(new), "field is immutable");
            }
        }
        versions::validate_stored(new, errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        versions::validate_stored(new, errors);
        let path = STATUS.child("storedVersions");
        let stored = &new["status"]["storedVersions"];
        if stored.as_array().is_none_or(Vec::is_empty) {
            errors.invalid(&path, stored.clone(), "must have at least one stored version");
        }
        let versions = new["spec"]["versions"].as_array().into_iter().flatten();
        for version in versions.filter(|version| version.flag("storage") == Some(true)) {
            let name = version.text("name");
            if !stored.as_array().into_iter().flatten().any(|stored| stored == name) {
                errors.invalid(&path, stored.clone(), format!("must have the storage version {name}"));
            }
        }
    }

    fn deletion_finalizer(&self) -> Option<&'static str> {
        Some(CLEANUP)
    }
}

/// What every definition must be, new or changed.
fn validate(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    let (plural, group) = (spec["names"].text("plural"), spec.text("group"));
    let name = object["metadata"].text("name");
    if name != format!("{plural}.{group}") {
        errors.invalid(&Path::root("metadata.name"), name, "must be spec.names.plural+\".\"+spec.group");
    }
    names::validate_group(object, errors);
    versions::validate(spec, errors);
    match spec.text("scope") {
        "Cluster" | "Namespaced" => {}
        "" => errors.required(&SPEC.child("scope"), ""),
        other => errors.unsupported(&SPEC.child("scope"), other, &["Cluster", "Namespaced"]),
    }
    names::validate(&spec["names"], errors);
    if spec.flag("preserveUnknownFields") == Some(true) {
        errors.invalid(
            &SPEC.child("preserveUnknownFields"),
            true,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        );
    }
    conversion::validate(spec, errors);
}

/// Whether a definition is served.
fn is_established(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .into_iter()
        .any(|condition| condition.text("type") == "Established" && condition.text("status") == "True")
}

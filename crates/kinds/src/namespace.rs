//! Namespaces.

use std::borrow::Cow;

use apimachinery::ObjectExt;
use serde_json::{Value, json};

use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::write;
use strategy::{self, Keeps, NameRule, Strategy, field_text};

/// The rules of Namespaces.
pub struct Namespace;

/// The finalizer in the spec that the namespace controller removes when the namespace is empty.
pub const FINALIZER: &str = "kubernetes";
/// The label that selectors know a namespace by.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

impl Strategy for Namespace {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }

    fn default(&self, object: &mut Value) {
        label(object);
    }

    fn prepare_for_create(&self, object: &mut Value) {
        // The name may have been generated after defaulting.
        label(object);
        write::set(object, "status", json!({"phase": "Active"}));
        let spec = write::ensure(object, "spec");
        write::missing(spec, "finalizers", json!([]));
        if let Some(Value::Array(finalizers)) = spec.get_mut("finalizers")
            && !finalizers.iter().any(|finalizer| finalizer == FINALIZER)
        {
            finalizers.push(json!(FINALIZER));
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_finalizers(object, errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        write::copy(write::ensure(new, "spec"), "finalizers", &old["spec"]);
        write::copy(new, "status", old);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        let phase = new["status"].text("phase");
        let path = Path::root("status.Phase");
        if new.deletion_timestamp().is_none() {
            if phase != "Active" {
                errors.invalid(&path, phase, "may only be 'Active' if `deletionTimestamp` is empty");
            }
        } else if phase != "Terminating" {
            errors.invalid(&path, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
        }
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        (name == "finalize").then_some(&Finalize)
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["status.phase", "name"]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        match name {
            // An old spelling of metadata.name that upstream still takes.
            "name" => Some(Cow::Borrowed(object.name())),
            "status.phase" => Some(field_text(object, name)),
            _ => None,
        }
    }
}

fn label(object: &mut Value) {
    let name = object.name().to_owned();
    if !name.is_empty() {
        let metadata = write::ensure(object, "metadata");
        write::set(write::ensure(metadata, "labels"), NAME_LABEL, name);
    }
}

fn validate_finalizers(object: &Value, errors: &mut Errors) {
    for finalizer in object["spec"].items("finalizers") {
        let text = finalizer.as_str().unwrap_or_default();
        let found = names::qualified_name_errors(text);
        if found.is_empty() && !text.contains('/') && text != FINALIZER {
            errors.invalid(
                &Path::root("spec.finalizers"),
                text,
                "name is neither a standard finalizer name nor is it fully qualified",
            );
        }
        errors.invalid_each(&Path::root("spec.finalizers"), finalizer, found);
    }
}

/// The rules of `namespaces/finalize`: only the finalizers of the spec change.
struct Finalize;

impl Strategy for Finalize {
    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        write::copy(new, "status", old);
        strategy::keep_metadata(new, old, &["labels", "annotations", "finalizers", "ownerReferences"]);
    }

    fn validate_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_finalizers(new, errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::found;

    #[test]
    fn a_namespace_is_held_until_it_is_empty() {
        let mut object = json!({"metadata": {"name": "x"}});
        Namespace.prepare_for_create(&mut object);
        assert_eq!(
            object,
            json!({"metadata": {"name": "x", "labels": {"kubernetes.io/metadata.name": "x"}},
                   "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
        );
        let mut update = object.clone();
        update["spec"] = json!({});
        Namespace.prepare_for_update(&mut update, &object);
        assert_eq!(update["spec"]["finalizers"], json!(["kubernetes"]));
        update["spec"]["finalizers"] = json!([]);
        Namespace.subresource("finalize").unwrap().prepare_for_update(&mut update, &object);
        assert_eq!(update["spec"]["finalizers"], json!([]));
    }

    #[test]
    fn the_phase_follows_the_deletion() {
        let object = json!({"status": {"phase": "Terminating"}});
        assert_eq!(
            found(|errors| Namespace.validate_status_update(&object, &object, errors)),
            "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
        );
    }
}

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
        for finalizer in object["spec"].items("finalizers") {
            validate_finalizer(finalizer, &Path::root("spec.finalizers"), errors);
        }
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

fn validate_finalizer(finalizer: &Value, path: &Path, errors: &mut Errors) {
    let text = finalizer.as_str().unwrap_or_default();
    errors.invalid_each(path, &Value::from(text), names::qualified_name_errors(text));
    if !text.contains('/') && !matches!(text, FINALIZER | "orphan" | "foregroundDeletion") {
        let why = "name is neither a standard finalizer name nor is it fully qualified";
        errors.invalid(path, text, why);
    }
}

/// The rules of `namespaces/finalize`: everything but the status changes.
struct Finalize;

impl Strategy for Finalize {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn validate_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        let path = Path::root("spec.finalizers");
        for (index, finalizer) in new["spec"].items("finalizers").iter().enumerate() {
            validate_finalizer(finalizer, &path.index(index), errors);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, found, updated};

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
    fn finalizers_are_known_or_somebodys_own() {
        let namespace =
            |finalizer: &str| json!({"metadata": {"name": "x"}, "spec": {"finalizers": [finalizer]}});
        let unknown = "name is neither a standard finalizer name nor is it fully qualified";
        for (finalizer, expected) in [
            ("kubernetes", String::new()),
            ("orphan", String::new()),
            ("foregroundDeletion", String::new()),
            ("a.example/b", String::new()),
            ("mine", format!("PATH: Invalid value: \"mine\": {unknown}")),
            (
                "-",
                format!(
                    "PATH: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\nPATH: Invalid value: \"-\": {unknown}"
                ),
            ),
        ] {
            assert_eq!(
                created(&Namespace, namespace(finalizer)),
                expected.replace("PATH", "spec.finalizers"),
                "{finalizer}"
            );
            let finalize = Namespace.subresource("finalize").unwrap();
            assert_eq!(
                updated(finalize, namespace(finalizer), namespace("kubernetes")),
                expected.replace("PATH", "spec.finalizers[0]"),
                "{finalizer}"
            );
        }
        let mut labelled = json!({"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Terminating"}});
        let old = json!({"status": {"phase": "Active"}});
        Namespace.subresource("finalize").unwrap().prepare_for_update(&mut labelled, &old);
        assert_eq!(labelled, json!({"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Active"}}));
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

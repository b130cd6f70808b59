//! StorageClasses.

use serde_json::Value;

use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::write;

/// The rules of StorageClasses.
pub struct StorageClass;

impl Strategy for StorageClass {
    fn default(&self, object: &mut Value) {
        write::missing(object, "reclaimPolicy", "Delete");
        write::missing(object, "volumeBindingMode", "Immediate");
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let provisioner = object.text("provisioner");
        let path = Path::root("provisioner");
        if provisioner.is_empty() {
            errors.required(&path, "");
        } else {
            let found = names::qualified_name_errors(&provisioner.to_lowercase());
            errors.invalid_each(&path, &object["provisioner"], found);
        }
        if object.entries("parameters").any(|(key, _)| key.is_empty()) {
            errors.invalid(&Path::root("parameters"), "", "field can not be empty.");
        }
        for (key, supported) in [
            ("reclaimPolicy", ["Delete", "Retain"]),
            ("volumeBindingMode", ["Immediate", "WaitForFirstConsumer"]),
        ] {
            if !supported.contains(&object.text(key)) {
                errors.unsupported(&Path::root(key), object.text(key), &supported);
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        for key in ["parameters", "provisioner", "reclaimPolicy"] {
            if !same(&new[key], &old[key]) {
                errors.forbidden(&Path::root(key), format!("updates to {key} are forbidden."));
            }
        }
        let path = Path::root("volumeBindingMode");
        errors.immutable(&path, &new["volumeBindingMode"], &old["volumeBindingMode"]);
    }

    fn allow_unconditional_update(&self) -> bool {
        true
    }
}

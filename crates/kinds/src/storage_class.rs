//! StorageClasses.

use serde_json::Value;

use crate::topology;
use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::write;

/// How many parameters a class may have, and bytes in all of them.
const MOST_PARAMETERS: usize = 512;
const LONGEST_PARAMETERS: usize = 256 * 1024;

/// The rules of StorageClasses.
pub struct StorageClass;

impl Strategy for StorageClass {
    fn default(&self, object: &mut Value) {
        write::missing(object, "reclaimPolicy", "Delete");
        write::missing(object, "volumeBindingMode", "Immediate");
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_provisioner(object.text("provisioner"), &Path::root("provisioner"), errors);
        validate_parameters(object, errors);
        for (key, supported) in [
            ("reclaimPolicy", ["Delete", "Retain"]),
            ("volumeBindingMode", ["Immediate", "WaitForFirstConsumer"]),
        ] {
            // Upstream takes a policy that is empty, and a class without one is given the usual.
            let empty = key == "reclaimPolicy" && object.text(key).is_empty();
            if !empty && !supported.contains(&object.text(key)) {
                errors.unsupported(&Path::root(key), object.text(key), &supported);
            }
        }
        topology::validate(object.items("allowedTopologies"), &Path::root("allowedTopologies"), errors);
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

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        topology::warnings(object.items("allowedTopologies"))
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        topology::warnings(new.items("allowedTopologies"))
    }
}

/// Validates the name of who makes volumes. Its case does not count.
pub(crate) fn validate_provisioner(name: &str, path: &Path, errors: &mut Errors) {
    let name = name.to_lowercase();
    if name.is_empty() {
        errors.required(path, "");
    } else {
        errors.invalid_each(path, &Value::from(name.as_str()), names::qualified_name_errors(&name));
    }
}

/// Validates what a provisioner is told; the same bounds hold for attributes of volumes.
pub(crate) fn validate_parameters(object: &Value, errors: &mut Errors) {
    let path = Path::root("parameters");
    if object.entries("parameters").count() > MOST_PARAMETERS {
        errors.too_long(&path, MOST_PARAMETERS);
        return;
    }
    let mut size = 0;
    for (key, value) in object.entries("parameters") {
        if key.is_empty() {
            errors.invalid(&path, "", "field can not be empty.");
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > LONGEST_PARAMETERS {
        errors.too_long(&path, LONGEST_PARAMETERS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, updated};

    #[test]
    fn classes_say_who_makes_volumes_and_where() {
        let class = |topology: Value| json!({"provisioner": "a.example/p", "allowedTopologies": topology});
        let zone = |values: &[&str]| json!({"matchLabelExpressions": [{"key": "zone", "values": values}]});
        assert_eq!(created(&StorageClass, class(json!([zone(&["a"]), zone(&["b"])]))), "");
        assert_eq!(
            created(&StorageClass, class(json!([zone(&["a", "b"]), zone(&["b", "a"])]))),
            "allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\""
        );
        assert_eq!(
            created(&StorageClass, class(json!([zone(&["a", "a"])]))),
            "allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: \"a\""
        );
        assert_eq!(created(&StorageClass, json!({})), "provisioner: Required value");
        assert_eq!(
            updated(&StorageClass, json!({"provisioner": "b"}), json!({"provisioner": "a"})),
            "provisioner: Forbidden: updates to provisioner are forbidden."
        );
    }
}

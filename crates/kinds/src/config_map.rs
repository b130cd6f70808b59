//! ConfigMaps.

use serde_json::Value;

use crate::secret::{SIZE_LIMIT, decoded_len, validate_sealed};
use pod_strategy::env::config_key_errors;
use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::read::Read;

/// The rules of ConfigMaps.
pub struct ConfigMap;

impl Strategy for ConfigMap {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        let mut size = 0;
        for (key, value) in object.entries("data") {
            let data_path = Path::root("data");
            let path = data_path.key(key);
            let name = Value::from(key.as_str());
            errors.invalid_each(&path, &name, config_key_errors(key));
            if object["binaryData"].get(key).is_some() {
                errors.invalid(&path, name, "duplicate of key present in binaryData");
            }
            size += value.as_str().map_or(0, str::len);
        }
        for (key, value) in object.entries("binaryData") {
            let path = Path::root("binaryData");
            errors.invalid_each(&path.key(key), &Value::from(key.as_str()), config_key_errors(key));
            size += decoded_len(value.as_str().unwrap_or_default());
        }
        if size > SIZE_LIMIT {
            errors.too_long(&Path::root(""), SIZE_LIMIT);
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_sealed(new, old, &["data", "binaryData"], errors);
        self.validate(new, errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, updated};

    #[test]
    fn keys_are_file_names() {
        assert_eq!(created(&ConfigMap, json!({"data": {"a.b-c_D": "x"}})), "");
        assert!(
            created(&ConfigMap, json!({"data": {"a b": "x"}}))
                .starts_with("data[a b]: Invalid value: \"a b\": a valid config key")
        );
        assert_eq!(
            created(&ConfigMap, json!({"data": {"a": "x"}, "binaryData": {"a": "eA=="}})),
            "data[a]: Invalid value: \"a\": duplicate of key present in binaryData"
        );
        assert_eq!(
            created(&ConfigMap, json!({"data": {"a": "x".repeat(2 << 20)}})),
            ": Too long: may not be more than 1048576 bytes"
        );
    }

    #[test]
    fn sealed_data_stays() {
        let old = json!({"immutable": true, "data": {"a": "1"}});
        assert_eq!(
            updated(&ConfigMap, json!({"immutable": true, "data": {"a": "2"}}), old),
            "data: Forbidden: field is immutable when `immutable` is set"
        );
    }
}

//! Objects as they are read from the store: some were written in another version, or before a default was declared.

use serde_json::Value;

use crate::definition::Definition;
use crate::object::Rules;

/// What brings stored objects into the present form.
#[derive(Debug)]
pub struct Stored {
    /// How bytes begin that are in the stored version: versions come first, since keys are sorted.
    opening: Vec<u8>,
    api_version: String,
    /// Of the stored version.
    rules: Rules,
    /// Of all others, by what objects call them, where versions differ in their name only.
    others: Vec<(String, Rules)>,
    /// Whether only a webhook knows what other versions mean.
    converts: bool,
}

impl Stored {
    /// What a definition asks for; nothing where it stores no version.
    pub fn of(definition: &Definition) -> Option<Self> {
        let stored = definition.stored_version()?;
        let keeps = definition.preserve_unknown_fields;
        let rules = Rules::outline(stored, keeps);
        let api_version = format!("{}/{}", definition.group, stored.name);
        let others: Vec<(String, Rules)> = match definition.converts() {
            true => Vec::new(),
            false => {
                let others = definition.versions.iter().filter(|version| version.name != stored.name);
                others
                    .map(|version| {
                        (format!("{}/{}", definition.group, version.name), Rules::outline(version, keeps))
                    })
                    .collect()
            }
        };
        let converts = definition.converts();
        let opening = format!("{{\"apiVersion\":\"{api_version}\"").into_bytes();
        Some(Self { opening, api_version, rules, others, converts })
    }

    /// Whether objects of this version, of which there are no others, stay as they are.
    pub fn is_plain(&self, before: &Self) -> bool {
        let is_plain = |stored: &Self| stored.others.is_empty() && !stored.rules.has_defaults();
        self.api_version == before.api_version && is_plain(self) && is_plain(before)
    }

    /// An object in the present form; nothing where it has that already.
    pub fn rewrite(&self, stored: &[u8]) -> Option<Vec<u8>> {
        let is_present = stored.starts_with(&self.opening);
        if is_present && !self.rules.has_defaults() {
            return None;
        }
        let mut object: Value = serde_json::from_slice(stored).ok()?;
        let found = object["apiVersion"].as_str().unwrap_or_default().to_owned();
        let mut changed = false;
        if found != self.api_version {
            if self.converts {
                return None;
            }
            // A version that is gone is like the present one.
            if let Some((_, rules)) = self.others.iter().find(|(version, _)| *version == found) {
                rules.complete(&mut object);
            }
            object["apiVersion"] = self.api_version.as_str().into();
            self.rules.prune(&mut object);
            changed = true;
        }
        changed |= self.rules.complete(&mut object);
        if changed { serde_json::to_vec(&object).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(conversion: &str, default: Option<i64>) -> Definition {
        let version = |name: &str, storage: bool, extra: Value| {
            let mut fields = json!({"size": {"type": "integer"}});
            fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            if let Some(default) = default {
                fields["size"]["default"] = default.into();
            }
            json!({"name": name, "served": true, "storage": storage,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}}})
        };
        Definition::read(
            &json!({"spec": {"group": "example.com", "conversion": {"strategy": conversion}, "versions": [
            version("v1", true, json!({})), version("v1beta1", false, json!({"old": {"type": "string"}}))]}}),
        )
        .unwrap()
    }

    #[test]
    fn objects_are_read_as_the_definition_has_them_now() {
        let rewrite = |conversion: &str, default: Option<i64>, object: Value| -> Option<Value> {
            let bytes =
                Stored::of(&definition(conversion, default))?.rewrite(object.to_string().as_bytes())?;
            serde_json::from_slice(&bytes).ok()
        };
        let present = json!({"apiVersion": "example.com/v1", "kind": "Wand", "spec": {}});
        let old = json!({"apiVersion": "example.com/v1beta1", "kind": "Wand", "spec": {"old": "x"}});
        assert_eq!(rewrite("None", None, present.clone()), None);
        assert_eq!(rewrite("None", None, old.clone()), Some(present.clone()));
        let complete = json!({"apiVersion": "example.com/v1", "kind": "Wand", "spec": {"size": 3}});
        assert_eq!(rewrite("None", Some(3), present), Some(complete.clone()));
        assert_eq!(rewrite("None", Some(3), old.clone()), Some(complete.clone()));
        assert_eq!(rewrite("None", Some(3), complete), None);
        // What only a webhook can convert stays.
        assert_eq!(rewrite("Webhook", Some(3), old), None);
        let gone = json!({"apiVersion": "example.com/v1alpha1", "kind": "Wand", "spec": {"old": "x"}});
        assert_eq!(
            rewrite("None", None, gone),
            Some(json!({"apiVersion": "example.com/v1", "kind": "Wand", "spec": {}}))
        );
        let stored = |default| Stored::of(&definition("Webhook", default)).unwrap();
        assert!(stored(None).is_plain(&stored(None)));
        assert!(!stored(None).is_plain(&stored(Some(1))));
    }
}

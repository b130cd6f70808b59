//! Accessors on objects: metadata and paths into a JSON value, absent parts read as empty.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An owner reference of an object's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerReference {
    /// `apiVersion` of the owner.
    #[serde(default)]
    pub api_version: String,
    /// Kind of the owner.
    #[serde(default)]
    pub kind: String,
    /// Name of the owner.
    #[serde(default)]
    pub name: String,
    /// UID of the owner.
    #[serde(default)]
    pub uid: String,
    /// Whether the owner manages this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Whether the owner's foreground deletion waits for this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

/// Reads and writes the parts that every object has.
pub trait ObjectExt {
    /// `apiVersion`, or empty.
    fn api_version(&self) -> &str;
    /// `kind`, or empty.
    fn kind(&self) -> &str;
    /// `metadata.name`, or empty.
    fn name(&self) -> &str;
    /// `metadata.generateName`, or empty.
    fn generate_name(&self) -> &str;
    /// `metadata.namespace`, or empty.
    fn namespace(&self) -> &str;
    /// `metadata.uid`, or empty.
    fn uid(&self) -> &str;
    /// `metadata.resourceVersion`, or empty.
    fn resource_version(&self) -> &str;
    /// `metadata.generation`, or 0.
    fn generation(&self) -> i64;
    /// `metadata.creationTimestamp`, or empty.
    fn creation_timestamp(&self) -> &str;
    /// `metadata.deletionTimestamp`, when set.
    fn deletion_timestamp(&self) -> Option<&str>;
    /// `metadata.deletionGracePeriodSeconds`, when set.
    fn deletion_grace_period(&self) -> Option<i64>;
    /// One label's value.
    fn label(&self, key: &str) -> Option<&str>;
    /// One annotation's value.
    fn annotation(&self, key: &str) -> Option<&str>;
    /// All labels, as key and value.
    fn labels(&self) -> impl Iterator<Item = (&str, &str)>;
    /// All annotations, as key and value.
    fn annotations(&self) -> impl Iterator<Item = (&str, &str)>;
    /// `metadata.finalizers`.
    fn finalizers(&self) -> impl Iterator<Item = &str>;
    /// `metadata.ownerReferences`; malformed ones are left out.
    fn owner_references(&self) -> Vec<OwnerReference>;
    /// The owner reference with `controller: true`.
    fn controller_of(&self) -> Option<OwnerReference> {
        self.owner_references().into_iter().find(|owner| owner.controller == Some(true))
    }
    /// The value at a path of field names; `None` where a part is absent or null.
    fn at(&self, path: &[&str]) -> Option<&Value>;
    /// The string at a path.
    fn str_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path).and_then(Value::as_str)
    }
    /// The integer at a path.
    fn i64_at(&self, path: &[&str]) -> Option<i64> {
        self.at(path).and_then(Value::as_i64)
    }
    /// The bool at a path.
    fn bool_at(&self, path: &[&str]) -> Option<bool> {
        self.at(path).and_then(Value::as_bool)
    }
    /// The list at a path, empty when absent.
    fn list_at(&self, path: &[&str]) -> &[Value] {
        self.at(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
    /// The map at a path.
    fn map_at(&self, path: &[&str]) -> Option<&Map<String, Value>> {
        self.at(path).and_then(Value::as_object)
    }
    /// The map at a path, made (with its parents) when absent; a part that is no map is replaced.
    fn map_at_mut(&mut self, path: &[&str]) -> &mut Map<String, Value>;
    /// Sets the value at a path, making the parents.
    fn set_at(&mut self, path: &[&str], value: Value);
    /// Removes and returns the value at a path.
    fn remove_at(&mut self, path: &[&str]) -> Option<Value>;
}

fn entries<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    value
        .map_at(&["metadata", field])
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or("")))
}

impl ObjectExt for Value {
    fn api_version(&self) -> &str {
        self.str_at(&["apiVersion"]).unwrap_or("")
    }
    fn kind(&self) -> &str {
        self.str_at(&["kind"]).unwrap_or("")
    }
    fn name(&self) -> &str {
        self.str_at(&["metadata", "name"]).unwrap_or("")
    }
    fn generate_name(&self) -> &str {
        self.str_at(&["metadata", "generateName"]).unwrap_or("")
    }
    fn namespace(&self) -> &str {
        self.str_at(&["metadata", "namespace"]).unwrap_or("")
    }
    fn uid(&self) -> &str {
        self.str_at(&["metadata", "uid"]).unwrap_or("")
    }
    fn resource_version(&self) -> &str {
        self.str_at(&["metadata", "resourceVersion"]).unwrap_or("")
    }
    fn generation(&self) -> i64 {
        self.i64_at(&["metadata", "generation"]).unwrap_or(0)
    }
    fn creation_timestamp(&self) -> &str {
        self.str_at(&["metadata", "creationTimestamp"]).unwrap_or("")
    }
    fn deletion_timestamp(&self) -> Option<&str> {
        self.str_at(&["metadata", "deletionTimestamp"])
    }
    fn deletion_grace_period(&self) -> Option<i64> {
        self.i64_at(&["metadata", "deletionGracePeriodSeconds"])
    }
    fn label(&self, key: &str) -> Option<&str> {
        self.str_at(&["metadata", "labels", key])
    }
    fn annotation(&self, key: &str) -> Option<&str> {
        self.str_at(&["metadata", "annotations", key])
    }
    fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        entries(self, "labels")
    }
    fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        entries(self, "annotations")
    }
    fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.list_at(&["metadata", "finalizers"]).iter().filter_map(Value::as_str)
    }
    fn owner_references(&self) -> Vec<OwnerReference> {
        self.list_at(&["metadata", "ownerReferences"])
            .iter()
            .filter_map(|owner| OwnerReference::deserialize(owner).ok())
            .collect()
    }
    fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, part| value.get(part)).filter(|value| !value.is_null())
    }
    fn map_at_mut(&mut self, path: &[&str]) -> &mut Map<String, Value> {
        let mut value = self;
        for part in path {
            if !value.is_object() {
                *value = Value::Object(Map::new());
            }
            value = value
                .as_object_mut()
                .expect("made an object above")
                .entry(*part)
                .or_insert_with(|| Value::Object(Map::new()));
        }
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        value.as_object_mut().expect("made an object above")
    }
    fn set_at(&mut self, path: &[&str], new: Value) {
        match path.split_last() {
            Some((last, parents)) => {
                self.map_at_mut(parents).insert((*last).to_owned(), new);
            }
            None => *self = new,
        }
    }
    fn remove_at(&mut self, path: &[&str]) -> Option<Value> {
        let (last, parents) = path.split_last()?;
        let parent = parents.iter().try_fold(self, |value, part| value.get_mut(part))?;
        parent.as_object_mut()?.remove(*last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn absent_parts_read_as_empty() {
        let empty = json!({});
        assert_eq!(empty.name(), "");
        assert_eq!(empty.labels().count(), 0);
        assert!(empty.owner_references().is_empty());
        assert!(json!({"spec": null}).at(&["spec"]).is_none());
    }

    #[test]
    fn paths_are_made_set_and_removed() {
        let mut object = json!({"spec": 3});
        object.set_at(&["spec", "replicas"], json!(2));
        object.map_at_mut(&["metadata", "labels"]).insert("app".into(), json!("web"));
        assert_eq!(object.i64_at(&["spec", "replicas"]), Some(2));
        assert_eq!(object.label("app"), Some("web"));
        assert_eq!(object.remove_at(&["spec", "replicas"]), Some(json!(2)));
        assert_eq!(object.remove_at(&["spec", "none", "x"]), None);
    }

    #[test]
    fn controller_is_the_one_marked() {
        let object = json!({"metadata": {"ownerReferences": [
            {"apiVersion": "v1", "kind": "A", "name": "a", "uid": "1"},
            {"apiVersion": "v1", "kind": "B", "name": "b", "uid": "2", "controller": true}]}});
        assert_eq!(object.controller_of().map(|owner| owner.name), Some("b".into()));
    }
}

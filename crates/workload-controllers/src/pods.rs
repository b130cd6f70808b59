//! Pods that controllers make from templates and remove by rank.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Map, Value, json};

mod ranking;

pub use ranking::rank_for_deletion;

/// What a new pod is called.
#[derive(Debug, Clone, Copy)]
pub enum Name<'a> {
    /// The server adds five characters to `prefix-`.
    Generated(&'a str),
    /// This name.
    Exact(&'a str),
}

/// Makes a pod from a template, owned by `owner`.
pub fn from_template(template: &Value, owner: &OwnerReference, namespace: &str, name: Name<'_>) -> Value {
    let mut metadata = Map::new();
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(field).filter(|value| !value.is_null()) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.insert("namespace".to_owned(), namespace.into());
    match name {
        Name::Generated(owner) => metadata.insert("generateName".to_owned(), format!("{owner}-").into()),
        Name::Exact(name) => metadata.insert("name".to_owned(), name.into()),
    };
    metadata.insert("ownerReferences".to_owned(), json!([owner]));
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

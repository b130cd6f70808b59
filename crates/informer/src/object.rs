//! What a store needs to know of an object, and slim metadata for types that hold only what is used.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Key;

/// The annotation in which `kubectl apply` keeps its last input; never kept in a store.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as a store sees it: named, versioned, decoded from the wire and trimmed to what is used.
///
/// Every k8s-openapi type has it. A slim type says only where its [`Object::identity`] is, most easily in a
/// [`Metadata`] or [`Identity`] field.
pub trait Object: DeserializeOwned + Send + Sync + 'static {
    /// Returns what tells the object from all others.
    fn identity(&self) -> IdentityRef<'_>;
    /// Drops what no consumer of a store needs; runs on each object before it is stored.
    fn trim(&mut self) {}
    /// Returns the namespace, empty for a cluster-scoped object.
    fn namespace(&self) -> &str {
        self.identity().namespace
    }
    /// Returns the name.
    fn name(&self) -> &str {
        self.identity().name
    }
    /// Returns the uid, which tells an object from its successor of the same name.
    fn uid(&self) -> &str {
        self.identity().uid
    }
    /// Returns the version, opaque but for equality.
    fn resource_version(&self) -> &str {
        self.identity().resource_version
    }
    /// Returns the key under which the object is stored.
    fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }
}

/// What tells an object from all others, and one version of it from the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdentityRef<'a> {
    /// The namespace, empty for a cluster-scoped object.
    pub namespace: &'a str,
    /// The name.
    pub name: &'a str,
    /// The uid.
    pub uid: &'a str,
    /// The version of the object.
    pub resource_version: &'a str,
}

/// The same, owned: for slim types that keep nothing else of their metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Identity {
    /// The namespace, empty for a cluster-scoped object.
    pub namespace: Box<str>,
    /// The name.
    pub name: Box<str>,
    /// The uid.
    pub uid: Box<str>,
    /// The version of the object.
    pub resource_version: Box<str>,
}

impl Identity {
    /// Returns it as [`Object::identity`] wants it.
    pub fn by_ref(&self) -> IdentityRef<'_> {
        IdentityRef {
            namespace: &self.namespace,
            name: &self.name,
            uid: &self.uid,
            resource_version: &self.resource_version,
        }
    }
}

impl From<IdentityRef<'_>> for Identity {
    fn from(identity: IdentityRef<'_>) -> Self {
        Identity {
            namespace: identity.namespace.into(),
            name: identity.name.into(),
            uid: identity.uid.into(),
            resource_version: identity.resource_version.into(),
        }
    }
}

impl<K> Object for K
where
    K: k8s_openapi::Metadata<Ty = ObjectMeta> + DeserializeOwned + Send + Sync + 'static,
{
    fn identity(&self) -> IdentityRef<'_> {
        let metadata = self.metadata();
        IdentityRef {
            namespace: metadata.namespace.as_deref().unwrap_or_default(),
            name: metadata.name.as_deref().unwrap_or_default(),
            uid: metadata.uid.as_deref().unwrap_or_default(),
            resource_version: metadata.resource_version.as_deref().unwrap_or_default(),
        }
    }

    fn trim(&mut self) {
        let metadata = self.metadata_mut();
        metadata.managed_fields = None;
        if let Some(annotations) = &mut metadata.annotations {
            annotations.remove(LAST_APPLIED);
        }
    }
}

/// Object metadata without managed fields and with plain fields in place of options.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// The namespace, empty for a cluster-scoped object.
    pub namespace: String,
    /// The uid.
    pub uid: String,
    /// The version of the object.
    pub resource_version: String,
    /// Counts the changes of the desired state.
    pub generation: i64,
    /// When the object was created.
    pub creation_timestamp: Option<Time>,
    /// When the object was asked to go away; set means that it is on its way out.
    pub deletion_timestamp: Option<Time>,
    /// The seconds granted for an orderly end.
    pub deletion_grace_period_seconds: Option<i64>,
    /// The labels.
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// The annotations, without the one of `kubectl apply`.
    #[serde(deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
    /// The owners.
    #[serde(deserialize_with = "null_is_default")]
    pub owner_references: Vec<OwnerReference>,
    /// What must happen before the object may go away.
    #[serde(deserialize_with = "null_is_default")]
    pub finalizers: Vec<String>,
}

impl Metadata {
    /// Returns what tells the object from all others.
    pub fn identity(&self) -> IdentityRef<'_> {
        IdentityRef {
            namespace: &self.namespace,
            name: &self.name,
            uid: &self.uid,
            resource_version: &self.resource_version,
        }
    }

    /// Returns the key of the object.
    pub fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    /// Returns the owner that controls the object, if any.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller == Some(true))
    }

    /// Tells whether the object was asked to go away.
    pub fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// Drops what stores do not keep.
    pub fn trim(&mut self) {
        self.annotations.remove(LAST_APPLIED);
    }
}

/// Reads `null` as the default, for fields that some clients write as `null` rather than leave out.
pub fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Any object of which only the metadata is watched.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PartialObject {
    /// The metadata.
    pub metadata: Metadata,
}

impl Object for PartialObject {
    fn identity(&self) -> IdentityRef<'_> {
        self.metadata.identity()
    }

    fn trim(&mut self) {
        self.metadata.trim();
    }
}

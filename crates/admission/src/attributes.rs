//! What a write asks for and who asks.

use apimachinery::{User, status::Status};
use serde_json::Value;

/// What is done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new object, also one sent to a subresource (`bindings`, `eviction`, `token`).
    Create,
    /// An update or patch of an object or one of its subresources.
    Update,
    /// A deletion; the object is null, the old object is what will go.
    Delete,
    /// A connection (`exec`, `attach`, `portforward`, `proxy`); the object holds its options.
    Connect,
}

/// One request as admission sees it.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// What is done.
    pub operation: Operation,
    /// API group of the resource, empty for the core group.
    pub group: &'a str,
    /// Version in the request's path.
    pub version: &'a str,
    /// Plural name of the resource.
    pub resource: &'a str,
    /// Subresource, empty for the object itself.
    pub subresource: &'a str,
    /// Kind of the object in the request.
    pub kind: &'a str,
    /// Namespace in the path, empty for cluster-wide resources. For a namespace itself, its own name.
    pub namespace: &'a str,
    /// Name in the path, or the object's name when it is created (empty while only `generateName` is known).
    pub name: &'a str,
    /// Who asks.
    pub user: User<'a>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// Randomness for generated names, new for each request.
    pub random: u64,
}

impl Attributes<'_> {
    /// Whether the request is for this resource, without a subresource.
    pub fn is(&self, group: &str, resource: &str) -> bool {
        self.group == group && self.resource == resource && self.subresource.is_empty()
    }

    /// The refusal of this request, naming the object.
    pub fn forbidden(&self, object: &Value, why: impl AsRef<str>) -> Status {
        let generated = object["metadata"]["generateName"].as_str().unwrap_or_default();
        let name = if self.name.is_empty() { generated } else { self.name };
        Status::forbidden(self.group, self.resource, name, why.as_ref())
    }
}

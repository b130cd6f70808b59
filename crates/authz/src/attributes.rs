//! What authorisation is asked about.

use std::collections::BTreeMap;

use apimachinery::{User, fields, labels};

/// A request as authorisation sees it. Fields that do not apply are empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'a> {
    /// Who asks.
    pub user: User<'a>,
    /// The user's UID; only webhooks look at it.
    pub uid: &'a str,
    /// Further facts about the user; only webhooks look at them.
    pub extra: Option<&'a BTreeMap<String, Vec<String>>>,
    /// `get`, `list`, `watch`, `create`, …, or the lower-case HTTP method for paths.
    pub verb: &'a str,
    /// Namespace; empty at the cluster scope.
    pub namespace: &'a str,
    /// API group; empty for the core group.
    pub group: &'a str,
    /// API version.
    pub version: &'a str,
    /// Resource (plural).
    pub resource: &'a str,
    /// Subresource.
    pub subresource: &'a str,
    /// Name of the object. For `list`, `watch` and `deletecollection`, the one that a `metadata.name` field
    /// selector asks for: so it is that a node may watch a single secret.
    pub name: &'a str,
    /// Request path; only for requests that are not for resources.
    pub path: &'a str,
    /// Whether the request is for a resource.
    pub is_resource: bool,
    /// The field selector of `list`, `watch` and `deletecollection`.
    pub field_selector: Option<&'a fields::Selector>,
    /// The label selector of these.
    pub label_selector: Option<&'a labels::Selector>,
}

impl<'a> Attributes<'a> {
    /// `pods`, or `pods/log`, as messages name it.
    pub fn qualified(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// Whether reading is all that is asked for.
    pub fn is_read_only(&self) -> bool {
        matches!(self.verb, "get" | "list" | "watch")
    }

    /// The value that the field selector fixes a field to.
    pub fn selected(&self, field: &str) -> Option<&'a str> {
        self.field_selector.and_then(|selector| selector.exact(field))
    }
}

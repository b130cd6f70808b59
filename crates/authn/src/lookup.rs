//! What a token's check asks about objects: are those that it is bound to still there?

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

/// The little of an object that a token's check reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Referent {
    /// UID of the object.
    pub uid: String,
    /// When its deletion was asked for.
    pub deletion_timestamp: Option<Timestamp>,
}

/// Objects as the server has them in memory; `None` means that there is no such object.
pub trait Lookup: Send + Sync {
    /// A service account.
    fn service_account(&self, namespace: &str, name: &str) -> Option<Referent>;
    /// A pod.
    fn pod(&self, namespace: &str, name: &str) -> Option<Referent>;
    /// A node.
    fn node(&self, name: &str) -> Option<Referent>;
    /// A whole secret: legacy and bootstrap tokens compare its data.
    fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Value>>;
    /// Notes that the token kept in a secret was used, where the secret does not say so yet.
    fn note_use(&self, _secret: &Value) {}
}

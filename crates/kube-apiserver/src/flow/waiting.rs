//! Requests that wait: whom to tell, and what to show of them to those who look inside.

use flow_control::Ticket;
use tokio::sync::oneshot;

/// What the tables of waiting requests show.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// The schema that it belongs to.
    pub schema: String,
    /// What tells its flow from others.
    pub flow: String,
    /// The user's name.
    pub user: String,
    /// The verb.
    pub verb: &'static str,
    /// The path.
    pub path: String,
    /// The namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The API version.
    pub version: String,
    /// The resource.
    pub resource: String,
    /// The subresource.
    pub subresource: String,
}

/// One that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) tell: oneshot::Sender<Ticket>,
    pub(super) details: Box<Details>,
}

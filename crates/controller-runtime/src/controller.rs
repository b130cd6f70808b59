//! One controller, as the list of those that run names it.

use futures::future::BoxFuture;

use crate::context::Context;

/// A controller at work; ends at shutdown.
pub type Running = BoxFuture<'static, ()>;

/// One controller.
pub struct Controller {
    /// The name in `--controllers`.
    pub name: &'static str,
    /// The older name that `--controllers` also takes.
    pub alias: &'static str,
    /// The service account in `kube-system`; empty for one that acts with the manager's own credentials.
    pub account: &'static str,
    /// The source of its events.
    pub event_source: &'static str,
    /// Whether `*` includes it.
    pub by_default: bool,
    /// Starts it; `None` if the flags it needs are not given.
    pub start: fn(Context) -> Option<Running>,
}

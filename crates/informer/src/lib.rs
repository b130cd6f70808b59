//! Shared informers, listers and rate-limited work queues over kube watches.
//!
//! A [`Store`] is the shared, indexed map of one resource; [`reflect`] keeps it equal to the API server's state
//! by one watch; change handlers put keys into a [`WorkQueue`]; [`run_workers`] takes them out again.
//! [`Expectations`] keeps a controller from acting on a store that has not yet seen the controller's own writes.
//!
//! Guarantees: a handler sees the changes of one object in order; every handler has run before the next change of
//! the same store is applied; a store becomes ready once and stays ready; a watch is resumed where it broke, and
//! the server is asked for everything again only when it says 410.
//! Caveats: a store may lag behind the server, and two stores may lag differently.

mod backoff;
mod expectations;
mod key;
mod object;
mod queue;
mod reflector;
mod store;
mod watch;
mod workers;

pub use backoff::Backoff;
pub use expectations::Expectations;
pub use key::Key;
pub use object::{Identity, IdentityRef, LAST_APPLIED, Metadata, Object, PartialObject, null_is_default};
pub use queue::{RateLimit, WorkQueue};
pub use reflector::{Error, Event, follow, reflect};
pub use store::{Change, Sink, Store};
pub use watch::Watch;
pub use workers::{Failure, Outcome, run_workers};

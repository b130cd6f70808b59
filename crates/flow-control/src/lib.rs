//! API priority and fairness: who waits when the server is busy, in what order, and for how long.
//!
//! A request belongs to the first [`Schema`] that matches it, and by that to a [`Level`] and to a flow inside it. A
//! level has seats; when they are taken, requests wait in [`Queues`] of the level, from which they are taken fairly by
//! flow. Levels lend seats to one another ([`seats`]). Everything here is a decision: the time comes as an argument,
//! and whoever waits is a value of the caller's.

pub mod bootstrap;
mod deal;
mod demand;
pub mod dump;
pub mod held;
pub mod level;
pub mod queues;
mod retry;
pub mod schema;
pub mod seats;
pub mod stats;
pub mod status;
pub mod work;

pub use deal::Dealer;
pub use demand::{Demand, Observed};
pub use level::{Level, Queuing};
pub use queues::{Arrival, Queues, Reason, Ticket};
pub use retry::RetryAfter;
pub use schema::{Request, Schema};
pub use work::Work;

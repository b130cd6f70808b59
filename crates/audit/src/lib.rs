//! Who did what: the audit policy, events and the places that they are written to.
//!
//! A server with a policy has an [`Auditor`]. It makes a [`Record`] of each request and runs the request within
//! [`Record::scope`]; whoever handles the request adds to its record by [`annotate`] and [`request_object`] without
//! being handed anything. Where nobody audits, these do nothing and cost nothing.

mod auditor;
mod batch;
mod event;
mod log;
mod policy;
mod record;
mod truncation;
mod webhook;

pub use auditor::{Auditor, Counts, Sinks};
pub use batch::{Batching, Mode};
pub use event::{Level, ObjectReference, Stage};
pub use log::{Format, LogFile, Rotation};
pub use policy::{About, Policy, PolicyError};
pub use record::{Answered, Head, Record, annotate, current, is_on, request_object};
pub use truncation::Truncation;
pub use webhook::WebhookSink;

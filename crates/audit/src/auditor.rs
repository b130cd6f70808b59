//! A policy, and the places that events are written to.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::batch::Sink;
use crate::policy::Policy;
use crate::record::{Head, Record};

/// The places that events are written to.
#[derive(Default)]
pub struct Sinks(pub(crate) Vec<Sink>);

/// Decides what is written down, and writes it.
pub struct Auditor {
    pub(crate) policy: Policy,
    sinks: Sinks,
}

impl Auditor {
    /// Writes what the policy says to all of the sinks.
    pub fn new(policy: Policy, sinks: Sinks) -> Arc<Self> {
        Arc::new(Self { policy, sinks })
    }

    /// Begins the record of a request.
    pub fn record(self: &Arc<Self>, head: Head, now: Timestamp) -> Arc<Record> {
        Arc::new(Record::new(self.clone(), head, now))
    }

    pub(crate) fn send(&self, event: Bytes) {
        for sink in &self.sinks.0 {
            sink.send(event.clone());
        }
    }
}

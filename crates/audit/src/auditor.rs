//! A policy, and the places that events are written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use jiff::Timestamp;

use crate::batch::Sink;
use crate::event::Level;
use crate::policy::Policy;
use crate::record::{Head, Record};

/// The places that events are written to.
#[derive(Default)]
pub struct Sinks(pub(crate) Vec<Sink>);

/// Decides what is written down, and writes it.
pub struct Auditor {
    pub(crate) policy: Policy,
    sinks: Sinks,
    events: AtomicU64,
    /// By level.
    requests: [AtomicU64; 4],
}

/// What was written down since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Events.
    pub events: u64,
    /// Requests by how much is written down of them.
    pub requests: [(Level, u64); 4],
    /// Events that were lost, by what they were to be written to.
    pub lost: Vec<(&'static str, u64)>,
}

impl Auditor {
    /// Writes what the policy says to all of the sinks.
    pub fn new(policy: Policy, sinks: Sinks) -> Arc<Self> {
        Arc::new(Self { policy, sinks, events: AtomicU64::new(0), requests: Default::default() })
    }

    /// Begins the record of a request.
    pub fn record(self: &Arc<Self>, head: Head, now: Timestamp) -> Arc<Record> {
        Arc::new(Record::new(self.clone(), head, now))
    }

    /// What was written down since the start.
    pub fn counts(&self) -> Counts {
        Counts {
            events: self.events.load(Ordering::Relaxed),
            requests: Level::ALL.map(|level| (level, self.requests[level as usize].load(Ordering::Relaxed))),
            lost: self.sinks.0.iter().map(Sink::lost).collect(),
        }
    }

    pub(crate) fn decided(&self, level: Level) {
        self.requests[level as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn send(&self, event: Bytes) {
        self.events.fetch_add(1, Ordering::Relaxed);
        for sink in &self.sinks.0 {
            sink.send(event.clone());
        }
    }
}

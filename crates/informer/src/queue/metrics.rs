//! Upstream's `workqueue_*` metrics of one queue.

use std::time::Duration;

pub(super) struct QueueMetrics {}

impl QueueMetrics {
    pub(super) fn new(_name: &'static str) -> QueueMetrics {
        QueueMetrics {}
    }
    pub(super) fn added(&self) {}
    pub(super) fn retried(&self) {}
    pub(super) fn depth(&self, _depth: usize) {}
    pub(super) fn taken(&self, _waited: Duration, _depth: usize) {}
    pub(super) fn finished(&self, _worked: Duration) {}
}

//! SchedulingGates: a pod with gates is not considered until all are lifted.

use crate::framework::Plugin;
use crate::pod::Pod;

/// The plugin.
#[derive(Debug)]
pub struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }

    fn gate(&self, pod: &Pod) -> Option<String> {
        let gates = &pod.wants().gates;
        (!gates.is_empty()).then(|| format!("waiting for scheduling gates: {gates:?}"))
    }
}

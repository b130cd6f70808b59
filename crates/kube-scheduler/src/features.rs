//! Which of upstream's features the scheduler has.

use component::features::{Gate, lacking, stable};

/// Upstream's stable features that are the scheduler's own, and whether they are here.
pub const GATES: &[Gate] = &[
    lacking("DynamicResourceAllocation"),
    stable("InPlacePodVerticalScaling"),
    stable("NodeInclusionPolicyInPodTopologySpread"),
    stable("PodSchedulingReadiness"),
    stable("SchedulerQueueingHints"),
];

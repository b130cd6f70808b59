//! Which of upstream's features the controllers have.

use component::features::{Gate, lacking, stable};

/// Upstream's stable features that are the controllers's own, and whether they are here.
pub const GATES: &[Gate] = &[
    lacking("DynamicResourceAllocation"),
    stable("JobBackoffLimitPerIndex"),
    stable("JobManagedBy"),
    stable("JobPodReplacementPolicy"),
    stable("JobSuccessPolicy"),
    stable("LogarithmicScaleDown"),
    stable("MultiCIDRServiceAllocator"),
    stable("OrderedNamespaceDeletion"),
    stable("PreferSameTrafficDistribution"),
    stable("SeparateTaintEvictionController"),
];

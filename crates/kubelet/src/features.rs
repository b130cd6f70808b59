//! Which of upstream's features the kubelet has.

use component::features::{Gate, lacking, stable};

/// Upstream's stable features that are the kubelet's own, and whether they are here.
pub const GATES: &[Gate] = &[
    lacking("DynamicResourceAllocation"),
    stable("ExecProbeTimeout"),
    lacking("ImageMaximumGCAge"),
    stable("InPlacePodVerticalScaling"),
    stable("KubeletCgroupDriverFromCRI"),
    stable("KubeletFineGrainedAuthz"),
    lacking("KubeletTracing"),
    lacking("NodeSwap"),
    stable("PodLifecycleSleepAction"),
    stable("PodLifecycleSleepActionAllowZero"),
    stable("PodObservedGenerationTracking"),
    stable("RecursiveReadOnlyMounts"),
    stable("SidecarContainers"),
    stable("SupplementalGroupsPolicy"),
    lacking("SystemdWatchdog"),
];

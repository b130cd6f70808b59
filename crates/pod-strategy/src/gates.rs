//! Upstream's feature gates of which this server has both sides: what of a pod they let in.

use std::sync::atomic::{AtomicU32, Ordering};

/// A gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Containers with a restart policy and rules of their own.
    ContainerRestartRules,
    /// Variables that are read from files.
    EnvFiles,
    /// Host names that are not the pod's name.
    HostnameOverride,
    /// Label keys in spreading.
    MatchLabelKeysInPodTopologySpread,
    /// The cost of a pod's deletion is a number.
    PodDeletionCost,
    /// Resources of a pod as a whole.
    PodLevelResources,
    /// Labels of SELinux by options of mounts.
    SELinuxMount,
}

/// Each gate with its name and whether it is open unless somebody says otherwise.
pub const ALL: [(Gate, &str, bool); 7] = [
    (Gate::ContainerRestartRules, "ContainerRestartRules", true),
    (Gate::EnvFiles, "EnvFiles", true),
    (Gate::HostnameOverride, "HostnameOverride", true),
    (Gate::MatchLabelKeysInPodTopologySpread, "MatchLabelKeysInPodTopologySpread", true),
    (Gate::PodDeletionCost, "PodDeletionCost", true),
    (Gate::PodLevelResources, "PodLevelResources", true),
    (Gate::SELinuxMount, "SELinuxMount", false),
];

/// Which gates are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gates(u32);

impl Default for Gates {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

const DEFAULT: u32 = {
    let (mut bits, mut index) = (0, 0);
    while index < ALL.len() {
        if ALL[index].2 {
            bits |= bit(ALL[index].0);
        }
        index += 1;
    }
    bits
};

const fn bit(gate: Gate) -> u32 {
    1 << gate as u32
}

impl Gates {
    /// Whether a gate is open.
    pub fn has(self, gate: Gate) -> bool {
        self.0 & bit(gate) != 0
    }

    /// The same gates but for one.
    pub fn with(self, gate: Gate, is_open: bool) -> Self {
        Self(if is_open { self.0 | bit(gate) } else { self.0 & !bit(gate) })
    }
}

/// The gates of this process. They are set once, before anything is decided; whoever never sets them has the usual ones.
static OWN: AtomicU32 = AtomicU32::new(DEFAULT);

/// Sets the gates of this process.
pub fn settle(gates: Gates) {
    OWN.store(gates.0, Ordering::Relaxed);
}

/// The gates of this process.
pub(crate) fn own() -> Gates {
    Gates(OWN.load(Ordering::Relaxed))
}

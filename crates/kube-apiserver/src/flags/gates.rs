//! `--feature-gates`: which of upstream's gates are open, as far as they open anything here.

use apimachinery::go::parse_bool;
use pod_strategy::gates::{ALL, Gates};

/// Stable features that upstream lets nobody switch off, beside [`crate::features::GATES`].
const LOCKED: [&str; 27] = [
    "DRAAdminAccess",
    "DynamicResourceAllocation",
    "InPlacePodVerticalScaling",
    "JobManagedBy",
    "JobPodReplacementPolicy",
    "KubeletCgroupDriverFromCRI",
    "KubeletTracing",
    "LogarithmicScaleDown",
    "MatchLabelKeysInPodAffinity",
    "NFTablesProxyMode",
    "NodeInclusionPolicyInPodTopologySpread",
    "NodeSwap",
    "OrderedNamespaceDeletion",
    "PodLifecycleSleepAction",
    "PodLifecycleSleepActionAllowZero",
    "PodObservedGenerationTracking",
    "PreferSameTrafficDistribution",
    "RecoverVolumeExpansionFailure",
    "RelaxedDNSSearchValidation",
    "RelaxedEnvironmentVariableValidation",
    "SchedulerQueueingHints",
    "SeparateTaintEvictionController",
    "SupplementalGroupsPolicy",
    "SystemdWatchdog",
    "VolumeAttributesClass",
    "WinDSR",
    "WinOverlay",
];

/// What `--feature-gates` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureGates {
    /// Which gates are open.
    pub gates: Gates,
    /// Gates that were named and open nothing here.
    pub without_effect: Vec<String>,
}

impl std::str::FromStr for FeatureGates {
    type Err = String;

    /// Reads `Name=true,Other=false`; of a name that comes twice, the last counts.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut said: Vec<(&str, bool)> = Vec::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(format!("missing bool value for {}", pair.trim()));
            };
            let (name, value) = (name.trim(), value.trim());
            let is_open = parse_bool(value).ok_or_else(|| {
                format!("invalid value of {name}={value}, err: strconv.ParseBool: parsing {value:?}: invalid syntax")
            })?;
            said.retain(|(other, _)| *other != name);
            said.push((name, is_open));
        }
        let mut read = Self::default();
        // What is said of all holds where nothing is said of one.
        if let Some((_, is_open)) = said.iter().find(|(name, _)| *name == "AllBeta") {
            for (gate, _, _) in ALL {
                read.gates = read.gates.with(gate, *is_open);
            }
        }
        for (name, is_open) in said {
            let is_stable = || crate::features::GATES.iter().any(|gate| gate.name == name);
            if !is_open && (LOCKED.contains(&name) || is_stable()) {
                return Err(format!("cannot set feature gate {name} to false, feature is locked to true"));
            }
            match ALL.iter().find(|(_, known, _)| *known == name) {
                Some((gate, _, _)) => read.gates = read.gates.with(*gate, is_open),
                None if name == "AllBeta" => {}
                None => read.without_effect.push(name.to_owned()),
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use pod_strategy::gates::Gate;

    use super::*;

    #[test]
    fn gates_are_read_as_upstream_reads_them() {
        let read = |text: &str| text.parse::<FeatureGates>();
        assert_eq!(read(""), Ok(FeatureGates::default()));
        let some = read("SELinuxMount=true, EnvFiles = F,Other=true").unwrap();
        assert!(some.gates.has(Gate::SELinuxMount) && !some.gates.has(Gate::EnvFiles));
        assert!(some.gates.has(Gate::HostnameOverride));
        assert_eq!(some.without_effect, ["Other"]);
        let last = read("EnvFiles=false,EnvFiles=true").unwrap();
        assert!(last.gates.has(Gate::EnvFiles));
        let none = read("PodDeletionCost=true,AllBeta=false").unwrap();
        assert!(none.gates.has(Gate::PodDeletionCost) && !none.gates.has(Gate::EnvFiles));
        assert!(read("NodeSwap=true").is_ok());
        for (text, why) in [
            ("NodeSwap=false", "cannot set feature gate NodeSwap to false, feature is locked to true"),
            (
                "ConsistentListFromCache=0",
                "cannot set feature gate ConsistentListFromCache to false, feature is locked to true",
            ),
            ("EnvFiles", "missing bool value for EnvFiles"),
            (
                "EnvFiles=yes",
                "invalid value of EnvFiles=yes, err: strconv.ParseBool: parsing \"yes\": invalid syntax",
            ),
        ] {
            assert_eq!(read(text), Err(why.to_owned()));
        }
    }
}

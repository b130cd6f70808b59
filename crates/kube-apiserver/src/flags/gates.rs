//! `--feature-gates`: which of upstream's gates are open, as far as they open anything here.

mod known;

use apimachinery::go::parse_bool;
use known::KNOWN;
use pod_strategy::gates::{ALL, Gates};

/// What stands before the name of a gate of Kubernetes, where somebody says whose gate it is.
const COMPONENT: &str = "kube";

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

    /// Reads `Name=true,kube:Other=false`; of a name that comes twice, the last counts.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut said: Vec<(&str, bool)> = Vec::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(format!("missing bool value for {}", pair.trim()));
            };
            let (component, name) = name.split_once(':').unwrap_or((COMPONENT, name));
            if !matches!(component.trim(), "" | COMPONENT) {
                return Err(format!("component not registered: {}", component.trim()));
            }
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
            let Ok(at) = KNOWN.binary_search_by_key(&name, |(known, _)| known) else {
                return Err(format!("unrecognized feature gate: {name}"));
            };
            if let Some(locked) = KNOWN[at].1.filter(|locked| *locked != is_open) {
                let why = format!("feature is locked to {locked}");
                return Err(format!("cannot set feature gate {name} to {is_open}, {why}"));
            }
            match ALL.iter().find(|(_, known, _)| *known == name) {
                Some((gate, _, _)) => read.gates = read.gates.with(*gate, is_open),
                // None of the gates that are switched here is alpha.
                None if matches!(name, "AllAlpha" | "AllBeta") => {}
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
    fn every_gate_that_is_switched_or_shown_is_known() {
        assert!(KNOWN.is_sorted_by_key(|(name, _)| name));
        let is_known = |name: &str| KNOWN.iter().any(|(known, _)| *known == name);
        let switched = ALL.iter().map(|(_, name, _)| *name);
        for name in switched.chain(crate::features::GATES.iter().map(|gate| gate.name)) {
            assert!(is_known(name), "{name}");
        }
        // Stable features can be closed by nobody.
        for gate in crate::features::GATES {
            assert!(KNOWN.contains(&(gate.name, Some(true))), "{}", gate.name);
        }
    }

    #[test]
    fn gates_are_read_as_upstream_reads_them() {
        let read = |text: &str| text.parse::<FeatureGates>();
        assert_eq!(read(""), Ok(FeatureGates::default()));
        let some = read("SELinuxMount=true, EnvFiles = F,DRAListTypeAttributes=true").unwrap();
        assert!(some.gates.has(Gate::SELinuxMount) && !some.gates.has(Gate::EnvFiles));
        assert!(some.gates.has(Gate::HostnameOverride));
        assert_eq!(some.without_effect, ["DRAListTypeAttributes"]);
        let last = read("EnvFiles=false,EnvFiles=true").unwrap();
        assert!(last.gates.has(Gate::EnvFiles));
        let none = read("PodDeletionCost=true,AllBeta=false").unwrap();
        assert!(none.gates.has(Gate::PodDeletionCost) && !none.gates.has(Gate::EnvFiles));
        assert!(read("NodeSwap=true,SeparateCacheWatchRPC=false,ContextualLogging=false").is_ok());
        let named = read("kube:EnvFiles=false,:PodDeletionCost=false").unwrap();
        assert!(!named.gates.has(Gate::EnvFiles) && !named.gates.has(Gate::PodDeletionCost));
        assert!(read("AllAlpha=true").unwrap().without_effect.is_empty());
        for (text, why) in [
            ("Other=true", "unrecognized feature gate: Other"),
            ("EnvFiles=true,envFiles=true", "unrecognized feature gate: envFiles"),
            ("HonorPVReclaimPolicy=true", "unrecognized feature gate: HonorPVReclaimPolicy"),
            ("=true", "unrecognized feature gate: "),
            ("other:EnvFiles=true", "component not registered: other"),
            (
                "SeparateCacheWatchRPC=true",
                "cannot set feature gate SeparateCacheWatchRPC to true, feature is locked to false",
            ),
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

//! Which of upstream's features a component has, as `kubernetes_feature_enabled` tells.

use std::sync::LazyLock;

use crate::metrics::{IntGaugeVec, opts, register_int_gauge_vec};

/// How far upstream has brought a feature in the version that this one stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Off unless switched on.
    Alpha,
    /// It may still change.
    Beta,
    /// It stays.
    Stable,
    /// It goes.
    Deprecated,
}

impl Stage {
    /// The value of the label `stage`.
    fn label(self) -> &'static str {
        match self {
            Self::Alpha => "ALPHA",
            Self::Beta => "BETA",
            Self::Stable => "",
            Self::Deprecated => "DEPRECATED",
        }
    }
}

/// One of upstream's feature gates. What stands behind it is there or is not, but for the few that a component switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// Upstream's name.
    pub name: &'static str,
    /// Its stage.
    pub stage: Stage,
    /// Whether this component does what the feature is about.
    pub enabled: bool,
}

/// A stable feature that the component has.
pub const fn stable(name: &'static str) -> Gate {
    Gate { name, stage: Stage::Stable, enabled: true }
}

/// A stable feature that the component lacks.
pub const fn lacking(name: &'static str) -> Gate {
    Gate { name, stage: Stage::Stable, enabled: false }
}

static ENABLED: LazyLock<Option<IntGaugeVec>> = LazyLock::new(|| {
    register_int_gauge_vec!(
        opts!(
            "kubernetes_feature_enabled",
            "This metric records the data about the stage and enablement of a k8s feature."
        ),
        &["name", "stage"]
    )
    .ok()
});

/// Tells of a component's features.
pub fn tell(gates: &[Gate]) {
    let Some(enabled) = &*ENABLED else { return };
    for gate in gates {
        enabled.with_label_values(&[gate.name, gate.stage.label()]).set(i64::from(gate.enabled));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_told_with_their_stage() {
        let young = Gate { name: "Young", stage: Stage::Alpha, enabled: false };
        let going = Gate { name: "Going", stage: Stage::Deprecated, enabled: true };
        tell(&[
            stable("Old"),
            lacking("Missed"),
            young,
            going,
            Gate { stage: Stage::Beta, ..stable("Half") },
        ]);
        let text = String::from_utf8(crate::metrics::text()).unwrap();
        for line in [
            "kubernetes_feature_enabled{name=\"Old\",stage=\"\"} 1\n",
            "kubernetes_feature_enabled{name=\"Missed\",stage=\"\"} 0\n",
            "kubernetes_feature_enabled{name=\"Young\",stage=\"ALPHA\"} 0\n",
            "kubernetes_feature_enabled{name=\"Half\",stage=\"BETA\"} 1\n",
            "kubernetes_feature_enabled{name=\"Going\",stage=\"DEPRECATED\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}

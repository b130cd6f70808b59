//! Numbers of pods from counts and percentages: surge, unavailability, shares of a change.

use controller_runtime::objects::{Deployment, Strategy};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// How far a rollout may deviate from the number of pods asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// Pods above it.
    pub surge: i32,
    /// Pods below it.
    pub unavailable: i32,
}

/// Resolves a deployment's fence: surge rounds up, unavailability down, and never are both zero.
pub fn fence(deployment: &Deployment) -> Fence {
    match &deployment.spec.strategy {
        Strategy::Recreate => Fence { surge: 0, unavailable: 0 },
        Strategy::RollingUpdate { max_surge, max_unavailable } => {
            let replicas = deployment.spec.replicas;
            let surge = resolve(max_surge, replicas, Rounding::Up);
            let unavailable = resolve(max_unavailable, replicas, Rounding::Down);
            let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
            Fence { surge, unavailable: unavailable.min(replicas) }
        }
    }
}

/// To which side a share that is no whole number goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the larger number.
    Up,
    /// To the smaller number.
    Down,
}

/// Resolves a count or a percentage of `whole`.
pub fn resolve(share: &IntOrString, whole: i32, rounding: Rounding) -> i32 {
    let percent = match share {
        IntOrString::Int(count) => return (*count).max(0),
        IntOrString::String(text) => text.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok()),
    };
    let hundredths = percent.unwrap_or(0).max(0).saturating_mul(whole.max(0).into());
    let number = match rounding {
        Rounding::Up => hundredths.saturating_add(99) / 100,
        Rounding::Down => hundredths / 100,
    };
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> IntOrString {
        text.parse().map_or_else(|_| IntOrString::String(text.to_owned()), IntOrString::Int)
    }

    #[test]
    fn resolves_fences_as_upstream_does() {
        for (surge, unavailable, replicas, expected) in [
            ("25%", "25%", 10, (3, 2)),
            ("25%", "25%", 1, (1, 0)),
            ("25%", "25%", 3, (1, 0)),
            ("0", "0%", 10, (0, 1)),
            ("0", "25%", 3, (0, 1)),
            ("1", "0", 5, (1, 0)),
            ("0", "5", 3, (0, 3)),
            ("100%", "100%", 7, (7, 7)),
            ("25%", "25%", 0, (0, 0)),
        ] {
            let strategy = Strategy::RollingUpdate { max_surge: of(surge), max_unavailable: of(unavailable) };
            let mut deployment = Deployment::default();
            deployment.spec.strategy = strategy;
            deployment.spec.replicas = replicas;
            let fence = fence(&deployment);
            assert_eq!((fence.surge, fence.unavailable), expected, "{surge} {unavailable} of {replicas}");
        }
    }
}

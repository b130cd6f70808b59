//! Changes of the number of pods outside a step of a rollout: each replica set takes its share.

use controller_runtime::objects::Strategy;

use super::annotations::{DESIRED, MAXIMUM, number};
use super::plan::Rollout;
use super::proportion::fence;

/// Plans the sizes that the deployment's number of pods asks for.
pub fn scale(rollout: &mut Rollout<'_>) {
    let desired = rollout.deployment.spec.replicas;
    let active: Vec<usize> =
        (0..rollout.sets.len()).filter(|index| rollout.sets[*index].replicas > 0).collect();
    let only = match active[..] {
        [] => rollout.new.or_else(|| rollout.old().last().copied()),
        [only] => Some(only),
        _ => None,
    };
    if let Some(only) = only {
        rollout.scale(only, desired);
        return;
    }
    if active.is_empty() {
        return;
    }
    if rollout.new.is_some_and(|new| is_saturated(rollout, new)) {
        for index in rollout.old() {
            rollout.scale(index, 0);
        }
        return;
    }
    if rollout.deployment.spec.strategy != Strategy::Recreate {
        share(rollout, active);
    }
}

/// Tells whether the new replica set has reached what was asked for, so that the others can go.
fn is_saturated(rollout: &Rollout<'_>, new: usize) -> bool {
    let (desired, set) = (rollout.deployment.spec.replicas, &rollout.sets[new]);
    number(&set.annotations, DESIRED) == Some(desired.into())
        && set.replicas == desired
        && set.available() == desired
}

/// Shares the difference out among the active replica sets by their sizes; the largest takes what rounding leaves.
fn share(rollout: &mut Rollout<'_>, mut active: Vec<usize>) {
    let desired = rollout.deployment.spec.replicas;
    let maximum = if desired > 0 { desired.saturating_add(fence(rollout.deployment).surge) } else { 0 };
    let present: i32 = active.iter().map(|index| rollout.sets[*index].replicas).sum();
    let difference = maximum - present;
    // Among sets of one size the newer grows first and the older shrinks first.
    if difference > 0 {
        active.reverse();
    }
    active.sort_by_key(|index| std::cmp::Reverse(rollout.sets[*index].replicas));
    let mut shared = 0;
    let mut sizes: Vec<i32> = Vec::with_capacity(active.len());
    for index in &active {
        let part = if difference == 0 { 0 } else { part(rollout, *index, difference, shared) };
        sizes.push(rollout.sets[*index].replicas + part);
        shared += part;
    }
    if difference != 0
        && let Some(first) = sizes.first_mut()
    {
        *first = (*first + difference - shared).max(0);
    }
    for (index, size) in active.into_iter().zip(sizes) {
        // Even a set that keeps its size takes the new total into its annotations, or this would go on for ever.
        let replicas = size.max(0);
        rollout.sets[index].scale(replicas, desired, desired.saturating_add(fence(rollout.deployment).surge));
    }
}

fn part(rollout: &Rollout<'_>, index: usize, difference: i32, shared: i32) -> i32 {
    let left = difference - shared;
    if rollout.sets[index].replicas == 0 || left == 0 {
        return 0;
    }
    let fraction = fraction(rollout, index);
    if difference > 0 { fraction.min(left) } else { fraction.max(left) }
}

/// By how much a set must change to keep its share of the whole.
fn fraction(rollout: &Rollout<'_>, index: usize) -> i32 {
    let (deployment, set) = (rollout.deployment, &rollout.sets[index]);
    if deployment.spec.replicas == 0 {
        return -set.replicas;
    }
    let maximum = deployment.spec.replicas.saturating_add(fence(deployment).surge);
    let before = number(&set.annotations, MAXIMUM)
        .filter(|before| *before > 0)
        .unwrap_or_else(|| deployment.status.replicas.into());
    if before == 0 {
        return 0;
    }
    let size = f64::from(set.replicas) * f64::from(maximum) / before as f64;
    size.round() as i32 - set.replicas
}

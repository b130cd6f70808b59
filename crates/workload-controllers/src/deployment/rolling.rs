//! Rolling updates: how far the new replica set may grow and the old ones must shrink in one step.

use super::plan::Rollout;
use super::proportion::fence;
use super::replica_sets::Set;

/// How many pods the new replica set may have now; it may not exist yet.
pub fn new_set_size(rollout: &Rollout<'_>) -> i32 {
    let desired = rollout.deployment.spec.replicas;
    let maximum = desired.saturating_add(fence(rollout.deployment).surge);
    let present = rollout.new.map_or(0, |new| rollout.sets[new].replicas);
    let all = rollout.total(|set| set.replicas);
    if all >= maximum {
        return present;
    }
    present + (maximum - all).min(desired - present)
}

/// Scales the new replica set; tells whether that is a change.
pub fn scale_new(rollout: &mut Rollout<'_>) -> bool {
    let Some(new) = rollout.new else { return false };
    let desired = rollout.deployment.spec.replicas;
    let replicas = match rollout.sets[new].replicas.cmp(&desired) {
        std::cmp::Ordering::Equal => return false,
        std::cmp::Ordering::Greater => desired,
        std::cmp::Ordering::Less => new_set_size(rollout),
    };
    rollout.scale(new, replicas)
}

/// Scales the old replica sets down: first what is not available anyway, then as far as availability allows.
pub fn scale_old(rollout: &mut Rollout<'_>) {
    let old = rollout.old();
    if old.iter().all(|index| rollout.sets[*index].replicas == 0) {
        return;
    }
    let minimum = rollout.deployment.spec.replicas - fence(rollout.deployment).unavailable;
    let new_unavailable =
        rollout.new.map_or(0, |new| rollout.sets[new].replicas - rollout.sets[new].available());
    let removable = rollout.total(|set| set.replicas) - minimum - new_unavailable;
    if removable <= 0 {
        return;
    }
    let mut removed = 0;
    for index in &old {
        let set = &rollout.sets[*index];
        let unavailable = set.replicas - set.available();
        let count = unavailable.min(set.replicas).min(removable - removed);
        if count > 0 {
            let replicas = set.replicas - count;
            rollout.scale(*index, replicas);
            removed += count;
        }
    }
    let mut surplus = rollout.total(Set::available) - minimum;
    for index in old {
        let count = rollout.sets[index].replicas.min(surplus);
        if count > 0 {
            let replicas = rollout.sets[index].replicas - count;
            rollout.scale(index, replicas);
            surplus -= count;
        }
    }
}

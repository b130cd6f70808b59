//! What the failure of a pod means, and when enough has succeeded.

use std::collections::BTreeSet;

use controller_runtime::objects::{Pod, job::*};

use super::indexes;

/// What the failure of a pod means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// One more failure.
    Counts,
    /// None: the pod is replaced.
    Ignored,
    /// The pod's index has failed for good.
    FailsIndex,
    /// The whole job has failed, for this reason.
    FailsJob(String),
}

/// Judges a failed pod by the first rule that matches.
pub fn judge(policy: Option<&FailurePolicy>, pod: &Pod) -> Failure {
    let rules = policy.map(|policy| &*policy.rules).unwrap_or_default();
    for (index, rule) in rules.iter().enumerate() {
        let Some(why) = matched(rule, pod) else { continue };
        return match &*rule.action {
            "FailJob" => Failure::FailsJob(format!("{why} matching FailJob rule at index {index}")),
            "FailIndex" => Failure::FailsIndex,
            "Ignore" => Failure::Ignored,
            _ => Failure::Counts,
        };
    }
    Failure::Counts
}

/// Says how a rule matches a pod.
fn matched(rule: &FailureRule, pod: &Pod) -> Option<String> {
    let key = pod.metadata.key();
    if let Some(codes) = &rule.on_exit_codes {
        let statuses = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
        for status in statuses {
            let Some(ended) = &status.state.terminated else { continue };
            let named = codes.container_name.as_ref().is_none_or(|name| *name == status.name);
            let listed = codes.values.contains(&ended.exit_code);
            let matches = match &*codes.operator {
                "In" => listed,
                "NotIn" => !listed,
                _ => false,
            };
            if ended.exit_code != 0 && named && matches {
                let (name, code) = (&status.name, ended.exit_code);
                return Some(format!("Container {name} for pod {key} failed with exit code {code}"));
            }
        }
    }
    let condition = rule.on_pod_conditions.iter().find(|pattern| {
        let mut conditions = pod.status.conditions.iter();
        conditions.any(|condition| condition.kind == pattern.kind && condition.status == pattern.status)
    })?;
    Some(format!("Pod {key} has condition {}", condition.kind))
}

/// Returns which rule of a success policy the succeeded indexes meet.
pub fn met(policy: Option<&SuccessPolicy>, succeeded: &BTreeSet<i32>, completions: i32) -> Option<usize> {
    policy?.rules.iter().position(|rule| {
        let of_rule = rule.succeeded_indexes.as_ref().map(|text| indexes::parse(text, completions));
        let count = match &of_rule {
            Some(wanted) => wanted.intersection(succeeded).count(),
            None => succeeded.len(),
        };
        let needed = match (rule.succeeded_count, of_rule) {
            (Some(needed), _) => usize::try_from(needed).unwrap_or(0),
            (None, Some(wanted)) => wanted.len(),
            (None, None) => return false,
        };
        count >= needed
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(code: i32, conditions: Value) -> Pod {
        let pod = json!({"metadata": {"name": "p", "namespace": "a"}, "status": {"phase": "Failed",
            "conditions": conditions,
            "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": code}}}]}});
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn the_first_matching_rule_decides() {
        let policy: FailurePolicy = serde_json::from_value(json!({"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42, 43]}},
            {"action": "FailIndex", "onExitCodes": {"containerName": "main", "operator": "NotIn", "values": [1]}}]}))
        .unwrap();
        let disrupted = json!([{"type": "DisruptionTarget", "status": "True"}]);
        assert_eq!(judge(Some(&policy), &pod(42, disrupted)), Failure::Ignored);
        let message = "Container main for pod a/p failed with exit code 42 matching FailJob rule at index 1";
        assert_eq!(judge(Some(&policy), &pod(42, json!([]))), Failure::FailsJob(message.to_owned()));
        assert_eq!(judge(Some(&policy), &pod(7, json!([]))), Failure::FailsIndex);
        assert_eq!(judge(Some(&policy), &pod(1, json!([]))), Failure::Counts);
        assert_eq!(judge(None, &pod(42, json!([]))), Failure::Counts);
    }

    #[test]
    fn success_by_indexes_and_counts() {
        let policy =
            |rule: Value| -> SuccessPolicy { serde_json::from_value(json!({"rules": [rule]})).unwrap() };
        let met = |rule: Value, succeeded: &str| met(Some(&policy(rule)), &indexes::parse(succeeded, 10), 10);
        assert_eq!(met(json!({"succeededIndexes": "0,2"}), "0-1"), None);
        assert_eq!(met(json!({"succeededIndexes": "0,2"}), "0-2"), Some(0));
        assert_eq!(met(json!({"succeededCount": 2}), "5,9"), Some(0));
        assert_eq!(met(json!({"succeededIndexes": "0-4", "succeededCount": 2}), "4,9"), None);
        assert_eq!(met(json!({"succeededIndexes": "0-4", "succeededCount": 2}), "3,4"), Some(0));
    }
}

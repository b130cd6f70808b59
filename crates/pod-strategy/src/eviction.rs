//! Whether a pod may be evicted under its disruption budget (`pods/eviction`).

use apimachinery::ObjectExt;
use apimachinery::labels::Selector;
use apimachinery::status::{Cause, Status};
use serde_json::{Value, json};

use crate::binding::set_condition;
use strategy::read::Read;
use strategy::write;

/// Confirmed evictions that a budget may be behind with.
const MAX_DISRUPTED: usize = 2000;
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// Pods that do not run yet or any more disrupt nothing when they go.
pub fn ignores_budgets(pod: &Value) -> bool {
    matches!(pod["status"].text("phase"), "Succeeded" | "Failed" | "Pending")
        || pod.deletion_timestamp().is_some()
}

/// Says whether the budget counts the pod; both are in one namespace.
pub fn covers(budget: &Value, pod: &Value) -> bool {
    Selector::from_label_selector(&budget["spec"]["selector"])
        .is_ok_and(|selector| selector.matches_value(pod["metadata"]["labels"].as_object()))
}

/// The refusal of a pod that several budgets cover.
pub fn several_budgets() -> Status {
    // Upstream sends this one without a reason.
    let mut status = Status::internal("");
    status.reason = Default::default();
    status.details = None;
    status.message =
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            .to_owned();
    status
}

/// Charges the pod's budget: its form with one disruption less, or `None` where the pod takes nothing from it.
pub fn charge(pod: &Value, budget: &Value, now: &str) -> Result<Option<Value>, Status> {
    let status = &budget["status"];
    if !is_ready(pod) {
        let healthy = status.int("currentHealthy").unwrap_or(0);
        let desired = status.int("desiredHealthy").unwrap_or(0);
        let always = budget["spec"].text("unhealthyPodEvictionPolicy") == "AlwaysAllow";
        if always || (healthy >= desired && desired > 0) {
            return Ok(None);
        }
    }
    take(pod, budget, now).map(Some)
}

/// Marks the pod as disrupted by the eviction API.
pub fn mark(pod: &mut Value, now: &str) {
    set_condition(
        pod,
        json!({
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }),
        now,
    );
}

fn is_ready(pod: &Value) -> bool {
    pod["status"]
        .items("conditions")
        .iter()
        .any(|condition| condition.text("type") == "Ready" && condition.text("status") == "True")
}

fn refused(cause: String, seconds: i32) -> Status {
    let mut status = Status::too_many_requests(REFUSED, seconds);
    if let Some(details) = &mut status.details {
        details.causes.push(Cause {
            reason: "DisruptionBudget".into(),
            message: cause,
            field: String::new(),
        });
    }
    status
}

fn take(pod: &Value, budget: &Value, now: &str) -> Result<Value, Status> {
    let name = budget.name();
    let status = &budget["status"];
    if status.int("observedGeneration").unwrap_or(0) < budget.generation() {
        return Err(refused(
            format!("The disruption budget {name} is still being processed by the server."),
            10,
        ));
    }
    let allowed = status.int("disruptionsAllowed").unwrap_or(0);
    let forbidden = |why: &str| Err(Status::forbidden("policy", "poddisruptionbudgets", name, why));
    if allowed < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    if status["disruptedPods"].as_object().is_some_and(|pods| pods.len() > MAX_DISRUPTED) {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if allowed == 0 {
        let failed = status.items("conditions").iter().find(|condition| {
            condition.text("type") == "DisruptionAllowed" && condition.text("reason") == "SyncFailed"
        });
        let cause = match failed {
            Some(condition) => format!(
                "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
                condition.text("message")
            ),
            None => format!(
                "The disruption budget {name} needs {} healthy pods and has {} currently",
                status.int("desiredHealthy").unwrap_or(0),
                status.int("currentHealthy").unwrap_or(0)
            ),
        };
        return Err(refused(cause, 0));
    }
    let mut budget = budget.clone();
    let status = write::ensure(&mut budget, "status");
    write::set(status, "disruptionsAllowed", allowed - 1);
    write::set(write::ensure(status, "disruptedPods"), pod.name(), now);
    if allowed == 1 {
        for condition in write::items(status, "conditions") {
            if condition.text("type") == "DisruptionAllowed" && condition.text("status") != "False" {
                write::set(condition, "status", "False");
                write::set(condition, "reason", "InsufficientPods");
                write::set(condition, "lastTransitionTime", now);
            }
        }
    }
    Ok(budget)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Value {
        json!({"metadata": {"name": "web", "labels": {"app": "web"}},
               "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
    }

    fn budget(allowed: i64) -> Value {
        json!({"metadata": {"name": "pdb", "generation": 1},
               "spec": {"selector": {"matchLabels": {"app": "web"}}},
               "status": {"observedGeneration": 1, "disruptionsAllowed": allowed, "desiredHealthy": 2, "currentHealthy": 2}})
    }

    #[test]
    fn a_budget_is_charged_and_refuses_when_used_up() {
        let charged = charge(&pod(), &budget(1), "now").unwrap().unwrap();
        assert_eq!(charged["status"]["disruptionsAllowed"], 0);
        assert_eq!(charged["status"]["disruptedPods"]["web"], "now");
        let refused = charge(&pod(), &budget(0), "now").unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (429, REFUSED));
        assert_eq!(
            refused.details.unwrap().causes[0].message,
            "The disruption budget pdb needs 2 healthy pods and has 2 currently"
        );
    }

    #[test]
    fn pods_that_disrupt_nothing_cost_nothing() {
        assert!(!ignores_budgets(&pod()));
        let mut pending = pod();
        pending["status"]["phase"] = json!("Pending");
        assert!(ignores_budgets(&pending));
        let mut unready = pod();
        unready["status"]["conditions"] = json!([]);
        assert_eq!(charge(&unready, &budget(0), "now").unwrap(), None);
        let mut short = budget(0);
        short["status"]["currentHealthy"] = json!(1);
        assert_eq!(charge(&unready, &short, "now").unwrap_err().code, 429);
    }

    #[test]
    fn a_budget_that_its_controller_has_not_seen_refuses() {
        let mut unseen = budget(1);
        unseen["metadata"]["generation"] = json!(2);
        assert_eq!(charge(&pod(), &unseen, "now").unwrap_err().details.unwrap().retry_after_seconds, 10);
    }

    #[test]
    fn a_budget_covers_what_its_selector_matches() {
        assert!(covers(&budget(1), &pod()));
        let mut other = pod();
        other["metadata"]["labels"]["app"] = json!("db");
        assert!(!covers(&budget(1), &other));
    }
}

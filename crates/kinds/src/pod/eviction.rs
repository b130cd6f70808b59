//! Whether a pod may be evicted under its disruption budget (`pods/eviction`).

use apimachinery::ObjectExt;
use apimachinery::labels::Selector;
use apimachinery::status::{Cause, Status};
use serde_json::{Value, json};

use crate::pod::binding::set_condition;
use crate::read::Read;
use crate::write;

/// What an eviction that is allowed does before the pod is deleted.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// No budget counts this pod.
    Delete,
    /// No budget is charged, but the pod must still be at the version that was looked at.
    DeleteUnchanged,
    /// The budget (its new form) must be written first; a conflict there means to decide again.
    Charge(Box<Value>),
}

/// Confirmed evictions that a budget may be behind with.
const MAX_DISRUPTED: usize = 2000;
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// Decides on the eviction of a pod, given all budgets of its namespace.
pub fn decide<'a>(
    pod: &Value,
    budgets: impl IntoIterator<Item = &'a Value>,
    now: &str,
) -> Result<Verdict, Status> {
    let ended = matches!(pod["status"].text("phase"), "Succeeded" | "Failed" | "Pending");
    if ended || pod.deletion_timestamp().is_some() {
        return Ok(Verdict::Delete);
    }
    let mut matching = budgets.into_iter().filter(|budget| covers(budget, pod));
    let Some(budget) = matching.next() else { return Ok(Verdict::Delete) };
    if matching.next().is_some() {
        return Err(several());
    }
    let status = &budget["status"];
    if !is_ready(pod) {
        let healthy = status.int("currentHealthy").unwrap_or(0);
        let desired = status.int("desiredHealthy").unwrap_or(0);
        let always = budget["spec"].text("unhealthyPodEvictionPolicy") == "AlwaysAllow";
        if always || (healthy >= desired && desired > 0) {
            return Ok(Verdict::DeleteUnchanged);
        }
    }
    charge(pod, budget, now).map(|budget| Verdict::Charge(Box::new(budget)))
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

fn covers(budget: &Value, pod: &Value) -> bool {
    Selector::from_label_selector(&budget["spec"]["selector"])
        .is_ok_and(|selector| selector.matches_value(pod["metadata"]["labels"].as_object()))
}

fn is_ready(pod: &Value) -> bool {
    pod["status"]
        .items("conditions")
        .iter()
        .any(|condition| condition.text("type") == "Ready" && condition.text("status") == "True")
}

fn several() -> Status {
    // Upstream sends this one without a reason.
    let mut status = Status::internal("");
    status.reason = Default::default();
    status.details = None;
    status.message =
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            .to_owned();
    status
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

fn charge(pod: &Value, budget: &Value, now: &str) -> Result<Value, Status> {
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
        let Verdict::Charge(charged) = decide(&pod(), [&budget(1)], "now").unwrap() else { panic!() };
        assert_eq!(charged["status"]["disruptionsAllowed"], 0);
        assert_eq!(charged["status"]["disruptedPods"]["web"], "now");
        let refused = decide(&pod(), [&budget(0)], "now").unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (429, REFUSED));
        assert_eq!(
            refused.details.unwrap().causes[0].message,
            "The disruption budget pdb needs 2 healthy pods and has 2 currently"
        );
    }

    #[test]
    fn pods_outside_every_budget_just_go() {
        assert_eq!(decide(&pod(), [], "now").unwrap(), Verdict::Delete);
        let mut pending = pod();
        pending["status"]["phase"] = json!("Pending");
        assert_eq!(decide(&pending, [&budget(0)], "now").unwrap(), Verdict::Delete);
        let mut unready = pod();
        unready["status"]["conditions"] = json!([]);
        assert_eq!(decide(&unready, [&budget(0)], "now").unwrap(), Verdict::DeleteUnchanged);
    }

    #[test]
    fn two_budgets_are_an_error() {
        assert_eq!(decide(&pod(), [&budget(1), &budget(1)], "now").unwrap_err().code, 500);
    }
}

//! `pods/eviction`: a deletion that asks the disruption budgets first.

use std::sync::Arc;

use apimachinery::{ObjectExt, Status, labels, status, time};
use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use storage::{Change, Consistency, Object, Query as Range};

use super::call::Call;
use super::delete::{self, DeleteOptions};
use super::write;
use crate::http::input::Encoding;
use crate::http::{Response, response};
use crate::refusal::Refusal;

/// A budget remembers so many evicted pods at most, as upstream; its controller is behind when it holds more.
const DISRUPTED: usize = 2000;

/// Evicts the pod that the path names.
pub async fn evict(call: &Call<'_>, body: Bytes, encoding: Encoding) -> Result<Response, Status> {
    let eviction = write::decode(call, &body, encoding, &write::Expected::sub(call)?)?;
    if !eviction.name().is_empty() && eviction.name() != call.info.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let options = eviction.get("deleteOptions").cloned().unwrap_or_else(|| json!({}));
    let options = serde_json::to_vec(&options).map_err(Status::internal)?;
    let mut options = DeleteOptions::read(&options, Encoding::Json, call.query)?;
    options.dry_run |= call.dry_run()?;
    let pod = call
        .server
        .store
        .get(call.entry.cache(), &call.key(), Consistency::Latest)
        .await
        .map_err(|error| call.refuse(error))?;
    let value = pod.value().map_err(Status::internal)?;
    if !ignores_budgets(&value) {
        ask_budgets(call, &pod, options.dry_run).await?;
        // The pod that the budget was asked about, and no other of its name.
        options.uid.get_or_insert_with(|| value.uid().to_owned());
    }
    delete::remove(call, &call.info.name, &call.key(), &options, None).await?;
    let status =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    Ok(response::value(StatusCode::CREATED, &status, &call.form))
}

/// Pods that do not run yet or any more disrupt nothing.
fn ignores_budgets(pod: &Value) -> bool {
    let phase = pod.at(&["status", "phase"]).and_then(Value::as_str).unwrap_or_default();
    matches!(phase, "Succeeded" | "Failed" | "Pending") || pod.deletion_timestamp().is_some()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.at(&["status", "conditions"]).and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

async fn ask_budgets(call: &Call<'_>, pod: &Object, dry_run: bool) -> Result<(), Status> {
    let Some(budgets) = call.server.registry.stored("policy", "poddisruptionbudgets") else { return Ok(()) };
    let mut matching = Vec::new();
    let query = Range { namespace: pod.namespace().to_owned(), ..Range::default() };
    budgets.cache().visit(&query, |budget| {
        let selects = budget.value().ok().is_some_and(|value| {
            let selector = value.at(&["spec", "selector"]).unwrap_or(&Value::Null);
            labels::Selector::from_label_selector(selector)
                .is_ok_and(|selector| selector.matches(|key| pod.label(key)))
        });
        if selects {
            matching.push(budget.clone());
        }
        true
    });
    let budget = match matching.as_slice() {
        [] => return Ok(()),
        [budget] => budget.clone(),
        _ => {
            return Err(Status::internal(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            ));
        }
    };
    let value = pod.value().map_err(Status::internal)?;
    let decide = |current: Option<&Arc<Object>>| -> Result<Change, Refusal> {
        let Some(current) = current else { return Ok(Change::Keep) };
        let mut budget = current.value().map_err(Status::internal)?;
        if !charge(&mut budget, &value, Timestamp::now())? || dry_run {
            return Ok(Change::Keep);
        }
        Ok(Change::Write(write::stored_bytes(&mut budget)?))
    };
    match call.server.store.update::<Refusal, _>(budgets.cache(), budget.key(), None, decide).await {
        Ok(_) | Err(Refusal::Store(storage::Error::NotFound)) => Ok(()),
        Err(refusal) => Err(refusal.into_status(&budgets, budget.name())),
    }
}

/// Takes one disruption from the budget, or refuses. Says whether the budget changed.
fn charge(budget: &mut Value, pod: &Value, now: Timestamp) -> Result<bool, Status> {
    let name = budget.name().to_owned();
    let number = |path: &[&str]| budget.at(path).and_then(Value::as_i64).unwrap_or(0);
    let healthy = number(&["status", "currentHealthy"]);
    let desired = number(&["status", "desiredHealthy"]);
    let allowed = number(&["status", "disruptionsAllowed"]);
    let policy = budget
        .at(&["spec", "unhealthyPodEvictionPolicy"])
        .and_then(Value::as_str)
        .unwrap_or("IfHealthyBudget");
    // A pod that is not ready takes nothing from the healthy ones.
    if !is_ready(pod) && (policy == "AlwaysAllow" || (healthy >= desired && desired > 0)) {
        return Ok(false);
    }
    let refuse = |message: String| {
        let mut status =
            Status::too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", 0);
        status.details = Some(Box::new(status::Details {
            causes: vec![status::Cause { reason: "DisruptionBudget".into(), message, field: String::new() }],
            ..Default::default()
        }));
        status
    };
    if number(&["status", "observedGeneration"]) < budget.generation() {
        let mut status =
            refuse(format!("The disruption budget {name} is still being processed by the server."));
        if let Some(details) = &mut status.details {
            details.retry_after_seconds = 10;
        }
        return Err(status);
    }
    if allowed < 0 {
        return Err(Status::forbidden(
            "policy",
            "poddisruptionbudgets",
            &name,
            "pdb disruptions allowed is negative",
        ));
    }
    let disrupted = budget.at(&["status", "disruptedPods"]).and_then(Value::as_object);
    if disrupted.is_some_and(|pods| pods.len() > DISRUPTED) {
        return Err(Status::forbidden(
            "policy",
            "poddisruptionbudgets",
            &name,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        ));
    }
    if allowed == 0 {
        return Err(refuse(format!(
            "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        )));
    }
    budget.set_at(&["status", "disruptionsAllowed"], (allowed - 1).into());
    budget.set_at(&["status", "disruptedPods", pod.name()], time::rfc3339(now).into());
    if allowed == 1 {
        set_condition(budget, now);
    }
    Ok(true)
}

/// No more disruptions are allowed: the condition says so before the controller does.
fn set_condition(budget: &mut Value, now: Timestamp) {
    let generation = budget.generation();
    let conditions = budget.map_at_mut(&["status"]).entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = conditions.as_array_mut() else { return };
    let condition = json!({
        "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
        "observedGeneration": generation,
        "lastTransitionTime": time::rfc3339(now),
    });
    match list.iter_mut().find(|known| known["type"] == "DisruptionAllowed") {
        Some(known) if known["status"] == "False" => {}
        Some(known) => *known = condition,
        None => list.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(is_ready: bool) -> Value {
        let status = if is_ready { "True" } else { "False" };
        json!({"metadata": {"name": "web"}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]}})
    }

    fn budget(allowed: i64, healthy: i64) -> Value {
        json!({
            "metadata": {"name": "pdb", "generation": 1},
            "status": {"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": 2},
        })
    }

    #[test]
    fn a_budget_pays_for_each_eviction_until_it_is_empty() {
        let mut budget = budget(1, 3);
        assert!(charge(&mut budget, &ready(true), Timestamp::UNIX_EPOCH).unwrap());
        assert_eq!(budget["status"]["disruptionsAllowed"], 0);
        assert_eq!(budget["status"]["disruptedPods"]["web"], "1970-01-01T00:00:00Z");
        let refused = charge(&mut budget, &ready(true), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refused.code, 429);
        assert_eq!(refused.message, "Cannot evict pod as it would violate the pod's disruption budget.");
        assert_eq!(
            refused.details.unwrap().causes[0].message,
            "The disruption budget pdb needs 2 healthy pods and has 3 currently"
        );
    }

    #[test]
    fn an_unready_pod_costs_nothing_while_enough_are_healthy() {
        assert!(!charge(&mut budget(0, 2), &ready(false), Timestamp::UNIX_EPOCH).unwrap());
        assert!(charge(&mut budget(0, 1), &ready(false), Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn a_budget_that_its_controller_has_not_seen_refuses() {
        let mut budget = budget(1, 3);
        budget["metadata"]["generation"] = 2.into();
        let refused = charge(&mut budget, &ready(true), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refused.details.unwrap().retry_after_seconds, 10);
    }
}

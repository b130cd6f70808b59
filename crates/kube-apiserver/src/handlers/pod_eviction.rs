//! `pods/eviction`: a deletion that asks the disruption budgets first.

use std::sync::Arc;

use admission::Operation;
use apimachinery::{ObjectExt, Status, time};
use bytes::Bytes;
use http::StatusCode;
use pod_strategy::eviction;
use serde_json::{Value, json};
use storage::{Change, Consistency, Object, Query as Range};

use super::call::Call;
use super::delete::{self, Asks, DeleteOptions};
use super::write;
use crate::http::input::Encoding;
use crate::http::{Response, response};
use crate::refusal::Refusal;

/// Evicts the pod that the path names.
pub async fn evict(call: &Call<'_>, body: Bytes, encoding: Encoding) -> Result<Response, Status> {
    let expected = write::Expected::sub(call)?;
    let mut eviction = write::decode(call, &body, encoding, &expected)?;
    if !eviction.name().is_empty() && eviction.name() != call.info.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    write::adopt_name(call, &mut eviction)?;
    write::adopt_namespace(call, &mut eviction)?;
    let attributes = write::attributes(call, Operation::Create, "Eviction", &call.info.name, call.dry_run()?);
    let warn = |warnings: Vec<String>| call.warn(warnings);
    let admitting = write::admitting(call, attributes, None, &warn);
    admitting.change_by_all(&mut eviction, None).await?;
    admitting.judge_by_all(&eviction, None).await?;
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
    let pod = pod.value().map_err(Status::internal)?;
    if !eviction::ignores_budgets(&pod) {
        ask_budget(call, &pod, options.dry_run).await?;
        // The pod that the budget was asked about, and no other of its name.
        options.uid.get_or_insert_with(|| pod.uid().to_owned());
    }
    if !options.dry_run {
        mark(call, &options).await?;
    }
    delete::remove(call, &call.info.name, &call.key(), &options, None, Asks::Nobody).await?;
    let status =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    Ok(response::value(StatusCode::CREATED, &status, &call.form))
}

/// Asks the one budget that covers the pod, which pays for the eviction.
async fn ask_budget(call: &Call<'_>, pod: &Value, dry_run: bool) -> Result<(), Status> {
    let Some(budgets) = call.server.registry.stored("policy", "poddisruptionbudgets") else { return Ok(()) };
    let mut matching = Vec::new();
    let query = Range { namespace: pod.namespace().to_owned(), ..Range::default() };
    budgets.cache().visit(&query, |budget| {
        if budget.value().is_ok_and(|value| eviction::covers(&value, pod)) {
            matching.push(budget.clone());
        }
        true
    });
    let budget = match matching.as_slice() {
        [] => return Ok(()),
        [budget] => budget.clone(),
        _ => return Err(eviction::several_budgets()),
    };
    let decide = |current: Option<&Arc<Object>>| -> Result<Change, Refusal> {
        let Some(current) = current else { return Ok(Change::Keep) };
        let budget = current.value().map_err(Status::internal)?;
        match eviction::charge(pod, &budget, &time::now_rfc3339())? {
            Some(mut charged) if !dry_run => Ok(Change::Write(write::stored_bytes(&mut charged))),
            _ => Ok(Change::Keep),
        }
    };
    match call.server.store.update::<Refusal, _>(budgets.cache(), budget.key(), None, decide).await {
        Ok(_) | Err(Refusal::Store(storage::Error::NotFound)) => Ok(()),
        Err(refusal) => Err(refusal.into_status(&budgets, budget.name())),
    }
}

/// Says on the pod why it will go, before it goes: Jobs tell disruptions from failures by it.
async fn mark(call: &Call<'_>, options: &DeleteOptions) -> Result<(), Status> {
    let decide = |current: Option<&Arc<Object>>| -> Result<Change, Refusal> {
        let current = current.ok_or(storage::Error::NotFound)?;
        let mut pod = current.value().map_err(Status::internal)?;
        let other = options.uid.as_ref().is_some_and(|uid| uid != pod.uid());
        let newer =
            options.resource_version.as_ref().is_some_and(|version| version != pod.resource_version());
        if other || newer {
            // The deletion that follows words the conflict.
            return Ok(Change::Keep);
        }
        eviction::mark(&mut pod, &time::now_rfc3339());
        Ok(Change::Write(write::stored_bytes(&mut pod)))
    };
    match call.server.store.update::<Refusal, _>(call.entry.cache(), &call.key(), None, decide).await {
        Ok(_) => Ok(()),
        Err(refusal) => Err(refusal.into_status(&call.entry, &call.info.name)),
    }
}

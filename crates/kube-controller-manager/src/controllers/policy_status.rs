//! Statuses of validating admission policies.
//!
//! Keeps true: a policy's status says what its expressions get wrong about the kinds that the policy names.
//! Woken by: changes of policies whose present form nobody has looked at.
//! Reads: policies; the OpenAPI documents of what they name. Writes: statuses of policies.
//! Gives up when: never; about kinds that the server does not serve nothing is said.

mod check;
mod openapi;

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::types::Place;
use controller_runtime::api::Error;
use controller_runtime::context::Context;
use controller_runtime::{Running, resource};
use informer::{Key, Metadata, Object as _, Outcome, Store, WorkQueue, run_workers};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};

use check::{Kind, Named};
use openapi::Document;

/// A policy.
#[derive(Clone, Debug, Default)]
struct Policy {
    metadata: Metadata,
    whole: Value,
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut whole = Value::deserialize(deserializer)?;
        let metadata = Metadata::deserialize(&whole["metadata"]).map_err(D::Error::custom)?;
        if let Some(metadata) = whole.get_mut("metadata") {
            metadata.take();
        }
        Ok(Policy { metadata, whole })
    }
}

resource!(
    Policy,
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies"
);

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let policies: Store<Policy> = context.stores.of();
    let queue = WorkQueue::new("validatingadmissionpolicy-status");
    context.stores.close_at_shutdown(&queue);
    let on_policy = queue.clone();
    policies.on_change(move |change| on_policy.add(change.object().key()));
    let shell = Arc::new((context, policies));
    Some(Box::pin(async move {
        shell.1.ready().await;
        let name = "validatingadmissionpolicy-status";
        run_workers(name, &queue, 1, |key| reconcile(&shell.0, &shell.1, key)).await;
    }))
}

async fn reconcile(context: &Context, policies: &Store<Policy>, key: Key) -> Result<Outcome, Error> {
    let Some(policy) = policies.get(key.as_str()) else { return Ok(Outcome::Done) };
    let seen = policy.whole["status"]["observedGeneration"].as_i64().unwrap_or(0);
    if policy.metadata.is_deleting() || policy.metadata.generation <= seen {
        return Ok(Outcome::Done);
    }
    let warnings = warnings(context, &policy.whole).await?;
    let checked = if warnings.is_empty() { json!({}) } else { json!({"expressionWarnings": warnings}) };
    let status = json!({"observedGeneration": policy.metadata.generation, "typeChecking": checked});
    match context.api.update_counted_status(&*policy, &status).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(Outcome::Done),
    }
}

/// Checks a policy against the kinds that it names, as far as the server serves them.
async fn warnings(context: &Context, policy: &Value) -> Result<Vec<Value>, Error> {
    let mut kinds: Vec<Kind> = Vec::new();
    for Named { group, version, resources } in check::named(policy) {
        // Lists of resources are small; which kinds they have is not kept.
        let Some(list) = served(context.api.get(&path("", &group, &version)).await)? else { continue };
        for resource in resources {
            let all = list["resources"].as_array().into_iter().flatten();
            let kind =
                all.into_iter().find(|one| one["name"] == *resource).and_then(|one| one["kind"].as_str());
            if let Some(kind) = kind {
                let kind = Kind { group: group.clone(), version: version.clone(), kind: kind.to_owned() };
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
    }
    kinds.sort();
    kinds.truncate(check::MOST_KINDS);
    let parameter = check::parameter(policy);
    let mut documents: BTreeMap<(String, String), Document> = BTreeMap::new();
    for Kind { group, version, .. } in kinds.iter().chain(&parameter) {
        let key = (group.clone(), version.clone());
        if !documents.contains_key(&key)
            && let Some(document) = served(context.api.read(&path("/openapi/v3", group, version)).await)?
        {
            documents.insert(key, document);
        }
    }
    let place = |kind: &Kind| -> Option<Place<'_>> {
        documents.get(&(kind.group.clone(), kind.version.clone()))?.place(kind)
    };
    let places: Vec<(&Kind, Place)> = kinds.iter().filter_map(|kind| Some((kind, place(kind)?))).collect();
    Ok(check::warnings(policy, &places, parameter.as_ref().and_then(place)))
}

fn path(prefix: &str, group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("{prefix}/api/{version}")
    } else {
        format!("{prefix}/apis/{group}/{version}")
    }
}

fn served<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

//! Binding a pod to a node: `pods/binding`, and the older `bindings`.

use std::sync::Arc;

use admission::Operation;
use apimachinery::{ObjectExt, Status, time};
use bytes::Bytes;
use http::StatusCode;
use pod_strategy::binding;
use serde_json::{Value, json};
use storage::{Change, Object};

use super::call::Call;
use super::write;
use crate::http::input::Encoding;
use crate::http::{Response, response};
use crate::refusal::Refusal;
use crate::registry::Entry;

/// Binds the pod that the path or the binding names.
pub async fn bind(call: &Call<'_>, body: Bytes, encoding: Encoding) -> Result<Response, Status> {
    let dry_run = call.dry_run()?;
    let expected = if call.info.subresource.is_empty() {
        write::Expected::own(call)
    } else {
        write::Expected::sub(call)?
    };
    let mut binding = write::decode(call, &body, encoding, &expected)?;
    write::adopt_namespace(call, &mut binding)?;
    let name = if call.info.name.is_empty() { binding.name().to_owned() } else { call.info.name.clone() };
    if binding.name() != name && !binding.name().is_empty() {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    let errors = binding::validate(&binding);
    if !errors.is_empty() {
        return Err(Status::invalid("", "Binding", &name, errors));
    }
    let pods = call.server.registry.stored("", "pods").ok_or_else(Status::no_such_resource)?;
    let attributes = write::attributes(call, Operation::Create, "Binding", &name, dry_run);
    let warn = |warnings: Vec<String>| call.warn(warnings);
    let admitting = write::admitting(call, attributes, None, &warn);
    admitting.change_by_all(&mut binding, None).await?;
    admitting.judge_by_all(&binding, None).await?;
    let key = pods.key(&call.info.namespace, &name);
    let decide = |current: Option<&Arc<Object>>| decide(&pods, &name, &binding, dry_run, current);
    let result = call.server.store.update::<Refusal, _>(pods.cache(), &key, None, decide).await;
    match result {
        Ok(_) => {
            let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
            Ok(response::value(StatusCode::CREATED, &status, &call.form))
        }
        Err(refusal) => Err(refusal.into_status(&pods, &name)),
    }
}

fn decide(
    pods: &Entry,
    name: &str,
    wanted: &Value,
    dry_run: bool,
    current: Option<&Arc<Object>>,
) -> Result<Change, Refusal> {
    let current = current.ok_or_else(|| Status::not_found("", "pods", name))?;
    let mut pod = current.value().map_err(Status::internal)?;
    pods.strategy.default(&mut pod);
    binding::bind(&mut pod, wanted, &time::now_rfc3339())?;
    if dry_run {
        return Ok(Change::Keep);
    }
    Ok(Change::Write(write::stored_bytes(&mut pod)))
}

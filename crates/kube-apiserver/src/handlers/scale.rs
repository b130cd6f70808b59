//! The `scale` subresource: the replicas of a workload, whatever its kind.

use std::sync::Arc;

use apimachinery::status::Details;
use apimachinery::{ObjectExt, Status, labels};
use bytes::Bytes;
use custom_resources::Scale;
use http::StatusCode;
use serde_json::{Value, json};
use storage::{Consistency, Object};

use super::apply::Configuration;
use super::call::Call;
use super::ownership::{Current, Wanted};
use super::patch::{Means, Patch};
use super::update::{self, Part, Stored};
use super::{output, write};
use crate::http::Response;
use crate::http::input::Encoding;

/// Where the fields of a Scale are in an object.
struct Places<'a> {
    wanted: Vec<&'a str>,
    present: Vec<&'a str>,
    /// Where the selector is as text; elsewhere it is `spec.selector`.
    selector: Option<Vec<&'a str>>,
}

impl<'a> Places<'a> {
    fn of(call: &'a Call<'_>) -> Self {
        match call.entry.custom().and_then(|custom| custom.scale.as_ref()) {
            None => {
                Self { wanted: vec!["spec", "replicas"], present: vec!["status", "replicas"], selector: None }
            }
            Some(scale) => Self {
                wanted: Scale::fields(&scale.spec_replicas_path),
                present: Scale::fields(&scale.status_replicas_path),
                selector: Some(Scale::fields(scale.label_selector_path.as_deref().unwrap_or_default())),
            },
        }
    }

    fn replicas(&self, object: &Value) -> i64 {
        self.said_replicas(object).unwrap_or(0)
    }

    fn said_replicas(&self, object: &Value) -> Option<i64> {
        object.at(&self.wanted).and_then(Value::as_i64)
    }
}

/// The path of a custom resource's replicas.
fn custom_path<'a>(call: &'a Call<'_>) -> Option<&'a str> {
    call.entry.custom()?.scale.as_ref().map(|scale| scale.spec_replicas_path.as_str())
}

/// Stands for replicas that nobody has said in the scale of a custom resource that is patched.
const UNSAID: i64 = i32::MIN as i64;

/// GET of the scale.
pub async fn get(call: &Call<'_>) -> Result<Response, Status> {
    let object = call
        .server
        .store
        .get(call.entry.cache(), &call.key(), Consistency::Latest)
        .await
        .map_err(|error| call.refuse(error))
        .map_err(|status| match call.entry.plural() {
            "replicationcontrollers" => {
                Status::not_found("autoscaling", "replicationcontrollers/scale", &call.info.name)
            }
            _ => status,
        })?;
    if let Some(path) = custom_path(call) {
        let value = output::served_value(&call.entry, &object)?;
        if Places::of(call).said_replicas(&value).is_none() {
            return Err(Status::internal(format!("the spec replicas field {path:?} does not exist")));
        }
    }
    answer(call, &object)
}

/// PUT of a scale.
pub async fn update(call: &Call<'_>, body: Bytes, encoding: Encoding) -> Result<Response, Status> {
    let mut scale = write::decode(call, &body, encoding, &write::Expected::sub(call)?)?;
    write::adopt_name(call, &mut scale)?;
    write::adopt_namespace(call, &mut scale)?;
    store(call, Written::Whole, |_| Ok(scale.clone())).await
}

/// PATCH of a scale.
pub async fn patch(call: &Call<'_>, means: Means, body: Bytes) -> Result<Response, Status> {
    let kind = match means {
        Means::Apply => return apply(call, &body).await,
        Means::Patch(kind) => kind,
    };
    let patch = Patch::parse(call, kind, &body)?;
    store(call, Written::Patch, |old| {
        let expected = write::Expected::sub(call)?;
        let places = Places::of(call);
        let mut scale = patch.make(call, &expected, || {
            let mut scale = of(old, &places);
            if custom_path(call).is_some() && places.said_replicas(old).is_none() {
                scale.set_at(&["spec", "replicas"], UNSAID.into());
            }
            scale
        })?;
        write::adopt_name(call, &mut scale)?;
        Ok(scale)
    })
    .await
}

/// PATCH of a scale that is applied: who applies it owns the replicas of the workload, by way of its scale.
async fn apply(call: &Call<'_>, body: &[u8]) -> Result<Response, Status> {
    let configuration = Configuration::parse(call, body, &write::Expected::sub(call)?)?;
    write::adopt_name(call, &mut configuration.object().clone())?;
    change(call, |current| {
        let scale = configuration.object();
        let mut workload = json!({ "metadata": { "name": call.info.name } });
        if let Some(replicas) = scale.at(&["spec", "replicas"]) {
            workload.set_at(&Places::of(call).wanted, replicas.clone());
        }
        let mut wanted = configuration.apply_as(call, &workload, call.entry.row.ty(), Some(current))?;
        if let (Some(path), None) = (custom_path(call), Places::of(call).said_replicas(&wanted.object)) {
            return Err(unsaid(path));
        }
        judge(call, &of(&wanted.object, &Places::of(call)))?;
        guard(call, scale, Written::Patch, &mut wanted.object)?;
        Ok(wanted)
    })
    .await
}

/// How a scale came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// By a PUT.
    Whole,
    /// By a PATCH.
    Patch,
}

async fn store(
    call: &Call<'_>,
    written: Written,
    mut scale: impl FnMut(&Value) -> Result<Value, Status>,
) -> Result<Response, Status> {
    change(call, |current| {
        let scale = scale(current.object)?;
        let replicas = scale.at(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(0);
        if let (Some(path), UNSAID) = (custom_path(call), replicas) {
            return Err(unsaid(path));
        }
        judge(call, &scale)?;
        let mut new = current.object.clone();
        new.set_at(&Places::of(call).wanted, replicas.into());
        guard(call, &scale, written, &mut new)?;
        Ok(new.into())
    })
    .await
}

fn unsaid(path: &str) -> Status {
    Status::bad_request(format!("the spec replicas field {path:?} cannot be empty"))
}

/// Judges the scale of a built-in kind; that of a custom resource is judged with the object it is in.
fn judge(call: &Call<'_>, scale: &Value) -> Result<(), Status> {
    if custom_path(call).is_some() {
        return Ok(());
    }
    let errors = kinds::judge_scale(scale);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Status::invalid("autoscaling", "Scale", &call.info.name, errors))
    }
}

/// The scale's version guards the object; without one, whatever is there is scaled. Its identity does too, but a patch
/// of a custom resource's scale may name any.
fn guard(call: &Call<'_>, scale: &Value, written: Written, workload: &mut Value) -> Result<(), Status> {
    if !scale.resource_version().is_empty() {
        workload.set_at(&["metadata", "resourceVersion"], scale.resource_version().into());
    }
    if scale.uid().is_empty() || scale.uid() == workload.uid() {
        return Ok(());
    }
    match (written, custom_path(call)) {
        (Written::Whole, _) => workload.set_at(&["metadata", "uid"], scale.uid().into()),
        (Written::Patch, Some(_)) => {}
        (Written::Patch, None) => {
            let why = format!(
                "Precondition failed: UID in precondition: {}, UID in object meta: {}",
                scale.uid(),
                workload.uid()
            );
            return Err(Status::conflict(call.entry.group(), &resource(call), &call.info.name, &why));
        }
    }
    Ok(())
}

/// `deployments/scale`.
fn resource(call: &Call<'_>) -> String {
    format!("{}/scale", call.entry.plural())
}

async fn change(
    call: &Call<'_>,
    wanted: impl FnMut(Current<'_>) -> Result<Wanted, Status>,
) -> Result<Response, Status> {
    let dry_run = call.dry_run()?;
    let stored = update::store(call, Part::Whole, dry_run, wanted).await.map_err(|status| {
        let of_object =
            |details: &Details| details.kind == call.entry.plural() && details.name == call.info.name;
        let is_missing = status.reason == "NotFound" && status.details.as_deref().is_some_and(of_object);
        match custom_path(call) {
            None if is_missing => Status::not_found(call.entry.group(), &resource(call), &call.info.name),
            _ => status,
        }
    })?;
    match stored {
        Stored::Object(object, _) => answer(call, &object),
        Stored::Nowhere(object) => {
            output::tree(StatusCode::OK, &call.entry, &of(&object, &Places::of(call)), &call.form, call.query)
        }
    }
}

/// The scale of a workload, as admission sees it.
pub fn seen(call: &Call<'_>, object: &Value) -> Value {
    of(object, &Places::of(call))
}

/// Takes over what admission made of a scale.
pub fn put(call: &Call<'_>, scale: &Value, workload: &mut Value) {
    let replicas = scale.at(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(0);
    let places = Places::of(call);
    if places.replicas(workload) != replicas {
        workload.set_at(&places.wanted, replicas.into());
    }
}

fn answer(call: &Call<'_>, object: &Arc<Object>) -> Result<Response, Status> {
    let value = output::served_value(&call.entry, object)?;
    output::tree(StatusCode::OK, &call.entry, &of(&value, &Places::of(call)), &call.form, call.query)
}

/// The scale of a workload.
fn of(object: &Value, places: &Places<'_>) -> Value {
    let mut metadata = json!({});
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.at(&["metadata", key]) {
            metadata[key] = value.clone();
        }
    }
    let present = object.at(&places.present).and_then(Value::as_i64).unwrap_or(0);
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {}, "status": { "replicas": present },
    });
    let wanted = places.replicas(object);
    if wanted != 0 {
        scale["spec"]["replicas"] = wanted.into();
    }
    let selector = match &places.selector {
        None => selector(object.at(&["spec", "selector"])),
        Some(path) => object.at(path).and_then(Value::as_str).unwrap_or_default().to_owned(),
    };
    if !selector.is_empty() {
        scale["status"]["selector"] = selector.into();
    }
    scale
}

/// A selector in its string form: a LabelSelector, or a ReplicationController's plain map.
fn selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else { return String::new() };
    let is_plain = selector.as_object().is_some_and(|map| map.values().all(Value::is_string));
    if is_plain {
        let pairs = selector.as_object().into_iter().flatten();
        return pairs
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
            .collect::<Vec<_>>()
            .join(",");
    }
    labels::Selector::from_label_selector(selector).map(|selector| selector.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_names_the_selector_as_text() {
        let object = json!({
            "metadata": {"name": "web", "namespace": "a", "uid": "u", "resourceVersion": "4", "labels": {"x": "y"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}}, "status": {"replicas": 2},
        });
        let workload =
            Places { wanted: vec!["spec", "replicas"], present: vec!["status", "replicas"], selector: None };
        assert_eq!(
            of(&object, &workload),
            json!({
                "kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": {"name": "web", "namespace": "a", "uid": "u", "resourceVersion": "4"},
                "spec": {"replicas": 3}, "status": {"replicas": 2, "selector": "app=web"},
            })
        );
        assert_eq!(selector(Some(&json!({"a": "b", "c": "d"}))), "a=b,c=d");
    }
}

//! POST: a new object.

use std::time::Duration;

use admission::Operation;
use apimachinery::{ObjectExt, Status, names, time};
use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use managed_fields::Fields;
use serde_json::Value;
use storage::{Consistency, Error, Filter, WatchStart};

use super::call::Call;
use super::ownership::{self, Owners, Wanted};
use super::{devices, output, write};
use crate::bootstrap;
use crate::http::Response;
use crate::http::headers::random_id;
use crate::http::input::Encoding;

/// How often a generated name that is taken is replaced by another, as upstream.
const NAMES: usize = 8;

/// How long to wait for what a controller is about to make; upstream tries ten times with 0.15 s between.
const COMING: Duration = Duration::from_millis(1500);

/// Creates the object in the body.
pub async fn create(call: &Call<'_>, body: Bytes, encoding: Encoding) -> Result<Response, Status> {
    let dry_run = call.dry_run()?;
    let mut object = write::decode(call, &body, encoding, &write::Expected::own(call))?;
    drop(body);
    write::adopt_namespace(call, &mut object)?;
    if !object.resource_version().is_empty() {
        return Err(Status::new(500, "", "resourceVersion should not be set on objects to be created"));
    }
    output::to_stored(&call.entry, &mut object);
    insert(call, object.into(), dry_run).await
}

/// Creates an object that is read, in its stored version.
pub async fn insert(call: &Call<'_>, wanted: Wanted, dry_run: bool) -> Result<Response, Status> {
    let Wanted { mut object, owners } = wanted;
    let generate = object.name().is_empty() && !object.generate_name().is_empty();
    let prefix = object.generate_name().to_owned();
    fill_system_fields(&mut object);
    if generate {
        object.set_at(&["metadata", "name"], names::generate_name(&prefix, rand::random()).into());
    }
    know_namespace(call, dry_run).await?;
    await_coming(call, &object, dry_run).await;
    let (mut object, fields) = prepare(call, object, owners, dry_run).await?;
    call.server.quotas.charge(call, Operation::Create, &object, None, dry_run).await?;
    let mut claim = call.server.services.claim();
    if let Err(status) = claim.new_service(call, &mut object, dry_run).await {
        claim.release(call.server).await;
        return Err(status);
    }
    if dry_run {
        claim.release(call.server).await;
        let taken = call.entry.cache().get(&call.entry.key(object.namespace(), object.name())).is_some();
        if taken {
            return Err(Status::already_exists(call.entry.group(), call.entry.plural(), object.name()));
        }
        ownership::attach(&mut object, fields.as_deref());
        return write::unstored(call, StatusCode::CREATED, object);
    }
    let lifetime = lifetime(call);
    crate::convert::into_storage(&call.entry, &mut object)?;
    for attempt in 1.. {
        let key = call.entry.key(object.namespace(), object.name());
        let stored = write::stored_bytes_with(&mut object, fields.as_deref());
        match call.server.store.create(call.entry.cache(), &key, stored, lifetime).await {
            Ok(created) => {
                claim.keep(call.server).await;
                return output::object(StatusCode::CREATED, &call.entry, &created, &call.form, call.query);
            }
            Err(Error::Exists) if generate && attempt < NAMES => {
                object.set_at(&["metadata", "name"], names::generate_name(&prefix, rand::random()).into());
            }
            Err(error) => {
                claim.release(call.server).await;
                let name = object.name().to_owned();
                let mut status = crate::refusal::of_object(error, &call.entry, &name);
                if generate && status.reason == "AlreadyExists" {
                    status
                        .message
                        .push_str(", the server was not able to generate a unique name for the object");
                }
                return Err(status);
            }
        }
    }
    Err(Status::internal("no name was tried"))
}

/// Defaults, admits and validates a new object; gives it, and its `managedFields`.
async fn prepare(
    call: &Call<'_>,
    mut object: Value,
    owners: Owners,
    dry_run: bool,
) -> Result<(Value, Option<String>), Status> {
    let entry = &call.entry;
    let strategy = &*entry.strategy;
    strategy.default(&mut object);
    let fields = match owners {
        Owners::Writer => ownership::of_new(call, &mut object)?,
        Owners::Settled(Fields::Unchanged) => None,
        Owners::Settled(Fields::Touched(text)) => Some(text),
        Owners::Settled(Fields::Changed(text)) => text,
    };
    let name = object.name().to_owned();
    let attributes = write::attributes(call, Operation::Create, &entry.row.kind, &name, dry_run);
    let warn = |warnings: Vec<String>| call.warn(warnings);
    let admitting = write::admitting(call, attributes, None, &warn);
    admitting.change_by_all(&mut object, None).await?;
    if entry.row.plural == "certificatesigningrequests" && entry.row.group == "certificates.k8s.io" {
        let user = &call.user;
        let extra = serde_json::json!(user.extra);
        kinds::certificate_signing_request::set_requester(
            &mut object,
            &user.name,
            &user.uid,
            &user.groups,
            extra,
        );
    }
    let mut errors = kinds::create(strategy, entry.row.namespaced, &mut object);
    errors.splice(0..0, devices::judge_admin_access(call, &object, &Value::Null).await?);
    if !errors.is_empty() {
        return Err(write::invalid(call, &name, errors));
    }
    kinds::date(entry.group(), &entry.row.kind, &mut object, &Value::Null, Timestamp::now());
    call.warn(strategy.create_warnings(&object));
    admitting.judge_by_all(&object, None).await?;
    write::check_escalation(call, &object, None)?;
    Ok((object, fields))
}

/// What the server alone sets.
pub fn fill_system_fields(object: &mut Value) {
    object.set_at(&["metadata", "uid"], random_id().to_string().into());
    object.set_at(&["metadata", "creationTimestamp"], time::now_rfc3339().into());
}

/// The namespace may have been made through another server a moment ago: before admission refuses for want of
/// it, the cache is brought up to date. NamespaceAutoProvision makes one that is not there.
async fn know_namespace(call: &Call<'_>, dry_run: bool) -> Result<(), Status> {
    let namespace = call.namespace();
    if namespace.is_empty() {
        return Ok(());
    }
    let Some(namespaces) = call.server.registry.stored("", "namespaces") else { return Ok(()) };
    if namespaces.cache().get(namespace).is_none() {
        call.server.store.catch_up(Consistency::Latest).await.map_err(crate::refusal::of_collection)?;
        let provides = call.server.admission.has("NamespaceAutoProvision") && !dry_run;
        if provides && namespaces.cache().get(namespace).is_none() {
            bootstrap::provide_namespace(call.server, namespace).await?;
        }
    }
    Ok(())
}

/// Waits a moment for what a controller is about to make: in a namespace that was made just now, a pod would be refused
/// for want of the account that every namespace gets.
async fn await_coming(call: &Call<'_>, object: &Value, dry_run: bool) {
    let attributes = write::attributes(call, Operation::Create, &call.entry.row.kind, object.name(), dry_run);
    let Some(awaited) = call.server.admission.awaits(&attributes, object, &call.server.view()) else {
        return;
    };
    let Some(entry) = call.server.registry.stored(awaited.group, awaited.resource) else { return };
    let filter = Filter { namespace: awaited.namespace, name: Some(awaited.name), ..Filter::default() };
    if let Ok((mut watch, _)) = entry.cache().watch(WatchStart::Objects, filter) {
        // What comes of it, admission judges.
        let _ = tokio::time::timeout(COMING, watch.next()).await;
    }
}

/// Events end by themselves.
pub fn lifetime(call: &Call<'_>) -> Option<Duration> {
    (call.entry.row.prefix == "events").then_some(call.server.options.event_ttl)
}

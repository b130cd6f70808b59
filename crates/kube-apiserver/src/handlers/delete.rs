//! DELETE: an object removed at once, or marked and left to its finalizers and its grace period.

use std::sync::Arc;

use admission::Operation;
use apimachinery::{FieldError, ObjectExt, Status, time};
use bytes::Bytes;
use futures::FutureExt as _;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use kinds::{Dependents, Grace};
use serde_json::{Value, json};
use storage::{Change, Object, Outcome};

use super::call::Call;
use super::list::number;
use super::{output, outside, write};
use crate::http::input::{self, Encoding};
use crate::http::{Query, Response, response};
use crate::refusal::Refusal;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What happens to what the object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// It stays.
    Orphan,
    /// It goes later.
    Background,
    /// It goes first.
    Foreground,
}

/// How an object is to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds that the object may take to end.
    pub grace: Option<i64>,
    /// The uid that it must have.
    pub uid: Option<String>,
    /// The version that it must have.
    pub resource_version: Option<String>,
    /// What happens to what it owns, where the client says.
    pub propagation: Option<Propagation>,
    /// Whether `orphanDependents` was given as false.
    pub cascades: bool,
    /// Nothing is to be stored.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Reads the options from the body if there is one, else from the query.
    pub fn read(body: &[u8], encoding: Encoding, query: &Query<'_>) -> Result<Self, Status> {
        let options = if body.is_empty() { of_query(query)? } else { input::parse(body, encoding)? };
        let refuse = |error| Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", vec![error]));
        let text = |path: &[&str]| options.at(path).and_then(Value::as_str);
        let orphan = options.get("orphanDependents").and_then(Value::as_bool);
        let policy = text(&["propagationPolicy"]).filter(|policy| !policy.is_empty());
        if orphan.is_some() && policy.is_some() {
            return refuse(FieldError::invalid(
                "propagationPolicy",
                policy.unwrap_or_default(),
                "orphanDependents and deletionPropagation cannot be both set",
            ));
        }
        let propagation = match (policy, orphan) {
            (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
            (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (None, None) => None,
            (Some(other), _) => {
                return refuse(FieldError::not_supported(
                    "propagationPolicy",
                    other,
                    &["Foreground", "Background", "Orphan", "nil"],
                ));
            }
        };
        let mut dry_run = false;
        for value in options.get("dryRun").and_then(Value::as_array).into_iter().flatten() {
            match value.as_str() {
                Some("All") => dry_run = true,
                _ => return refuse(FieldError::not_supported("dryRun", value.clone(), &["All"])),
            }
        }
        let grace = options.get("gracePeriodSeconds").and_then(Value::as_i64);
        Ok(Self {
            // As upstream: a negative period is one second, so that it is never mistaken for none.
            grace: grace.map(|seconds| if seconds < 0 { 1 } else { seconds }),
            uid: text(&["preconditions", "uid"]).map(str::to_owned),
            resource_version: text(&["preconditions", "resourceVersion"]).map(str::to_owned),
            propagation,
            cascades: orphan == Some(false),
            dry_run,
        })
    }
}

impl DeleteOptions {
    /// The options as admission sees them.
    fn to_value(&self) -> Value {
        let mut options = json!({});
        if let Some(seconds) = self.grace {
            options["gracePeriodSeconds"] = seconds.into();
        }
        for (key, value) in [("uid", &self.uid), ("resourceVersion", &self.resource_version)] {
            if let Some(value) = value {
                options["preconditions"][key] = value.as_str().into();
            }
        }
        if let Some(propagation) = self.propagation {
            options["propagationPolicy"] = format!("{propagation:?}").into();
        }
        if self.dry_run {
            options["dryRun"] = json!(["All"]);
        }
        options
    }
}

/// Whether admission is asked about a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// As about any other request.
    Admission,
    /// It was asked about the eviction that the deletion is part of.
    Nobody,
}

fn of_query(query: &Query<'_>) -> Result<Value, Status> {
    let mut options = json!({});
    if let Some(seconds) = number(query, "gracePeriodSeconds")? {
        options["gracePeriodSeconds"] = seconds.into();
    }
    if let Some(policy) = query.get("propagationPolicy") {
        options["propagationPolicy"] = policy.into();
    }
    if query.has("orphanDependents") {
        options["orphanDependents"] = query.flag("orphanDependents").into();
    }
    let dry_run: Vec<&str> = query.all("dryRun").filter(|value| !value.is_empty()).collect();
    options["dryRun"] = json!(dry_run);
    Ok(options)
}

/// Deletes the object that the path names.
pub async fn delete(call: &Call<'_>, body: Bytes, encoding: Encoding) -> Result<Response, Status> {
    let options = DeleteOptions::read(&body, encoding, call.query)?;
    warn_of_orphans(call, &options);
    if let Some(why) = call.entry.strategy.never_deleted(&call.info.name) {
        return Err(Status::forbidden(call.entry.group(), call.entry.plural(), &call.info.name, why));
    }
    let (object, gone) = remove(call, &call.info.name, &call.key(), &options, None, Asks::Admission).await?;
    if gone && !call.entry.row.returns_deleted() {
        let value = object.value().map_err(Status::internal)?;
        let status = Status::deleted(call.entry.group(), call.entry.plural(), &call.info.name, value.uid());
        return Ok(response::value(StatusCode::OK, &status, &call.form));
    }
    // Upstream says so only to those who use the older option.
    let code = if !gone && options.cascades { StatusCode::ACCEPTED } else { StatusCode::OK };
    output::object(code, &call.entry, &object, &call.form, call.query)
}

/// Says to those who give no order that what the object owns stays, where that surprises.
pub fn warn_of_orphans(call: &Call<'_>, options: &DeleteOptions) {
    if options.propagation.is_none() {
        call.warn(call.entry.strategy.orphaning_warning().map(str::to_owned));
    }
}

/// Deletes one object; says whether it is gone or only marked. `selected` must still hold for it.
pub async fn remove(
    call: &Call<'_>,
    name: &str,
    key: &str,
    options: &DeleteOptions,
    selected: Option<&(dyn Fn(&Object) -> bool + Sync)>,
    asks: Asks,
) -> Result<(Arc<Object>, bool), Status> {
    let entry = &call.entry;
    let mut would_go = false;
    // The uid of an object whose end is written down, so that it goes next.
    let mut ending: Option<String> = None;
    let mut decide = |current: Option<&Arc<Object>>| -> Result<Change, Refusal> {
        let current = current.ok_or_else(|| Status::not_found(entry.group(), entry.plural(), name))?;
        if selected.is_some_and(|selected| !selected(current)) {
            return Ok(Change::Keep);
        }
        let old = current.value().map_err(Status::internal)?;
        check_preconditions(call, name, options, &old)?;
        if asks == Asks::Admission {
            let attributes =
                write::attributes(call, Operation::Delete, &entry.row.kind, name, options.dry_run);
            if call.server.webhooks.concern(&attributes, &call.server.view()) {
                outside::judged(call, Value::Null, &old)?;
            } else {
                admit(call, name, options, &old).now_or_never().ok_or(Refusal::Unasked)??;
            }
        }
        let decision = decide_deletion(&*entry.strategy, is_namespace(call), &old, options, Timestamp::now());
        would_go = matches!(decision, Decision::Remove | Decision::End(_));
        ending = None;
        match decision {
            _ if options.dry_run => Ok(Change::Keep),
            Decision::Remove => Ok(Change::Delete),
            Decision::Keep => Ok(Change::Keep),
            Decision::Mark(mut marked) => Ok(Change::Write(write::stored_bytes(&mut marked))),
            Decision::End(mut marked) => {
                ending = Some(old.uid().to_owned());
                Ok(Change::Write(write::stored_bytes(&mut marked)))
            }
        }
    };
    let mut attempts = 0;
    let result = loop {
        let result = call.server.store.update::<Refusal, _>(entry.cache(), key, None, &mut decide).await;
        attempts += 1;
        match result {
            Err(Refusal::Unasked) if attempts < outside::ATTEMPTS => {
                if let Some((_, old)) = outside::pending(call) {
                    let outcome = Box::pin(admit(call, name, options, &old)).await;
                    outside::settle(call, &old, outcome);
                }
            }
            result => break result,
        }
    };
    let result = match (result, ending) {
        (Ok((marked, _)), Some(uid)) => end(call, key, &uid, marked).await,
        (result, _) => result,
    };
    match result {
        Ok((object, outcome)) => {
            if outcome == Outcome::Deleted {
                call.server.services.forget(call, &object).await;
                if is_namespace(call) {
                    call.server.quotas.forget(object.name());
                }
            }
            Ok((object, outcome == Outcome::Deleted || (options.dry_run && would_go)))
        }
        Err(refusal) => Err(refusal.into_status(entry, name)),
    }
}

/// Takes away an object whose end is written down, as its watchers have seen; somebody may have been faster.
async fn end(
    call: &Call<'_>,
    key: &str,
    uid: &str,
    marked: Arc<Object>,
) -> Result<(Arc<Object>, Outcome), Refusal> {
    let decide = |current: Option<&Arc<Object>>| -> Result<Change, Refusal> {
        let current = current.ok_or(storage::Error::NotFound)?.value().map_err(Status::internal)?;
        let held = current.uid() != uid || current.finalizers().next().is_some();
        Ok(if held { Change::Keep } else { Change::Delete })
    };
    match call.server.store.update::<Refusal, _>(call.entry.cache(), key, None, decide).await {
        Err(Refusal::Store(storage::Error::NotFound)) => Ok((marked, Outcome::Deleted)),
        result => result,
    }
}

/// Lets admission judge a deletion; of the object nothing is left that could be changed.
async fn admit(call: &Call<'_>, name: &str, options: &DeleteOptions, old: &Value) -> Result<Value, Status> {
    let attributes = write::attributes(call, Operation::Delete, &call.entry.row.kind, name, options.dry_run);
    let warn = |warnings: Vec<String>| call.warn(warnings);
    let deletion = options.to_value();
    let admitting = write::admitting(call, attributes, Some(&deletion), &warn);
    let mut nothing = Value::Null;
    admitting.change_by_all(&mut nothing, Some(old)).await?;
    admitting.judge_by_all(&Value::Null, Some(old)).await?;
    Ok(Value::Null)
}

fn is_namespace(call: &Call<'_>) -> bool {
    call.entry.group().is_empty() && call.entry.plural() == "namespaces"
}

fn check_preconditions(
    call: &Call<'_>,
    name: &str,
    options: &DeleteOptions,
    old: &Value,
) -> Result<(), Status> {
    let refuse = |what: &str, wanted: &str, found: &str, perhaps: &str| {
        // Upstream words it by the kind, but for namespaces, whose deletion has a handler of its own.
        let (about, why) = if is_namespace(call) {
            let why = format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            );
            (call.entry.plural(), why)
        } else {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {perhaps}"
            );
            (&*call.entry.row.kind, why)
        };
        Err(Status::conflict(call.entry.group(), about, name, &why))
    };
    if let Some(uid) = &options.uid
        && uid != old.uid()
    {
        return refuse("UID", uid, old.uid(), "deleted and then recreated");
    }
    if let Some(version) = &options.resource_version
        && version != old.resource_version()
    {
        return refuse("ResourceVersion", version, old.resource_version(), "modified");
    }
    Ok(())
}

/// What a deletion comes to.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// The object goes now.
    Remove,
    /// It is marked so and goes later.
    Mark(Value),
    /// It is marked so, for its watchers to see, and goes at once.
    End(Value),
    /// It is marked already.
    Keep,
}

/// Decides what a deletion of an object comes to.
pub fn decide_deletion(
    strategy: &dyn kinds::Strategy,
    is_namespace: bool,
    old: &Value,
    options: &DeleteOptions,
    now: Timestamp,
) -> Decision {
    let mut object = old.clone();
    if let Some(finalizer) = strategy.deletion_finalizer()
        && object.deletion_timestamp().is_none()
        && !object.finalizers().any(|name| name == finalizer)
    {
        let finalizers: Vec<&str> = object.finalizers().chain([finalizer]).collect();
        let finalizers = json!(finalizers);
        object.set_at(&["metadata", "finalizers"], finalizers);
    }
    let graceful = mark_graceful(strategy, &mut object, options, now);
    if graceful == Graceful::Pending {
        // What happens to what it owns was said when its period began.
        return Decision::Keep;
    }
    mark_finalizers(&mut object, strategy.dependents(), options.propagation);
    let held = object.finalizers().next().is_some();
    if is_namespace {
        let spec_held =
            object.at(&["spec", "finalizers"]).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        if object.deletion_timestamp().is_none() {
            // A namespace ends in the namespace controller's time, never in the request's.
            object.set_at(&["metadata", "deletionTimestamp"], time::rfc3339(now).into());
            object.set_at(&["status", "phase"], "Terminating".into());
            return Decision::Mark(object);
        }
        if !spec_held && !held {
            return Decision::Remove;
        }
        return if object == *old { Decision::Keep } else { Decision::Mark(object) };
    }
    match graceful {
        Graceful::Now if !held => Decision::Remove,
        Graceful::Now => {
            if object.deletion_timestamp().is_none() {
                object.set_at(&["metadata", "deletionTimestamp"], time::rfc3339(now).into());
                count_generation(&mut object);
            }
            object.set_at(&["metadata", "deletionGracePeriodSeconds"], 0.into());
            if object == *old { Decision::Keep } else { Decision::Mark(object) }
        }
        Graceful::Marked if !held && object.deletion_grace_period() == Some(0) => Decision::End(object),
        Graceful::Marked | Graceful::Pending => Decision::Mark(object),
    }
}

#[derive(PartialEq, Eq)]
enum Graceful {
    /// There is no grace period, or it was over before.
    Now,
    /// The period was set or shortened.
    Marked,
    /// A period that was set before goes on.
    Pending,
}

fn mark_graceful(
    strategy: &dyn kinds::Strategy,
    object: &mut Value,
    options: &DeleteOptions,
    now: Timestamp,
) -> Graceful {
    if let Some(deadline) = object.deletion_timestamp() {
        let set = object.deletion_grace_period().unwrap_or(0);
        if set == 0 {
            return Graceful::Now;
        }
        return match options.grace {
            Some(asked) if asked < set => {
                let deadline = time::parse(deadline).unwrap_or(now);
                let sooner = deadline - SignedDuration::from_secs(set - asked);
                object.set_at(&["metadata", "deletionTimestamp"], time::rfc3339(sooner).into());
                object.set_at(&["metadata", "deletionGracePeriodSeconds"], asked.into());
                Graceful::Marked
            }
            _ => Graceful::Pending,
        };
    }
    match strategy.deletion_grace(object, options.grace) {
        Grace::Immediate => Graceful::Now,
        Grace::Seconds(seconds) => {
            let deadline = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
            object.set_at(&["metadata", "deletionTimestamp"], time::rfc3339(deadline).into());
            object.set_at(&["metadata", "deletionGracePeriodSeconds"], seconds.into());
            count_generation(object);
            Graceful::Marked
        }
    }
}

/// Marking for deletion counts as a change of what is wanted, as upstream.
fn count_generation(object: &mut Value) {
    let generation = object.generation();
    if generation > 0 {
        object.set_at(&["metadata", "generation"], generation.saturating_add(1).into());
    }
}

/// The garbage collector finds its orders among the finalizers. Without an order, those that are there stay.
fn mark_finalizers(object: &mut Value, dependents: Dependents, propagation: Option<Propagation>) {
    let ordered = object.finalizers().any(|name| matches!(name, ORPHAN | FOREGROUND));
    let propagation = match (dependents, propagation) {
        (Dependents::None, _) => return,
        (Dependents::Stay, None) if !ordered => Propagation::Orphan,
        (_, None) => return,
        (_, Some(propagation)) => propagation,
    };
    let mut finalizers: Vec<String> =
        object.finalizers().filter(|name| !matches!(*name, ORPHAN | FOREGROUND)).map(str::to_owned).collect();
    match propagation {
        Propagation::Orphan => finalizers.push(ORPHAN.to_owned()),
        Propagation::Foreground => finalizers.push(FOREGROUND.to_owned()),
        Propagation::Background => {}
    }
    if finalizers.is_empty() {
        object.remove_at(&["metadata", "finalizers"]);
    } else {
        object.set_at(&["metadata", "finalizers"], json!(finalizers));
    }
}

#[cfg(test)]
mod tests;

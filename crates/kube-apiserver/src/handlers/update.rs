//! PUT: an object replaced, its status, or what another subresource lets change.

use std::sync::Arc;

use admission::{Attributes, Operation};
use apimachinery::{FieldError, ObjectExt, Status};
use bytes::Bytes;
use futures::FutureExt as _;
use http::StatusCode;
use jiff::Timestamp;
use kinds::Strategy;
use serde_json::Value;
use storage::{Change, Object, Outcome, Parts};

use super::call::Call;
use super::create::lifetime;
use super::ownership::{self, Current, Owners, Wanted};
use super::{create, devices, output, outside, scale, write};
use crate::alloc::{Claim, Readiness};
use crate::convert;
use crate::http::Response;
use crate::http::input::Encoding;
use crate::http::service::authorize_verb;
use crate::refusal::Refusal;

/// Which rules an update is under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The object itself.
    Whole,
    /// Its `status` subresource.
    Status,
    /// Another subresource that takes the whole object: `finalize`, `approval`, `ephemeralcontainers`, `resize`.
    Sub,
}

impl Part {
    /// The part that a subresource writes.
    pub fn of(subresource: &str) -> Self {
        match subresource {
            "" => Self::Whole,
            "status" => Self::Status,
            _ => Self::Sub,
        }
    }
}

/// Replaces the object that the path names.
pub async fn update(call: &Call<'_>, body: Bytes, encoding: Encoding) -> Result<Response, Status> {
    let dry_run = call.dry_run()?;
    let part = Part::of(&call.info.subresource);
    let read = || -> Result<Value, Status> {
        let expected =
            if part == Part::Whole { write::Expected::own(call) } else { write::Expected::sub(call)? };
        let mut object = write::decode(call, &body, encoding, &expected)?;
        write::adopt_name(call, &mut object)?;
        write::adopt_namespace(call, &mut object)?;
        output::to_stored(&call.entry, &mut object);
        call.entry.strategy.default(&mut object);
        Ok(object)
    };
    // The first attempt takes the object that was read; a retry after a conflict reads the body again.
    let mut first = Some(read()?);
    if part == Part::Whole
        && call.entry.strategy.allow_create_on_update()
        && call.entry.cache().get(&call.key()).is_none()
    {
        let mut object = first.take().map_or_else(read, Ok)?;
        if call
            .server
            .store
            .get_live(call.entry.cache(), &call.key())
            .await
            .map_err(|e| call.refuse(e))?
            .is_none()
        {
            if !object.resource_version().is_empty() {
                return Err(Status::conflict(
                    call.entry.group(),
                    call.entry.plural(),
                    &call.info.name,
                    &gone(call, &object),
                ));
            }
            object.remove_at(&["metadata", "resourceVersion"]);
            authorize_verb(call.server, call.info, call.user, "create").await?;
            return create::insert(call, object.into(), dry_run).await;
        }
        first = Some(object);
    }
    change(call, part, dry_run, |_| first.take().map_or_else(read, Ok).map(Wanted::from)).await
}

fn gone(call: &Call<'_>, object: &Value) -> String {
    format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {}, UID in object meta: ",
        call.entry.row.prefix,
        call.key(),
        object.uid()
    )
}

/// Changes the object by a function from its stored state to the wanted one (both in the stored version), under
/// the rules of the part, and answers with the result.
pub async fn change(
    call: &Call<'_>,
    part: Part,
    dry_run: bool,
    wanted: impl FnMut(Current<'_>) -> Result<Wanted, Status>,
) -> Result<Response, Status> {
    match store(call, part, dry_run, wanted).await? {
        Stored::Object(object, outcome) => {
            let code = if outcome == Outcome::Created { StatusCode::CREATED } else { StatusCode::OK };
            output::object(code, &call.entry, &object, &call.form, call.query)
        }
        Stored::Nowhere(object) => write::unstored(call, StatusCode::OK, object),
    }
}

/// What a change left behind.
pub enum Stored {
    /// The object as it is stored now.
    Object(Arc<Object>, Outcome),
    /// The object as it would be stored (dry run).
    Nowhere(Value),
}

/// As [`change`], for those who answer with something else.
pub async fn store(
    call: &Call<'_>,
    part: Part,
    dry_run: bool,
    mut wanted: impl FnMut(Current<'_>) -> Result<Wanted, Status>,
) -> Result<Stored, Status> {
    if admission::quota::is_counted(&attributes(call, dry_run)) && call.server.quotas.concern(call) {
        charge_quotas(call, part, dry_run, &mut wanted).await?;
    }
    let mut claim = call.server.services.claim();
    for _ in 0..CLAIMS {
        let stored = store_claimed(call, part, dry_run, &mut wanted, &mut claim).await;
        match stored {
            Ok(Some(stored)) => {
                match &stored {
                    Stored::Object(object, outcome) => {
                        claim.keep(call.server).await;
                        if *outcome == Outcome::Deleted {
                            call.server.services.forget(call, object).await;
                        }
                    }
                    Stored::Nowhere(_) => claim.release(call.server).await,
                }
                return Ok(stored);
            }
            // What was chosen is recorded now, and the change is made up anew.
            Ok(None) => {}
            Err(status) => {
                claim.release(call.server).await;
                return Err(status);
            }
        }
    }
    claim.release(call.server).await;
    Err(Status::internal("failed to allocate what the service asks for: others were faster each time"))
}

/// How often addresses and ports are chosen for a change that other servers turn out to have given away.
const CLAIMS: usize = 10;

/// Stores the change, or records first what it claims and gives nothing.
async fn store_claimed(
    call: &Call<'_>,
    part: Part,
    dry_run: bool,
    wanted: &mut impl FnMut(Current<'_>) -> Result<Wanted, Status>,
    claim: &mut Claim,
) -> Result<Option<Stored>, Status> {
    let mut unstored = None;
    let mut must_record = None;
    let mut decide = |current: Option<&Arc<Object>>| -> Result<Change, Refusal> {
        let current = current
            .ok_or_else(|| Status::not_found(call.entry.group(), call.entry.plural(), &call.info.name))?;
        let Parts { value: mut old, managed_fields } = current.parts().map_err(Status::internal)?;
        convert::from_storage(&call.entry, &mut old)?;
        call.entry.strategy.default(&mut old);
        let now = Current { object: &old, fields: managed_fields };
        let Wanted { object: mut new, owners } = wanted(now)?;
        let fields = match owners {
            Owners::Writer => ownership::of_change(call, now, &mut new)?,
            Owners::Settled(fields) => fields,
        };
        let mut new = judge(call, part, new, &old, dry_run)?;
        must_record = None;
        let asked = must_ask(call).then(|| new.clone());
        let readiness = claim.change(call, &mut new, &old)?;
        if readiness == Readiness::MustRecord && !dry_run {
            must_record = asked;
            return Ok(Change::Keep);
        }
        if !dry_run && is_last_update(call, &new, &old) {
            return Ok(Change::Delete);
        }
        let fields = ownership::settled(&fields, managed_fields, &mut old, &mut new);
        if dry_run {
            ownership::attach(&mut new, fields);
            // Nothing was written, so the version is the old one.
            new.set_at(&["metadata", "resourceVersion"], old.resource_version().into());
            unstored = Some(new);
            return Ok(Change::Keep);
        }
        convert::into_storage(&call.entry, &mut new)?;
        Ok(Change::Write(write::stored_bytes_with(&mut new, fields)))
    };
    let mut attempts = 0;
    let result = loop {
        let store = &call.server.store;
        let result =
            store.update::<Refusal, _>(call.entry.cache(), &call.key(), lifetime(call), &mut decide).await;
        attempts += 1;
        match result {
            Err(Refusal::Unasked) if attempts < outside::ATTEMPTS => ask_outside(call, part, dry_run).await,
            result => break result,
        }
    };
    match result {
        Ok((object, outcome)) => {
            if let Some(asked) = must_record {
                claim.record_change(call, &asked).await?;
                return Ok(None);
            }
            Ok(Some(match unstored {
                Some(unstored) => Stored::Nowhere(unstored),
                None => Stored::Object(object, outcome),
            }))
        }
        Err(refusal) => Err(refusal.into_status(&call.entry, &call.info.name)),
    }
}

/// Whether what the client asks for is kept beside what is chosen for it.
fn must_ask(call: &Call<'_>) -> bool {
    call.entry.row.plural == "services" && call.entry.group().is_empty()
}

/// Charges what the change would use more than before. The change is made up once for this; when it loses against
/// another and comes out differently, the quota controller counts anew.
async fn charge_quotas(
    call: &Call<'_>,
    part: Part,
    dry_run: bool,
    wanted: &mut impl FnMut(Current<'_>) -> Result<Wanted, Status>,
) -> Result<(), Status> {
    let Some(current) = call.entry.cache().get(&call.key()) else { return Ok(()) };
    let Parts { value: mut old, managed_fields } = current.parts().map_err(Status::internal)?;
    convert::from_storage(&call.entry, &mut old)?;
    call.entry.strategy.default(&mut old);
    let Wanted { object: mut new, .. } = wanted(Current { object: &old, fields: managed_fields })?;
    ownership::claimed(&mut new);
    let judged = match judge(call, part, new, &old, dry_run) {
        Err(Refusal::Unasked) => {
            ask_outside(call, part, dry_run).await;
            outside::outcome(call, &old).and_then(Result::ok)
        }
        judged => judged.ok(),
    };
    // A refusal may rest on what the cache does not know yet: the change itself decides.
    let Some(new) = judged else { return Ok(()) };
    call.server.quotas.charge(call, Operation::Update, &new, Some(&old), dry_run).await
}

/// Checks version and identity, admits, prepares and validates; gives what is to be stored.
fn judge(call: &Call<'_>, part: Part, new: Value, old: &Value, dry_run: bool) -> Result<Value, Refusal> {
    let entry = &call.entry;
    let (group, plural, name) = (entry.group(), entry.plural(), call.info.name.as_str());
    let strategy = strategy_of(call, part);
    if !new.uid().is_empty() && new.uid() != old.uid() {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {}, UID in object meta: {}",
            entry.row.prefix,
            call.key(),
            new.uid(),
            old.uid()
        );
        return Err(Status::conflict(group, plural, name, &why).into());
    }
    match new.resource_version() {
        "" | "0" if strategy.allow_unconditional_update() => {}
        "" | "0" => return Err(write::invalid(call, name, vec![kinds::missing_resource_version()]).into()),
        version if version == old.resource_version() => {}
        _ => return Err(Status::modified(group, plural, name).into()),
    }
    let attributes = attributes(call, dry_run);
    if devices::is_claim_status(call) || call.server.webhooks.concern(&attributes, &call.server.view()) {
        return outside::judged(call, new, old);
    }
    match admit(call, part, new, old, dry_run).now_or_never() {
        Some(admitted) => Ok(admitted?),
        // A webhook was configured between the two lines above.
        None => Err(Refusal::Unasked),
    }
}

/// Asks webhooks about the change that waits for it.
async fn ask_outside(call: &Call<'_>, part: Part, dry_run: bool) {
    if let Some((new, old)) = outside::pending(call) {
        let outcome = Box::pin(admit(call, part, new, &old, dry_run)).await;
        outside::settle(call, &old, outcome);
    }
}

fn strategy_of<'a>(call: &'a Call<'_>, part: Part) -> &'a dyn Strategy {
    let entry = &call.entry;
    match part {
        Part::Whole | Part::Status => &*entry.strategy,
        Part::Sub => entry.strategy.subresource(&call.info.subresource).unwrap_or(&*entry.strategy),
    }
}

fn attributes<'a>(call: &'a Call<'_>, dry_run: bool) -> Attributes<'a> {
    let kind = if call.info.subresource == "scale" { "Scale" } else { &*call.entry.row.kind };
    write::attributes(call, Operation::Update, kind, &call.info.name, dry_run)
}

/// Admits, prepares and validates a change.
async fn admit(
    call: &Call<'_>,
    part: Part,
    mut new: Value,
    old: &Value,
    dry_run: bool,
) -> Result<Value, Status> {
    let (strategy, name) = (strategy_of(call, part), call.info.name.as_str());
    let warn = |warnings: Vec<String>| call.warn(warnings);
    let scaled = call.info.subresource == "scale";
    let admitting = write::admitting(call, attributes(call, dry_run), None, &warn);
    // Of a workload that is scaled, admission sees its Scale.
    let old_scale = scaled.then(|| scale::seen(call, old));
    let seen_old = old_scale.as_ref().unwrap_or(old);
    if scaled {
        let mut seen = scale::seen(call, &new);
        admitting.change_by_all(&mut seen, Some(seen_old)).await?;
        scale::put(call, &seen, &mut new);
    } else {
        admitting.change_by_all(&mut new, Some(old)).await?;
    }
    let (group, kind, now) = (call.entry.group(), &call.entry.row.kind, Timestamp::now());
    let mut errors: Vec<FieldError> = match part {
        Part::Whole | Part::Sub => kinds::update(strategy, &mut new, old),
        Part::Status => kinds::update_status(strategy, &mut new, old),
    };
    if part == Part::Status {
        let admin = devices::judge_admin_access(call, &new, old).await?;
        errors.splice(0..0, admin.into_iter().chain(devices::judge_rights(call, &new, old).await));
    }
    kinds::date(group, kind, &mut new, old, now);
    if part == Part::Status && errors.is_empty() {
        errors = kinds::judge_status_at(group, kind, &new, old, now);
    }
    if !errors.is_empty() {
        return Err(write::invalid(call, name, errors));
    }
    if part == Part::Status {
        write::check_signing(call, &new, old)?;
    }
    // Who tells how things are is warned of nothing.
    if part != Part::Status {
        call.warn(strategy.update_warnings(&new, old));
    }
    let seen = scaled.then(|| scale::seen(call, &new));
    admitting.judge_by_all(seen.as_ref().unwrap_or(&new), Some(seen_old)).await?;
    if part == Part::Whole {
        write::check_escalation(call, &new, Some(old))?;
    }
    Ok(new)
}

/// An object that is being deleted goes with the update that takes its last finalizer away.
fn is_last_update(call: &Call<'_>, new: &Value, old: &Value) -> bool {
    let waits = old.deletion_timestamp().is_some() && old.deletion_grace_period().unwrap_or(0) == 0;
    let namespace_waits = call.entry.row.plural == "namespaces"
        && call.entry.row.group.is_empty()
        && new.at(&["spec", "finalizers"]).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    waits && !namespace_waits && new.finalizers().next().is_none()
}

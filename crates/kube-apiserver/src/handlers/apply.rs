//! PATCH with `application/apply-patch+yaml`: server-side apply.

use apimachinery::go::misfit;
use apimachinery::status::{Cause, Details};
use apimachinery::{FieldError, ObjectExt, Status};
use bytes::Bytes;
use http::StatusCode;
use managed_fields::{Applied, Apply, ApplyError, Conflict, Fields};
use schema::{FieldValidation, Type};
use serde_json::Value;

use super::call::Call;
use super::ownership::{self, Author, Current, Owners, Wanted};
use super::update::{self, Part, Stored};
use super::{create, output, write};
use crate::http::service::authorize_verb;
use crate::http::{Response, input, repeated};

/// How often an object may come and go between the look at it and the write.
const ATTEMPTS: usize = 5;

/// A configuration that is read and can be applied any number of times.
pub struct Configuration {
    object: Value,
    author: Author,
    force: bool,
}

impl Configuration {
    /// Reads a configuration; its kind must be what the path takes.
    pub fn parse(call: &Call<'_>, body: &[u8], expected: &write::Expected<'_>) -> Result<Self, Status> {
        if call.query.get("fieldManager").is_none() {
            let error = FieldError::required("fieldManager", "is required for apply patch");
            return Err(Status::invalid("meta.k8s.io", "PatchOptions", "", vec![error]));
        }
        let object = read(call, body)?;
        let (group, version) = match object.api_version() {
            "" => ("", ""),
            api_version => api_version.split_once('/').unwrap_or(("", api_version)),
        };
        if (group, version, object.kind()) != (expected.group, expected.version, expected.kind) {
            let kind = object.kind();
            return Err(Status::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
        }
        if object.at(&["metadata", "managedFields"]).is_some() {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        Ok(Self { object, author: Author::of(call)?, force: call.query.flag("force") })
    }

    /// The configuration.
    pub fn object(&self) -> &Value {
        &self.object
    }

    /// Merges the configuration into an object, or makes one of it.
    pub fn apply(
        &self,
        call: &Call<'_>,
        ty: Type<'_>,
        current: Option<Current<'_>>,
    ) -> Result<Wanted, Status> {
        self.apply_as(call, &self.object, ty, current)
    }

    /// As [`Configuration::apply`], with another object in place of what was sent.
    pub fn apply_as(
        &self,
        call: &Call<'_>,
        object: &Value,
        ty: Type<'_>,
        current: Option<Current<'_>>,
    ) -> Result<Wanted, Status> {
        let live = current.map(|current| ownership::served(call, current.object));
        let applied = managed_fields::apply(&Apply {
            ty,
            live: live.as_deref(),
            config: object,
            fields: current.and_then(|current| current.fields),
            force: self.force,
            resets: call.entry.strategy.resets(&call.info.subresource),
            writer: self.author.writer(call),
            versions: &|version, old, new| ownership::at_version(call, version, old, new),
        });
        let Applied { mut object, fields, same } = applied.map_err(|error| refuse(call, object, error))?;
        let own = write::Expected { ty, ..write::Expected::own(call) };
        own.decode(&mut object, Vec::new(), FieldValidation::Ignore).map_err(|error| {
            let object = named(call, &object);
            unknown(format!("failed to convert new object ({object}) to proper version: {error}"))
        })?;
        write::adopt_name(call, &mut object)?;
        write::adopt_namespace(call, &mut object)?;
        output::to_stored(&call.entry, &mut object);
        call.entry.strategy.default(&mut object);
        let fields = match fields {
            Some(text) if same => Fields::Touched(text),
            fields => Fields::Changed(fields),
        };
        Ok(Wanted { object, owners: Owners::Settled(fields) })
    }
}

/// The object in messages, `default/web; apps/v1, Kind=Deployment`.
fn named(call: &Call<'_>, object: &Value) -> String {
    let row = &call.entry.row;
    let (namespace, name) = (object.namespace(), object.name());
    format!("{namespace}/{name}; {}/{}, Kind={}", row.group, row.version, row.kind)
}

/// Upstream gives these failures no reason of their own.
fn unknown(message: String) -> Status {
    Status::new(500, "", message)
}

fn refuse(call: &Call<'_>, object: &Value, error: ApplyError) -> Status {
    match error {
        ApplyError::Conflicts(conflicts) => conflict(&conflicts, &ApplyError::Conflicts(conflicts.clone())),
        ApplyError::Invalid(_) => {
            unknown(format!("failed to create typed patch object ({}): {error}", named(call, object)))
        }
        ApplyError::Stored(_) => unknown(error.to_string()),
    }
}

fn conflict(conflicts: &[Conflict], error: &ApplyError) -> Status {
    let cause = |conflict: &Conflict| Cause {
        reason: "FieldManagerConflict".into(),
        message: format!("conflict with {}", conflict.owner),
        field: conflict.path.clone(),
    };
    let causes = conflicts.iter().map(cause).collect();
    let details = Some(Box::new(Details { causes, ..Details::default() }));
    Status { details, ..Status::new(409, "Conflict", error.to_string()) }
}

/// Reads YAML, of which JSON is a part. Fields that are there twice are refused, told or ignored.
fn read(call: &Call<'_>, body: &[u8]) -> Result<Value, Status> {
    let validation = write::field_validation(call)?;
    let undecodable =
        |error: &dyn std::fmt::Display| Status::bad_request(format!("error decoding YAML: {error}"));
    if body.first() == Some(&b'{')
        && let Ok(parsed) = schema::parse(body)
    {
        if !parsed.duplicates.is_empty() {
            report_repeated(call, validation, body)?;
        }
        return Ok(parsed.value);
    }
    let object = input::yaml(body).map_err(|why| undecodable(&why))?;
    if !object.is_object() {
        return Err(undecodable(&misfit(&object, "map[string]interface {}")));
    }
    report_repeated(call, validation, body)?;
    Ok(object)
}

fn report_repeated(call: &Call<'_>, validation: FieldValidation, body: &[u8]) -> Result<(), Status> {
    if validation == FieldValidation::Ignore {
        return Ok(());
    }
    let Some(why) = repeated::keys(body) else { return Ok(()) };
    let why = format!("error converting YAML to JSON: {why}");
    if validation == FieldValidation::Strict {
        return Err(Status::bad_request(format!("error strict decoding YAML: {why}")));
    }
    call.warn([why]);
    Ok(())
}

/// Applies a configuration to the object that the path names, or creates it.
pub async fn apply(call: &Call<'_>, body: Bytes) -> Result<Response, Status> {
    let dry_run = call.dry_run()?;
    let part = Part::of(&call.info.subresource);
    let expected = if part == Part::Whole { write::Expected::own(call) } else { write::Expected::sub(call)? };
    let configuration = Configuration::parse(call, &body, &expected)?;
    drop(body);
    let mut attempts = 0;
    loop {
        attempts += 1;
        if part == Part::Whole && is_missing(call).await? {
            match make(call, &configuration, &expected, dry_run).await {
                Err(status) if status.reason == "AlreadyExists" && attempts < ATTEMPTS => continue,
                answer => return answer,
            }
        }
        let wanted = |current: Current<'_>| configuration.apply(call, expected.ty, Some(current));
        match update::store(call, part, dry_run, wanted).await {
            Ok(Stored::Object(object, _)) => {
                return output::object(StatusCode::OK, &call.entry, &object, &call.form, call.query);
            }
            Ok(Stored::Nowhere(object)) => return write::unstored(call, StatusCode::OK, object),
            // It went between the look and the write.
            Err(status) if status.reason == "NotFound" && part == Part::Whole && attempts < ATTEMPTS => {}
            Err(status) => return Err(status),
        }
    }
}

async fn is_missing(call: &Call<'_>) -> Result<bool, Status> {
    if call.entry.cache().get(&call.key()).is_some() {
        return Ok(false);
    }
    let live = call.server.store.get_live(call.entry.cache(), &call.key()).await;
    Ok(live.map_err(|error| call.refuse(error))?.is_none())
}

/// Creates the object: whoever may only patch may not.
async fn make(
    call: &Call<'_>,
    configuration: &Configuration,
    expected: &write::Expected<'_>,
    dry_run: bool,
) -> Result<Response, Status> {
    authorize_verb(call.server, call.info, call.user, "create").await?;
    let Wanted { object, owners } = configuration.apply(call, expected.ty, None)?;
    if !object.uid().is_empty() || !object.resource_version().is_empty() {
        let (what, value) = match object.uid() {
            "" => ("resourceVersion", object.resource_version()),
            uid => ("uid", uid),
        };
        let why = format!(
            "{what} mismatch: the provided object specified {what} {value}, and no existing object was found"
        );
        return Err(Status::conflict(call.entry.group(), call.entry.plural(), &call.info.name, &why));
    }
    create::insert(call, Wanted { object, owners }, dry_run).await
}

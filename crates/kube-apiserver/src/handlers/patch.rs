//! PATCH: an object changed by JSON patch, merge patch or strategic merge patch; applying has a file of its own.

use apimachinery::go::{kind_of, misfit, printed};
use apimachinery::{FieldError, Status};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use schema::DecodeError;
use serde_json::Value;

use super::call::Call;
use super::update::{self, Part};
use super::{output, ownership, write};
use crate::http::Response;
use crate::http::input::media_type;

/// How a body says what is to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `application/json-patch+json`
    Json,
    /// `application/merge-patch+json`
    Merge,
    /// `application/strategic-merge-patch+json`
    StrategicMerge,
}

/// What a PATCH request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// The object is changed by a patch.
    Patch(Kind),
    /// A configuration is merged into it: `application/apply-patch+yaml`.
    Apply,
}

const READ: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// What is asked for, by the body's media type.
///
/// Custom resources have no strategic merge: their definitions do not say how.
pub fn means(headers: &HeaderMap, is_custom: bool) -> Result<Means, Status> {
    match media_type(headers) {
        "application/strategic-merge-patch+json" if is_custom => {
            Err(Status::unsupported_media_type(&[READ[0], READ[1], READ[3]]))
        }
        "application/json-patch+json" => Ok(Means::Patch(Kind::Json)),
        "application/merge-patch+json" => Ok(Means::Patch(Kind::Merge)),
        "application/strategic-merge-patch+json" => Ok(Means::Patch(Kind::StrategicMerge)),
        "application/apply-patch+yaml" => Ok(Means::Apply),
        _ => Err(Status::unsupported_media_type(READ)),
    }
}

/// A patch that is read and can be applied any number of times.
pub struct Patch {
    kind: Kind,
    body: Value,
    /// Its fields that are there twice, and those that are none of a JSON patch.
    duplicates: Vec<String>,
    /// Whether it is about `metadata.managedFields`, which are not in the object otherwise.
    names_owners: bool,
}

impl Patch {
    /// Reads a patch.
    pub fn parse(call: &Call<'_>, kind: Kind, body: &[u8]) -> Result<Self, Status> {
        if call.query.has("force") {
            let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
            return Err(Status::invalid("meta.k8s.io", "PatchOptions", "", vec![error]));
        }
        let names_owners = memchr::memmem::find(body, b"managedFields").is_some();
        // Upstream reads each kind of patch by itself, and says so of two.
        let undecodable = |why: &dyn std::fmt::Display| match kind {
            Kind::StrategicMerge => Status::bad_request(why.to_string()),
            Kind::Json | Kind::Merge => Status::bad_request(format!("error decoding patch: {why}")),
        };
        let schema::Parsed { value: body, mut duplicates } =
            schema::parse(body).map_err(|error| undecodable(&error))?;
        if kind == Kind::Json {
            let unknown = unknown_fields(&body).map_err(|why| undecodable(&why))?;
            duplicates.extend(unknown);
            for strict in &mut duplicates {
                strict.insert_str(0, "json patch ");
            }
        } else if !body.is_object() {
            return Err(undecodable(&misfit(&body, "map[string]interface {}")));
        }
        Ok(Self { kind, body, duplicates, names_owners })
    }

    /// What the patch makes of an object, read under its schema.
    pub fn make(
        &self,
        call: &Call<'_>,
        expected: &write::Expected<'_>,
        before: impl Fn() -> Value,
    ) -> Result<Value, Status> {
        let patched = || {
            let mut object = before();
            self.apply(expected.ty, &mut object)?;
            Ok(object)
        };
        let mut object = patched()?;
        write::decode_patched(call, &mut object, &self.duplicates, expected, |error| {
            // Reading has changed the object, and what is wrong is told with all of it.
            patched().map_or_else(|refused| refused, |object| self.unreadable(error, &object))
        })?;
        Ok(object)
    }

    fn apply(&self, ty: schema::Type<'_>, object: &mut Value) -> Result<(), Status> {
        match self.kind {
            Kind::Json => patch::json_patch(object, &self.body).map_err(refuse),
            Kind::Merge => {
                patch::merge_patch(object, &self.body);
                Ok(())
            }
            Kind::StrategicMerge => {
                patch::strategic_merge_patch(ty, object, self.body.clone()).map_err(refuse)
            }
        }
    }

    /// Says what is wrong with the patched object: upstream shows it as text, but a strategic merge patch as a tree.
    fn unreadable(&self, error: DecodeError, patched: &Value) -> Status {
        let error = match (self.kind, error) {
            (Kind::StrategicMerge, DecodeError::Type(why)) => {
                FieldError::invalid("patch", printed(&self.body), why.converting)
            }
            (Kind::StrategicMerge, error) => {
                FieldError::invalid("patch", printed(&self.body), error.to_string())
            }
            (Kind::Json | Kind::Merge, error) => {
                FieldError::invalid("patch", patched.to_string(), error.to_string())
            }
        };
        Status::invalid("", "", "", vec![error])
    }
}

/// Upstream's decoder tells of no more.
const MOST_UNKNOWN: usize = 100;

/// The fields of a JSON patch's operations that upstream does not know, or why they are no operations.
fn unknown_fields(operations: &Value) -> Result<Vec<String>, String> {
    let Value::Array(operations) = operations else {
        return Err(misfit(operations, "[]handlers.jsonPatchOp"));
    };
    let mut unknown = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let fields = match operation {
            Value::Object(fields) => fields,
            Value::Null => continue,
            other => return Err(misfit(other, "handlers.jsonPatchOp")),
        };
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("value", _) | ("op" | "path" | "from", Value::String(_) | Value::Null) => {}
                ("op" | "path" | "from", other) => {
                    let found = kind_of(other);
                    return Err(format!(
                        "json: cannot unmarshal {found} into Go struct field jsonPatchOp.{name} of type string"
                    ));
                }
                _ if unknown.len() == MOST_UNKNOWN => {}
                _ => unknown.push(format!("unknown field \"[{index}].{name}\"")),
            }
        }
    }
    Ok(unknown)
}

fn refuse(error: patch::PatchError) -> Status {
    let message = error.to_string();
    match error {
        patch::PatchError::Malformed(_) => Status::bad_request(message),
        patch::PatchError::Unprocessable(_) => Status::new(
            422,
            "Invalid",
            format!("the server rejected our request due to an error in our request: {message}"),
        ),
        patch::PatchError::TooLarge(_) => Status::too_large(message),
        patch::PatchError::Contradiction(_) => Status::internal(message),
    }
}

/// Patches the object that the path names.
pub async fn patch(call: &Call<'_>, kind: Kind, body: Bytes) -> Result<Response, Status> {
    let dry_run = call.dry_run()?;
    let patch = Patch::parse(call, kind, &body)?;
    drop(body);
    let part = Part::of(&call.info.subresource);
    let stored = update::store(call, part, dry_run, |current| {
        let expected =
            if part == Part::Whole { write::Expected::own(call) } else { write::Expected::sub(call)? };
        let mut new = patch.make(call, &expected, || {
            let mut object = current.object.clone();
            if patch.names_owners {
                ownership::attach(&mut object, current.fields);
            }
            output::to_served(&call.entry, &mut object);
            object
        })?;
        write::adopt_name(call, &mut new)?;
        write::adopt_namespace(call, &mut new)?;
        output::to_stored(&call.entry, &mut new);
        call.entry.strategy.default(&mut new);
        Ok(new.into())
    })
    .await?;
    match stored {
        update::Stored::Object(object, _) => {
            output::object(StatusCode::OK, &call.entry, &object, &call.form, call.query)
        }
        update::Stored::Nowhere(object) => write::unstored(call, StatusCode::OK, object),
    }
}

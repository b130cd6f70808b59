//! PATCH: an object changed by JSON patch, merge patch or strategic merge patch; applying has a file of its own.

use apimachinery::{FieldError, Status};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
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
    /// Its fields that are there twice.
    pub duplicates: Vec<String>,
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
        let schema::Parsed { value: body, duplicates } = schema::parse(body).map_err(|error| {
            let why = format!("couldn't get version/kind; json parse error: {error}");
            Status::bad_request(format!("error decoding patch: {why}"))
        })?;
        if kind != Kind::Json && !body.is_object() {
            return Err(Status::bad_request("error decoding patch: the patch must be an object"));
        }
        Ok(Self { kind, body, duplicates, names_owners })
    }

    /// Applies the patch to an object under a schema.
    pub fn apply(&self, ty: schema::Type<'_>, object: &mut Value) -> Result<(), Status> {
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
        let mut new = current.object.clone();
        if patch.names_owners {
            ownership::attach(&mut new, current.fields);
        }
        output::to_served(&call.entry, &mut new);
        patch.apply(expected.ty, &mut new)?;
        write::decode_patched(call, &mut new, &patch.duplicates, &expected)?;
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

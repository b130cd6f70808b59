//! `Status`, the API's answer when something is refused, and the field errors behind "is invalid".

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::gvk::qualified_resource;

/// One cause of a `Status`: a field, a machine-readable reason and a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Such as `FieldValueRequired`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What a person reads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Path of the field, such as `spec.replicas`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// What a `Status` is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Details {
    /// Name of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// API group of the resource.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Resource (plural), or kind where upstream gives the kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// UID of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Why, in parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds after which a client may try again; also sent as `Retry-After`.
    #[serde(skip_serializing_if = "is_zero")]
    pub retry_after_seconds: i32,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// A failed (or, for deletions, successful) request, as `meta.k8s.io/v1 Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// HTTP status code.
    #[serde(default)]
    pub code: u16,
    /// Machine-readable reason, such as `NotFound`; empty for plain HTTP errors.
    #[serde(default)]
    pub reason: String,
    /// What a person reads.
    #[serde(default)]
    pub message: String,
    /// What it is about. Boxed: a `Status` travels in every `Result` of the server.
    #[serde(default)]
    pub details: Option<Box<Details>>,
}

impl std::error::Error for Status {}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

fn about(group: &str, kind: &str, name: &str) -> Option<Box<Details>> {
    Some(Box::new(Details {
        name: name.into(),
        group: group.into(),
        kind: kind.into(),
        ..Details::default()
    }))
}

impl Status {
    /// Any code, reason and message.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), message: message.into(), details: None }
    }

    /// 404: no such object.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Self {
            details: about(group, resource, name),
            ..Self::new(
                404,
                "NotFound",
                format!("{} \"{name}\" not found", qualified_resource(group, resource)),
            )
        }
    }

    /// 404: no such path or resource type.
    pub fn no_such_resource() -> Self {
        Self {
            details: Some(Box::default()),
            ..Self::new(404, "NotFound", "the server could not find the requested resource")
        }
    }

    /// 409: an object of that name is there.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        Self {
            details: about(group, resource, name),
            ..Self::new(
                409,
                "AlreadyExists",
                format!("{} \"{name}\" already exists", qualified_resource(group, resource)),
            )
        }
    }

    /// 409: the write lost against another, or a precondition failed.
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        Self {
            details: about(group, resource, name),
            ..Self::new(
                409,
                "Conflict",
                format!(
                    "Operation cannot be fulfilled on {} \"{name}\": {why}",
                    qualified_resource(group, resource)
                ),
            )
        }
    }

    /// 409: the object was changed since the version that the request carries.
    pub fn modified(group: &str, resource: &str, name: &str) -> Self {
        Self::conflict(
            group,
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 422: field errors. `kind` is the kind, as upstream prints it.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: Vec<FieldError>) -> Self {
        let list = match errors.as_slice() {
            [one] => one.to_string(),
            many => {
                let mut seen = Vec::new();
                for error in many {
                    let text = error.to_string();
                    if !seen.contains(&text) {
                        seen.push(text);
                    }
                }
                if seen.len() == 1 { seen.remove(0) } else { format!("[{}]", seen.join(", ")) }
            }
        };
        let mut details = about(group, kind, name);
        if let Some(details) = &mut details {
            details.causes = errors.iter().map(FieldError::cause).collect();
        }
        Self {
            details,
            ..Self::new(
                422,
                "Invalid",
                format!("{} \"{name}\" is invalid: {list}", qualified_resource(group, kind)),
            )
        }
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: the credentials are missing or not accepted.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403: refused by authorisation or admission; `why` follows `… is forbidden: `.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let resource_name = qualified_resource(group, resource);
        let message = match (resource.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (false, true) => format!("{resource_name} is forbidden: {why}"),
            (false, false) => format!("{resource_name} \"{name}\" is forbidden: {why}"),
        };
        Self { details: about(group, resource, name), ..Self::new(403, "Forbidden", message) }
    }

    /// 405: the resource has no such verb.
    pub fn method_not_allowed(group: &str, resource: &str, action: &str) -> Self {
        Self {
            details: about(group, resource, ""),
            ..Self::new(
                405,
                "MethodNotAllowed",
                format!(
                    "{action} is not supported on resources of kind \"{}\"",
                    qualified_resource(group, resource)
                ),
            )
        }
    }

    /// 406: none of the media types asked for can be made.
    pub fn not_acceptable(offered: &[&str]) -> Self {
        Self::new(
            406,
            "NotAcceptable",
            format!("only the following media types are accepted: {}", offered.join(", ")),
        )
    }

    /// 415: the body's media type is not read here.
    pub fn unsupported_media_type(offered: &[&str]) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                offered.join(", ")
            ),
        )
    }

    /// 410: the resourceVersion or continue token is too old.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 413: the body is larger than the server reads.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 429: try again in `seconds`.
    pub fn too_many_requests(message: impl Into<String>, seconds: i32) -> Self {
        Self {
            details: Some(Box::new(Details { retry_after_seconds: seconds, ..Details::default() })),
            ..Self::new(429, "TooManyRequests", message)
        }
    }

    /// 500: the server failed; inner causes are logged, not sent.
    pub fn internal(message: impl fmt::Display) -> Self {
        let message = message.to_string();
        let causes = vec![Cause { reason: String::new(), message: message.clone(), field: String::new() }];
        Self {
            details: Some(Box::new(Details { causes, ..Details::default() })),
            ..Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
        }
    }

    /// 503: not now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// 504: it took too long.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(504, "Timeout", message)
    }

    /// The `Status` object of a finished deletion.
    pub fn deleted(group: &str, resource: &str, name: &str, uid: &str) -> Value {
        let mut details = Map::new();
        details.insert("name".into(), json!(name));
        if !group.is_empty() {
            details.insert("group".into(), json!(group));
        }
        details.insert("kind".into(), json!(resource));
        details.insert("uid".into(), json!(uid));
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
    }

    /// The `Status` object as the API sends it.
    pub fn to_value(&self) -> Value {
        let mut object = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": self.message, "code": self.code,
        });
        let map = object.as_object_mut().expect("a literal object");
        if !self.reason.is_empty() {
            map.insert("reason".into(), json!(self.reason));
        }
        if let Some(details) = &self.details {
            map.insert("details".into(), json!(details));
        }
        object
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// Absent but needed.
    Required,
    /// The value breaks a rule.
    Invalid(Value),
    /// The value breaks a rule, and is not shown.
    InvalidUnshown,
    /// The value is of the wrong type.
    TypeInvalid(Value),
    /// The value is not one of a fixed list.
    NotSupported(Value),
    /// The value may not be set here.
    Forbidden,
    /// The value is there twice.
    Duplicate(Value),
    /// Something named is not there.
    NotFound(Value),
    /// Longer than its bound.
    TooLong,
    /// More items than allowed.
    TooMany(usize),
    /// A failure that is not the client's.
    Internal,
}

/// One field error, printing as upstream's `field.Error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path, such as `spec.containers[0].name`.
    pub field: String,
    /// What is wrong.
    pub kind: FieldErrorKind,
    /// What a person reads after the kind; may be empty.
    pub detail: String,
}

impl FieldError {
    fn new(field: impl Into<String>, kind: FieldErrorKind, detail: impl Into<String>) -> Self {
        Self { field: field.into(), kind, detail: detail.into() }
    }
    /// `x: Required value[: detail]`
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, FieldErrorKind::Required, detail)
    }
    /// `x: Invalid value: v: detail`
    pub fn invalid(field: impl Into<String>, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(field, FieldErrorKind::Invalid(value.into()), detail)
    }
    /// `x: Invalid value: detail`
    pub fn invalid_unshown(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, FieldErrorKind::InvalidUnshown, detail)
    }
    /// `x: Invalid value: v: detail`, with the reason for a wrong type.
    pub fn type_invalid(
        field: impl Into<String>,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(field, FieldErrorKind::TypeInvalid(value.into()), detail)
    }
    /// `x: Unsupported value: v: supported values: "a", "b"` (values in the order given).
    pub fn not_supported(field: impl Into<String>, value: impl Into<Value>, supported: &[&str]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|value| format!("\"{value}\"")).collect();
        let detail = if quoted.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", quoted.join(", "))
        };
        Self::new(field, FieldErrorKind::NotSupported(value.into()), detail)
    }
    /// `x: Forbidden: detail`
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, FieldErrorKind::Forbidden, detail)
    }
    /// `x: Duplicate value: v`
    pub fn duplicate(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(field, FieldErrorKind::Duplicate(value.into()), "")
    }
    /// `x: Not found: v`
    pub fn not_found(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(field, FieldErrorKind::NotFound(value.into()), "")
    }
    /// `x: Too long: may not be more than n bytes`
    pub fn too_long(field: impl Into<String>, max: usize) -> Self {
        Self::new(field, FieldErrorKind::TooLong, format!("may not be more than {max} bytes"))
    }
    /// `x: Too many: n: must have at most m items`
    pub fn too_many(field: impl Into<String>, count: usize, max: usize) -> Self {
        let plural = if max == 1 { "item" } else { "items" };
        Self::new(field, FieldErrorKind::TooMany(count), format!("must have at most {max} {plural}"))
    }
    /// `x: Internal error: detail`
    pub fn internal(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, FieldErrorKind::Internal, detail)
    }

    /// The error without its field: `Invalid value: "x": must be …`.
    pub fn body(&self) -> String {
        use FieldErrorKind::*;
        let head = match &self.kind {
            Required => "Required value".to_owned(),
            Forbidden => "Forbidden".to_owned(),
            TooLong => "Too long".to_owned(),
            Internal => "Internal error".to_owned(),
            InvalidUnshown => "Invalid value".to_owned(),
            TooMany(count) => format!("Too many: {count}"),
            Invalid(value) | TypeInvalid(value) => format!("Invalid value: {}", go_value(value)),
            NotSupported(value) => format!("Unsupported value: {}", go_value(value)),
            Duplicate(value) => format!("Duplicate value: {}", go_value(value)),
            NotFound(value) => format!("Not found: {}", go_value(value)),
        };
        if self.detail.is_empty() { head } else { format!("{head}: {}", self.detail) }
    }

    /// The cause that a `Status` carries for it.
    pub fn cause(&self) -> Cause {
        use FieldErrorKind::*;
        let reason = match self.kind {
            Required => "FieldValueRequired",
            Forbidden => "FieldValueForbidden",
            TooLong => "FieldValueTooLong",
            TooMany(_) => "FieldValueTooMany",
            Internal => "InternalError",
            Invalid(_) | InvalidUnshown => "FieldValueInvalid",
            TypeInvalid(_) => "FieldValueTypeInvalid",
            NotSupported(_) => "FieldValueNotSupported",
            Duplicate(_) => "FieldValueDuplicate",
            NotFound(_) => "FieldValueNotFound",
        };
        Cause { reason: reason.into(), message: self.body(), field: self.field.clone() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// A value as upstream prints it in an error: strings quoted, the rest as JSON. What is absent is the text `null`.
fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "\"null\"".to_owned(),
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_upstreams() {
        assert_eq!(Status::not_found("", "pods", "web").message, "pods \"web\" not found");
        assert_eq!(
            Status::already_exists("apps", "deployments", "web").message,
            "deployments.apps \"web\" already exists"
        );
        assert_eq!(
            Status::modified("", "pods", "web").message,
            "Operation cannot be fulfilled on pods \"web\": the object has been modified; please apply your changes to the latest version and try again"
        );
        assert_eq!(
            Status::forbidden("", "pods", "", "User \"jane\" cannot list").message,
            "pods is forbidden: User \"jane\" cannot list"
        );
    }

    #[test]
    fn invalid_lists_each_error_once_and_causes_all() {
        let one = FieldError::required("spec.selector", "");
        let two = FieldError::not_supported("spec.type", "X", &["A", "B"]);
        let status = Status::invalid("apps", "Deployment", "web", vec![one.clone()]);
        assert_eq!(status.message, "Deployment.apps \"web\" is invalid: spec.selector: Required value");
        let status = Status::invalid("", "Service", "web", vec![one, two]);
        assert_eq!(
            status.message,
            "Service \"web\" is invalid: [spec.selector: Required value, spec.type: Unsupported value: \"X\": supported values: \"A\", \"B\"]"
        );
        let details = status.details.unwrap();
        assert_eq!(details.causes[1].reason, "FieldValueNotSupported");
        assert_eq!(details.causes[1].field, "spec.type");
    }

    #[test]
    fn status_round_trips_through_its_object() {
        let status = Status::too_many_requests("slow down", 1);
        let back: Status = serde_json::from_value(status.to_value()).unwrap();
        assert_eq!(back, status);
        assert_eq!(Status::unauthorized().to_value()["status"], "Failure");
    }
}

//! Questions that are answered and not stored: token and access reviews.

use apimachinery::ObjectExt;
use serde_json::Value;

use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::read::Read;

/// The rules of SubjectAccessReviews and LocalSubjectAccessReviews.
pub struct SubjectAccessReview;
/// The rules of SelfSubjectAccessReviews.
pub struct SelfSubjectAccessReview;
/// The rules of TokenReviews.
pub struct TokenReview;
/// The rules of TokenRequests.
pub struct TokenRequest;

const SPEC: Path<'static> = Path::root("spec");

/// Upstream's shortest and longest life of a requested token.
const TOKEN_SECONDS: std::ops::RangeInclusive<i64> = 600..=(1 << 32);

impl Strategy for SubjectAccessReview {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        validate_attributes(spec, errors);
        if spec.text("user").is_empty() && spec.items("groups").is_empty() {
            errors.required(&SPEC.child("user"), "at least one of user or group must be specified");
        }
        if object.kind() == "LocalSubjectAccessReview"
            && spec["resourceAttributes"].text("namespace") != object.namespace()
        {
            errors.invalid(
                &SPEC.child("resourceAttributes").child("namespace"),
                spec["resourceAttributes"].text("namespace"),
                format!("must match metadata.namespace: {}", object.namespace()),
            );
        }
    }
}

impl Strategy for SelfSubjectAccessReview {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_attributes(&object["spec"], errors);
    }
}

fn validate_attributes(spec: &Value, errors: &mut Errors) {
    match (spec.has("resourceAttributes"), spec.has("nonResourceAttributes")) {
        (true, true) => errors.invalid(
            &SPEC.child("nonResourceAttributes"),
            spec["nonResourceAttributes"].clone(),
            "cannot be specified in combination with resourceAttributes",
        ),
        (false, false) => errors.invalid(
            &SPEC.child("resourceAttributes"),
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ),
        _ => {}
    }
}

impl Strategy for TokenReview {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        if object["spec"].text("token").is_empty() {
            errors.required(&SPEC.child("token"), "");
        }
    }
}

impl Strategy for TokenRequest {
    fn default(&self, object: &mut Value) {
        strategy::write::missing(strategy::write::ensure(object, "spec"), "expirationSeconds", 3600);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let seconds = object["spec"].int("expirationSeconds").unwrap_or(0);
        let path = SPEC.child("expirationSeconds");
        if seconds < *TOKEN_SECONDS.start() {
            errors.invalid(&path, seconds, "may not specify a duration less than 10 minutes");
        } else if seconds > *TOKEN_SECONDS.end() {
            errors.invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::created;

    #[test]
    fn questions_are_complete() {
        assert_eq!(
            created(&SelfSubjectAccessReview, json!({"spec": {}})),
            "spec.resourceAttributes: Invalid value: \"null\": exactly one of nonResourceAttributes or resourceAttributes must be specified"
        );
        assert_eq!(
            created(&SubjectAccessReview, json!({"spec": {"resourceAttributes": {"verb": "get"}}})),
            "spec.user: Required value: at least one of user or group must be specified"
        );
        assert_eq!(created(&TokenRequest, json!({})), "");
        assert!(
            created(&TokenRequest, json!({"spec": {"expirationSeconds": 5}}))
                .ends_with("less than 10 minutes")
        );
    }
}

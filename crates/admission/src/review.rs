//! A request as `admission.k8s.io/v1` writes it: for webhooks, and as `request` in expressions.

use std::time::Duration;

use apimachinery::status::{Cause, Details, Status};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::attributes::Attributes;
use crate::rules::{Served, operation};

/// A step of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The object may be changed.
    Admit,
    /// It is judged.
    Validate,
}

/// What one binding of a validating policy came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check<'a> {
    /// The policy.
    pub policy: &'a str,
    /// Its binding.
    pub binding: &'a str,
    /// `allow`, or what the binding does about what does not hold: `deny`, `warn` or `audit`.
    pub action: &'static str,
    /// `no_error`, or that an expression could not be evaluated.
    pub error: &'static str,
}

/// What only webhooks and expressions ask of a request; made when they do.
pub trait Asker: Sync {
    /// Who asks, as `userInfo`.
    fn user_info(&self) -> Value;
    /// The options of the request: a CreateOptions, UpdateOptions, DeleteOptions, or a connection's; or null.
    fn options(&self) -> Value;
    /// Notes something in the request's audit event.
    fn annotate(&self, _key: &str, _value: &str) {}
    /// Takes how long a plugin, by its place in the chain, took over one step of the request.
    fn ran(&self, _place: usize, _step: Step, _took: Duration, _refused: bool) {}
    /// Takes what one binding of a validating policy came to.
    fn checked(&self, _check: Check<'_>, _took: Duration) {}
}

/// The fields of the request but `uid`, `object` and `oldObject`. `as_version` is under which group and version it is told
/// where that is not its own; `kind` is group, version and kind of the object in the request.
pub fn request(
    attributes: &Attributes,
    asker: &dyn Asker,
    kind: (&str, &str, &str),
    as_version: Option<&Served>,
) -> Map<String, Value> {
    let gvk = |(group, version, kind): (&str, &str, &str)| json!({"group": group, "version": version, "kind": kind});
    let gvr = |group: &str, version: &str, resource: &str| json!({"group": group, "version": version, "resource": resource});
    let own = gvr(attributes.group, attributes.version, attributes.resource);
    // What a subresource takes is the same under every version of the resource.
    let of_resource = kind.0 == attributes.group && kind.1 == attributes.version;
    let (told_kind, told_resource) = match as_version {
        None => (gvk(kind), own.clone()),
        Some(served) => (
            match of_resource {
                true => gvk((&served.group, &served.version, &served.kind)),
                false => gvk(kind),
            },
            gvr(&served.group, &served.version, &served.resource),
        ),
    };
    let mut request = Map::new();
    request.insert("kind".into(), told_kind);
    request.insert("resource".into(), told_resource);
    request.insert("requestKind".into(), gvk(kind));
    request.insert("requestResource".into(), own);
    for (key, text) in [
        ("subResource", attributes.subresource),
        ("requestSubResource", attributes.subresource),
        ("name", attributes.name),
        ("namespace", attributes.namespace),
    ] {
        if !text.is_empty() {
            request.insert(key.into(), text.into());
        }
    }
    request.insert("operation".into(), operation(attributes.operation).into());
    request.insert("userInfo".into(), asker.user_info());
    request.insert("dryRun".into(), attributes.dry_run.into());
    let options = asker.options();
    if !options.is_null() {
        request.insert("options".into(), options);
    }
    request
}

/// The AdmissionReview that a webhook is sent.
pub fn question(
    mut request: Map<String, Value>,
    uid: &str,
    object: Value,
    old: Value,
    version: &str,
) -> Value {
    request.insert("uid".into(), uid.into());
    request.insert("object".into(), object);
    request.insert("oldObject".into(), old);
    json!({"kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "request": request})
}

/// What a webhook answered.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// Whether the request may pass.
    pub allowed: bool,
    /// Why not.
    pub result: Option<Value>,
    /// How the object is to be changed, as a JSON patch.
    pub patch: Option<Vec<u8>>,
    /// For the client.
    pub warnings: Vec<String>,
    /// For the audit log, without the webhook's name.
    pub audit_annotations: Vec<(String, String)>,
}

/// Reads an answer; says in upstream's words what is wrong with it.
pub fn answer(body: &[u8], uid: &str, version: &str, mutating: bool) -> Result<Answer, String> {
    let review: Value = serde_json::from_slice(body)
        .map_err(|error| format!("couldn't get version/kind; json parse error: {error}"))?;
    let response = review.get("response").filter(|response| response.is_object());
    let response = response.ok_or("webhook response was absent")?;
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    let found = (text(&review, "apiVersion"), text(&review, "kind"));
    let v1 = version == "v1";
    if v1 {
        let found_uid = text(response, "uid");
        if found_uid != uid {
            return Err(format!("expected response.uid={uid:?}, got {found_uid:?}"));
        }
        if found.0 != "admission.k8s.io/v1" || found.1 != "AdmissionReview" {
            return Err(format!(
                "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {}, Kind={}",
                found.0, found.1
            ));
        }
    }
    let patch = match response["patch"].as_str().unwrap_or_default() {
        "" => None,
        text => Some(
            BASE64_STANDARD
                .decode(text)
                .map_err(|error| format!("illegal base64 data in response.patch: {error}"))?,
        ),
    };
    let patch_type = response.get("patchType").and_then(Value::as_str);
    match (mutating, &patch, patch_type) {
        (false, Some(_), _) if v1 => return Err("validating webhook may not return response.patch".into()),
        (false, None, Some(_)) if v1 => {
            return Err("validating webhook may not return response.patchType".into());
        }
        (true, Some(_), None) if v1 => {
            return Err("webhook returned response.patch but not response.patchType".into());
        }
        (true, None, Some(_)) if v1 => {
            return Err("webhook returned response.patchType but not response.patch".into());
        }
        (true, Some(_), Some(kind)) if kind != "JSONPatch" => {
            return Err(format!("webhook returned invalid response.patchType of {kind:?}"));
        }
        _ => {}
    }
    let warnings = response["warnings"].as_array().into_iter().flatten();
    let annotations = response["auditAnnotations"].as_object().into_iter().flatten();
    Ok(Answer {
        allowed: response["allowed"].as_bool().unwrap_or(false),
        result: response.get("status").filter(|status| status.is_object()).cloned(),
        patch: patch.filter(|_| mutating),
        warnings: warnings.filter_map(Value::as_str).map(str::to_owned).collect(),
        audit_annotations: annotations
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
    })
}

/// The answer to a client whom a webhook has refused.
pub fn refusal(webhook: &str, result: Option<&Value>) -> Status {
    let none = Value::Null;
    let result = result.unwrap_or(&none);
    let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
    let code = result["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(0);
    let (message, reason) = (text("message"), text("reason"));
    let denied = format!("admission webhook {webhook:?} denied the request");
    let message = match (message.as_str(), reason.as_str()) {
        ("", "") => format!("{denied} without explanation"),
        ("", reason) => format!("{denied}: {reason}"),
        (message, _) => format!("{denied}: {message}"),
    };
    // A refusal is never told as a success.
    let mut status = Status::new(code.max(400), &reason, message);
    let details = &result["details"];
    if details.is_object() {
        let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
        let causes = details["causes"].as_array().into_iter().flatten();
        let cause = |cause: &Value| Cause {
            reason: text(cause, "reason"),
            message: text(cause, "message"),
            field: text(cause, "field"),
        };
        status.details = Some(Box::new(Details {
            name: text(details, "name"),
            group: text(details, "group"),
            kind: text(details, "kind"),
            uid: text(details, "uid"),
            causes: causes.map(cause).collect(),
            retry_after_seconds: details["retryAfterSeconds"]
                .as_i64()
                .and_then(|n| n.try_into().ok())
                .unwrap_or(0),
        }));
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(response: Value, mutating: bool) -> Result<Answer, String> {
        let review =
            json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response});
        answer(review.to_string().as_bytes(), "u", "v1", mutating)
    }

    #[test]
    fn answers_are_checked_as_upstream_checks_them() {
        assert!(read(json!({"uid": "u", "allowed": true}), false).unwrap().allowed);
        let refused = |response: Value, mutating| read(response, mutating).unwrap_err();
        assert_eq!(refused(Value::Null, false), "webhook response was absent");
        assert_eq!(refused(json!({"uid": "v"}), false), "expected response.uid=\"u\", got \"v\"");
        assert_eq!(
            refused(json!({"uid": "u", "patch": "W10="}), true),
            "webhook returned response.patch but not response.patchType"
        );
        assert_eq!(
            refused(json!({"uid": "u", "patch": "W10=", "patchType": "JSONPatch"}), false),
            "validating webhook may not return response.patch"
        );
        let changed =
            read(json!({"uid": "u", "allowed": true, "patch": "W10=", "patchType": "JSONPatch"}), true);
        assert_eq!(changed.unwrap().patch.as_deref(), Some(&b"[]"[..]));
        let old = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1", "response": {"uid": "u"}});
        assert_eq!(
            answer(old.to_string().as_bytes(), "u", "v1", false).unwrap_err(),
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v1beta1, Kind=AdmissionReview"
        );
    }

    #[test]
    fn refusals_carry_the_webhooks_words_code_and_reason() {
        let told = |result: Option<Value>| {
            let status = refusal("a.b.c", result.as_ref());
            (status.code, status.reason, status.message)
        };
        let denied = |words: &str| format!("admission webhook \"a.b.c\" denied the request{words}");
        assert_eq!(told(None), (400, String::new(), denied(" without explanation")));
        assert_eq!(
            told(Some(json!({"code": 403, "reason": "Forbidden", "message": "no"}))),
            (403, "Forbidden".into(), denied(": no"))
        );
        assert_eq!(told(Some(json!({"code": 200, "reason": "x"}))), (400, "x".into(), denied(": x")));
    }
}

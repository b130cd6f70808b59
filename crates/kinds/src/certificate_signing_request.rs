//! CertificateSigningRequests.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::write;
use strategy::{self, Keeps, NameRule, Resets, Strategy, field_text};

/// The rules of CertificateSigningRequests. Who asks (`spec.username`, `uid`, `groups`, `extra`) is set by the
/// server before these rules run, see [`set_requester`].
pub struct CertificateSigningRequest;

const SPEC: Path<'static> = Path::root("spec");
const LONGEST_DOMAIN: usize = 253;
/// A domain, and a path that may be the name of an object and its namespace.
const LONGEST_SIGNER: usize = LONGEST_DOMAIN + 1 + 63 + 1 + 253;
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// Writes who asks into a new request, whatever the client claimed.
pub fn set_requester(object: &mut Value, name: &str, uid: &str, groups: &[String], extra: Value) {
    let spec = write::ensure(object, "spec");
    for (key, value, given) in [
        ("username", json!(name), !name.is_empty()),
        ("uid", json!(uid), !uid.is_empty()),
        ("groups", json!(groups), !groups.is_empty()),
        ("extra", extra.clone(), extra.as_object().is_some_and(|extra| !extra.is_empty())),
    ] {
        if given {
            write::set(spec, key, value);
        } else {
            write::remove(spec, key);
        }
    }
}

impl Strategy for CertificateSigningRequest {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Subdomain
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        write::missing(spec, "usages", json!(["digital signature", "key encipherment"]));
        for condition in write::items(write::ensure(object, "status"), "conditions") {
            write::zero(condition, "status", "True");
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        validate_request(spec, errors);
        let usages_path = SPEC.child("usages");
        let usages = spec.items("usages");
        if usages.is_empty() {
            errors.required(&usages_path, "");
        }
        for (index, usage) in usages.iter().enumerate() {
            if !USAGES.iter().any(|known| usage == known) {
                errors.unsupported(&usages_path.index(index), usage.clone(), &USAGES);
            }
            if usages[..index].contains(usage) {
                errors.duplicate(&usages_path.index(index), usage.clone());
            }
        }
        validate_signer(spec.text("signerName"), &SPEC.child("signerName"), errors);
        if let Some(seconds) = spec.int("expirationSeconds").filter(|seconds| *seconds < 600) {
            errors.invalid(
                &SPEC.child("expirationSeconds"),
                seconds,
                "may not specify a duration less than 600 seconds (10 minutes)",
            );
        }
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        write::copy(new, "spec", old);
        write::copy(new, "status", old);
    }

    fn validate_update(&self, _new: &Value, _old: &Value, _errors: &mut Errors) {}

    fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        strategy::prepare_status_update(new, old);
        // Approval has a subresource of its own.
        let kept = conditions(old, true);
        let mut all = conditions(new, false);
        all.splice(0..0, kept);
        set_conditions(new, all);
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_conditions(new, old, errors);
        let certificate = new["status"].text("certificate");
        let before = old["status"].text("certificate");
        let path = Path::root("status.certificate");
        if !before.is_empty() && certificate != before {
            errors
                .forbidden(&path, "updates may not set certificate content to a different value once issued");
        } else if !certificate.is_empty()
            && before.is_empty()
            && pem_block(certificate, "CERTIFICATE").is_none()
        {
            errors.invalid(&path, "<certificate data>", "must contain one or more PEM blocks");
        }
    }

    fn resets(&self, part: &str) -> Resets {
        match part {
            "approval" => Resets::AllBut(&["metadata", "status.conditions"]),
            "status" => Resets::AllBut(&["metadata", "status"]),
            _ => Resets::Only(&["status"]),
        }
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        (name == "approval").then_some(&Approval)
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.signerName"]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        (name == "spec.signerName").then(|| field_text(object, name))
    }
}

/// Dates conditions that nobody has dated; one that stood as it is before keeps the date of its beginning.
pub(crate) fn date_conditions(new: &mut Value, old: &Value, now: &str) {
    let before = old["status"].items("conditions");
    let Some(status) = write::object(new, "status") else { return };
    for condition in write::items(status, "conditions") {
        write::zero(condition, "lastUpdateTime", now);
        if !condition.has("lastTransitionTime") {
            let same = |other: &&Value| {
                other.has("lastTransitionTime")
                    && ["type", "status"].iter().all(|key| other[*key] == condition[*key])
            };
            let since = before.iter().find(same).map_or(now, |other| other.text("lastTransitionTime"));
            write::set(condition, "lastTransitionTime", since);
        }
    }
}

/// The rules of `certificatesigningrequests/approval`: conditions alone change.
struct Approval;

impl Strategy for Approval {
    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        let all = new["status"].items("conditions").to_vec();
        write::copy(new, "spec", old);
        write::copy(new, "status", old);
        set_conditions(new, all);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_conditions(new, old, errors);
    }
}

/// The conditions of an object: those about approval, or all others.
fn conditions(object: &Value, approval: bool) -> Vec<Value> {
    let about = |condition: &&Value| matches!(condition.text("type"), "Approved" | "Denied") == approval;
    object["status"].items("conditions").iter().filter(about).cloned().collect()
}

fn set_conditions(object: &mut Value, conditions: Vec<Value>) {
    let status = write::ensure(object, "status");
    if conditions.is_empty() {
        write::remove(status, "conditions");
    } else {
        write::set(status, "conditions", Value::Array(conditions));
    }
}

fn validate_conditions(new: &Value, old: &Value, errors: &mut Errors) {
    let path = Path::root("status.conditions");
    let all = new["status"].items("conditions");
    for (index, condition) in all.iter().enumerate() {
        let path = path.index(index);
        let kind = condition.text("type");
        if kind.is_empty() {
            errors.required(&path.child("type"), "");
        }
        let status = condition.text("status");
        if matches!(kind, "Approved" | "Denied" | "Failed") && status != "True" {
            errors.unsupported(&path.child("status"), status, &["True"]);
        }
        if all[..index].iter().any(|other| other.text("type") == kind) {
            errors.duplicate(&path.child("type"), kind);
        }
    }
    let has = |kind: &str| all.iter().any(|condition| condition.text("type") == kind);
    if has("Approved") && has("Denied") {
        errors.invalid(&path, "Denied", "Approved and Denied conditions are mutually exclusive");
    }
    for before in old["status"].items("conditions") {
        let kind = before.text("type");
        if matches!(kind, "Approved" | "Denied" | "Failed") && !all.iter().any(|after| same(after, before)) {
            errors.forbidden(&path, format!("updates may not remove a condition of type {kind:?}"));
        }
    }
}

fn validate_request(spec: &Value, errors: &mut Errors) {
    let request = spec.text("request");
    let path = SPEC.child("request");
    if request.is_empty() {
        errors.required(&path, "");
    } else if pem_block(request, "CERTIFICATE REQUEST").is_none() {
        errors.invalid(&path, request, "PEM block type must be CERTIFICATE REQUEST");
    }
}

/// The content of the first PEM block, when the base64 text holds one of this type.
fn pem_block(base64: &str, kind: &str) -> Option<Vec<u8>> {
    let bytes = BASE64_STANDARD.decode(base64).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let (_, rest) = text.split_once(&format!("-----BEGIN {kind}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {kind}-----"))?;
    let compact: String = body.chars().filter(|character| !character.is_whitespace()).collect();
    BASE64_STANDARD.decode(compact).ok()
}

/// Validates the name of a signer, `example.com/name`.
pub(crate) fn validate_signer(name: &str, path: &Path, errors: &mut Errors) {
    if name.is_empty() {
        errors.required(path, "");
        return;
    }
    let [domain, rest] = name.split('/').collect::<Vec<_>>()[..] else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.invalid(path, name, why);
        return;
    };
    if domain.len() > LONGEST_DOMAIN {
        errors.too_long(path, LONGEST_DOMAIN);
    }
    validate_parts(domain, NameRule::Label, path, errors);
    if !domain.contains('.') {
        errors.invalid(path, domain, "should be a domain with at least two segments separated by dots");
    }
    validate_parts(rest, NameRule::Subdomain, path, errors);
    if name.len() > LONGEST_SIGNER {
        errors.too_long(path, LONGEST_SIGNER);
    }
}

/// Validates what stands between dots, up to the first that is wrong.
fn validate_parts(text: &str, rule: NameRule, path: &Path, errors: &mut Errors) {
    for part in text.split('.') {
        let found = strategy::names::errors(rule, part);
        if !found.is_empty() {
            let found = found.iter().map(|why| format!("validating label {part:?}: {why}"));
            errors.invalid_each(path, &Value::from(text), found);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, found};

    fn request() -> Value {
        let pem = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
        json!({"spec": {"request": BASE64_STANDARD.encode(pem), "signerName": "example.com/a", "usages": ["client auth"]}})
    }

    #[test]
    fn requests_are_complete() {
        assert_eq!(created(&CertificateSigningRequest, request()), "");
        let mut bad = request();
        bad["spec"]["signerName"] = json!("a");
        bad["spec"]["usages"] = json!([]);
        assert_eq!(
            created(&CertificateSigningRequest, bad),
            "spec.usages: Required value\nspec.signerName: Invalid value: \"a\": must be a fully qualified domain and path of the form 'example.com/signer-name'"
        );
    }

    #[test]
    fn signers_are_a_path_in_a_domain() {
        let form = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        let label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
        let subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
        for (signer, expected) in [
            ("example.com/a.b", String::new()),
            ("", "s: Required value".to_owned()),
            ("a/b/c", format!("s: Invalid value: \"a/b/c\": {form}")),
            (
                "example/A.b",
                format!(
                    "s: Invalid value: \"example\": should be a domain with at least two segments separated by dots\n\
                     s: Invalid value: \"A.b\": validating label \"A\": {subdomain}"
                ),
            ),
            ("Ex_.B.com/a", format!("s: Invalid value: \"Ex_.B.com\": validating label \"Ex_\": {label}")),
        ] {
            assert_eq!(
                found(|errors| validate_signer(signer, &Path::root("s"), errors)),
                expected,
                "{signer}"
            );
        }
        let long = format!("{}.com/a", "a.".repeat(125));
        let text = found(|errors| validate_signer(&long, &Path::root("s"), errors));
        assert!(text.starts_with("s: Too long: may not be more than 253 bytes"), "{text}");
    }

    #[test]
    fn approval_is_kept_apart() {
        let old = request();
        let mut new = old.clone();
        new["status"] = json!({"certificate": "x", "conditions": [{"type": "Approved", "status": "True"}]});
        let approval = CertificateSigningRequest.subresource("approval").unwrap();
        let mut approved = new.clone();
        approval.prepare_for_update(&mut approved, &old);
        assert_eq!(approved["status"], json!({"conditions": [{"type": "Approved", "status": "True"}]}));
        assert_eq!(found(|errors| approval.validate_update(&approved, &old, errors)), "");
        let mut status = new;
        CertificateSigningRequest.prepare_status_update(&mut status, &old);
        assert_eq!(status["status"], json!({"certificate": "x"}));
        assert!(
            found(|errors| approval.validate_update(&old, &approved, errors))
                .contains("may not remove a condition of type \"Approved\"")
        );
    }

    #[test]
    fn the_server_says_who_asks() {
        let mut object = request();
        object["spec"]["username"] = json!("somebody else");
        set_requester(&mut object, "jane", "", &["a".to_owned()], Value::Null);
        assert_eq!((&object["spec"]["username"], &object["spec"]["groups"]), (&json!("jane"), &json!(["a"])));
    }

    #[test]
    fn conditions_are_dated_by_the_server() {
        let request = |conditions: Value| json!({"status": {"conditions": conditions}});
        let old = request(
            json!([{"type": "Approved", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]),
        );
        let mut new =
            request(json!([{"type": "Approved", "status": "True"}, {"type": "Other", "status": "True"}]));
        super::Approval.prepare_for_update(&mut new, &old);
        date_conditions(&mut new, &old, "2026-02-02T00:00:00Z");
        let dates: Vec<(&str, &str)> = new["status"]
            .items("conditions")
            .iter()
            .map(|condition| (condition.text("lastUpdateTime"), condition.text("lastTransitionTime")))
            .collect();
        let (then, now) = ("2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z");
        assert_eq!(dates, [(now, then), (now, now)]);
    }
}

//! CertificateSigningRequests.

pub(crate) mod request;

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::pem::Blocks;
use pod_strategy::signers;
use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::write;
use strategy::{self, Keeps, NameRule, Resets, Strategy, field_text};

/// The rules of CertificateSigningRequests. Who asks (`spec.username`, `uid`, `groups`, `extra`) is set by the
/// server before these rules run, see [`set_requester`].
pub struct CertificateSigningRequest;

const SPEC: Path<'static> = Path::root("spec");
const CONDITIONS: Path<'static> = Path::root("status.conditions");
const CERTIFICATE: Path<'static> = Path::root("status.certificate");
/// The conditions that are the subresource `approval`'s.
const APPROVAL: [&str; 2] = ["Approved", "Denied"];
/// The conditions that, once there, say yes and stay.
const LASTING: [&str; 3] = ["Approved", "Denied", "Failed"];
/// A signer that only stored requests may name.
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";
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
        NameRule::PathSegment
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate(object, &Value::Null, errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        write::copy(new, "spec", old);
        write::copy(new, "status", old);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_change(new, old, Through::Itself, errors);
    }

    fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        strategy::prepare_status_update(new, old);
        // Approval has a subresource of its own: each of its conditions stays as it was, if as many are sent.
        let before = old["status"].items("conditions");
        let Some(status) = write::object(new, "status") else { return };
        for kind in APPROVAL {
            let kept: Vec<&Value> =
                before.iter().filter(|condition| condition.text("type") == kind).collect();
            let sent = write::items(status, "conditions");
            let sent: Vec<&mut Value> = sent.filter(|condition| condition.text("type") == kind).collect();
            if sent.len() == kept.len() {
                sent.into_iter().zip(kept).for_each(|(sent, kept)| *sent = kept.clone());
            }
        }
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_change(new, old, Through::Status, errors);
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
        validate_change(new, old, Through::Approval, errors);
    }
}

/// Which part of an object an update came through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Through {
    Itself,
    Approval,
    Status,
}

fn set_conditions(object: &mut Value, conditions: Vec<Value>) {
    let status = write::ensure(object, "status");
    if conditions.is_empty() {
        write::remove(status, "conditions");
    } else {
        write::set(status, "conditions", Value::Array(conditions));
    }
}

/// Validates a whole object. What was wrong with the one before it may stay wrong.
fn validate(object: &Value, old: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    let request = BASE64_STANDARD.decode(spec.text("request")).unwrap_or_default();
    if let Err(why) = request::check(&String::from_utf8_lossy(&request)) {
        errors.invalid(&SPEC.child("request"), spec["request"].clone(), why);
    }
    let usages_path = SPEC.child("usages");
    let usages = spec.items("usages");
    if usages.is_empty() {
        errors.required(&usages_path, "");
    }
    let is_known = |usage: &Value| USAGES.iter().any(|known| usage == known);
    let before = old["spec"].items("usages");
    if before.iter().all(is_known) {
        for (index, usage) in usages.iter().enumerate().filter(|(_, usage)| !is_known(usage)) {
            errors.unsupported(&usages_path.index(index), usage.clone(), &USAGES);
        }
    }
    if repeated(before, |usage| usage).next().is_none() {
        for index in repeated(usages, |usage| usage) {
            errors.duplicate(&usages_path.index(index), usages[index].clone());
        }
    }
    let (signer, signer_path) = (spec.text("signerName"), SPEC.child("signerName"));
    if signer == LEGACY_SIGNER && old["spec"].text("signerName") != LEGACY_SIGNER {
        let why = "the legacy signerName is not allowed via this API version";
        errors.invalid(&signer_path, signer, why);
    } else {
        signers::validate(signer, &signer_path, errors);
    }
    if let Some(seconds) = spec.int("expirationSeconds").filter(|seconds| *seconds < 600) {
        errors.invalid(
            &SPEC.child("expirationSeconds"),
            seconds,
            "may not specify a duration less than 600 seconds (10 minutes)",
        );
    }
    validate_conditions(object, old, errors);
    let (certificate, before) = (object["status"].text("certificate"), old["status"].text("certificate"));
    let stays = !old.is_null() && (certificate == before || certificates_error(before).is_some());
    if let Some(why) = certificates_error(certificate).filter(|_| !stays) {
        errors.invalid(&CERTIFICATE, "<certificate data>", why);
    }
}

/// The places of items whose key an earlier item has.
fn repeated<'a>(items: &'a [Value], key: fn(&Value) -> &Value) -> impl Iterator<Item = usize> + 'a {
    let is_there = move |index: &usize| items[..*index].iter().any(|item| key(item) == key(&items[*index]));
    (0..items.len()).filter(is_there)
}

fn validate_conditions(object: &Value, old: &Value, errors: &mut Errors) {
    let (all, before) = (object["status"].items("conditions"), old["status"].items("conditions"));
    let kind = |condition: &Value| condition.text("type").to_owned();
    let has = |conditions: &[Value], wanted: &str| conditions.iter().any(|found| kind(found) == wanted);
    let takes_empty = has(before, "");
    let takes_both = APPROVAL.iter().all(|kind| has(before, kind));
    let takes_repeated = repeated(before, |condition| &condition["type"]).next().is_some();
    let again: Vec<usize> = repeated(all, |condition| &condition["type"]).collect();
    for (index, condition) in all.iter().enumerate() {
        let path = CONDITIONS.index(index);
        let kind = condition.text("type");
        if kind.is_empty() && !takes_empty {
            errors.required(&path.child("type"), "");
        }
        let allowed: &[&str] =
            if LASTING.contains(&kind) { &["True"] } else { &["False", "True", "Unknown"] };
        match condition.text("status") {
            "" => errors.required(&path.child("status"), ""),
            status if !allowed.contains(&status) => {
                errors.unsupported(&path.child("status"), status, allowed);
            }
            _ => {}
        }
        let contradicts = match kind {
            "Approved" => has(&all[..index], "Denied"),
            "Denied" => has(&all[..index], "Approved"),
            _ => false,
        };
        if contradicts && !takes_both {
            errors.invalid(&CONDITIONS, kind, "Approved and Denied conditions are mutually exclusive");
        }
        if !takes_repeated && again.contains(&index) {
            errors.duplicate(&path.child("type"), kind);
        }
    }
}

/// Validates what has become of an object.
fn validate_change(new: &Value, old: &Value, through: Through, errors: &mut Errors) {
    validate(new, old, errors);
    let of = |object: &Value, kind: &str| -> Vec<Value> {
        let conditions = object["status"].items("conditions").iter();
        conditions.filter(|condition| condition.text("type") == kind).cloned().collect()
    };
    for kind in LASTING {
        if of(new, kind).len() < of(old, kind).len() {
            errors.forbidden(&CONDITIONS, format!("updates may not remove a condition of type {kind:?}"));
        }
    }
    if through != Through::Approval {
        for kind in APPROVAL {
            let (after, before) = (of(new, kind), of(old, kind));
            if after.len() > before.len() {
                errors.forbidden(&CONDITIONS, format!("updates may not add a condition of type {kind:?}"));
            } else if after.len() == before.len() && !same(&after.into(), &before.into()) {
                errors.forbidden(&CONDITIONS, format!("updates may not modify a condition of type {kind:?}"));
            }
        }
    }
    let (certificate, before) = (new["status"].text("certificate"), old["status"].text("certificate"));
    if certificate != before {
        if through != Through::Status {
            errors.forbidden(&CERTIFICATE, "updates may not set certificate content");
        } else if !before.is_empty() {
            errors.forbidden(&CERTIFICATE, "updates may not modify existing certificate content");
        }
    }
}

/// What is wrong with certificates that a signer hands out, in base64 of PEM.
fn certificates_error(base64: &str) -> Option<String> {
    if base64.is_empty() {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(base64).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut blocks = 0;
    for block in Blocks::of(&text) {
        if block.kind != "CERTIFICATE" {
            return Some(format!("only CERTIFICATE PEM blocks are allowed, found {:?}", block.kind));
        }
        if block.has_headers {
            return Some("no PEM block headers are permitted".to_owned());
        }
        if block.der.is_empty() {
            return Some("found CERTIFICATE PEM block containing 0 certificates".to_owned());
        }
        if block.certificate().is_none() {
            return Some("x509: malformed certificate".to_owned());
        }
        blocks += 1;
    }
    (blocks == 0).then(|| "must contain at least one CERTIFICATE PEM block".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, found, updated};

    fn request() -> Value {
        let request = BASE64_STANDARD.encode(request::tests::good());
        json!({"spec": {"request": request, "signerName": "example.com/a", "usages": ["client auth"]}})
    }

    #[test]
    fn requests_are_complete() {
        assert_eq!(created(&CertificateSigningRequest, request()), "");
        let mut bad = request();
        bad["spec"]["signerName"] = json!("a");
        bad["spec"]["usages"] = json!([]);
        bad["spec"]["request"] = json!("AAAA");
        bad["spec"]["expirationSeconds"] = json!(599);
        assert_eq!(
            created(&CertificateSigningRequest, bad.clone()),
            "spec.request: Invalid value: \"AAAA\": PEM block type must be CERTIFICATE REQUEST\n\
             spec.usages: Required value\n\
             spec.signerName: Invalid value: \"a\": must be a fully qualified domain and path of the form 'example.com/signer-name'\n\
             spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)"
        );
        let mut odd = request();
        odd["spec"]["signerName"] = json!(LEGACY_SIGNER);
        odd["spec"]["usages"] = json!(["client auth", "any use", "client auth"]);
        let told = created(&CertificateSigningRequest, odd.clone());
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[0].starts_with("spec.usages[1]: Unsupported value: \"any use\""), "{told}");
        assert_eq!(
            lines[1..],
            [
                "spec.usages[2]: Duplicate value: \"client auth\"",
                "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed via this API version"
            ]
        );
        // What is stored may stay.
        assert_eq!(updated(&CertificateSigningRequest, odd.clone(), odd), "");
    }

    fn conditions(conditions: &[(&str, &str)]) -> Value {
        let conditions: Vec<Value> =
            conditions.iter().map(|(kind, status)| json!({"type": kind, "status": status})).collect();
        json!({"conditions": conditions})
    }

    #[test]
    fn conditions_agree_with_each_other_and_with_those_before() {
        type Conditions = &'static [(&'static str, &'static str)];
        let cases: [(Through, Conditions, Conditions, &str); 15] = [
            (Through::Approval, &[], &[("Approved", "True")], ""),
            (Through::Status, &[], &[("Failed", "True"), ("Other", "Unknown")], ""),
            (
                Through::Approval,
                &[],
                &[("Approved", "False")],
                "status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\"",
            ),
            (
                Through::Status,
                &[],
                &[("Other", "Maybe")],
                "status.conditions[0].status: Unsupported value: \"Maybe\": supported values: \"False\", \"True\", \"Unknown\"",
            ),
            (Through::Status, &[], &[("Other", "")], "status.conditions[0].status: Required value"),
            (Through::Status, &[], &[("", "True")], "status.conditions[0].type: Required value"),
            (Through::Status, &[("", "True")], &[("", "True")], ""),
            (
                Through::Approval,
                &[("Approved", "True")],
                &[("Approved", "True"), ("Denied", "True")],
                "status.conditions: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive",
            ),
            (
                Through::Status,
                &[("Denied", "True"), ("Approved", "True")],
                &[("Denied", "True"), ("Approved", "True")],
                "",
            ),
            (
                Through::Status,
                &[],
                &[("Other", "True"), ("Other", "False")],
                "status.conditions[1].type: Duplicate value: \"Other\"",
            ),
            (
                Through::Approval,
                &[("Approved", "True"), ("Failed", "True")],
                &[],
                "status.conditions: Forbidden: updates may not remove a condition of type \"Approved\"\n\
                 status.conditions: Forbidden: updates may not remove a condition of type \"Failed\"",
            ),
            (
                Through::Status,
                &[],
                &[("Approved", "True")],
                "status.conditions: Forbidden: updates may not add a condition of type \"Approved\"",
            ),
            (Through::Status, &[("Failed", "True")], &[("Failed", "True")], ""),
            (Through::Status, &[("Other", "True")], &[], ""),
            (
                Through::Itself,
                &[],
                &[("Denied", "True")],
                "status.conditions: Forbidden: updates may not add a condition of type \"Denied\"",
            ),
        ];
        for (through, before, after, expected) in cases {
            let (mut old, mut new) = (request(), request());
            old["status"] = conditions(before);
            new["status"] = conditions(after);
            assert_eq!(found(|errors| validate_change(&new, &old, through, errors)), expected, "{after:?}");
        }
        let (mut old, mut new) = (request(), request());
        old["status"] = conditions(&[("Approved", "True")]);
        new["status"] = old["status"].clone();
        new["status"]["conditions"][0]["reason"] = json!("R");
        assert_eq!(
            found(|errors| validate_change(&new, &old, Through::Status, errors)),
            "status.conditions: Forbidden: updates may not modify a condition of type \"Approved\""
        );
        assert_eq!(found(|errors| validate_change(&new, &old, Through::Approval, errors)), "");
    }

    #[test]
    fn certificates_are_given_once() {
        let certificate = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap().cert.pem();
        let key = "-----BEGIN KEY-----\nMAA=\n-----END KEY-----\n";
        let good = BASE64_STANDARD.encode(&certificate);
        let told = |through, before: &str, after: &str| {
            let (mut old, mut new) = (request(), request());
            old["status"] = json!({"certificate": before});
            new["status"] = json!({"certificate": after});
            found(|errors| validate_change(&new, &old, through, errors))
        };
        for (through, before, after, expected) in [
            (Through::Status, String::new(), good.clone(), ""),
            (Through::Status, good.clone(), good.clone(), ""),
            (Through::Status, "AAAA".to_owned(), "AAAA".to_owned(), ""),
            (
                Through::Approval,
                String::new(),
                good.clone(),
                "status.certificate: Forbidden: updates may not set certificate content",
            ),
            (
                Through::Status,
                good.clone(),
                String::new(),
                "status.certificate: Forbidden: updates may not modify existing certificate content",
            ),
            (
                Through::Status,
                String::new(),
                "AAAA".to_owned(),
                "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block",
            ),
            (
                Through::Status,
                String::new(),
                BASE64_STANDARD.encode(format!("{certificate}{key}")),
                "status.certificate: Invalid value: \"<certificate data>\": only CERTIFICATE PEM blocks are allowed, found \"KEY\"",
            ),
            (
                Through::Status,
                String::new(),
                BASE64_STANDARD
                    .encode(certificate.replace("CERTIFICATE-----\nM", "CERTIFICATE-----\na: b\n\nM")),
                "status.certificate: Invalid value: \"<certificate data>\": no PEM block headers are permitted",
            ),
            (
                Through::Status,
                String::new(),
                BASE64_STANDARD.encode(key.replace("KEY", "CERTIFICATE")),
                "status.certificate: Invalid value: \"<certificate data>\": x509: malformed certificate",
            ),
        ] {
            assert_eq!(told(through, &before, &after), expected, "{before} {after}");
        }
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
        // A status keeps the approval as it was, but cannot make or end it unnoticed.
        let mut status = json!({"status": {"certificate": "x",
            "conditions": [{"type": "Approved", "status": "True", "reason": "Mine"}, {"type": "Other", "status": "True"}]}});
        CertificateSigningRequest.prepare_status_update(&mut status, &approved);
        assert_eq!(
            status["status"],
            json!({"certificate": "x", "conditions": [{"type": "Approved", "status": "True"}, {"type": "Other", "status": "True"}]})
        );
        let mut status = new;
        CertificateSigningRequest.prepare_status_update(&mut status, &old);
        assert_eq!(status["status"]["conditions"][0]["type"], "Approved");
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

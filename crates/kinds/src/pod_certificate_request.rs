//! PodCertificateRequests: a kubelet asks for a certificate that one of its pods is known by.

mod issued;
pub(crate) mod key;

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use self::key::Key;
use crate::certificate_signing_request::request;
use crate::conditions;
use pod_strategy::signers;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::write;
use strategy::{Keeps, NameRule, Strategy, field_text};

/// The rules of PodCertificateRequests: what is asked for is said once, and answered once.
pub struct PodCertificateRequest;

const SPEC: Path<'static> = Path::root("spec");
const STATUS: Path<'static> = Path::root("status");
const CONDITIONS: Path<'static> = Path::root("status.conditions");
/// The conditions that answer a request for good.
const ANSWERS: [&str; 3] = ["Issued", "Denied", "Failed"];
const LONGEST_UID: usize = 128;
const LONGEST_KEY: usize = 10 * 1024;
const LONGEST_PROOF: usize = 10 * 1024;
const LONGEST_ANNOTATIONS: usize = 256 * 1024;
const SHORTEST_LIFE: i64 = 60 * 60;
/// The longest life of certificates of the cluster's own signers, and of others'.
const LONGEST_OWN_LIFE: i64 = 24 * 60 * 60;
const LONGEST_LIFE: i64 = 91 * LONGEST_OWN_LIFE;

impl Strategy for PodCertificateRequest {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn default(&self, object: &mut Value) {
        write::missing(write::ensure(object, "spec"), "maxExpirationSeconds", LONGEST_OWN_LIFE);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        let signer = spec.text("signerName");
        signers::validate(signer, &SPEC.child("signerName"), errors);
        validate_annotations(spec, &SPEC.child("unverifiedUserAnnotations"), errors);
        for (name, uid) in
            [("podName", "podUID"), ("serviceAccountName", "serviceAccountUID"), ("nodeName", "nodeUID")]
        {
            let found = names::errors(NameRule::Subdomain, spec.text(name));
            errors.invalid_each(&SPEC.child(name), &Value::from(spec.text(name)), found);
            let length = spec.text(uid).len();
            if length == 0 {
                errors.invalid(&SPEC.child(uid), "", "must not be empty");
            } else if length > LONGEST_UID {
                errors.too_long(&SPEC.child(uid), LONGEST_UID);
            }
        }
        let life_path = SPEC.child("maxExpirationSeconds");
        let longest = if signers::is_own(signer) { LONGEST_OWN_LIFE } else { LONGEST_LIFE };
        match spec.int("maxExpirationSeconds") {
            None => {
                errors.required(&life_path, "must be set");
                return;
            }
            Some(life) if !(SHORTEST_LIFE..=longest).contains(&life) => {
                errors.invalid(
                    &life_path,
                    life,
                    format!("must be in the range [{SHORTEST_LIFE}, {longest}]"),
                );
            }
            Some(_) => {}
        }
        validate_proof(spec, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        errors.immutable(&SPEC, &new["spec"], &old["spec"]);
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (status, before) = (&new["status"], &old["status"]);
        validate_answers(status.items("conditions"), errors);
        if !errors.is_empty() {
            return;
        }
        match (answer(before), answer(status)) {
            (Some(_), _) if !same(status, before) => {
                let why = "immutable after PodCertificateRequest is issued, denied, or failed";
                errors.invalid_unshown(&STATUS, why);
            }
            (Some(_), _) => {}
            (None, Some("Issued")) => issued::validate(status, &old["spec"], errors),
            (None, Some(_)) => {
                if !same(status, &json!({"conditions": status["conditions"]})) {
                    let why = "non-condition status fields must be empty when denying or failing the PodCertificateRequest";
                    errors.invalid_unshown(&STATUS, why);
                }
            }
            (None, None) => {
                if !same(status, before) {
                    let why =
                        "status is immutable unless transitioning to \"Issued\", \"Denied\", or \"Failed\"";
                    errors.invalid_unshown(&STATUS, why);
                }
            }
        }
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.nodeName", "spec.signerName"]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        self.selectable_fields().contains(&name).then(|| field_text(object, name))
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

/// What is wrong with the status of a request that is answered at this time, beside what holds at all times.
pub(crate) fn validate_status_at(new: &Value, old: &Value, now: Timestamp, errors: &mut Errors) {
    if answer(&old["status"]).is_none() && answer(&new["status"]) == Some("Issued") {
        issued::validate_beginning(&new["status"], now, errors);
    }
}

/// The bytes that a field holds in base64.
fn decoded(spec: &Value, key: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(spec.text(key)).ok()
}

/// Validates what a pod's author tells its signer: each key begins with a domain. Their case does not count.
fn validate_annotations(spec: &Value, path: &Path, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in spec.entries("unverifiedUserAnnotations") {
        let lower = key.to_lowercase();
        let found = names::qualified_name_errors(&lower);
        if lower.is_empty() {
            errors.required(path, "");
        } else if !found.is_empty() {
            errors.invalid_each(path, &Value::from(lower), found);
        } else if !lower.contains('/') {
            errors.invalid(path, lower, "must be a domain-prefixed key (such as \"acme.io/foo\")");
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > LONGEST_ANNOTATIONS {
        errors.too_long(path, LONGEST_ANNOTATIONS);
    }
}

/// Validates the key, and that who asks for its certificate holds it: it has signed a request of PKCS #10, or the pod's
/// UID.
fn validate_proof(spec: &Value, errors: &mut Errors) {
    const STUB: &str = "stubPKCS10Request";
    let [stub, key, proof] =
        [STUB, "pkixPublicKey", "proofOfPossession"].map(|name| decoded(spec, name).unwrap_or_default());
    for (name, bytes, longest) in [
        (STUB, &stub, LONGEST_KEY),
        ("pkixPublicKey", &key, LONGEST_KEY),
        ("proofOfPossession", &proof, LONGEST_PROOF),
    ] {
        if bytes.len() > longest {
            errors.too_long(&SPEC.child(name), longest);
            return;
        }
    }
    match (stub.is_empty(), key.is_empty(), proof.is_empty()) {
        (false, true, true) => {
            let path = SPEC.child(STUB);
            let Some((key, signature)) = request::key_of(&stub) else {
                errors.invalid(&path, spec[STUB].clone(), "must be a valid PKCS#10 CSR");
                return;
            };
            if validate_kind(&key, &spec[STUB], &path, errors) && signature.is_err() {
                errors.invalid(&path, spec[STUB].clone(), "could not verify CSR signature");
            }
        }
        (true, false, false) => {
            let path = SPEC.child("pkixPublicKey");
            let Some(key) = Key::read(&key) else {
                let why = "must be a valid PKIX-serialized public key";
                errors.invalid(&path, spec["pkixPublicKey"].clone(), why);
                return;
            };
            let has_signed = || key.has_signed(spec.text("podUID").as_bytes(), &proof);
            if validate_kind(&key, &spec["pkixPublicKey"], &path, errors) && !has_signed() {
                let why = "could not verify proof-of-possession signature";
                errors.invalid_unshown(&SPEC.child("proofOfPossession"), why);
            }
        }
        _ => {
            let why = "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set";
            errors.invalid_unshown(&SPEC, why);
        }
    }
}

/// Whether a key is of a kind for which certificates are made.
fn validate_kind(key: &Key, given: &Value, path: &Path, errors: &mut Errors) -> bool {
    match key {
        Key::Other => {
            let why = "unknown public key type; supported types are Ed25519, ECDSA, and RSA";
            errors.invalid(path, given.clone(), why);
        }
        Key::Curve(name) => {
            let why = "elliptic public keys must use curve P256 or P384";
            errors.invalid(path, format!("curve {name}"), why);
        }
        Key::Rsa(modulus, _) if !matches!(Key::modulus_bits(modulus), 3072 | 4096) => {
            let shown = format!("{}-bit modulus", Key::modulus_bits(modulus));
            errors.invalid(path, shown, "RSA keys must have modulus size 3072 or 4096");
        }
        _ => return true,
    }
    false
}

/// The key that a certificate is asked for.
fn asked_key(spec: &Value) -> Option<Key> {
    match decoded(spec, "stubPKCS10Request").filter(|stub| !stub.is_empty()) {
        Some(stub) => request::key_of(&stub).map(|(key, _)| key),
        None => decoded(spec, "pkixPublicKey").as_deref().and_then(Key::read),
    }
}

/// How a request is answered, if it is.
fn answer(status: &Value) -> Option<&'static str> {
    let conditions = status.items("conditions");
    ANSWERS.into_iter().find(|kind| {
        conditions
            .iter()
            .any(|condition| condition.text("type") == *kind && condition.text("status") == "True")
    })
}

/// Validates conditions: one answer at most, and nothing else.
fn validate_answers(conditions: &[Value], errors: &mut Errors) {
    let mut answers = 0;
    for (index, condition) in conditions.iter().enumerate() {
        // Upstream's path has this dot.
        let place = format!("[{index}]");
        let path = CONDITIONS.child(&place);
        let kind = condition.text("type");
        if !ANSWERS.contains(&kind) {
            errors.unsupported(&path.child("type"), kind, &ANSWERS);
            continue;
        }
        answers += 1;
        if answers > 1 {
            let why = "There may be at most one condition with type \"Issued\", \"Denied\", or \"Failed\"";
            errors.invalid(&path.child("type"), kind, why);
        }
        if condition.text("status") != "True" {
            errors.unsupported(&path.child("status"), condition.text("status"), &["True"]);
        }
    }
    conditions::validate(conditions, &CONDITIONS, errors);
}

#[cfg(test)]
mod tests {
    use super::key::tests::{PAIRS, UID};
    use super::*;
    use strategy::testing::{created, found, updated};

    fn request(signer: &str, life: i64) -> Value {
        let (_, key, proof) = PAIRS[0];
        json!({"spec": {"signerName": signer, "podName": "p", "podUID": UID, "serviceAccountName": "s",
            "serviceAccountUID": "2", "nodeName": "w1", "nodeUID": "3", "maxExpirationSeconds": life,
            "pkixPublicKey": key, "proofOfPossession": proof}})
    }

    #[test]
    fn requests_say_for_whom_and_for_how_long() {
        assert_eq!(created(&PodCertificateRequest, request("a.example/s", 7_862_400)), "");
        for signer in ["kubernetes.io/kube-apiserver-client-pod", "x.kubernetes.io/y"] {
            assert_eq!(
                created(&PodCertificateRequest, request(signer, 7_862_400)),
                "spec.maxExpirationSeconds: Invalid value: 7862400: must be in the range [3600, 86400]"
            );
        }
        let mut bare = request("a.example/s", 3600);
        bare["spec"]["nodeUID"] = json!("");
        bare["spec"]["serviceAccountUID"] = json!("x".repeat(129));
        assert_eq!(
            created(&PodCertificateRequest, bare),
            "spec.serviceAccountUID: Too long: may not be more than 128 bytes\n\
             spec.nodeUID: Invalid value: \"\": must not be empty"
        );
        assert!(
            updated(&PodCertificateRequest, request("a.example/s", 7200), request("a.example/s", 3600))
                .ends_with("field is immutable")
        );
    }

    #[test]
    fn who_asks_proves_that_the_key_is_theirs() {
        let unproven =
            "spec.proofOfPossession: Invalid value: could not verify proof-of-possession signature";
        for (name, key, proof) in PAIRS {
            let mut asked = request("a.example/s", 3600);
            asked["spec"]["pkixPublicKey"] = json!(key);
            // What signs nothing comes with some proof.
            asked["spec"]["proofOfPossession"] = json!(if proof.is_empty() { "AAAA" } else { proof });
            let told = created(&PodCertificateRequest, asked.clone());
            let expected = match name {
                "RSA, PKCS #1" => unproven.to_owned(),
                "RSA, 2048 bits" => "spec.pkixPublicKey: Invalid value: \"2048-bit modulus\": RSA keys must have modulus size 3072 or 4096".to_owned(),
                "P-224" => format!("spec.pkixPublicKey: Invalid value: \"curve {name}\": elliptic public keys must use curve P256 or P384"),
                "X25519" => format!("spec.pkixPublicKey: Invalid value: \"{key}\": unknown public key type; supported types are Ed25519, ECDSA, and RSA"),
                "no key" => "spec.pkixPublicKey: Invalid value: \"AQID\": must be a valid PKIX-serialized public key".to_owned(),
                _ => String::new(),
            };
            assert_eq!(told, expected, "{name}");
            if expected.is_empty() {
                asked["spec"]["podUID"] = json!("another");
                assert_eq!(created(&PodCertificateRequest, asked), unproven, "{name}");
            }
        }
        for (field, name) in [("pkixPublicKey", "pkixPublicKey"), ("proofOfPossession", "proofOfPossession")]
        {
            let mut asked = request("a.example/s", 3600);
            asked["spec"][field] = json!(BASE64_STANDARD.encode([0; LONGEST_KEY + 1]));
            let told = created(&PodCertificateRequest, asked);
            assert_eq!(told, format!("spec.{name}: Too long: may not be more than 10240 bytes"));
        }
    }

    fn condition(kind: &str) -> Value {
        json!({"type": kind, "status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    fn status(kinds: &[&str]) -> Value {
        let conditions: Vec<Value> = kinds.iter().map(|kind| condition(kind)).collect();
        json!({"status": {"conditions": conditions}})
    }

    fn told(new: &Value, old: &Value) -> String {
        found(|errors| PodCertificateRequest.validate_status_update(new, old, errors))
    }

    #[test]
    fn a_request_is_answered_once() {
        let open = json!({});
        assert_eq!(told(&status(&["Denied"]), &open), "");
        assert_eq!(
            told(&status(&["Issued", "Denied"]), &open),
            "status.conditions.[1].type: Invalid value: \"Denied\": There may be at most one condition with type \"Issued\", \"Denied\", or \"Failed\""
        );
        assert_eq!(
            told(&status(&["Odd"]), &open),
            "status.conditions.[0].type: Unsupported value: \"Odd\": supported values: \"Issued\", \"Denied\", \"Failed\""
        );
        let mut unsure = status(&["Failed"]);
        unsure["status"]["conditions"][0]["status"] = json!("Unknown");
        unsure["status"]["conditions"][0]["reason"] = json!("");
        assert_eq!(
            told(&unsure, &open),
            "status.conditions.[0].status: Unsupported value: \"Unknown\": supported values: \"True\"\n\
             status.conditions[0].reason: Required value: must be set"
        );
        let mut more = status(&["Denied"]);
        more["status"]["certificateChain"] = json!("x");
        assert_eq!(
            told(&more, &open),
            "status: Invalid value: non-condition status fields must be empty when denying or failing the PodCertificateRequest"
        );
        assert_eq!(told(&status(&["Denied"]), &status(&["Denied"])), "");
        for later in [&[][..], &["Issued"], &["Failed"]] {
            assert_eq!(
                told(&status(later), &status(&["Denied"])),
                "status: Invalid value: immutable after PodCertificateRequest is issued, denied, or failed"
            );
        }
        assert_eq!(
            told(&json!({"status": {"certificateChain": "x"}}), &open),
            "status: Invalid value: status is immutable unless transitioning to \"Issued\", \"Denied\", or \"Failed\""
        );
        assert!(told(&status(&["Issued"]), &open).contains("must contain at least one certificate"));
    }

    #[test]
    fn an_answer_leaves_everything_else_as_it_was() {
        let old = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"podName": "p"}});
        let mut new = status(&["Denied"]);
        new["metadata"] = json!({"labels": {"a": "c"}, "finalizers": ["x"]});
        new["spec"] = json!({"podName": "q"});
        PodCertificateRequest.prepare_status_update(&mut new, &old);
        assert_eq!((&new["metadata"], &new["spec"]), (&old["metadata"], &old["spec"]));
        assert_eq!(new["status"], status(&["Denied"])["status"]);
    }

    #[test]
    fn only_an_answer_depends_on_the_time() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |new: &Value, old: &Value| found(|errors| validate_status_at(new, old, now, errors));
        let mut issued = status(&["Issued"]);
        issued["status"]["notBefore"] = json!("2026-01-01T01:00:00Z");
        assert!(check(&issued, &json!({})).contains("within 5 minutes"));
        assert_eq!(check(&issued, &issued), "");
        issued["status"]["notBefore"] = json!("2026-01-01T00:01:00Z");
        assert_eq!(check(&issued, &json!({})), "");
    }
}

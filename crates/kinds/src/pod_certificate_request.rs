//! PodCertificateRequests: a kubelet asks for a certificate that one of its pods is known by.

use std::borrow::Cow;

use serde_json::Value;

use crate::certificate_signing_request::validate_signer;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::{Keeps, NameRule, Strategy, field_text};

/// The rules of PodCertificateRequests: what is asked for is said once.
pub struct PodCertificateRequest;

const SPEC: Path<'static> = Path::root("spec");
const CONDITIONS: Path<'static> = Path::root("status.conditions");
const LONGEST_UID: usize = 128;
const SHORTEST_LIFE: i64 = 60 * 60;
/// The longest life of certificates of the cluster's own signers, and of others'.
const LONGEST_OWN_LIFE: i64 = 24 * 60 * 60;
const LONGEST_LIFE: i64 = 91 * LONGEST_OWN_LIFE;

impl Strategy for PodCertificateRequest {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        let signer = spec.text("signerName");
        validate_signer(signer, &SPEC.child("signerName"), errors);
        for key in ["podName", "serviceAccountName", "nodeName"] {
            let found = names::errors(NameRule::Subdomain, spec.text(key));
            errors.invalid_each(&SPEC.child(key), &Value::from(spec.text(key)), found);
        }
        for key in ["podUID", "serviceAccountUID", "nodeUID"] {
            let uid = spec.text(key);
            if uid.is_empty() {
                errors.required(&SPEC.child(key), "");
            } else if uid.len() > LONGEST_UID {
                errors.too_long(&SPEC.child(key), LONGEST_UID);
            }
        }
        let life_path = SPEC.child("maxExpirationSeconds");
        let own = signer.starts_with("kubernetes.io/");
        let longest = if own { LONGEST_OWN_LIFE } else { LONGEST_LIFE };
        match spec.int("maxExpirationSeconds") {
            None => errors.required(&life_path, "must be set"),
            Some(life) if !(SHORTEST_LIFE..=longest).contains(&life) => {
                errors.invalid(
                    &life_path,
                    life,
                    format!("must be in the range [{SHORTEST_LIFE}, {longest}]"),
                );
            }
            Some(_) => {}
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        errors.immutable(&SPEC, &new["spec"], &old["spec"]);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        let conditions = new["status"].items("conditions");
        let mut settled = 0;
        for (index, condition) in conditions.iter().enumerate() {
            let path = CONDITIONS.index(index);
            let kind = condition.text("type");
            if !matches!(kind, "Issued" | "Denied" | "Failed") {
                errors.unsupported(&path.child("type"), kind, &["Denied", "Failed", "Issued"]);
                continue;
            }
            settled += 1;
            if condition.text("status") != "True" {
                errors.unsupported(&path.child("status"), condition.text("status"), &["True"]);
            }
        }
        if settled > 1 {
            let why = "There may be at most one condition with type \"Issued\", \"Denied\", or \"Failed\"";
            errors.invalid(&CONDITIONS, Value::Array(conditions.to_vec()), why);
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, found, updated};

    fn request(signer: &str, life: i64) -> Value {
        json!({"spec": {"signerName": signer, "podName": "p", "podUID": "1", "serviceAccountName": "s",
            "serviceAccountUID": "2", "nodeName": "w1", "nodeUID": "3", "maxExpirationSeconds": life}})
    }

    #[test]
    fn requests_say_for_whom_and_for_how_long() {
        assert_eq!(created(&PodCertificateRequest, request("a.example/s", 7_862_400)), "");
        assert_eq!(
            created(&PodCertificateRequest, request("kubernetes.io/kube-apiserver-client-pod", 7_862_400)),
            "spec.maxExpirationSeconds: Invalid value: 7862400: must be in the range [3600, 86400]"
        );
        let mut bare = request("a.example/s", 3600);
        bare["spec"]["podUID"] = json!("");
        assert_eq!(created(&PodCertificateRequest, bare), "spec.podUID: Required value");
        assert!(
            updated(&PodCertificateRequest, request("a.example/s", 7200), request("a.example/s", 3600))
                .ends_with("field is immutable")
        );
    }

    #[test]
    fn a_request_is_settled_once() {
        let status = |kinds: &[&str]| {
            let conditions: Vec<Value> =
                kinds.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
            json!({"status": {"conditions": conditions}})
        };
        let check = |kinds: &[&str]| {
            found(|errors| PodCertificateRequest.validate_status_update(&status(kinds), &Value::Null, errors))
        };
        assert_eq!(check(&["Issued"]), "");
        assert!(check(&["Issued", "Denied"]).contains("at most one condition"));
        assert!(check(&["Odd"]).starts_with("status.conditions[0].type: Unsupported value: \"Odd\""));
    }
}

//! Administrative access to devices, which only some namespaces give.

use apimachinery::{FieldError, Status};
use serde_json::Value;

use strategy::field::Path;
use strategy::read::Read;

use super::SPEC;

/// The label of a namespace whose claims may have administrative access to devices, by the value `true`.
const LABEL: &str = "resource.kubernetes.io/admin-access";

/// The field of a new claim or template, or of a claim's changed status, by which it has administrative access to a
/// device. Old is null for what is new.
pub fn asked_admin_access(kind: &str, new: &Value, old: &Value) -> Option<String> {
    if !old.is_null() {
        // What is allotted stays, so what was granted is not judged again.
        return match (kind, granted(old)) {
            ("ResourceClaim", None) => granted(new),
            _ => None,
        };
    }
    let spec = match kind {
        "ResourceClaim" => &new["spec"],
        "ResourceClaimTemplate" => &new["spec"]["spec"],
        _ => return None,
    };
    let requests = spec["devices"].items("requests");
    let at = requests.iter().position(|request| request["exactly"].flag("adminAccess") == Some(true))?;
    Some(SPEC.child("devices").child("requests").index(at).child("adminAccess").to_string())
}

fn granted(claim: &Value) -> Option<String> {
    let devices = &claim["status"]["allocation"]["devices"];
    let at = devices.items("results").iter().position(|result| result.flag("adminAccess") == Some(true))?;
    let path = Path::root("status");
    Some(
        path.child("allocation").child("devices").child("results").index(at).child("adminAccess").to_string(),
    )
}

/// What is wrong with administrative access that this field asks for in the namespace of this name.
pub fn judge_admin_access(field: String, name: &str, namespace: Option<&Value>) -> Option<FieldError> {
    let Some(namespace) = namespace else {
        let why = Status::not_found("", "namespaces", name).message;
        let why = format!("could not retrieve namespace to verify admin access: {why}");
        return Some(FieldError::internal(field, why));
    };
    if namespace["metadata"]["labels"].text(LABEL) == "true" {
        return None;
    }
    let why =
        format!("admin access to devices requires the `{LABEL}: true` label on the containing namespace");
    Some(FieldError::forbidden(field, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn administrative_access_is_found_where_it_is_asked_for() {
        let spec = |last: Value| json!({"devices": {"requests": [{"name": "a"}, {"exactly": {"adminAccess": false}}, last]}});
        let admin = || spec(json!({"exactly": {"adminAccess": true}}));
        let plain = || spec(json!({"firstAvailable": [{"adminAccess": true}]}));
        let claim = |spec: Value| json!({"spec": spec});
        let template = |spec: Value| json!({"spec": {"spec": spec}});
        let status = |admin: bool| json!({"spec": {}, "status": {"allocation": {"devices": {"results": [{}, {"adminAccess": admin}]}}}});
        let asked = Some("spec.devices.requests[2].adminAccess");
        let granted = Some("status.allocation.devices.results[1].adminAccess");
        for (kind, new, old, expected) in [
            ("ResourceClaim", claim(admin()), Value::Null, asked),
            ("ResourceClaim", claim(plain()), Value::Null, None),
            ("ResourceClaim", claim(admin()), claim(admin()), None),
            ("ResourceClaim", status(true), Value::Null, None),
            ("ResourceClaim", status(true), claim(admin()), granted),
            ("ResourceClaim", status(true), status(true), None),
            ("ResourceClaim", status(false), claim(admin()), None),
            ("ResourceClaimTemplate", template(admin()), Value::Null, asked),
            ("ResourceClaimTemplate", template(plain()), Value::Null, None),
            ("ResourceClaimTemplate", template(admin()), template(plain()), None),
            ("DeviceClass", claim(admin()), Value::Null, None),
            ("ResourceClaim", json!({"spec": [3]}), Value::Null, None),
        ] {
            assert_eq!(asked_admin_access(kind, &new, &old).as_deref(), expected, "{kind} {new} {old}");
        }
    }

    #[test]
    fn namespaces_give_administrative_access_by_a_label() {
        let judged = |namespace: Option<Value>| judge_admin_access("f".into(), "a", namespace.as_ref());
        let labelled = |value: &str| json!({"metadata": {"labels": {LABEL: value}}});
        assert_eq!(judged(Some(labelled("true"))), None);
        let forbidden = "Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace";
        for (namespace, expected) in [
            (Some(labelled("false")), forbidden),
            (Some(json!({"metadata": {}})), forbidden),
            (
                None,
                "Internal error: could not retrieve namespace to verify admin access: namespaces \"a\" not found",
            ),
        ] {
            assert_eq!(judged(namespace).unwrap().body(), expected);
        }
    }
}

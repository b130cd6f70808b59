//! APIServices.

use apimachinery::names::{dns1035_label_errors, dns1123_subdomain_errors};
use serde_json::{Value, json};

use crate::secret::decoded_len;
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of APIServices.
pub struct ApiService;

const SPEC: Path<'static> = Path::root("spec");

impl Strategy for ApiService {
    fn takes_any_finalizer(&self) -> bool {
        true
    }

    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn default(&self, object: &mut Value) {
        if let Some(service) = write::object(object, "spec").and_then(|spec| write::object(spec, "service")) {
            write::missing(service, "port", 443);
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        let name = object["metadata"].text("name");
        let (group, version) = (spec.text("group"), spec.text("version"));
        let required = format!("{version}.{group}");
        // What is no name at all is told of with the rest of the metadata.
        if name != required && strategy::names::errors(NameRule::PathSegment, name).is_empty() {
            errors.invalid(
                &Path::root("metadata.name"),
                name,
                format!("must be `spec.version+\".\"+spec.group`: {required:?}"),
            );
        }
        if !group.is_empty() {
            errors.invalid_each(&SPEC.child("group"), &spec["group"], dns1123_subdomain_errors(group));
        } else if version != "v1" {
            let why = "only v1 may have an empty group and it better be legacy kube";
            errors.required(&SPEC.child("group"), why);
        }
        errors.invalid_each(&SPEC.child("version"), &Value::from(version), dns1035_label_errors(version));
        for (key, most) in [("groupPriorityMinimum", 20000), ("versionPriority", 1000)] {
            let value = spec.int(key).unwrap_or(0);
            if value <= 0 || value > most {
                errors.invalid(&SPEC.child(key), value, format!("must be positive and less than {}", most));
            }
        }
        let service_path = SPEC.child("service");
        if spec.has("service") {
            for key in ["namespace", "name"] {
                if spec["service"].text(key).is_empty() {
                    errors.required(&service_path.child(key), "");
                }
            }
            if let Some(port) = spec["service"].int("port").filter(|port| !(1..=65535).contains(port)) {
                errors.invalid(
                    &service_path.child("port"),
                    port,
                    "port is not valid: must be between 1 and 65535, inclusive",
                );
            }
            if spec.flag("insecureSkipTLSVerify") == Some(true) && !spec.text("caBundle").is_empty() {
                errors.invalid(
                    &SPEC.child("insecureSkipTLSVerify"),
                    true,
                    "may not be true if caBundle is present",
                );
            }
        } else {
            if !spec.text("caBundle").is_empty() {
                let size = format!("{} bytes", decoded_len(spec.text("caBundle")));
                errors.invalid(&SPEC.child("caBundle"), size, "local APIServices may not have a caBundle");
            }
            if spec.flag("insecureSkipTLSVerify") == Some(true) {
                errors.invalid(
                    &SPEC.child("insecureSkipTLSVerify"),
                    true,
                    "local APIServices may not have insecureSkipTLSVerify",
                );
            }
        }
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        let status_path = Path::root("status");
        let path = status_path.child("conditions");
        for (index, condition) in new["status"].items("conditions").iter().enumerate() {
            let status = condition.text("status");
            if !matches!(status, "True" | "False" | "Unknown") {
                let path = path.index(index);
                errors.unsupported(&path.child("status"), status, &["True", "False", "Unknown"]);
            }
        }
    }
}

/// Says of a new APIService of what this server serves itself that it is there.
pub(crate) fn mark_local(object: &mut Value, now: &str) {
    if object["spec"].has("service") {
        return;
    }
    let condition = json!({"type": "Available", "status": "True", "lastTransitionTime": now, "reason": "Local",
        "message": "Local APIServices are always available"});
    write::set(write::ensure(object, "status"), "conditions", vec![condition]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_here_is_available_from_the_start() {
        let mut local = json!({"spec": {"group": "apps", "version": "v1"}, "status": {}});
        mark_local(&mut local, "now");
        let condition = &local["status"]["conditions"][0];
        assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!("Local")));
        let elsewhere = json!({"spec": {"service": {}}, "status": {}});
        let mut marked = elsewhere.clone();
        mark_local(&mut marked, "now");
        assert_eq!(marked, elsewhere);
    }
}

//! APIServices.

use serde_json::Value;

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
        let required = format!("{}.{}", spec.text("version"), spec.text("group"));
        if name != required {
            errors.invalid(
                &Path::root("metadata.name"),
                name,
                format!("must be `spec.version+\".\"+spec.group`: {required:?}"),
            );
        }
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
                errors.invalid(&SPEC.child("caBundle"), "", "local APIServices may not have a caBundle");
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
}

//! StorageVersionMigrations.

use apimachinery::names::{dns1035_label_errors, dns1123_subdomain_errors};
use serde_json::Value;

use crate::conditions;
use strategy::field::{Errors, IMMUTABLE, Path};
use strategy::read::Read;
use strategy::{Keeps, Strategy};

/// The rules of StorageVersionMigrations: what to migrate is said once.
pub struct StorageVersionMigration;

const SPEC: Path<'static> = Path::root("spec");
const STATUS: Path<'static> = Path::root("status");

impl Strategy for StorageVersionMigration {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let (spec, path) = (&object["spec"]["resource"], SPEC.child("resource"));
        let (resource, group) = (spec.text("resource"), spec.text("group"));
        let found = dns1035_label_errors(resource);
        if resource.is_empty() {
            errors.required(&path.child("resource"), "resource is required to be set");
        } else if !found.is_empty() {
            errors.invalid(&path.child("resource"), resource, found.join(","));
        }
        let found = dns1123_subdomain_errors(group);
        if !group.is_empty() && !found.is_empty() {
            errors.invalid(&path.child("group"), group, found.join(","));
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        errors.immutable(&SPEC, &new["spec"], &old["spec"]);
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (status, before) = (&new["status"], &old["status"]);
        let (version, path) = (status.text("resourceVersion"), STATUS.child("resourceVersion"));
        if let Some(why) = version_error(version) {
            errors.invalid(&path, version, why);
        }
        let (list, conditions_path) = (status.items("conditions"), STATUS.child("conditions"));
        conditions::validate(list, &conditions_path, errors);
        if !before.text("resourceVersion").is_empty() && before.text("resourceVersion") != version {
            errors.invalid(&path, version, IMMUTABLE);
        }
        let [succeeded, failed, running] =
            ["Succeeded", "Failed", "Running"].map(|kind| is_true(status, kind));
        for (is_wrong, why) in [
            (succeeded && failed, "Both success and failed conditions cannot be true at the same time"),
            (succeeded && running, "Running condition cannot be true when success condition is true"),
            (failed && running, "Running condition cannot be true when failed condition is true"),
            (
                is_true(before, "Succeeded") && !succeeded,
                "Success condition cannot be set to false once it is true",
            ),
            (is_true(before, "Failed") && !failed, "Failed condition cannot be set to false once it is true"),
        ] {
            if is_wrong {
                errors.invalid(&conditions_path, list.to_vec(), why);
            }
        }
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

fn is_true(status: &Value, kind: &str) -> bool {
    let condition = status.items("conditions").iter().find(|condition| condition.text("type") == kind);
    condition.is_some_and(|condition| condition.text("status") == "True")
}

/// What is wrong with a version of resources: it is a number above zero.
fn version_error(version: &str) -> Option<String> {
    let is_number = version.bytes().all(|byte| byte.is_ascii_digit());
    let is_well_formed = is_number && !version.is_empty() && !version.starts_with('0');
    (!is_well_formed).then(|| format!("resource version is not well formed: {version}"))
}

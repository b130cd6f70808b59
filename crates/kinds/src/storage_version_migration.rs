//! StorageVersionMigrations.

use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::{Keeps, Strategy};

/// The rules of StorageVersionMigrations: what to migrate is said once.
pub struct StorageVersionMigration;

const SPEC: Path<'static> = Path::root("spec");

impl Strategy for StorageVersionMigration {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        if object["spec"]["resource"].text("resource").is_empty() {
            errors.required(&SPEC.child("resource").child("resource"), "resource is required");
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        errors.immutable(&SPEC, &new["spec"], &old["spec"]);
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

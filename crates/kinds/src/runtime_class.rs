//! RuntimeClasses.

use serde_json::Value;

use crate::field::{Errors, Path};
use crate::metadata::validate_labels;
use crate::pod::probes::validate_label;
use crate::pod::resources::validate_amount;
use crate::pod::scheduling::validate_tolerations;
use crate::read::Read;
use crate::strategy::Strategy;

/// The rules of RuntimeClasses.
pub struct RuntimeClass;

impl Strategy for RuntimeClass {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_label(object.text("handler"), &Path::root("handler"), errors);
        let overhead_path = Path::root("overhead.podFixed");
        for (name, value) in object["overhead"].entries("podFixed") {
            validate_amount(name, value, &overhead_path.key(name), errors);
        }
        let scheduling = &object["scheduling"];
        let path = Path::root("scheduling");
        validate_labels(&scheduling["nodeSelector"], &path.child("nodeSelector"), errors);
        validate_tolerations(scheduling.items("tolerations"), &path.child("tolerations"), errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        errors.immutable(&Path::root("handler"), &new["handler"], &old["handler"]);
    }
}

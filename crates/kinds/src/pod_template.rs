//! PodTemplates.

use apimachinery::status::FieldError;
use serde_json::Value;

use crate::field::{Errors, Path};
use crate::strategy::Strategy;
use crate::template;

/// The rules of PodTemplates.
pub struct PodTemplate;

impl Strategy for PodTemplate {
    fn has_generation(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Value) {
        template::default(object);
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        template::validate(&object["template"], &Path::root("template"), &mut errors);
        errors.into_vec()
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        let changed = !crate::read::same(&new["template"], &old["template"]);
        crate::strategy::count_generation(new, old, changed);
    }
}

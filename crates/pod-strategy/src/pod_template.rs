//! PodTemplates.

use serde_json::Value;

use crate::template;
use strategy::field::{Errors, Path};
use strategy::{Keeps, Strategy};

/// The rules of PodTemplates.
pub struct PodTemplate;

impl Strategy for PodTemplate {
    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn default(&self, object: &mut Value) {
        template::default(object);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        template::validate(&object["template"], None, &Path::root("template"), errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        template::validate(&new["template"], Some(&old["template"]), &Path::root("template"), errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        let changed = !strategy::read::same(&new["template"], &old["template"]);
        strategy::count_generation(new, old, changed);
    }
}

//! RuntimeClasses.

use serde_json::{Value, json};

use pod_strategy::probes::validate_label;
use pod_strategy::resources;
use pod_strategy::scheduling::validate_tolerations;
use pod_strategy::warnings;
use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::metadata::validate_labels;
use strategy::read::Read;

/// The rules of RuntimeClasses.
pub struct RuntimeClass;

impl Strategy for RuntimeClass {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_label(object.text("handler"), &Path::root("handler"), errors);
        // As upstream, under the path of limits.
        let overhead = json!({"limits": object["overhead"]["podFixed"]});
        resources::validate(&overhead, &[], &Path::root("overhead"), errors);
        let scheduling = &object["scheduling"];
        let path = Path::root("scheduling");
        validate_labels(&scheduling["nodeSelector"], &path.child("nodeSelector"), errors);
        let (tolerations, path) = (scheduling.items("tolerations"), path.child("tolerations"));
        validate_tolerations(tolerations, &path, errors);
        let of = |toleration: &Value| {
            ["key", "operator", "value", "effect"].map(|key| toleration.text(key).to_owned())
        };
        for (index, toleration) in tolerations.iter().enumerate() {
            if tolerations[..index].iter().any(|other| of(other) == of(toleration)) {
                errors.duplicate(&path.index(index), toleration.clone());
            }
        }
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        errors.immutable(&Path::root("handler"), &new["handler"], &old["handler"]);
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let labels = &object["scheduling"]["nodeSelector"];
        warnings::unnamed_node_labels(labels, "scheduling.nodeSelector", &mut found);
        for resource in ["memory", "ephemeral-storage"] {
            let amount = &object["overhead"]["podFixed"][resource];
            warnings::fraction_of_bytes(amount, &format!("overhead.podFixed[{resource}]"), &mut found);
        }
        found
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        self.create_warnings(new)
    }
}

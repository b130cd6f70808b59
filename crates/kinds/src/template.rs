//! The pod template inside workloads.

use serde_json::Value;

use crate::field::{Errors, Path};
use crate::metadata::{validate_annotations, validate_labels};
use crate::pod::{defaults, spec};
use crate::read::Read;
use crate::write;

/// Fills in the template below `spec.template` of a workload.
pub(crate) fn default(workload_spec: &mut Value) {
    if let Some(template) = write::object(workload_spec, "template") {
        defaults::template_spec(write::ensure(template, "spec"));
    }
}

/// Validates a template.
pub(crate) fn validate(template: &Value, path: &Path, errors: &mut Errors) {
    let metadata_path = path.child("metadata");
    // Upstream leaves `metadata` out of the path of template labels except where a selector is compared.
    validate_labels(&template["metadata"]["labels"], &path.child("labels"), errors);
    validate_annotations(&template["metadata"]["annotations"], &path.child("annotations"), errors);
    for finalizer in template["metadata"].items("finalizers") {
        let found = crate::names::qualified_name_errors(finalizer.as_str().unwrap_or_default());
        errors.invalid_each(&metadata_path.child("finalizers"), finalizer, found);
    }
    let spec_path = path.child("spec");
    spec::validate(&template["spec"], &spec_path, errors);
    if !template["spec"].items("ephemeralContainers").is_empty() {
        errors.forbidden(
            &spec_path.child("ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
}

/// Validates the template of a controller whose pods always restart, at `path` (the workload's spec).
pub(crate) fn validate_always(workload_spec: &Value, path: &Path, errors: &mut Errors) {
    let template = &workload_spec["template"];
    let template_path = path.child("template");
    validate(template, &template_path, errors);
    let spec_path = template_path.child("spec");
    let policy = template["spec"].text("restartPolicy");
    if policy != "Always" {
        errors.unsupported(&spec_path.child("restartPolicy"), policy, &["Always"]);
    }
    if template["spec"].has("activeDeadlineSeconds") {
        let path = spec_path.child("activeDeadlineSeconds");
        errors.forbidden(&path, "activeDeadlineSeconds in ReplicaSet is not Supported");
    }
}

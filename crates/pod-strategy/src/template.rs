//! The pod template inside workloads.

use serde_json::Value;

use crate::tolerated::Tolerated;
use crate::{annotations, defaults, gates, spec, warnings};
use strategy::field::{Errors, Path};
use strategy::metadata::{validate_annotations, validate_labels};
use strategy::read::{Read, same};
use strategy::write;

/// Fills in the template below `spec.template` of a workload.
pub fn default(workload_spec: &mut Value) {
    if let Some(template) = write::object(workload_spec, "template") {
        defaults::template_spec(write::ensure(template, "spec"));
    }
}

/// Validates a template; `old` is what it was before an update, whose faults it may keep.
pub fn validate(template: &Value, old: Option<&Value>, path: &Path, errors: &mut Errors) {
    let tolerated = old.map_or_else(|| Tolerated::of_new(gates::own()), Tolerated::of);
    let metadata_path = path.child("metadata");
    // Upstream leaves `metadata` out of the path of template labels except where a selector is compared.
    validate_labels(&template["metadata"]["labels"], &path.child("labels"), errors);
    validate_annotations(&template["metadata"]["annotations"], &path.child("annotations"), errors);
    for finalizer in template["metadata"].items("finalizers") {
        let found = strategy::names::qualified_name_errors(finalizer.as_str().unwrap_or_default());
        errors.invalid_each(&metadata_path.child("finalizers"), finalizer, found);
    }
    let spec_path = path.child("spec");
    let annotations = &template["metadata"]["annotations"];
    let annotations_path = path.child("annotations");
    annotations::validate(annotations, &template["spec"], tolerated, &annotations_path, errors);
    spec::validate(&template["spec"], tolerated, &spec_path, errors);
    annotations::validate_twins(annotations, &template["spec"], &spec_path, errors);
    if !template["spec"].items("ephemeralContainers").is_empty() {
        errors.forbidden(
            &spec_path.child("ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
}

/// Validates the template of a controller whose pods always restart, below `path` (the workload's spec); `of` is the
/// kind as the message names it.
pub fn validate_always(template: &Value, old: Option<&Value>, path: &Path, of: &str, errors: &mut Errors) {
    let template_path = path.child("template");
    validate(template, old, &template_path, errors);
    let spec_path = template_path.child("spec");
    let policy = template["spec"].text("restartPolicy");
    if policy != "Always" {
        errors.unsupported(&spec_path.child("restartPolicy"), policy, &["Always"]);
    }
    if template["spec"].has("activeDeadlineSeconds") {
        let path = spec_path.child("activeDeadlineSeconds");
        errors.forbidden(&path, format!("activeDeadlineSeconds in {of} is not Supported"));
    }
}

/// Warnings about the name of a new workload and its template.
pub fn create_warnings(object: &Value) -> Vec<String> {
    let mut found = name_warnings(object);
    found.extend(warnings::template(&object["spec"]));
    found
}

/// Warnings about the template of a workload whose spec has changed in anything.
pub fn update_warnings(new: &Value, old: &Value) -> Vec<String> {
    if same(&new["spec"], &old["spec"]) { Vec::new() } else { warnings::template(&new["spec"]) }
}

/// Warns of names that become parts of pod names and host names but are no labels.
pub fn name_warnings(object: &Value) -> Vec<String> {
    let found = apimachinery::names::dns1123_label_errors(object["metadata"].text("name"));
    if found.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [{}]",
        found.join(" ")
    )]
}

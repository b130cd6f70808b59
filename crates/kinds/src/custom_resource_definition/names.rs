//! What definitions call their group and their resources.

use apimachinery::names;
use custom_resources::approval::{ANNOTATION, Approval};
use serde_json::Value;
use strategy::field::{Errors, Path};
use strategy::read::Read;

use super::SPEC;

/// Validates the group, and the approval of one that is the project's own.
pub(super) fn validate_group(object: &Value, errors: &mut Errors) {
    let (path, group) = (SPEC.child("group"), object["spec"].text("group"));
    if group.is_empty() {
        errors.required(&path, "");
        return;
    }
    errors.invalid_each(&path, &group.into(), names::dns1123_subdomain_errors(group));
    if !group.contains('.') {
        errors.invalid(&path, group, "should be a domain with at least one dot");
    }
    let annotation = object["metadata"]["annotations"][ANNOTATION].as_str();
    let Some(approval) = Approval::of(group, annotation) else { return };
    let annotations = Path::root("metadata.annotations");
    let (_, words) = approval.words();
    match approval {
        Approval::Missing => errors.required(&annotations.key(ANNOTATION), words),
        Approval::Invalid(text) => errors.invalid(&annotations.key(ANNOTATION), text, words),
        Approval::Approved(_) | Approval::Bypassed(_) => {}
    }
}

/// Validates the names of the resource.
pub(super) fn validate(own: &Value, errors: &mut Errors) {
    let path = SPEC.child("names");
    for field in ["plural", "singular", "kind", "listKind"] {
        let (path, name) = (path.child(field), own.text(field));
        if name.is_empty() {
            errors.required(&path, "");
        } else if matches!(field, "plural" | "singular") {
            errors.invalid_each(&path, &name.into(), names::dns1035_label_errors(name));
        } else {
            let faults = names::dns1035_label_errors(&name.to_lowercase());
            let faults = faults
                .into_iter()
                .map(|fault| format!("may have mixed case, but should otherwise match: {fault}"));
            errors.invalid_each(&path, &name.into(), faults);
        }
    }
    for (field, list) in [("shortNames", &own["shortNames"]), ("categories", &own["categories"])] {
        for (index, name) in list.as_array().into_iter().flatten().enumerate() {
            let name = name.as_str().unwrap_or_default();
            let here = path.child(field);
            errors.invalid_each(&here.index(index), &name.into(), names::dns1035_label_errors(name));
        }
    }
    if !own.text("kind").is_empty() && own.text("kind") == own.text("listKind") {
        errors.invalid(
            &path.child("listKind"),
            own.text("listKind"),
            "kind and listKind may not be the same",
        );
    }
}

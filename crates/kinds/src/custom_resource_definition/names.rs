//! What definitions call their group and their resources.

use std::mem;

use apimachinery::names;
use custom_resources::approval::{ANNOTATION, Approval};
use serde_json::Value;
use strategy::field::{Errors, Path};
use strategy::read::Read;

use super::SPEC;

/// Validates the group.
pub(super) fn validate_group(group: &str, errors: &mut Errors) {
    let path = SPEC.child("group");
    let found = names::dns1123_subdomain_errors(group);
    if group.is_empty() {
        errors.required(&path, "");
    } else if !found.is_empty() {
        errors.invalid(&path, group, found.join(","));
    } else if !group.contains('.') {
        errors.invalid(&path, group, "should be a domain with at least one dot");
    }
}

/// Validates that one in a group of the project's own was approved, where another thing is said of that than before.
pub(super) fn validate_approval(new: &Value, old: Option<&Value>, errors: &mut Errors) {
    let of = |object: &Value| {
        let annotation = object["metadata"]["annotations"][ANNOTATION].as_str();
        Approval::of(new["spec"].text("group"), annotation)
    };
    let Some(approval) = of(new) else { return };
    let before = old.and_then(of);
    if before.is_some_and(|before| mem::discriminant(&before) == mem::discriminant(&approval)) {
        return;
    }
    let annotations = Path::root("metadata.annotations");
    let (_, words) = approval.words();
    match approval {
        Approval::Missing => errors.required(&annotations.key(ANNOTATION), words),
        Approval::Invalid(text) => errors.invalid(&annotations.key(ANNOTATION), text, words),
        Approval::Approved(_) | Approval::Bypassed(_) => {}
    }
}

/// Validates that a resource has all of its names.
pub(super) fn validate_required(own: &Value, errors: &mut Errors) {
    let path = SPEC.child("names");
    for field in ["plural", "singular", "kind", "listKind"] {
        if own.text(field).is_empty() {
            errors.required(&path.child(field), "");
        }
    }
}

/// Validates the names that a resource has.
pub(super) fn validate(own: &Value, path: &Path, errors: &mut Errors) {
    for field in ["plural", "singular", "kind", "listKind"] {
        let (path, name) = (path.child(field), own.text(field));
        let is_mixed = field.to_lowercase().ends_with("kind");
        let found = match is_mixed {
            true => names::dns1035_label_errors(&name.to_lowercase()),
            false => names::dns1035_label_errors(name),
        };
        if !name.is_empty() && !found.is_empty() {
            let start = if is_mixed { "may have mixed case, but should otherwise match: " } else { "" };
            errors.invalid(&path, name, format!("{start}{}", found.join(",")));
        }
    }
    validate_list(own, "shortNames", path, errors);
    let list_kind = own.text("listKind");
    if !list_kind.is_empty() && own.text("kind") == list_kind {
        errors.invalid(&path.child("listKind"), list_kind, "kind and listKind may not be the same");
    }
    validate_list(own, "categories", path, errors);
}

fn validate_list(own: &Value, field: &str, path: &Path, errors: &mut Errors) {
    let path = path.child(field);
    for (index, name) in own.items(field).iter().enumerate() {
        let name = name.as_str().unwrap_or_default();
        let found = names::dns1035_label_errors(name);
        if !found.is_empty() {
            errors.invalid(&path.index(index), name, found.join(","));
        }
    }
}

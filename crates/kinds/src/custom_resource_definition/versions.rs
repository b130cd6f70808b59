//! The versions of a definition, what each shows and lets be scaled, and those that were ever stored.

use apimachinery::{FieldError, names};
use serde_json::Value;
use strategy::field::{Errors, Path};
use strategy::read::Read;

use super::{SPEC, STATUS};

const NO_PATH: &str = "must be a simple json path starting with .";

/// Validates the versions.
pub(super) fn validate(spec: &Value, errors: &mut Errors) {
    let path = SPEC.child("versions");
    let versions: Vec<&Value> = spec["versions"].as_array().into_iter().flatten().collect();
    for (index, version) in versions.iter().enumerate() {
        let (here, name) = (path.index(index), version.text("name"));
        errors.invalid_each(&here.child("name"), &name.into(), names::dns1035_label_errors(name));
        let columns = version["additionalPrinterColumns"].as_array().into_iter().flatten();
        for (index, column) in columns.enumerate() {
            let column_path = here.child("additionalPrinterColumns");
            let column_path = column_path.index(index);
            validate_column(column, &column_path, errors);
        }
        validate_selectable(version, &here.child("selectableFields"), errors);
        let subresources = here.child("subresources");
        if version["subresources"].has("scale") {
            validate_scale(&version["subresources"]["scale"], &subresources.child("scale"), errors);
        }
    }
    let is_repeated = |(index, version): (usize, &&Value)| {
        versions[..index].iter().any(|other| other.text("name") == version.text("name"))
    };
    if versions.iter().enumerate().any(is_repeated) {
        errors.invalid(&path, spec["versions"].clone(), "must contain unique version names");
    }
    let storing = versions.iter().filter(|version| version.flag("storage") == Some(true)).count();
    if storing != 1 {
        errors.invalid(
            &path,
            spec["versions"].clone(),
            "must have exactly one version marked as storage version",
        );
    }
}

fn validate_column(column: &Value, path: &Path<'_>, errors: &mut Errors) {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    const FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
    if column.text("name").is_empty() {
        errors.required(&path.child("name"), "");
    }
    let known = format!("must be one of {}", TYPES.join(","));
    match column.text("type") {
        "" => errors.required(&path.child("type"), known),
        kind if TYPES.contains(&kind) => {}
        kind => errors.invalid(&path.child("type"), kind, known),
    }
    let format = column.text("format");
    if !format.is_empty() && !FORMATS.contains(&format) {
        errors.invalid(&path.child("format"), format, format!("must be one of {}", FORMATS.join(",")));
    }
    // So upstream spells the field here.
    let (path, text) = (path.child("JSONPath"), column.text("jsonPath"));
    if text.is_empty() {
        errors.required(&path, "");
    } else if !text.starts_with('.') {
        errors.invalid(&path, text, NO_PATH);
    }
}

/// Fields that selectors may name are few, are there, and hold one plain value.
fn validate_selectable(version: &Value, path: &Path<'_>, errors: &mut Errors) {
    const MOST: usize = 8;
    let schema = version["schema"]["openAPIV3Schema"].as_object();
    let fields: Vec<&str> = version["selectableFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|field| field.text("jsonPath"))
        .collect();
    let count = fields.iter().collect::<std::collections::BTreeSet<_>>().len();
    for (index, field) in fields.iter().enumerate() {
        let here = path.index(index);
        let here = here.child("jsonPath");
        if field.is_empty() {
            errors.required(&here, "");
            continue;
        }
        if fields[..index].contains(field) {
            errors.push(FieldError::duplicate(here.to_string(), *field));
        }
        if *field == ".metadata" || field.starts_with(".metadata.") || field.starts_with(".metadata[") {
            errors.invalid(&here, *field, "must not point to fields in metadata");
            continue;
        }
        match schema.map(|schema| custom_resources::at_path(field, schema)) {
            None => {}
            Some(Err(why)) => errors.invalid(&here, *field, format!("is an invalid path: {why}")),
            Some(Ok(found)) => {
                let kind = found.get("type").and_then(Value::as_str).unwrap_or_default();
                if !matches!(kind, "boolean" | "integer" | "string") {
                    let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
                    errors.invalid(&here, *field, why);
                }
            }
        }
    }
    if count > MOST {
        errors.push(FieldError::too_many(path.to_string(), count, MOST));
    }
}

fn validate_scale(scale: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (field, below, is_required) in [
        ("specReplicasPath", &[".spec"][..], true),
        ("statusReplicasPath", &[".status"], true),
        ("labelSelectorPath", &[".spec", ".status"], false),
    ] {
        let (path, text) = (path.child(field), scale.text(field));
        let is_below = |root: &&str| text.strip_prefix(root).is_some_and(|rest| rest.starts_with('.'));
        if text.is_empty() {
            if is_required {
                errors.required(&path, "");
            }
        } else if !text.starts_with('.') {
            errors.invalid(&path, text, NO_PATH);
        } else if !below.iter().any(is_below) {
            let either = if is_required { "" } else { "either " };
            errors.invalid(
                &path,
                text,
                format!("should be a json path under {either}{}", below.join(" or ")),
            );
        }
    }
}

/// Validates that every version that was ever stored is still one.
pub(super) fn validate_stored(object: &Value, errors: &mut Errors) {
    let versions: Vec<&str> = object["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|version| version.text("name"))
        .collect();
    let path = STATUS.child("storedVersions");
    for (index, stored) in object["status"]["storedVersions"].as_array().into_iter().flatten().enumerate() {
        if !stored.as_str().is_some_and(|name| versions.contains(&name)) {
            errors.invalid(&path.index(index), stored.clone(), "missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions".replace("v1", stored.as_str().unwrap_or_default()));
        }
    }
}

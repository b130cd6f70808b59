//! The versions of a definition, what each shows and lets be scaled, and those that were ever stored.

use apimachinery::{FieldError, names};
use custom_resources::field_path::{Brackets, follow};
use serde_json::Value;
use strategy::field::{Errors, Path};
use strategy::read::{Read, same};

use super::{SPEC, STATUS};

const NO_PATH: &str = "must be a simple json path starting with .";

/// Parts of versions that are told without a version where all versions have the same.
const SHARED: [&str; 3] = ["subresources", "additionalPrinterColumns", "selectableFields"];
const LONGEST_WARNING: usize = 256;

/// Validates the versions, but for what they share.
pub(super) fn validate(spec: &Value, errors: &mut Errors) {
    let path = SPEC.child("versions");
    let versions = spec.items("versions");
    for (index, version) in versions.iter().enumerate() {
        let here = path.index(index);
        validate_name(version.text("name"), &here.child("name"), errors);
        validate_warning(version, &here.child("deprecationWarning"), errors);
        for part in SHARED.into_iter().filter(|part| !is_shared(versions, part)) {
            validate_part(part, version, &here, errors);
        }
    }
    let is_repeated = |(index, version): (usize, &Value)| {
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
    // Before definitions had several versions, this was its one.
    if let Some(first) = versions.first().filter(|first| !first.text("name").is_empty()) {
        validate_name(first.text("name"), &SPEC.child("version"), errors);
    }
}

/// Validates what all versions have in common, at the place where it was before versions had parts of their own.
pub(super) fn validate_shared(spec: &Value, errors: &mut Errors) {
    let versions = spec.items("versions");
    let Some(first) = versions.first() else { return };
    for part in SHARED.into_iter().filter(|part| is_shared(versions, part)) {
        validate_part(part, first, &SPEC, errors);
    }
}

fn is_shared(versions: &[Value], part: &str) -> bool {
    versions.iter().all(|version| same(&version[part], &versions[0][part]))
}

fn validate_part(part: &str, version: &Value, path: &Path<'_>, errors: &mut Errors) {
    let part_path = path.child(part);
    match part {
        "subresources" => {
            let scale = &version[part]["scale"];
            if !scale.is_null() {
                validate_scale(scale, &part_path.child("scale"), errors);
            }
        }
        "additionalPrinterColumns" => {
            for (index, column) in version.items(part).iter().enumerate() {
                validate_column(column, &part_path.index(index), errors);
            }
        }
        _ => validate_selectable(version, &part_path, errors),
    }
}

fn validate_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let found = names::dns1035_label_errors(name);
    if !found.is_empty() {
        errors.invalid(path, name, found.join(","));
    }
}

/// Validates what is said to those who use a version that will go.
fn validate_warning(version: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(warning) = version["deprecationWarning"].as_str() else { return };
    if version.flag("deprecated") != Some(true) {
        errors.invalid(path, warning, "can only be set for deprecated versions");
        return;
    }
    if warning.len() > LONGEST_WARNING {
        errors.invalid(path, warning, format!("must be <= {LONGEST_WARNING} characters long"));
    }
    if warning.is_empty() {
        errors.invalid(path, warning, "must not be an empty string");
    }
    if let Some((index, _)) = warning.char_indices().find(|(_, letter)| !is_printable(*letter)) {
        let why = format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {index}"
        );
        errors.invalid(path, warning, why);
    }
}

/// Whether a character is seen, as far as can be told without a table of all of them.
fn is_printable(letter: char) -> bool {
    let is_hidden = letter.is_control()
        || letter.is_whitespace() && letter != ' '
        || matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{f0000}'..);
    !is_hidden
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
    let mut known: Vec<&str> = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let here = path.index(index);
        let here = here.child("jsonPath");
        if field.is_empty() {
            errors.required(&here, "");
            continue;
        }
        let found = match schema.map(|schema| follow(field, schema, Brackets::Refused)) {
            None => continue,
            Some(Err(why)) => {
                errors.invalid(&here, *field, format!("is an invalid path: {why}"));
                continue;
            }
            Some(Ok(found)) => found.schema,
        };
        if *field == ".metadata" || field.starts_with(".metadata.") || field.starts_with(".metadata[") {
            errors.invalid(&here, *field, "must not point to fields in metadata");
        }
        let kind = found.and_then(|found| found.get("type")?.as_str()).unwrap_or_default();
        if !matches!(kind, "boolean" | "integer" | "string") {
            let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            errors.invalid(&here, *field, why);
        }
        if known.contains(field) {
            errors.push(FieldError::duplicate(here.to_string(), *field));
        } else {
            known.push(field);
        }
    }
    let count = known.len();
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

/// Validates the versions that were ever stored: the one of now is among them, and each is still one.
pub(super) fn validate_stored(object: &Value, errors: &mut Errors) {
    let (path, stored) = (STATUS.child("storedVersions"), object["status"].items("storedVersions"));
    if stored.is_empty() {
        errors.invalid(&path, Value::Array(Vec::new()), "must have at least one stored version");
        return;
    }
    let versions = object["spec"].items("versions");
    for version in versions.iter().filter(|version| version.flag("storage") == Some(true)) {
        let name = version.text("name");
        if !stored.iter().any(|stored| stored == name) {
            let shown = object["status"]["storedVersions"].clone();
            errors.invalid(&path, shown, format!("must have the storage version {name}"));
        }
    }
    for (index, stored) in stored.iter().enumerate() {
        let name = stored.as_str().unwrap_or_default();
        if !versions.iter().any(|version| version.text("name") == name) {
            errors.invalid(&path.index(index), name, format!("missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"));
        }
    }
}

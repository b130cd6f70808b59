//! PersistentVolumeClaims.

use serde_json::{Value, json};

use crate::resources::{quantity, validate_amount};
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::selectors;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of PersistentVolumeClaims.
pub struct PersistentVolumeClaim;

const SPEC: Path<'static> = Path::root("spec");
/// How a volume may be mounted.
pub(crate) const ACCESS_MODES: [&str; 4] =
    ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

impl Strategy for PersistentVolumeClaim {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn default(&self, object: &mut Value) {
        default_spec(write::ensure(object, "spec"));
        write::zero(write::ensure(object, "status"), "phase", "Pending");
    }

    fn prepare_for_create(&self, object: &mut Value) {
        write::set(object, "status", json!({"phase": "Pending"}));
        twin_sources(write::ensure(object, "spec"));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_spec(&object["spec"], &SPEC, errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        write::copy(new, "status", old);
        twin_sources(write::ensure(new, "spec"));
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], &SPEC, errors);
        validate_change(new, old, errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        for (name, value) in new["status"].entries("capacity") {
            validate_amount(name, value, &Path::root("status.capacity").key(name), errors);
        }
    }
}

/// Fills in the spec of a claim, also of one in a template.
pub fn default_spec(spec: &mut Value) {
    write::missing(spec, "volumeMode", "Filesystem");
}

/// `dataSource` and `dataSourceRef` say the same where only one was given.
fn twin_sources(spec: &mut Value) {
    if spec.has("dataSource") && !spec.has("dataSourceRef") {
        let source = spec["dataSource"].clone();
        write::set(spec, "dataSourceRef", source);
    } else if spec.has("dataSourceRef") && !spec.has("dataSource") {
        let reference = &spec["dataSourceRef"];
        let plain = matches!(
            (reference.text("apiGroup"), reference.text("kind")),
            ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
        );
        if plain && !reference.has("namespace") {
            let source = reference.clone();
            write::set(spec, "dataSource", source);
        }
    }
}

/// Validates the spec of a claim, also of one in a template.
pub fn validate_spec(spec: &Value, path: &Path, errors: &mut Errors) {
    validate_access_modes(spec, path, errors);
    selectors::validate(&spec["selector"], &path.child("selector"), errors);
    let resources_path = path.child("resources");
    match spec["resources"]["requests"].get("storage") {
        None => errors.required(&resources_path.key("storage"), ""),
        Some(value) => {
            let requests_path = resources_path.child("requests");
            let path = requests_path.key("storage");
            validate_amount("storage", value, &path, errors);
            if quantity(value).is_some_and(|amount| amount.is_zero()) {
                errors.invalid(&path, value.clone(), "must be greater than zero");
            }
        }
    }
    for key in ["storageClassName", "volumeAttributesClassName"] {
        let name = spec.text(key);
        if !name.is_empty() {
            errors.invalid_each(&path.child(key), &spec[key], names::errors(NameRule::Subdomain, name));
        }
    }
    if spec.has("volumeMode") && !matches!(spec.text("volumeMode"), "Block" | "Filesystem") {
        errors.unsupported(&path.child("volumeMode"), spec.text("volumeMode"), &["Block", "Filesystem"]);
    }
    for key in ["dataSource", "dataSourceRef"] {
        let source = &spec[key];
        if source.is_null() {
            continue;
        }
        let path = path.child(key);
        for key in ["name", "kind"] {
            if source.text(key).is_empty() {
                errors.required(&path.child(key), "");
            }
        }
        if source.text("apiGroup").is_empty() && source.text("kind") != "PersistentVolumeClaim" {
            errors.invalid(
                &path,
                source.text("kind"),
                "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
            );
        }
    }
}

/// Validates the access modes of a claim or volume.
pub fn validate_access_modes(spec: &Value, path: &Path, errors: &mut Errors) {
    let modes = spec.items("accessModes");
    let path = path.child("accessModes");
    if modes.is_empty() {
        errors.required(&path, "at least one access mode is required");
    }
    for mode in modes {
        if !ACCESS_MODES.iter().any(|known| mode == known) {
            errors.unsupported(&path, mode.clone(), &ACCESS_MODES);
        }
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode == "ReadWriteOncePod") {
        errors.forbidden(&path, "may not use ReadWriteOncePod with other access modes");
    }
}

fn validate_change(new: &Value, old: &Value, errors: &mut Errors) {
    let mut allowed = new["spec"].clone();
    let before = &old["spec"];
    // The binder names the volume once.
    if before.text("volumeName").is_empty() {
        write::copy(&mut allowed, "volumeName", before);
    }
    let bound = old["status"].text("phase") == "Bound";
    if bound {
        write::copy(write::ensure(&mut allowed, "resources"), "requests", &before["resources"]);
        if before.has("volumeAttributesClassName") || allowed.has("volumeAttributesClassName") {
            write::copy(&mut allowed, "volumeAttributesClassName", before);
        }
    }
    // A class may still be given to a claim that has none, as defaulting does later on.
    if !before.has("storageClassName") && !bound {
        write::copy(&mut allowed, "storageClassName", before);
    }
    if !same(&allowed, before) {
        errors.forbidden(
            &SPEC,
            format!(
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{}",
                crate::update::difference(&allowed, before)
            ),
        );
    }
    let storage = |claim: &Value| quantity(&claim["spec"]["resources"]["requests"]["storage"]);
    if let (Some(after), Some(earlier)) = (storage(new), storage(old))
        && after < earlier
    {
        let reached = quantity(&old["status"]["capacity"]["storage"]);
        // A failed expansion may be taken back, but never below what the volume already has.
        if !bound || reached.is_none_or(|reached| after < reached) {
            errors.forbidden(
                &SPEC.child("resources").child("requests").child("storage"),
                "field can not be less than status.capacity",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, updated};

    fn claim(size: &str) -> Value {
        json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}})
    }

    #[test]
    fn claims_say_how_much_and_how() {
        assert_eq!(created(&PersistentVolumeClaim, claim("1Gi")), "");
        assert_eq!(
            created(&PersistentVolumeClaim, json!({"spec": {"accessModes": ["Any"]}})),
            "spec.accessModes: Unsupported value: \"Any\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"\nspec.resources[storage]: Required value"
        );
    }

    #[test]
    fn a_bound_claim_only_grows() {
        let mut old = claim("1Gi");
        old["spec"]["volumeName"] = json!("v");
        old["status"] = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}});
        let mut new = old.clone();
        new["spec"]["resources"]["requests"]["storage"] = json!("2Gi");
        assert_eq!(updated(&PersistentVolumeClaim, new.clone(), old.clone()), "");
        new["spec"]["resources"]["requests"]["storage"] = json!("1Mi");
        assert_eq!(
            updated(&PersistentVolumeClaim, new, old.clone()),
            "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
        );
        let mut new = old.clone();
        new["spec"]["volumeName"] = json!("w");
        assert!(
            updated(&PersistentVolumeClaim, new, old)
                .starts_with("spec: Forbidden: spec is immutable after creation")
        );
    }
}

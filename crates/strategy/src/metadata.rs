//! The rules of `metadata`, the same for every kind.

use apimachinery::status::FieldError;
use serde_json::Value;

use crate::NameRule;
use crate::field::{Errors, IMMUTABLE, Path};
use crate::names;
use crate::read::{Read, same};
use crate::write;

/// Bytes that all annotations of an object may take together.
pub(crate) const ANNOTATIONS_LIMIT: usize = 256 * 1024;

const METADATA: Path<'static> = Path::root("metadata");

/// The errors of a new object's metadata; the name must have been generated before.
pub fn validate_create(object: &Value, namespaced: bool, rule: NameRule) -> Vec<FieldError> {
    let mut errors = Errors::new();
    validate(&object["metadata"], namespaced, rule, &METADATA, &mut errors);
    errors.into_vec()
}

/// Clears what no client may set at creation.
pub fn prepare_for_create(object: &mut Value) {
    let metadata = write::ensure(object, "metadata");
    write::remove(metadata, "deletionTimestamp");
    write::remove(metadata, "deletionGracePeriodSeconds");
    write::remove(metadata, "selfLink");
}

/// Carries over what an update may leave out or may not take back: uid, creation and deletion time, generation.
pub fn prepare_for_update(new: &mut Value, old: &Value) {
    let old = &old["metadata"];
    let metadata = write::ensure(new, "metadata");
    if metadata.text("uid").is_empty() {
        write::copy(metadata, "uid", old);
    }
    if old.has("creationTimestamp") {
        write::copy(metadata, "creationTimestamp", old);
    }
    if old.has("deletionTimestamp") {
        write::copy(metadata, "deletionTimestamp", old);
    }
    if old.has("deletionGracePeriodSeconds") && !metadata.has("deletionGracePeriodSeconds") {
        write::copy(metadata, "deletionGracePeriodSeconds", old);
    }
    write::copy(metadata, "generation", old);
    write::remove(metadata, "selfLink");
}

/// The errors of an update's metadata: its own form, and what may not change.
pub fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Errors::new();
    let (new, old) = (&new["metadata"], &old["metadata"]);
    validate_parts(new, &METADATA, &mut errors);
    if let (Some(new), Some(old)) = (new.int("generation"), old.int("generation"))
        && new < old
    {
        errors.invalid(&METADATA.child("generation"), new, "must not be decremented");
    }
    for key in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"] {
        if !same(&new[key], &old[key]) {
            errors.invalid(&METADATA.child(key), new[key].clone(), IMMUTABLE);
        }
    }
    if new["deletionGracePeriodSeconds"] != old["deletionGracePeriodSeconds"] {
        let path = METADATA.child("deletionGracePeriodSeconds");
        errors.invalid(&path, new["deletionGracePeriodSeconds"].clone(), IMMUTABLE);
    }
    if new.has("deletionTimestamp") {
        no_new_finalizers(new, old, &mut errors);
    }
    errors.into_vec()
}

/// The errors of finalizers that are neither upstream's own nor named with a domain; custom resources are only
/// warned about these.
pub fn validate_finalizer_names(object: &Value) -> Vec<FieldError> {
    let mut errors = Errors::new();
    let path = METADATA.child("finalizers");
    for (index, finalizer) in object["metadata"].items("finalizers").iter().enumerate() {
        let finalizer = finalizer.as_str().unwrap_or_default();
        if !finalizer.contains('/') && !matches!(finalizer, "kubernetes" | "orphan" | "foregroundDeletion") {
            errors.invalid(
                &path.index(index),
                finalizer,
                "name is neither a standard finalizer name nor is it fully qualified",
            );
        }
    }
    errors.into_vec()
}

/// Validates metadata below any path, with its name and namespace.
pub fn validate(metadata: &Value, namespaced: bool, rule: NameRule, path: &Path, errors: &mut Errors) {
    let generate_name = metadata.text("generateName");
    if !generate_name.is_empty() {
        errors.invalid_each(
            &path.child("generateName"),
            &metadata["generateName"],
            names::prefix_errors(rule, generate_name),
        );
    }
    let name = metadata.text("name");
    if name.is_empty() {
        errors.required(&path.child("name"), "name or generateName is required");
    } else {
        errors.invalid_each(&path.child("name"), &metadata["name"], names::errors(rule, name));
    }
    let namespace = metadata.text("namespace");
    if namespaced && namespace.is_empty() {
        errors.required(&path.child("namespace"), "");
    } else if namespaced {
        errors.invalid_each(
            &path.child("namespace"),
            &metadata["namespace"],
            names::errors(NameRule::Label, namespace),
        );
    } else if !namespace.is_empty() {
        errors.forbidden(&path.child("namespace"), "not allowed on this type");
    }
    validate_parts(metadata, path, errors);
}

fn validate_parts(metadata: &Value, path: &Path, errors: &mut Errors) {
    if let Some(generation) = metadata.int("generation").filter(|generation| *generation < 0) {
        errors.invalid(&path.child("generation"), generation, "must be greater than or equal to 0");
    }
    validate_labels(&metadata["labels"], &path.child("labels"), errors);
    validate_annotations(&metadata["annotations"], &path.child("annotations"), errors);
    validate_owners(metadata, &path.child("ownerReferences"), errors);
    let finalizers_path = path.child("finalizers");
    let finalizers = metadata.items("finalizers");
    for finalizer in finalizers {
        let messages = names::qualified_name_errors(finalizer.as_str().unwrap_or_default());
        errors.invalid_each(&finalizers_path, finalizer, messages);
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        errors.invalid(
            &finalizers_path,
            metadata["finalizers"].clone(),
            "finalizer orphan and foregroundDeletion cannot be both set",
        );
    }
}

/// Validates the syntax of label keys and values.
pub fn validate_labels(labels: &Value, path: &Path, errors: &mut Errors) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let name = Value::String(key.clone());
        errors.invalid_each(path, &name, names::qualified_name_errors(key));
        errors.invalid_each(path, value, names::label_value_errors(value.as_str().unwrap_or_default()));
    }
}

/// Validates the syntax of annotation keys and the size of all annotations together.
pub fn validate_annotations(annotations: &Value, path: &Path, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        let name = Value::String(key.clone());
        // Keys are taken without regard to case, for compatibility with what early clusters accepted.
        errors.invalid_each(path, &name, names::qualified_name_errors(&key.to_lowercase()));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_LIMIT {
        errors.too_long(path, ANNOTATIONS_LIMIT);
    }
}

fn validate_owners(metadata: &Value, path: &Path, errors: &mut Errors) {
    let mut controller: Option<&str> = None;
    for owner in metadata.items("ownerReferences") {
        let api_version = owner.text("apiVersion");
        let version = api_version.rsplit('/').next().unwrap_or_default();
        if version.is_empty() {
            errors.invalid(&path.child("apiVersion"), api_version, "version must not be empty");
        }
        for key in ["kind", "name", "uid"] {
            if owner.text(key).is_empty() {
                errors.invalid(&path.child(key), "", "must not be empty");
            }
        }
        if api_version == "v1" && owner.text("kind") == "Event" {
            errors.invalid(path, owner.clone(), "/v1, Kind=Event is disallowed from being an owner");
        }
        if owner.flag("controller") == Some(true) {
            match controller {
                None => controller = Some(owner.text("name")),
                Some(first) => errors.invalid(
                    path,
                    metadata["ownerReferences"].clone(),
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {}",
                        owner.text("name")
                    ),
                ),
            }
        }
    }
}

fn no_new_finalizers(new: &Value, old: &Value, errors: &mut Errors) {
    let before = old.items("finalizers");
    let mut added: Vec<&str> = new
        .items("finalizers")
        .iter()
        .filter(|finalizer| !before.contains(finalizer))
        .filter_map(Value::as_str)
        .collect();
    if !added.is_empty() {
        added.sort_unstable();
        let list: Vec<String> = added.iter().map(|finalizer| format!("{finalizer:?}")).collect();
        errors.forbidden(
            &METADATA.child("finalizers"),
            format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                list.join(", ")
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::listed;
    use serde_json::json;

    fn created(metadata: Value) -> String {
        listed(validate_create(&json!({ "metadata": metadata }), true, NameRule::Subdomain))
    }

    #[test]
    fn names_and_labels_must_be_well_formed() {
        assert_eq!(created(json!({"name": "web", "namespace": "default", "labels": {"a/b": "c"}})), "");
        assert_eq!(
            created(json!({"namespace": "x"})),
            "metadata.name: Required value: name or generateName is required"
        );
        assert!(created(json!({"name": "Web", "namespace": "x"})).starts_with(
            "metadata.name: Invalid value: \"Web\": a lowercase RFC 1123 subdomain must consist of"
        ));
        assert!(created(json!({"name": "a", "namespace": "x", "labels": {"k": "not ok!"}})).starts_with(
            "metadata.labels: Invalid value: \"not ok!\": a valid label must be an empty string or"
        ));
        assert_eq!(
            created(json!({"name": "a", "namespace": "x", "annotations": {"k": "x".repeat(300_000)}})),
            "metadata.annotations: Too long: may not be more than 262144 bytes"
        );
        assert_eq!(created(json!({"generateName": "web-", "name": "web-x", "namespace": "x"})), "");
    }

    #[test]
    fn identity_does_not_change() {
        let old = json!({"metadata": {"name": "a", "namespace": "x", "uid": "1", "generation": 2}});
        let mut new = json!({"metadata": {"name": "b", "namespace": "x", "generation": 9}});
        prepare_for_update(&mut new, &old);
        assert_eq!(new["metadata"]["uid"], "1");
        assert_eq!(new["metadata"]["generation"], 2);
        assert_eq!(
            listed(validate_update(&new, &old)),
            "metadata.name: Invalid value: \"b\": field is immutable"
        );
    }

    #[test]
    fn a_dying_object_takes_no_new_finalizers() {
        let old = json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"]}});
        let mut new = old.clone();
        new["metadata"]["finalizers"] = json!(["a/b", "c/d"]);
        assert_eq!(
            listed(validate_update(&new, &old)),
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"c/d\"}"
        );
    }

    #[test]
    fn one_controller_owns_an_object() {
        let owner = |name: &str| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": "1", "controller": true});
        let text =
            created(json!({"name": "a", "namespace": "x", "ownerReferences": [owner("p"), owner("q")]}));
        assert!(
            text.contains(
                "Only one reference can have Controller set to true. Found \"true\" in references for p and q"
            ),
            "{text}"
        );
    }

    #[test]
    fn bare_finalizers_must_be_known() {
        assert_eq!(
            listed(validate_finalizer_names(&json!({"metadata": {"finalizers": ["orphan", "mine"]}}))),
            "metadata.finalizers[1]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"
        );
    }

    #[test]
    fn clients_do_not_say_when_an_object_was_deleted() {
        let mut new = json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z",
            "deletionGracePeriodSeconds": 3, "selfLink": "/a"}});
        prepare_for_create(&mut new);
        assert_eq!(new, json!({"metadata": {"name": "a"}}));
    }

    #[test]
    fn an_update_may_leave_out_what_the_server_wrote() {
        let written = json!({"name": "a", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
            "deletionTimestamp": "2026-01-02T00:00:00Z", "deletionGracePeriodSeconds": 30, "generation": 2});
        let old = json!({ "metadata": written });
        for sent in [
            json!({"name": "a"}),
            json!({"name": "a", "creationTimestamp": "2020-01-01T00:00:00Z", "deletionTimestamp": "2020-01-01T00:00:00Z",
                "generation": 9, "selfLink": "/a"}),
        ] {
            let mut new = json!({ "metadata": sent });
            prepare_for_update(&mut new, &old);
            assert_eq!(new["metadata"], written);
            assert_eq!(listed(validate_update(&new, &old)), "");
        }
        let mut new = json!({"metadata": {"name": "a", "uid": "2", "deletionGracePeriodSeconds": 5}});
        prepare_for_update(&mut new, &old);
        assert_eq!(
            listed(validate_update(&new, &old)),
            "metadata.uid: Invalid value: \"2\": field is immutable\n\
             metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable"
        );
        // What the old object does not have, the new one may bring.
        let mut new = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}});
        prepare_for_update(&mut new, &json!({"metadata": {}}));
        assert_eq!(new["metadata"]["creationTimestamp"], "2026-01-01T00:00:00Z");
    }

    #[test]
    fn the_form_of_metadata_is_judged_on_update_too() {
        let metadata = |change: Value| {
            let mut metadata = json!({"name": "a", "generation": 3});
            for (key, value) in change.as_object().unwrap() {
                metadata[key] = value.clone();
            }
            json!({ "metadata": metadata })
        };
        let old = metadata(json!({}));
        let check = |change: Value| listed(validate_update(&metadata(change), &old));
        assert_eq!(check(json!({"generation": 4})), "");
        assert_eq!(
            check(json!({"generation": 2})),
            "metadata.generation: Invalid value: 2: must not be decremented"
        );
        assert!(check(json!({"labels": {"-": "x"}})).starts_with("metadata.labels: Invalid value: \"-\""));
        assert!(
            check(json!({"annotations": {"-": "x"}}))
                .starts_with("metadata.annotations: Invalid value: \"-\"")
        );
        assert!(check(json!({"finalizers": ["-"]})).starts_with("metadata.finalizers: Invalid value: \"-\""));
        assert_eq!(check(json!({"finalizers": ["orphan"]})), "");
        assert_eq!(
            check(json!({"finalizers": ["orphan", "foregroundDeletion"]})),
            "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and foregroundDeletion cannot be both set"
        );
    }

    #[test]
    fn namespaces_generations_and_prefixes_are_judged() {
        let check = |namespaced: bool, metadata: Value| {
            listed(validate_create(&json!({ "metadata": metadata }), namespaced, NameRule::Subdomain))
        };
        assert_eq!(check(true, json!({"name": "a"})), "metadata.namespace: Required value");
        assert!(
            check(true, json!({"name": "a", "namespace": "A"}))
                .starts_with("metadata.namespace: Invalid value: \"A\"")
        );
        assert_eq!(check(false, json!({"name": "a"})), "");
        assert_eq!(
            check(false, json!({"name": "a", "namespace": "x"})),
            "metadata.namespace: Forbidden: not allowed on this type"
        );
        assert!(
            check(false, json!({"name": "a-1", "generateName": "A-"}))
                .starts_with("metadata.generateName: Invalid value: \"A-\"")
        );
        assert_eq!(
            check(false, json!({"name": "a", "generation": -1})),
            "metadata.generation: Invalid value: -1: must be greater than or equal to 0"
        );
        assert_eq!(check(false, json!({"name": "a", "generation": 0})), "");
        let limit =
            |size: usize| check(false, json!({"name": "a", "annotations": {"k": "x".repeat(size - 1)}}));
        assert_eq!(limit(256 * 1024), "");
        assert_ne!(limit(256 * 1024 + 1), "");
    }

    #[test]
    fn owners_are_named_in_full() {
        let check =
            |owner: Value| created(json!({"name": "a", "namespace": "x", "ownerReferences": [owner]}));
        assert_eq!(check(json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1"})), "");
        assert_eq!(
            check(json!({"apiVersion": "apps/"})),
            "metadata.ownerReferences.apiVersion: Invalid value: \"apps/\": version must not be empty\n\
             metadata.ownerReferences.kind: Invalid value: \"\": must not be empty\n\
             metadata.ownerReferences.name: Invalid value: \"\": must not be empty\n\
             metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"
        );
        assert!(
            check(json!({"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "1"}))
                .ends_with("/v1, Kind=Event is disallowed from being an owner")
        );
        assert_eq!(
            check(json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "name": "e", "uid": "1"})),
            ""
        );
    }

    #[test]
    fn new_finalizers_are_told_in_order() {
        let old = json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        let mut new = old.clone();
        new["metadata"]["finalizers"] = json!(["c/d", "a/b"]);
        assert!(listed(validate_update(&new, &old)).ends_with("[]string{\"a/b\", \"c/d\"}"));
    }
}

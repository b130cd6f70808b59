//! Annotations of pods that mean something to the server: mirror pods, the cost of deletion, and the profiles that
//! were annotations before they became fields.

use serde_json::Value;

use crate::scheduling;
use crate::tolerated::Tolerated;
use crate::volumes::validate_local_path;
use strategy::field::{Errors, Path};
use strategy::read::Read;

const MIRROR: &str = "kubernetes.io/config.mirror";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
pub(crate) const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Lists of a pod spec that hold containers, in the order in which upstream visits them.
const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Validates the annotations at `path`, of a pod or of a template.
pub(crate) fn validate(
    annotations: &Value,
    spec: &Value,
    tolerated: Tolerated,
    path: &Path,
    errors: &mut Errors,
) {
    let said = |key: &str| annotations.get(key).and_then(Value::as_str);
    if let Some(mirror) = said(MIRROR).filter(|_| spec.text("nodeName").is_empty()) {
        errors.invalid(&path.key(MIRROR), mirror, "must set spec.nodeName if mirror pod annotation is set");
    }
    if let Some(tolerations) = said(TOLERATIONS).filter(|text| !text.is_empty()) {
        match serde_json::from_str::<Vec<Value>>(tolerations) {
            Ok(tolerations) => {
                scheduling::validate_tolerations(&tolerations, &path.child(TOLERATIONS), errors);
            }
            Err(error) => errors.invalid(path, TOLERATIONS, error.to_string()),
        }
    }
    if let Some(cost) = said(DELETION_COST).filter(|cost| !tolerated.deletion_cost && !is_cost(cost)) {
        errors.invalid(&path.key(DELETION_COST), cost, "must be a 32bit integer");
    }
    let all = || annotations.as_object().into_iter().flatten();
    let of_pod = all().filter(|(key, _)| *key == SECCOMP_POD);
    for (key, value) in of_pod.chain(all().filter(|(key, _)| key.starts_with(SECCOMP_CONTAINER))) {
        validate_seccomp(value.as_str().unwrap_or_default(), &path.child(key), errors);
    }
    for (key, value) in all() {
        let Some(name) = key.strip_prefix(APPARMOR) else { continue };
        let value = value.as_str().unwrap_or_default();
        let known = CONTAINER_LISTS
            .iter()
            .any(|list| spec.items(list).iter().any(|container| container.text("name") == name));
        if !known {
            errors.invalid(&path.key(key), name, "container not found");
        }
        if !matches!(value, "" | "runtime/default" | "unconfined") && !value.starts_with("localhost/") {
            errors.invalid(&path.key(key), value, format!("invalid AppArmor profile name: {value:?}"));
        }
    }
}

fn validate_seccomp(profile: &str, path: &Path, errors: &mut Errors) {
    match profile.strip_prefix("localhost/") {
        Some(local) => validate_local_path(local, false, path, errors),
        None if matches!(profile, "runtime/default" | "docker/default" | "unconfined") => {}
        None => errors.invalid(path, profile, "must be a valid seccomp profile"),
    }
}

/// Whether the annotations tell of a cost of deletion that is none.
pub(crate) fn is_cost_wrong(annotations: &Value) -> bool {
    annotations.get(DELETION_COST).and_then(Value::as_str).is_some_and(|cost| !is_cost(cost))
}

/// A number as Go's `ParseInt` takes it, without a plus sign or leading zeros.
fn is_cost(text: &str) -> bool {
    let plain = match text.as_bytes() {
        [b'0'] => true,
        [b'-', ..] => true,
        [first, ..] => (b'1'..=b'9').contains(first),
        [] => false,
    };
    plain && text.parse::<i32>().is_ok()
}

/// Validates that a new pod, or a template, says the same in annotations and fields where it has both.
pub(crate) fn validate_twins(annotations: &Value, spec: &Value, path: &Path, errors: &mut Errors) {
    if annotations.as_object().is_none_or(serde_json::Map::is_empty) {
        return;
    }
    let pod = &spec["securityContext"];
    if let Some(said) = annotations.get(SECCOMP_POD).and_then(Value::as_str) {
        let path = path.child("securityContext");
        compare_seccomp(said, &pod["seccompProfile"], &path.child("seccompProfile"), errors);
    }
    let windows = spec["os"].text("name") == "windows";
    for list in CONTAINER_LISTS {
        let list_path = path.child(list);
        for (index, container) in spec.items(list).iter().enumerate() {
            let name = container.text("name");
            let own = &container["securityContext"];
            let container_path = list_path.index(index);
            let path = container_path.child("securityContext");
            if let Some(said) = annotations.get(format!("{SECCOMP_CONTAINER}{name}")).and_then(Value::as_str)
            {
                compare_seccomp(said, &own["seccompProfile"], &path.child("seccompProfile"), errors);
            }
            if let Some(said) = annotations.get(format!("{APPARMOR}{name}")).and_then(Value::as_str)
                && !windows
            {
                let profile = match own.has("appArmorProfile") {
                    true => &own["appArmorProfile"],
                    false => &pod["appArmorProfile"],
                };
                let words = ("apparmor", &["runtime/default"][..]);
                compare(said, profile, words, &path.child("appArmorProfile"), errors);
            }
        }
    }
}

fn compare_seccomp(said: &str, profile: &Value, path: &Path, errors: &mut Errors) {
    compare(said, profile, ("seccomp", &["runtime/default", "docker/default"]), path, errors);
}

/// Compares an annotation with the profile in the field; `words` are what messages call it and the annotations that
/// stand for the runtime's default.
fn compare(said: &str, profile: &Value, words: (&str, &[&str]), path: &Path, errors: &mut Errors) {
    let (what, defaults) = words;
    let local = said.strip_prefix("localhost/");
    let same_type = match profile.text("type") {
        "Unconfined" => said == "unconfined",
        "RuntimeDefault" => defaults.contains(&said),
        "Localhost" => local.is_some(),
        // No profile, or one whose type is refused elsewhere.
        _ => return,
    };
    if !same_type {
        errors.forbidden(&path.child("type"), format!("{what} type in annotation and field must match"));
    } else if profile.text("type") == "Localhost" && local != profile["localhostProfile"].as_str() {
        let why = format!("{what} profile in annotation and field must match");
        errors.forbidden(&path.child("localhostProfile"), why);
    }
}

/// Validates that an update leaves alone what was settled at creation.
pub(crate) fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    let root = Path::root("metadata");
    let path = root.child("annotations");
    let (new, old) = (&new["metadata"]["annotations"], &old["metadata"]["annotations"]);
    for (key, before) in old.as_object().into_iter().flatten() {
        if new.get(key) == Some(before) {
            continue;
        }
        if key.starts_with(APPARMOR) {
            errors.forbidden(&path.key(key), "may not remove or update AppArmor annotations");
        }
        if key == MIRROR {
            errors.forbidden(&path.key(key), "may not remove or update mirror pod annotation");
        }
    }
    for (key, _) in new.as_object().into_iter().flatten().filter(|(key, _)| old.get(key.as_str()).is_none()) {
        if key.starts_with(APPARMOR) {
            errors.forbidden(&path.key(key), "may not add AppArmor annotations");
        }
        if key == MIRROR {
            errors.forbidden(&path.key(key), "may not add mirror pod annotation");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    #[test]
    fn annotations_are_well_formed() {
        let spec = json!({"containers": [{"name": "c"}]});
        for (annotations, expected) in [
            (json!({"a": "b", DELETION_COST: "-5", SECCOMP_POD: "localhost/x"}), ""),
            (
                json!({DELETION_COST: "+5"}),
                "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"+5\": must be a 32bit integer",
            ),
            (
                json!({SECCOMP_POD: "localhost//x", "container.seccomp.security.alpha.kubernetes.io/c": "localhost/../x",
                    "container.seccomp.security.alpha.kubernetes.io/d": "x", DELETION_COST: "x"}),
                "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"x\": must be a 32bit integer\n\
                 metadata.annotations.seccomp.security.alpha.kubernetes.io/pod: Invalid value: \"/x\": must be a relative path\n\
                 metadata.annotations.container.seccomp.security.alpha.kubernetes.io/c: Invalid value: \"../x\": must not contain '..'\n\
                 metadata.annotations.container.seccomp.security.alpha.kubernetes.io/d: Invalid value: \"x\": must be a valid seccomp profile",
            ),
            (json!({TOLERATIONS: "[{\"operator\": \"Exists\"}]"}), ""),
            (
                json!({TOLERATIONS: "[{\"key\": \"a\", \"operator\": \"Some\"}]"}),
                "metadata.annotations.scheduler.alpha.kubernetes.io/tolerations[0].operator: Unsupported value: \"Some\": supported values: \"Equal\", \"Exists\"",
            ),
            (
                json!({MIRROR: "x"}),
                "metadata.annotations[kubernetes.io/config.mirror]: Invalid value: \"x\": must set spec.nodeName if mirror pod annotation is set",
            ),
            (
                json!({"container.apparmor.security.beta.kubernetes.io/d": "x"}),
                "metadata.annotations[container.apparmor.security.beta.kubernetes.io/d]: Invalid value: \"d\": container not found\n\
                 metadata.annotations[container.apparmor.security.beta.kubernetes.io/d]: Invalid value: \"x\": invalid AppArmor profile name: \"x\"",
            ),
        ] {
            let root = Path::root("metadata");
            let path = root.child("annotations");
            assert_eq!(
                found(|errors| validate(&annotations, &spec, Tolerated::default(), &path, errors)),
                expected
            );
        }
    }

    #[test]
    fn annotations_and_fields_say_the_same() {
        let annotations = json!({"container.apparmor.security.beta.kubernetes.io/c": "localhost/a"});
        let spec = |profile: Value| json!({"containers": [{"name": "c", "securityContext": {"appArmorProfile": profile}}]});
        let check = |profile: Value| {
            found(|errors| validate_twins(&annotations, &spec(profile), &Path::root("spec"), errors))
        };
        assert_eq!(check(json!({"type": "Localhost", "localhostProfile": "a"})), "");
        assert_eq!(
            check(json!({"type": "Localhost", "localhostProfile": "b"})),
            "spec.containers[0].securityContext.appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation and field must match"
        );
        assert_eq!(
            check(json!({"type": "Unconfined"})),
            "spec.containers[0].securityContext.appArmorProfile.type: Forbidden: apparmor type in annotation and field must match"
        );
    }

    #[test]
    fn what_was_settled_stays() {
        let pod = |annotations: Value| json!({"metadata": {"annotations": annotations}});
        let check = |new: Value, old: Value| found(|errors| validate_update(&pod(new), &pod(old), errors));
        assert_eq!(check(json!({"a": "b"}), json!({"a": "c"})), "");
        assert_eq!(
            check(json!({}), json!({MIRROR: "x"})),
            "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update mirror pod annotation"
        );
        assert_eq!(
            check(json!({MIRROR: "x"}), json!({})),
            "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod annotation"
        );
    }
}

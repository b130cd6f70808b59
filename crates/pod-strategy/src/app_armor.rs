//! Profiles of AppArmor: annotations of a new pod, from before there were fields, become fields.

use serde_json::{Value, json};

use crate::annotations::APPARMOR;
use crate::defaults::CONTAINER_LISTS;
use crate::security;
use crate::tolerated::is_wrong;
use strategy::read::Read;
use strategy::write;

/// Gives each container the profile that its annotation names, where it has no field and its pod has another.
pub(crate) fn synchronize(pod: &mut Value) {
    if is_windows(pod) {
        return;
    }
    let annotations = pod["metadata"]["annotations"].clone();
    if annotations.as_object().is_none_or(serde_json::Map::is_empty) {
        return;
    }
    let Some(spec) = write::object(pod, "spec") else { return };
    let of_pod = spec["securityContext"]["appArmorProfile"].clone();
    for list in CONTAINER_LISTS {
        for container in write::items(spec, list) {
            let said = said(&annotations, container);
            let profile =
                said.filter(|_| !container["securityContext"].has("appArmorProfile")).and_then(profile);
            if let Some(profile) = profile.filter(|profile| *profile != of_pod) {
                write::set(write::ensure(container, "securityContext"), "appArmorProfile", profile);
            }
        }
    }
}

/// What to tell of annotations of a new pod that became fields, or could not. Who had both is told as well.
pub(crate) fn warnings(pod: &Value) -> Vec<String> {
    if is_windows(pod) {
        return Vec::new();
    }
    let (annotations, of_pod) =
        (&pod["metadata"]["annotations"], &pod["spec"]["securityContext"]["appArmorProfile"]);
    let mut found = Vec::new();
    // In the order in which upstream visits them.
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in pod["spec"].items(list) {
            let Some(said) = said(annotations, container) else { continue };
            let own = &container["securityContext"]["appArmorProfile"];
            let is_told = match profile(said) {
                None => own.is_null(),
                Some(profile) => profile == *own && profile != *of_pod,
            };
            if is_told {
                let name = container.text("name");
                found.push(format!(
                    "metadata.annotations[{APPARMOR}{name}]: deprecated since v1.30; use the \"appArmorProfile\" field instead"
                ));
            }
        }
    }
    found
}

fn is_windows(pod: &Value) -> bool {
    pod["spec"]["os"].text("name") == "windows"
}

fn said<'a>(annotations: &'a Value, container: &Value) -> Option<&'a str> {
    annotations.get(format!("{APPARMOR}{}", container.text("name")))?.as_str()
}

/// The field that says what an annotation says; none where nothing valid is said.
fn profile(said: &str) -> Option<Value> {
    let profile = match said {
        "unconfined" => json!({"type": "Unconfined"}),
        "runtime/default" => json!({"type": "RuntimeDefault"}),
        other => {
            let local = other.strip_prefix("localhost/").filter(|local| !local.is_empty())?;
            json!({"type": "Localhost", "localhostProfile": local})
        }
    };
    let context = json!({ "appArmorProfile": profile });
    (!is_wrong(|path, errors| security::validate_app_armor(&context, path, errors))).then_some(profile)
}

#[cfg(test)]
mod tests {
    use strategy::testing::{created, defaulted};

    use super::*;
    use crate::{Pod, Strategy};

    fn pod(said: &str, own: Value, of_pod: Value) -> Value {
        let mut pod = json!({"metadata": {"name": "p", "namespace": "x", "annotations": {format!("{APPARMOR}c"): said}},
            "spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]}});
        if !own.is_null() {
            pod["spec"]["containers"][0]["securityContext"] = json!({ "appArmorProfile": own });
        }
        if !of_pod.is_null() {
            pod["spec"]["securityContext"] = json!({ "appArmorProfile": of_pod });
        }
        pod
    }

    /// The profile that the container gets, and whether its annotation is warned of.
    fn check(said: &str, own: Value, of_pod: Value) -> (Value, bool) {
        let mut pod = defaulted(&Pod, pod(said, own, of_pod));
        Pod.prepare_for_create(&mut pod);
        assert_eq!(pod["spec"]["containers"][1].get("securityContext"), None);
        let told = "metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the \"appArmorProfile\" field instead";
        let warnings = Pod.create_warnings(&pod);
        assert!(warnings.is_empty() || warnings == [told], "{warnings:?}");
        (pod["spec"]["containers"][0]["securityContext"]["appArmorProfile"].clone(), !warnings.is_empty())
    }

    #[test]
    fn annotations_become_fields() {
        let (none, default) = (Value::Null, json!({"type": "RuntimeDefault"}));
        let local = json!({"type": "Localhost", "localhostProfile": "a"});
        for (said, own, of_pod, expected) in [
            ("runtime/default", &none, &none, (default.clone(), true)),
            ("unconfined", &none, &default, (json!({"type": "Unconfined"}), true)),
            ("localhost/a", &none, &none, (local.clone(), true)),
            // The pod says so already.
            ("localhost/a", &none, &local, (Value::Null, false)),
            // What is no profile becomes none.
            ("localhost/", &none, &none, (Value::Null, true)),
            ("localhost/ a", &none, &none, (Value::Null, true)),
            ("", &none, &none, (Value::Null, true)),
            // The field stays as it is.
            ("unconfined", &local, &none, (local.clone(), false)),
        ] {
            assert_eq!(check(said, own.clone(), of_pod.clone()), expected, "{said} {own} {of_pod}");
        }
    }

    #[test]
    fn windows_has_no_profiles() {
        let mut windows = pod("unconfined", Value::Null, Value::Null);
        windows["spec"]["os"] = json!({"name": "windows"});
        let mut prepared = defaulted(&Pod, windows);
        Pod.prepare_for_create(&mut prepared);
        assert_eq!(prepared["spec"]["containers"][0].get("securityContext"), None);
        assert_eq!(Pod.create_warnings(&prepared), [""; 0]);
    }

    #[test]
    fn fields_and_annotations_must_still_agree() {
        assert_eq!(created(&Pod, pod("localhost/a", Value::Null, Value::Null)), "");
        let told = created(&Pod, pod("unconfined", json!({"type": "RuntimeDefault"}), Value::Null));
        assert_eq!(
            told,
            "spec.containers[0].securityContext.appArmorProfile.type: Forbidden: apparmor type in annotation and field must match"
        );
    }
}

//! Pods: their strategy, the pure parts of their subresources, and what carries pods or is carried by them.

mod annotations;
mod app_armor;
pub mod binding;
mod containers;
pub mod defaults;
mod disabled;
pub mod env;
mod ephemeral;
pub mod eviction;
pub mod gates;
mod match_label_keys;
mod operating_system;
pub mod persistent_volume_claim;
pub mod pod_template;
pub mod probes;
mod projected;
mod resize;
pub mod resources;
pub mod scheduling;
mod security;
pub mod signers;
pub mod spec;
mod status;
pub mod template;
mod tolerated;
mod update;
pub mod volume_defaults;
pub mod volume_sources;
pub mod volumes;
pub mod warnings;
mod windows;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::{Value, json};

use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::write;
use strategy::{self, Grace, Keeps, Resets, Strategy};

use crate::tolerated::Tolerated;

/// The rules of pods.
pub struct Pod;

const SPEC: Path<'static> = Path::root("spec");

impl Strategy for Pod {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn default(&self, object: &mut Value) {
        defaults::pod_spec(write::ensure(object, "spec"));
    }

    fn prepare_for_create(&self, object: &mut Value) {
        write::set(write::ensure(object, "metadata"), "generation", 1);
        disabled::drop(write::ensure(object, "spec"), &Value::Null, gates::own());
        match_label_keys::merge(object);
        app_armor::synchronize(object);
        write::remove(write::ensure(object, "spec"), "schedulingGroup");
        let mut status = json!({"phase": "Pending", "qosClass": resources::qos_class(&object["spec"])});
        if !object["spec"].items("schedulingGates").is_empty() {
            status["conditions"] = json!([{
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }]);
        }
        write::set(object, "status", status);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        spec::validate_pod(object, Tolerated::of_new(gates::own()), errors);
        if !spec.items("ephemeralContainers").is_empty() {
            errors.forbidden(&SPEC.child("ephemeralContainers"), "cannot be set on create");
        }
        if !spec.text("nodeName").is_empty() && !spec.items("schedulingGates").is_empty() {
            errors.forbidden(
                &SPEC.child("nodeName"),
                "cannot be set until all schedulingGates have been cleared",
            );
        }
        annotations::validate_twins(&object["metadata"]["annotations"], spec, &SPEC, errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        write::copy(new, "status", old);
        disabled::drop(write::ensure(new, "spec"), &old["spec"], gates::own());
        // Pods are not scheduled in groups; one that is said to be keeps what it says.
        if !old["spec"].has("schedulingGroup") {
            write::remove(write::ensure(new, "spec"), "schedulingGroup");
        }
        strategy::count_generation(new, old, !same(&new["spec"], &old["spec"]));
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        spec::validate_pod(new, Tolerated::of(old), errors);
        update::validate(new, old, errors);
    }

    fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        status::prepare(new, old);
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        status::validate(new, old, errors);
    }

    fn subresource(&self, name: &str) -> Option<&'static dyn Strategy> {
        match name {
            "ephemeralcontainers" => Some(&ephemeral::EphemeralContainers),
            "resize" => Some(&resize::Resize),
            _ => None,
        }
    }

    fn resets(&self, part: &str) -> Resets {
        match part {
            "status" => Resets::Only(&["spec", "metadata.deletionTimestamp", "metadata.ownerReferences"]),
            "ephemeralcontainers" => Resets::AllBut(&["spec.ephemeralContainers"]),
            "resize" => Resets::AllBut(&[
                "spec.containers.*.resizePolicy",
                "spec.containers.*.resources",
                "spec.initContainers.*.resizePolicy",
                "spec.initContainers.*.resources",
                "spec.resources",
            ]),
            _ => Resets::Only(&["status"]),
        }
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        match name {
            "spec.hostNetwork" => {
                let host = object["spec"].flag("hostNetwork") == Some(true);
                Some(Cow::Borrowed(if host { "true" } else { "false" }))
            }
            // Upstream knows this field as a list but compares the first address.
            "status.podIP" | "status.podIPs" => {
                let first = object["status"].items("podIPs").first().map(|entry| entry.text("ip"));
                Some(Cow::Borrowed(first.unwrap_or_else(|| object["status"].text("podIP"))))
            }
            _ => self.selectable_fields().contains(&name).then(|| strategy::field_text(object, name)),
        }
    }

    /// The request's seconds, else the pod's own; none for a pod that no kubelet has or that has ended.
    fn deletion_grace(&self, object: &Value, requested: Option<i64>) -> Grace {
        let spec = &object["spec"];
        let seconds = requested.or_else(|| spec.int("terminationGracePeriodSeconds")).unwrap_or(0);
        let ended = matches!(object["status"].text("phase"), "Failed" | "Succeeded");
        // Upstream turns a negative period into one second: the shortest that is still graceful.
        let seconds = if seconds < 0 { 1 } else { seconds };
        Grace::Seconds(if spec.text("nodeName").is_empty() || ended { 0 } else { seconds })
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let mut found = app_armor::warnings(object);
        found.extend(warnings::host_name(object));
        found.extend(warnings::pod(object));
        found
    }
}

/// Whether a pod mirrors one that its kubelet runs from a file.
pub fn is_mirror(pod: &Value) -> bool {
    pod["metadata"]["annotations"].get("kubernetes.io/config.mirror").is_some()
}

//! StatefulSets.

use serde_json::{Value, json};

use crate::workload::{
    SPEC, validate_at_most_all, validate_available, validate_collisions, validate_counts,
    validate_int_or_percent, validate_status_counts,
};
use pod_strategy::probes::validate_label;
use pod_strategy::warnings;
use pod_strategy::{persistent_volume_claim, template};
use strategy::field::Errors;
use strategy::read::{Read, same};
use strategy::{Keeps, NameRule, Strategy};
use strategy::{selectors, write};

/// The rules of StatefulSets.
pub struct StatefulSet;

/// What an update may change.
const MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

impl Strategy for StatefulSet {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        write::zero(spec, "podManagementPolicy", "OrderedReady");
        let update = write::ensure(spec, "updateStrategy");
        write::zero(update, "type", "RollingUpdate");
        if update.text("type") == "RollingUpdate" {
            let rolling = write::ensure(update, "rollingUpdate");
            write::missing(rolling, "partition", 0);
            write::missing(rolling, "maxUnavailable", 1);
        }
        let retention = write::ensure(spec, "persistentVolumeClaimRetentionPolicy");
        write::zero(retention, "whenDeleted", "Retain");
        write::zero(retention, "whenScaled", "Retain");
        write::missing(spec, "replicas", 1);
        write::missing(spec, "revisionHistoryLimit", 10);
        template::default(spec);
        for claim in write::items(spec, "volumeClaimTemplates") {
            write::zero(claim, "apiVersion", "v1");
            write::zero(claim, "kind", "PersistentVolumeClaim");
            persistent_volume_claim::default_spec(write::ensure(claim, "spec"));
            write::zero(write::ensure(claim, "status"), "phase", "Pending");
        }
    }

    /// The names of pods, which begin with this one, become their host names.
    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        validate_spec(spec, errors);
        validate_template(spec, None, errors);
        validate_service_name(spec, errors);
        let list_path = SPEC.child("volumeClaimTemplates");
        for (index, claim) in spec.items("volumeClaimTemplates").iter().enumerate() {
            let path = list_path.index(index);
            persistent_volume_claim::validate_spec(&claim["spec"], &path.child("spec"), errors);
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], errors);
        // A template that was stored before templates were judged may go on.
        let mut stored = Errors::new();
        validate_template(&old["spec"], Some(&old["spec"]), &mut stored);
        if stored.is_empty() {
            validate_template(&new["spec"], Some(&old["spec"]), errors);
        }
        if new["spec"]["serviceName"] != old["spec"]["serviceName"] {
            validate_service_name(&new["spec"], errors);
        }
        let mut allowed = new["spec"].clone();
        for key in MUTABLE {
            write::copy(&mut allowed, key, &old["spec"]);
        }
        if !same(&allowed, &old["spec"]) {
            errors.forbidden(
                &SPEC,
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
            );
        }
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        const COUNTS: [&str; 7] = [
            "replicas",
            "readyReplicas",
            "currentReplicas",
            "updatedReplicas",
            "availableReplicas",
            "observedGeneration",
            "collisionCount",
        ];
        validate_status_counts(&new["status"], &COUNTS, &COUNTS[1..5], errors);
        validate_available(&new["status"], "status.readyReplicas", errors);
        validate_collisions(new, old, errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let mut found = warnings::template(&object["spec"]);
        // Upstream names claims so, here and in updates.
        spec_warnings(&object["spec"], "", &mut found);
        found
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        let mut found = template::update_warnings(new, old);
        spec_warnings(&new["spec"], ".Spec", &mut found);
        found
    }
}

/// Warns of what is odd beside the template, however long it has been so.
fn spec_warnings(spec: &Value, of_claim: &str, found: &mut Vec<String>) {
    for (index, claim) in spec.items("volumeClaimTemplates").iter().enumerate() {
        let path = format!("spec.volumeClaimTemplates[{index}]{of_claim}");
        persistent_volume_claim::spec_warnings(&claim["spec"], &path, found);
    }
    if spec["revisionHistoryLimit"].as_i64().is_some_and(|limit| limit < 0) {
        found.push("spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended".to_owned());
    }
}

fn validate_service_name(spec: &Value, errors: &mut Errors) {
    let name = spec.text("serviceName");
    if !name.is_empty() {
        validate_label(name, &SPEC.child("serviceName"), errors);
    }
}

fn validate_spec(spec: &Value, errors: &mut Errors) {
    let policy_path = SPEC.child("podManagementPolicy");
    match spec.text("podManagementPolicy") {
        "OrderedReady" | "Parallel" => {}
        "" => errors.required(&policy_path, ""),
        other => errors.invalid(&policy_path, other, "must be 'OrderedReady' or 'Parallel'"),
    }
    let update = &spec["updateStrategy"];
    let update_path = SPEC.child("updateStrategy");
    let rolling_path = update_path.child("rollingUpdate");
    match update.text("type") {
        "" => errors.required(&update_path, ""),
        "OnDelete" => {
            if update.has("rollingUpdate") {
                errors.invalid(
                    &rolling_path,
                    update["rollingUpdate"].clone(),
                    "only allowed for updateStrategy 'RollingUpdate'",
                );
            }
        }
        "RollingUpdate" => {
            let rolling = &update["rollingUpdate"];
            validate_counts(rolling, &["partition"], &rolling_path, errors);
            if rolling.has("maxUnavailable") {
                let path = rolling_path.child("maxUnavailable");
                let value = &rolling["maxUnavailable"];
                validate_int_or_percent(value, &path, errors);
                if crate::workload::is_zero(value) {
                    errors.invalid(&path, value.clone(), "cannot be 0");
                }
                validate_at_most_all(value, &path, errors);
            }
        }
        _ => errors.invalid(&update_path, update.clone(), "must be 'RollingUpdate' or 'OnDelete'"),
    }
    let retention_path = SPEC.child("persistentVolumeClaimRetentionPolicy");
    for key in ["whenDeleted", "whenScaled"] {
        let value = spec["persistentVolumeClaimRetentionPolicy"].text(key);
        if !matches!(value, "Retain" | "Delete" | "") {
            errors.unsupported(&retention_path.child(key), value, &["Retain", "Delete"]);
        }
    }
    validate_counts(spec, &["replicas", "minReadySeconds"], &SPEC, errors);
    validate_counts(&spec["ordinals"], &["start"], &SPEC.child("ordinals"), errors);
    selectors::validate_workload(spec, &SPEC, "statefulset", errors);
    selectors::validate_template_match(spec, &SPEC, errors);
}

/// Validates the template as its pods will be: what is mounted of a claim needs no volume of its own, and names in
/// DNS are the controller's to give.
fn validate_template(spec: &Value, old: Option<&Value>, errors: &mut Errors) {
    let mut template = with_claims(spec);
    let pod = write::ensure(&mut template, "spec");
    write::remove(pod, "hostname");
    write::remove(pod, "subdomain");
    let stored = old.map(|old| &old["template"]);
    template::validate_always(&template, stored, &SPEC, "StatefulSet", errors);
}

fn with_claims(spec: &Value) -> Value {
    let mut template = spec["template"].clone();
    let claims = spec.items("volumeClaimTemplates");
    if claims.is_empty() {
        return template;
    }
    let pod = write::ensure(&mut template, "spec");
    write::missing(pod, "volumes", json!([]));
    if let Some(Value::Array(volumes)) = pod.get_mut("volumes") {
        for claim in claims {
            let name = claim["metadata"].text("name");
            volumes.retain(|volume| volume.text("name") != name);
            volumes.push(json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
        }
    }
    template
}

#[cfg(test)]
mod tests;

//! StatefulSets.

use serde_json::{Value, json};

use crate::workload::{
    SPEC, validate_at_most_all, validate_counts, validate_int_or_percent, validate_status_counts,
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
        validate_spec(&object["spec"], errors);
        validate_service_name(&object["spec"], errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], errors);
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

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        let parts = ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"];
        validate_status_counts(&new["status"], &parts, errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let mut found = warnings::template(&object["spec"]);
        if object["spec"]["revisionHistoryLimit"].as_i64().is_some_and(|limit| limit < 0) {
            found.push("spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended".to_owned());
        }
        found
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        if same(&new["spec"], &old["spec"]) { Vec::new() } else { self.create_warnings(new) }
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
    // A mount of a claim template needs no volume of its own in the pod template.
    template::validate_always(&with_claims(spec), &SPEC, "StatefulSet", errors);
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
mod tests {
    use super::*;
    use strategy::testing::{created, defaulted, updated};

    fn web() -> Value {
        json!({"metadata": {"name": "web"}, "spec": {
            "serviceName": "web",
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                {"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}],
        }})
    }

    #[test]
    fn claims_may_be_mounted() {
        assert_eq!(created(&StatefulSet, web()), "");
        let full = defaulted(&StatefulSet, web());
        assert_eq!(full["spec"]["volumeClaimTemplates"][0]["spec"]["volumeMode"], "Filesystem");
        assert_eq!(full["spec"]["updateStrategy"]["rollingUpdate"]["partition"], 0);
    }

    #[test]
    fn only_some_fields_change() {
        let mut new = web();
        new["spec"]["replicas"] = json!(3);
        assert_eq!(updated(&StatefulSet, new.clone(), web()), "");
        let mut dotted = web();
        dotted["spec"]["serviceName"] = json!("a.b");
        assert!(
            created(&StatefulSet, dotted)
                .starts_with("spec.serviceName: Invalid value: \"a.b\": a lowercase")
        );
        new["spec"]["serviceName"] = json!("other");
        assert!(updated(&StatefulSet, new, web()).starts_with(
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template'"
        ));
    }
}

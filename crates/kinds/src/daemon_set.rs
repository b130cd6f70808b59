//! DaemonSets.

use apimachinery::labels::Selector;
use serde_json::Value;

use crate::workload::{
    SPEC, STATUS, empty, is_zero, validate_at_most_all, validate_collisions, validate_counts,
    validate_int_or_percent,
};
use pod_strategy::template;
use pod_strategy::warnings;
use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::{Keeps, Strategy};
use strategy::{selectors, write};

/// The rules of DaemonSets.
pub struct DaemonSet;

/// Counts the changes of the template; a field of this object before apps/v1, kept as an annotation since.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

impl Strategy for DaemonSet {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        let update = write::ensure(spec, "updateStrategy");
        write::zero(update, "type", "RollingUpdate");
        if update.text("type") == "RollingUpdate" {
            let rolling = write::ensure(update, "rollingUpdate");
            write::missing(rolling, "maxUnavailable", 1);
            write::missing(rolling, "maxSurge", 0);
        }
        write::missing(spec, "revisionHistoryLimit", 10);
        template::default(spec);
    }

    fn prepare_for_create(&self, object: &mut Value) {
        self.keeps().prepare_for_create(object);
        set_template_generation(object, template_generation(object).max(1));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_spec(&object["spec"], None, errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        let changed = !same(&new["spec"]["template"], &old["spec"]["template"]);
        self.keeps().prepare_for_update(new, old);
        let generation = template_generation(old);
        if generation > 0 || changed {
            set_template_generation(new, generation.saturating_add(i64::from(changed)));
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], Some(&old["spec"]), errors);
        errors.immutable(&SPEC.child("selector"), &new["spec"]["selector"], &old["spec"]["selector"]);
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let counts = [
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
            "observedGeneration",
            "updatedNumberScheduled",
            "numberAvailable",
            "numberUnavailable",
            "collisionCount",
        ];
        validate_counts(&new["status"], &counts, &STATUS, errors);
        validate_collisions(new, old, errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        warnings::template(&object["spec"])
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        // As upstream, which counts changes of the template here.
        match same(&new["spec"]["template"], &old["spec"]["template"]) {
            true => Vec::new(),
            false => warnings::template(&new["spec"]),
        }
    }
}

fn template_generation(object: &Value) -> i64 {
    object["metadata"]["annotations"].text(TEMPLATE_GENERATION).parse().unwrap_or(0)
}

fn set_template_generation(object: &mut Value, generation: i64) {
    let annotations = write::ensure(write::ensure(object, "metadata"), "annotations");
    write::set(annotations, TEMPLATE_GENERATION, generation.to_string());
}

fn validate_spec(spec: &Value, old: Option<&Value>, errors: &mut Errors) {
    validate_selector(spec, errors);
    let stored = old.map(|old| &old["template"]);
    template::validate_always(&spec["template"], stored, &SPEC, "DaemonSet", errors);
    validate_counts(spec, &["minReadySeconds"], &SPEC, errors);
    validate_rollout(&spec["updateStrategy"], &SPEC.child("updateStrategy"), errors);
    validate_counts(spec, &["revisionHistoryLimit"], &SPEC, errors);
}

/// Validates the selector; one that is missing matches nothing, not even the template.
fn validate_selector(spec: &Value, errors: &mut Errors) {
    let (selector, path) = (&spec["selector"], SPEC.child("selector"));
    selectors::validate(selector, &path, errors);
    let labels = &spec["template"]["metadata"]["labels"];
    let matches = match Selector::from_label_selector(selector) {
        Ok(found) => !selector.is_null() && found.matches_value(labels.as_object()),
        Err(_) => true,
    };
    if !matches {
        errors.invalid(
            &SPEC.child("template").child("metadata").child("labels"),
            if labels.is_null() { empty() } else { labels.clone() },
            "`selector` does not match template `labels`",
        );
    }
    if !selector.is_null() && selectors::is_empty(selector) {
        errors.invalid(&path, selector.clone(), "empty selector is invalid for daemonset");
    }
}

fn validate_rollout(update: &Value, path: &Path, errors: &mut Errors) {
    let rolling = &update["rollingUpdate"];
    let rolling_path = path.child("rollingUpdate");
    match update.text("type") {
        "OnDelete" => {}
        "RollingUpdate" if rolling.is_null() => errors.required(&rolling_path, ""),
        "RollingUpdate" => {
            let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
            let (unavailable_path, surge_path) =
                (rolling_path.child("maxUnavailable"), rolling_path.child("maxSurge"));
            validate_int_or_percent(unavailable, &unavailable_path, errors);
            validate_int_or_percent(surge, &surge_path, errors);
            validate_at_most_all(unavailable, &unavailable_path, errors);
            validate_at_most_all(surge, &surge_path, errors);
            match (is_zero(unavailable), is_zero(surge)) {
                (false, false) => errors.invalid(
                    &surge_path,
                    surge.clone(),
                    "may not be set when maxUnavailable is non-zero",
                ),
                (true, true) => errors.required(&unavailable_path, "cannot be 0 when maxSurge is 0"),
                _ => {}
            }
        }
        _ => errors.unsupported(path, update.clone(), &["RollingUpdate", "OnDelete"]),
    }
}

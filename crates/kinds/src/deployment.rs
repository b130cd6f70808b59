//! Deployments.

use serde_json::Value;

use crate::workload::{
    SPEC, empty, is_zero, validate_at_most_all, validate_available, validate_collisions, validate_counts,
    validate_int_or_percent, validate_status_counts,
};
use pod_strategy::{template, warnings};
use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::{self, Keeps, Resets, Strategy};
use strategy::{selectors, write};

/// The rules of Deployments.
pub struct Deployment;

impl Strategy for Deployment {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        write::missing(spec, "replicas", 1);
        let rollout = write::ensure(spec, "strategy");
        write::zero(rollout, "type", "RollingUpdate");
        if rollout.text("type") == "RollingUpdate" {
            let rolling = write::ensure(rollout, "rollingUpdate");
            write::missing(rolling, "maxUnavailable", "25%");
            write::missing(rolling, "maxSurge", "25%");
        }
        write::missing(spec, "revisionHistoryLimit", 10);
        write::missing(spec, "progressDeadlineSeconds", 600);
        template::default(spec);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_spec(&object["spec"], None, errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        write::copy(new, "status", old);
        strategy::count_generation(new, old, is_changed(new, old));
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], Some(&old["spec"]), errors);
        errors.immutable(&SPEC.child("selector"), &new["spec"]["selector"], &old["spec"]["selector"]);
    }

    fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        strategy::prepare_status_update(new, old);
        strategy::keep_metadata(new, old, &["labels"]);
    }

    fn resets(&self, part: &str) -> Resets {
        match part {
            "status" => Resets::Only(&["spec", "metadata.labels"]),
            _ => Resets::Only(&["status"]),
        }
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        const COUNTS: [&str; 8] = [
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ];
        validate_status_counts(&new["status"], &COUNTS, &COUNTS[2..5], errors);
        validate_available(&new["status"], "readyReplicas", errors);
        validate_collisions(new, old, errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        template::create_warnings(object)
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        if is_changed(new, old) { warnings::template(&new["spec"]) } else { Vec::new() }
    }
}

/// Whether the generation is another one: annotations are copied to replica sets and count too.
fn is_changed(new: &Value, old: &Value) -> bool {
    !same(&new["spec"], &old["spec"])
        || !same(&new["metadata"]["annotations"], &old["metadata"]["annotations"])
}

fn validate_spec(spec: &Value, old: Option<&Value>, errors: &mut Errors) {
    validate_counts(spec, &["replicas"], &SPEC, errors);
    selectors::validate_workload(spec, &SPEC, "deployment", errors);
    selectors::validate_template_match(spec, &SPEC, errors);
    let stored = old.map(|old| &old["template"]);
    template::validate_always(&spec["template"], stored, &SPEC, "ReplicaSet", errors);
    validate_rollout(&spec["strategy"], &SPEC.child("strategy"), errors);
    validate_counts(
        spec,
        &["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"],
        &SPEC,
        errors,
    );
    if let Some(deadline) = spec.int("progressDeadlineSeconds")
        && deadline <= spec.int("minReadySeconds").unwrap_or(0)
    {
        errors.invalid(
            &SPEC.child("progressDeadlineSeconds"),
            deadline,
            "must be greater than minReadySeconds",
        );
    }
}

fn validate_rollout(rollout: &Value, path: &Path, errors: &mut Errors) {
    let rolling = &rollout["rollingUpdate"];
    let rolling_path = path.child("rollingUpdate");
    match rollout.text("type") {
        "Recreate" => {
            if !rolling.is_null() {
                errors.forbidden(&rolling_path, "may not be specified when strategy `type` is 'Recreate'");
            }
        }
        "RollingUpdate" if rolling.is_null() => {
            errors.required(&rolling_path, "this should be defaulted and never be nil");
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
            let unavailable_path = rolling_path.child("maxUnavailable");
            validate_int_or_percent(unavailable, &unavailable_path, errors);
            validate_int_or_percent(surge, &rolling_path.child("maxSurge"), errors);
            if is_zero(unavailable) && is_zero(surge) {
                errors.invalid(&unavailable_path, unavailable.clone(), "may not be 0 when `maxSurge` is 0");
            }
            validate_at_most_all(unavailable, &unavailable_path, errors);
        }
        _ => {
            let value = if rollout.is_null() { empty() } else { rollout.clone() };
            errors.unsupported(path, value, &["Recreate", "RollingUpdate"]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{agree, created, defaulted, found, updated};

    fn web() -> Value {
        json!({"metadata": {"name": "web", "namespace": "x"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        }})
    }

    #[test]
    fn a_bare_deployment_rolls_by_quarters() {
        let object = defaulted(&Deployment, web());
        assert_eq!(object["spec"]["replicas"], 1);
        assert_eq!(
            object["spec"]["strategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
        );
        assert_eq!(object["spec"]["template"]["spec"]["restartPolicy"], "Always");
        assert_eq!(created(&Deployment, web()), "");
    }

    #[test]
    fn the_selector_matches_its_template() {
        let mut object = web();
        object["spec"]["template"]["metadata"]["labels"] = json!({"app": "db"});
        assert_eq!(
            created(&Deployment, object),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"db\"}: `selector` does not match template `labels`"
        );
        let mut object = web();
        object["spec"]["selector"] = Value::Null;
        assert_eq!(created(&Deployment, object), "spec.selector: Required value");
    }

    #[test]
    fn a_rollout_must_be_able_to_move() {
        let mut object = web();
        object["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}});
        assert_eq!(
            created(&Deployment, object),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"
        );
        let mut object = web();
        object["spec"]["strategy"] = json!({"type": "Recreate", "rollingUpdate": {}});
        assert_eq!(
            created(&Deployment, object),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"
        );
        let mut object = web();
        object["spec"]["replicas"] = json!(-1);
        assert_eq!(
            created(&Deployment, object),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
        let mut object = web();
        object["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
        assert_eq!(
            created(&Deployment, object),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""
        );
    }

    #[test]
    fn specs_are_judged_in_order() {
        let with = |change: Value| {
            let mut object = web();
            for (key, value) in change.as_object().unwrap() {
                object["spec"][key] = value.clone();
            }
            (change.to_string(), created(&Deployment, object))
        };
        let rolling = |unavailable: Value, surge: Value| json!({"strategy": {"rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}});
        let cases = [
            (json!({"replicas": 0, "minReadySeconds": 599}), ""),
            (rolling(json!("0%"), json!("101%")), ""),
            (
                json!({"replicas": -1, "minReadySeconds": -1, "revisionHistoryLimit": -1, "progressDeadlineSeconds": -1, "strategy": {"type": "Some"}}),
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0\n\
                spec.strategy: Unsupported value: {\"type\":\"Some\"}: supported values: \"Recreate\", \"RollingUpdate\"\n\
                spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0\n\
                spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0\n\
                spec.progressDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0\n\
                spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds",
            ),
            (
                json!({"minReadySeconds": 600}),
                "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
            ),
            (
                json!({"selector": {}}),
                "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
            ),
            (
                rolling(json!("101%"), json!(-1)),
                "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0\n\
                spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                rolling(json!("5"), json!(0)),
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"5\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
            ),
        ];
        agree(cases.into_iter().map(|(change, expected)| {
            let (case, told) = with(change);
            (case, told, expected)
        }));
    }

    #[test]
    fn a_status_counts_what_there_is() {
        let check = |old: Value, new: Value| {
            let (old, new) = (json!({ "status": old }), json!({ "status": new }));
            found(|errors| Deployment.validate_status_update(&new, &old, errors)).replace("status.", "")
        };
        for key in [
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ] {
            let told = check(json!({}), json!({key: -1}));
            assert!(
                told.starts_with(&format!("{key}: Invalid value: -1: must be greater than or equal to 0")),
                "{told}"
            );
        }
        assert_eq!(
            check(
                json!({"collisionCount": 0}),
                json!({"replicas": 1, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 3, "unavailableReplicas": 9})
            ),
            "updatedReplicas: Invalid value: 2: cannot be greater than replicas\n\
            readyReplicas: Invalid value: 2: cannot be greater than replicas\n\
            availableReplicas: Invalid value: 3: cannot be greater than replicas\n\
            availableReplicas: Invalid value: 3: cannot be greater than readyReplicas\n\
            collisionCount: Invalid value: 0: cannot be decremented"
        );
        assert_eq!(check(json!({"collisionCount": 1}), json!({"collisionCount": 2})), "");
        assert_eq!(
            check(json!({"observedGeneration": 1}), json!({"observedGeneration": -1, "replicas": -1})),
            "observedGeneration: Invalid value: -1: must be greater than or equal to 0\n\
            replicas: Invalid value: -1: must be greater than or equal to 0\n\
            updatedReplicas: Invalid value: 0: cannot be greater than replicas\n\
            readyReplicas: Invalid value: 0: cannot be greater than replicas\n\
            availableReplicas: Invalid value: 0: cannot be greater than replicas"
        );
    }

    #[test]
    fn the_selector_stays() {
        let mut object = web();
        object["spec"]["selector"] = json!({"matchLabels": {"app": "db"}});
        object["spec"]["template"]["metadata"]["labels"] = json!({"app": "db"});
        assert_eq!(
            updated(&Deployment, object, web()),
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"db\"}}: field is immutable"
        );
    }

    #[test]
    fn templates_are_warned_of_with_any_change() {
        let warned = |change: &dyn Fn(&mut Value)| {
            let mut old = web();
            old["spec"]["template"]["spec"]["nodeSelector"] = json!({"beta.kubernetes.io/os": "linux"});
            let mut new = old.clone();
            change(&mut new);
            Deployment.update_warnings(&new, &old).len()
        };
        assert_eq!(warned(&|_| {}), 0);
        assert_eq!(warned(&|new| new["metadata"]["labels"] = json!({"a": "b"})), 0);
        assert_eq!(warned(&|new| new["metadata"]["annotations"] = json!({"a": "b"})), 1);
        assert_eq!(warned(&|new| new["spec"]["replicas"] = json!(7)), 1);
    }

    #[test]
    fn generation_counts_spec_and_annotations() {
        let mut old = defaulted(&Deployment, web());
        Deployment.prepare_for_create(&mut old);
        old["status"] = json!({"replicas": 1});
        let mut new = old.clone();
        new["metadata"]["labels"] = json!({"a": "b"});
        new["status"] = json!({"replicas": 9});
        Deployment.prepare_for_update(&mut new, &old);
        assert_eq!((&new["metadata"]["generation"], &new["status"]["replicas"]), (&json!(1), &json!(1)));
        new["spec"]["replicas"] = json!(3);
        Deployment.prepare_for_update(&mut new, &old);
        assert_eq!(new["metadata"]["generation"], 2);
        let mut status = old.clone();
        status["spec"]["replicas"] = json!(5);
        status["status"]["replicas"] = json!(4);
        Deployment.prepare_status_update(&mut status, &old);
        assert_eq!((&status["spec"]["replicas"], &status["status"]["replicas"]), (&json!(1), &json!(4)));
    }
}

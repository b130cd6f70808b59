//! What is said of DaemonSets.

use serde_json::{Value, json};

use strategy::testing::found;

use super::{check, check_updates, template};
use crate::strategy;

#[test]
fn daemon_sets() {
    let set = |spec: Value| {
        let mut full = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template()});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"metadata": {"name": "d"}, "spec": full})
    };
    let rolling = |unavailable: Value, surge: Value| {
        set(
            json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}}),
        )
    };
    check(
        "apps",
        "DaemonSet",
        &[
            (set(json!({})), ""),
            (rolling(json!("100%"), json!(0)), ""),
            (rolling(json!("0%"), json!(1)), ""),
            (
                rolling(json!("101%"), json!("0%")),
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                rolling(json!(0), json!("x")),
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')\n\
                spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
            ),
            (
                rolling(json!(1), json!(-1)),
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0\n\
                spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: -1: may not be set when maxUnavailable is non-zero",
            ),
            (
                rolling(json!(1), json!(1)),
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
            ),
            (set(json!({"updateStrategy": {"type": "OnDelete"}})), ""),
            (
                set(
                    json!({"updateStrategy": {"type": "Some"}, "minReadySeconds": -1, "revisionHistoryLimit": -1}),
                ),
                "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0\n\
                spec.updateStrategy: Unsupported value: {\"type\":\"Some\"}: supported values: \"RollingUpdate\", \"OnDelete\"\n\
                spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                set(json!({"selector": {}})),
                "spec.selector: Invalid value: {}: empty selector is invalid for daemonset",
            ),
            (
                set(json!({"selector": null})),
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ),
            (
                set(json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Some"}]}})),
                "spec.selector.matchExpressions[0].operator: Invalid value: \"Some\": not a valid selector operator",
            ),
            (
                rolling(json!("101%"), json!("-1%")),
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"-1%\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')\n\
                spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                rolling(json!(0), json!("101%")),
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                set(json!({"selector": {"matchLabels": {"a": "c"}}})),
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ),
        ],
    );
    check_updates(
        "apps",
        "DaemonSet",
        &[(
            set(json!({})),
            set(json!({"selector": {"matchLabels": {"a": "c"}}, "minReadySeconds": -1})),
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`\n\
                spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0\n\
                spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"c\"}}: field is immutable",
        )],
    );
    let judged = |old: Value, new: Value| {
        found(|errors| strategy("apps", "DaemonSet").validate_status_update(&new, &old, errors))
    };
    for key in [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ] {
        let told = judged(json!({}), json!({"status": {key: -1}}));
        assert_eq!(told, format!("status.{key}: Invalid value: -1: must be greater than or equal to 0"));
    }
    let collisions = |count: Value| json!({"status": {"collisionCount": count}});
    assert_eq!(judged(collisions(json!(1)), collisions(json!(1))), "");
    assert_eq!(
        judged(collisions(json!(1)), collisions(json!(0))),
        "status.collisionCount: Invalid value: 0: cannot be decremented"
    );
    let strategy = strategy("apps", "DaemonSet");
    let generation = |object: &Value| {
        object["metadata"]["annotations"]["deprecated.daemonset.template.generation"].clone()
    };
    let mut old = set(json!({}));
    strategy.default(&mut old);
    assert_eq!(old["spec"]["revisionHistoryLimit"], 10);
    assert_eq!(old["spec"]["updateStrategy"]["rollingUpdate"], json!({"maxUnavailable": 1, "maxSurge": 0}));
    strategy.prepare_for_create(&mut old);
    assert_eq!(generation(&old), "1");
    let mut new = old.clone();
    new["spec"]["minReadySeconds"] = 3.into();
    strategy.prepare_for_update(&mut new, &old);
    assert_eq!((generation(&new), new["metadata"]["generation"].as_i64()), (json!("1"), Some(2)));
    new["spec"]["template"]["spec"]["containers"][0]["image"] = "j".into();
    strategy.prepare_for_update(&mut new, &old);
    assert_eq!(generation(&new), "2", "it counts changes of the template");
}

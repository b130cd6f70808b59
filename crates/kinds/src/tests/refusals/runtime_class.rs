//! What is said of RuntimeClasses.

use serde_json::{Value, json};

use super::{check, check_updates};
use crate::strategy;

#[test]
fn runtime_classes() {
    let class = |change: Value| {
        let mut class = json!({"handler": "h"});
        class.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        class
    };
    let toleration = json!({"key": "a", "operator": "Exists"});
    let twice =
        json!({"scheduling": {"tolerations": [toleration, {"key": "b", "operator": "Exists"}, toleration]}});
    check(
        "node.k8s.io",
        "RuntimeClass",
        &[
            (class(json!({"overhead": {"podFixed": {"cpu": "1"}}})), ""),
            (
                class(json!({"overhead": {"podFixed": {"hugepages-2Mi": "-2Mi"}}})),
                "overhead.limits[hugepages-2Mi]: Invalid value: \"-2Mi\": must be greater than or equal to 0\n\
                overhead: Forbidden: HugePages require cpu or memory",
            ),
            (
                class(twice.clone()),
                "scheduling.tolerations[2]: Duplicate value: {\"key\":\"a\",\"operator\":\"Exists\"}",
            ),
        ],
    );
    check_updates(
        "node.k8s.io",
        "RuntimeClass",
        &[(
            class(json!({})),
            class(json!({"handler": "i", "scheduling": twice["scheduling"]})),
            "scheduling.tolerations[2]: Duplicate value: {\"key\":\"a\",\"operator\":\"Exists\"}\n\
            handler: Invalid value: \"i\": field is immutable",
        )],
    );
    assert!(strategy("node.k8s.io", "RuntimeClass").allow_create_on_update());
}

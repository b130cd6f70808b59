//! What is said of devices, of those who ask for them and of those who got them.

use serde_json::{Value, json};

use super::{check, check_statuses, check_updates};

const GROUP: &str = "resource.k8s.io";

#[test]
fn device_objects() {
    let class = |expression: &str| json!({"spec": {"selectors": [{"cel": {"expression": expression}}]}});
    check_updates(
        GROUP,
        "DeviceClass",
        &[
            (class("device.gone"), class("device.gone"), ""),
            (
                class("device.gone"),
                class("device.driver"),
                "spec.selectors[0].cel.expression: Invalid value: \"device.driver\": must evaluate to bool or the unknown type, not string",
            ),
        ],
    );
    let asked = |more: Value| {
        let mut exactly = json!({"deviceClassName": "a.example"});
        exactly.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"spec": {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}}})
    };
    check(
        GROUP,
        "ResourceClaim",
        &[
            (asked(json!({"tolerations": vec![json!({"operator": "Exists"}); 17]})), ""),
            (asked(json!({"capacity": {"requests": {"1st": "-1"}}})), ""),
        ],
    );
    let template = |metadata: Value| json!({"spec": {"metadata": metadata, "spec": {}}});
    check(
        GROUP,
        "ResourceClaimTemplate",
        &[
            (template(json!({"labels": {"a": "b"}})), ""),
            (
                template(json!({"labels": {"-": "b"}, "annotations": {"-": ""}})),
                "spec.metadata.annotations: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.metadata.labels: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ),
        ],
    );
    let slice = |driver: &str, device: Value| json!({"spec": {"driver": driver, "pool": {"name": "p", "resourceSliceCount": 1}, "allNodes": true, "devices": [device]}});
    let shared = json!({"name": "d", "capacity": {"memory": {"requestPolicy": {}}}});
    check(
        GROUP,
        "ResourceSlice",
        &[
            (slice("a.example", json!({"name": "d", "capacity": {"memory": {}}})), ""),
            (
                slice("a.example", shared.clone()),
                "spec.devices[0].capacity[memory].requestPolicy: Forbidden: allowMultipleAllocations must be true",
            ),
        ],
    );
    check_updates(
        GROUP,
        "ResourceSlice",
        &[
            (slice("a.example", shared.clone()), slice("a.example", shared), ""),
            (
                slice("a.example", json!({"name": "d"})),
                slice("b.example", json!({"name": "d", "allNodes": true})),
                "spec.driver: Invalid value: \"b.example\": field is immutable\n\
                spec.devices[0]: Invalid value: \"null\": `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec",
            ),
        ],
    );
    let mut got = asked(json!({}));
    got["status"]["allocation"]["devices"]["results"] = json!([{"request": "gpu", "driver": "a.example", "pool": "p",
        "device": "d", "tolerations": [{"operator": "Exists", "value": "v"}]}]);
    check_statuses(
        GROUP,
        "ResourceClaim",
        &[(
            asked(json!({})),
            got,
            "status.allocation.devices.results[0].tolerations[0].value: Invalid value: \"v\": must be empty for operator `Exists`",
        )],
    );
    let rule = |selector: Value, taint: Value| json!({"spec": {"deviceSelector": selector, "taint": taint}});
    check(
        GROUP,
        "DeviceTaintRule",
        &[
            (rule(json!({"device": "d"}), json!({"key": "a", "effect": "None"})), ""),
            (
                rule(json!({"driver": ""}), json!({"key": "a"})),
                "spec.deviceSelector.driver: Required value\n\
                spec.taint.effect: Required value",
            ),
        ],
    );
}

#[test]
fn a_status_tells_of_devices_that_are_held() {
    let device = |name: &str| json!({"driver": "a.example", "pool": "p", "device": name});
    let claim = |results: Value, told: Value| json!({"metadata": {}, "status": {"allocation": {"devices": {"results": results}}, "devices": told}});
    let old = claim(json!([device("d"), device("e")]), json!([]));
    let mut new = claim(json!([device("d")]), json!([device("d"), device("e")]));
    crate::strategy(GROUP, "ResourceClaim").prepare_status_update(&mut new, &old);
    assert_eq!(new["status"]["devices"], json!([device("d")]));
}

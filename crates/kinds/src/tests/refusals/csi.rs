//! What is said of the objects of storage drivers.

use serde_json::{Value, json};

use super::{check, check_updates};

#[test]
fn csi_objects() {
    let driver = |spec: Value| json!({"metadata": {"name": "a.example"}, "spec": spec});
    let long = "a".repeat(64);
    check(
        "storage.k8s.io",
        "CSIDriver",
        &[
            (
                driver(json!({"fsGroupPolicy": "None", "volumeLifecycleModes": ["Persistent", "Ephemeral"],
                    "nodeAllocatableUpdatePeriodSeconds": 10, "tokenRequests": [{"audience": "", "expirationSeconds": 600},
                        {"audience": "b", "expirationSeconds": 4294967296_u64}]})),
                "",
            ),
            (
                driver(json!({"fsGroupPolicy": "Some", "volumeLifecycleModes": ["Some"],
                    "nodeAllocatableUpdatePeriodSeconds": 9, "tokenRequests": [{"audience": "b", "expirationSeconds": 599},
                        {"audience": "b", "expirationSeconds": 4294967297_u64}]})),
                "spec.fsGroupPolicy: Unsupported value: \"Some\": supported values: \"File\", \"None\", \"ReadWriteOnceWithFSType\"\n\
                spec.volumeLifecycleModes: Unsupported value: \"Some\": supported values: \"Ephemeral\", \"Persistent\"\n\
                spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds\n\
                spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes\n\
                spec.tokenRequests[1].audience: Duplicate value: \"b\"\n\
                spec.tokenRequests[1].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
            ),
            (
                json!({"metadata": {"name": "A_b"}}),
                "metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
            (json!({"metadata": {"name": long}}), "metadata.name: Too long: may not be more than 63 bytes"),
            (json!({"metadata": {"name": ""}}), "metadata.name: Required value"),
        ],
    );
    check_updates(
        "storage.k8s.io",
        "CSIDriver",
        &[
            (driver(json!({})), driver(json!({"podInfoOnMount": true, "requiresRepublish": true})), ""),
            (
                driver(json!({})),
                driver(
                    json!({"attachRequired": false, "volumeLifecycleModes": ["Ephemeral"], "fsGroupPolicy": "x"}),
                ),
                "spec.fsGroupPolicy: Unsupported value: \"x\": supported values: \"File\", \"None\", \"ReadWriteOnceWithFSType\"\n\
                spec.attachRequired: Invalid value: false: field is immutable\n\
                spec.volumeLifecycleModes: Invalid value: [\"Ephemeral\"]: field is immutable",
            ),
        ],
    );
    let node = |drivers: Value| json!({"spec": {"drivers": drivers}});
    let one = |change: Value| {
        let mut one = json!({"name": "a.example", "nodeID": "n"});
        for (key, value) in change.as_object().unwrap() {
            one[key] = value.clone();
        }
        one
    };
    check(
        "storage.k8s.io",
        "CSINode",
        &[
            (
                node(
                    json!([one(json!({"nodeID": "i".repeat(192), "allocatable": {"count": 0}, "topologyKeys": ["a/b", "c"]})),
                    {"name": "B.example", "nodeID": "n"}]),
                ),
                "",
            ),
            (
                node(json!([
                    one(
                        json!({"nodeID": "i".repeat(193), "allocatable": {"count": -1}, "topologyKeys": ["a/b", "a/b", "-"]})
                    ),
                    one(json!({"nodeID": ""}))
                ])),
                "spec.drivers[0].nodeID: Too long: may not be more than 192 bytes\n\
                spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0\n\
                spec.drivers[0].topologyKeys: Duplicate value: \"a/b\"\n\
                spec.drivers[0]: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.drivers[1].nodeID: Required value\n\
                spec.drivers[1].name: Duplicate value: \"a.example\"",
            ),
        ],
    );
    check_updates(
        "storage.k8s.io",
        "CSINode",
        &[
            (node(json!([one(json!({}))])), node(json!([one(json!({"allocatable": {"count": 3}}))])), ""),
            (node(json!([one(json!({}))])), node(json!([])), ""),
            (
                node(json!([one(json!({}))])),
                node(json!([one(json!({})), {"name": "b.example", "nodeID": "n"}])),
                "",
            ),
            (
                node(json!([one(json!({}))])),
                node(json!([one(json!({"nodeID": "m", "allocatable": {"count": -1}}))])),
                "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0\n\
                CSINodeDriver: Invalid value: {\"name\":\"a.example\",\"nodeID\":\"m\"}: field is immutable",
            ),
        ],
    );
    let capacity = |class: &str, amount: &str, label: &str| {
        json!({"storageClassName": class, "capacity": amount, "maximumVolumeSize": amount,
            "nodeTopology": {"matchLabels": {label: "w1"}}})
    };
    check(
        "storage.k8s.io",
        "CSIStorageCapacity",
        &[
            (capacity("fast", "0", "a"), ""),
            (
                capacity("Fast", "-1", "-"),
                "nodeTopology.matchLabels: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                storageClassName: Invalid value: \"Fast\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                capacity: Invalid value: \"-1\": must be greater than or equal to 0\n\
                maximumVolumeSize: Invalid value: \"-1\": must be greater than or equal to 0",
            ),
        ],
    );
    check_updates(
        "storage.k8s.io",
        "CSIStorageCapacity",
        &[
            (capacity("fast", "1Gi", "a"), capacity("fast", "2Gi", "a"), ""),
            (
                capacity("fast", "1Gi", "a"),
                capacity("slow", "-1", "b"),
                "capacity: Invalid value: \"-1\": must be greater than or equal to 0\n\
                maximumVolumeSize: Invalid value: \"-1\": must be greater than or equal to 0\n\
                nodeTopology: Invalid value: {\"matchLabels\":{\"b\":\"w1\"}}: field is immutable\n\
                storageClassName: Invalid value: \"slow\": field is immutable",
            ),
        ],
    );
    let attachment = |attacher: &str, source: Value, node: &str| json!({"spec": {"attacher": attacher, "source": source, "nodeName": node}});
    check(
        "storage.k8s.io",
        "VolumeAttachment",
        &[
            (attachment("a.example", json!({"inlineVolumeSpec": {}}), "w1"), ""),
            (
                attachment("", json!({"persistentVolumeName": ""}), "W"),
                "spec.attacher: Required value\n\
                spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName\n\
                spec.nodeName: Invalid value: \"W\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
            (
                attachment("A_", json!({"persistentVolumeName": "v", "inlineVolumeSpec": {}}), "w1"),
                "spec.attacher: Invalid value: \"A_\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
            ),
        ],
    );
    let class = |driver: &str, parameters: Value| json!({"driverName": driver, "parameters": parameters});
    check(
        "storage.k8s.io",
        "VolumeAttributesClass",
        &[
            (class("a.example", json!({"iops": "1"})), ""),
            (
                class("", json!({})),
                "driverName: Required value\n\
                parameters: Required value: must contain at least one key/value pair",
            ),
            (
                class("a.example", json!({"": "1"})),
                "parameters: Invalid value: \"\": field can not be empty.",
            ),
        ],
    );
    check_updates(
        "storage.k8s.io",
        "VolumeAttributesClass",
        &[(
            class("a.example", json!({"iops": "1"})),
            class("b_", json!({"iops": "2"})),
            "driverName: Invalid value: \"b_\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                driverName: Forbidden: updates to driverName are forbidden.\n\
                parameters: Forbidden: updates to parameters are forbidden.",
        )],
    );
}

//! What is said of the objects of storage drivers.

use serde_json::{Value, json};

use super::{check, check_statuses, check_updates};
use crate::strategy;

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
                        {"audience": "b", "expirationSeconds": 4294967297_u64}, {"audience": "c", "expirationSeconds": 4294967297_u64}]})),
                "spec.fsGroupPolicy: Unsupported value: \"Some\": supported values: \"File\", \"None\", \"ReadWriteOnceWithFSType\"\n\
                spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes\n\
                spec.tokenRequests[1].audience: Duplicate value: \"b\"\n\
                spec.tokenRequests[2].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds\n\
                spec.volumeLifecycleModes: Unsupported value: \"Some\": supported values: \"Persistent\", \"Ephemeral\"\n\
                spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds",
            ),
            // Its name is held to the rule of names alone.
            (json!({"metadata": {"name": long}}), ""),
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
                spec.attachedRequired: Invalid value: false: field is immutable\n\
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
    let wrong = format!(
        "spec.drivers[0].nodeID: Invalid value: \"{}\": must be 256 characters or less\n\
        spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0\n\
        spec.drivers[0]: Duplicate value: \"a/b\"\n\
        spec.drivers[0]: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
        spec.drivers[1].nodeID: Required value\n\
        spec.drivers[1].name: Duplicate value: \"a.example\"",
        "i".repeat(257)
    );
    check(
        "storage.k8s.io",
        "CSINode",
        &[
            (
                node(
                    json!([one(json!({"nodeID": "i".repeat(256), "allocatable": {"count": 0}, "topologyKeys": ["a/b", "c"]})),
                    {"name": "B.example", "nodeID": "n"}]),
                ),
                "",
            ),
            (
                node(json!([
                    one(
                        json!({"nodeID": "i".repeat(257), "allocatable": {"count": -1}, "topologyKeys": ["a/b", "a/b", "-"]})
                    ),
                    one(json!({"nodeID": ""}))
                ])),
                &wrong,
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
                spec.drivers: Invalid value: {\"name\":\"a.example\",\"nodeID\":\"m\"}: field is immutable",
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
                capacity: Invalid value: \"-1\": must be greater than or equal to 0",
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
                nodeTopology: Invalid value: {\"matchLabels\":{\"b\":\"w1\"}}: field is immutable\n\
                storageClassName: Invalid value: \"slow\": field is immutable",
            ),
        ],
    );
    let attachment = |attacher: &str, source: Value, node: &str| json!({"spec": {"attacher": attacher, "source": source, "nodeName": node}});
    let somewhere =
        json!({"csi": {"driver": "a.example", "volumeHandle": "v"}, "accessModes": ["ReadWriteOnce"]});
    check(
        "storage.k8s.io",
        "VolumeAttachment",
        &[
            (attachment("a.example", json!({"inlineVolumeSpec": somewhere}), "w1"), ""),
            (
                attachment("", json!({"persistentVolumeName": "V"}), "W"),
                "spec.attacher: Required value\n\
                spec.nodeName: Invalid value: \"W\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.attacher: Required value\n\
                spec.source.persistentVolumeName: Invalid value: \"V\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
            (
                attachment("A_", json!({"persistentVolumeName": "v", "inlineVolumeSpec": somewhere}), "w1"),
                "spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName\n\
                spec.attacher: Invalid value: \"A_\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
            (
                attachment(
                    "a.example",
                    json!({"inlineVolumeSpec": {"persistentVolumeReclaimPolicy": "Delete", "accessModes": ["Some"],
                    "capacity": {"storage": "1Gi"}, "claimRef": {}, "nodeAffinity": {}, "storageClassName": "fast", "volumeMode": "Block",
                    "volumeAttributesClassName": "a"}}),
                    "w1",
                ),
                "spec.source.inlineVolumeSpec.claimRef: Forbidden: may not be specified in the context of inline volumes\n\
                spec.source.inlineVolumeSpec.capacity: Forbidden: may not be specified in the context of inline volumes\n\
                spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes\n\
                spec.source.inlineVolumeSpec.accessModes: Unsupported value: \"Some\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"\n\
                spec.source.inlineVolumeSpec.persistentVolumeReclaimPolicy: Forbidden: may only be Retain in the context of inline volumes\n\
                spec.source.inlineVolumeSpec.nodeAffinity: Forbidden: may not be specified in the context of inline volumes\n\
                spec.source.inlineVolumeSpec: Required value: must specify a volume type\n\
                spec.source.inlineVolumeSpec.storageClassName: Forbidden: may not be specified in the context of inline volumes\n\
                spec.source.inlineVolumeSpec.volumeMode: Forbidden: may not specify volumeMode other than Filesystem in the context of inline volumes\n\
                spec.source.inlineVolumeSpec.volumeAttributesClassName: Forbidden: may not be specified in the context of inline volumes",
            ),
        ],
    );
    let attached = |status: Value| {
        let mut object = attachment("a.example", json!({"persistentVolumeName": "v"}), "w1");
        object["status"] = status;
        object
    };
    let old = attached(json!({"attached": false}));
    check_statuses(
        "storage.k8s.io",
        "VolumeAttachment",
        &[
            (old.clone(), attached(json!({"attached": true, "attachmentMetadata": {"a": "b"}})), ""),
            (
                old,
                attached(json!({"attachmentMetadata": {"a": "b".repeat(256 * 1024)},
                    "attachError": {"message": "m".repeat(1024), "errorCode": -1}, "detachError": {"message": "m".repeat(1025)}})),
                "status.attachmentMetadata: Too long: may not be more than 262144 bytes\n\
                status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive\n\
                status.detachError.message: Too long: may not be more than 262144 bytes",
            ),
        ],
    );
    // What is there was taken before its attacher had to be a name.
    let unnamed = attachment("A_", json!({"persistentVolumeName": "v"}), "w1");
    check_updates("storage.k8s.io", "VolumeAttachment", &[(unnamed.clone(), unnamed, "")]);
    let class = |driver: &str, parameters: Value| json!({"driverName": driver, "parameters": parameters});
    check(
        "storage.k8s.io",
        "VolumeAttributesClass",
        &[
            (class("A.example/b_c", json!({"iops": "1"})), ""),
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
            class("B_", json!({"iops": "2"})),
            "driverName: Forbidden: updates to driverName are forbidden.\n\
            parameters: Forbidden: updates to parameters are forbidden.\n\
            driverName: Invalid value: \"b_\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        )],
    );
    let storage_class = |change: Value| {
        let mut class = json!({"provisioner": "a.example/p"});
        class.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        class
    };
    check(
        "storage.k8s.io",
        "StorageClass",
        &[
            (storage_class(json!({"reclaimPolicy": ""})), ""),
            (
                storage_class(json!({"provisioner": "A/B_", "reclaimPolicy": "Recycle"})),
                "provisioner: Invalid value: \"a/b_\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
            ),
        ],
    );
    let topology =
        json!([{"matchLabelExpressions": [{"key": "beta.kubernetes.io/arch", "values": ["amd64"]}]}]);
    assert_eq!(
        strategy("storage.k8s.io", "StorageClass").create_warnings(&json!({ "allowedTopologies": topology })),
        [
            "allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.14; use \"kubernetes.io/arch\" instead"
        ]
    );
}

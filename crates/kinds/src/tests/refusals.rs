//! What is said of objects that are not as they must be, all of it at once.

use serde_json::{Value, json};
use strategy::testing::{created, updated};

use crate::strategy;

/// Compares what is said of new objects.
fn check(group: &str, kind: &str, cases: &[(Value, &str)]) {
    for (object, expected) in cases {
        assert_eq!(created(strategy(group, kind), object.clone()), *expected, "{kind}: {object}");
    }
}

/// Compares what is said of changes, each from the first object to the second.
fn check_updates(group: &str, kind: &str, cases: &[(Value, Value, &str)]) {
    for (old, new, expected) in cases {
        assert_eq!(
            updated(strategy(group, kind), new.clone(), old.clone()),
            *expected,
            "{kind}: {old} {new}"
        );
    }
}

#[test]
fn api_services() {
    let service = |change: Value| {
        let mut object = json!({"metadata": {"name": "v1.a.example"}, "spec": {"group": "a.example", "version": "v1",
            "groupPriorityMinimum": 1, "versionPriority": 1, "service": {"name": "s", "namespace": "n"}}});
        for (key, value) in change.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        object
    };
    check(
        "apiregistration.k8s.io",
        "APIService",
        &[
            (service(json!({})), ""),
            (
                service(json!({"groupPriorityMinimum": 20000, "versionPriority": 1000, "caBundle": "Yg=="})),
                "",
            ),
            (service(json!({"service": null})), ""),
            (
                service(
                    json!({"version": "v2", "groupPriorityMinimum": 0, "versionPriority": 0, "service": {}}),
                ),
                "metadata.name: Invalid value: \"v1.a.example\": must be `spec.version+\".\"+spec.group`: \"v2.a.example\"\n\
                spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000\n\
                spec.versionPriority: Invalid value: 0: must be positive and less than 1000\n\
                spec.service.namespace: Required value\n\
                spec.service.name: Required value",
            ),
            (
                service(json!({"groupPriorityMinimum": 20001, "versionPriority": 1001, "caBundle": "Yg==",
                    "insecureSkipTLSVerify": true, "service": {"name": "s", "namespace": "n", "port": 65536}})),
                "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000\n\
                spec.versionPriority: Invalid value: 1001: must be positive and less than 1000\n\
                spec.service.port: Invalid value: 65536: port is not valid: must be between 1 and 65535, inclusive\n\
                spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
            ),
            (
                service(json!({"service": {"name": "s", "namespace": "n", "port": 0}})),
                "spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
            ),
            (
                service(json!({"service": null, "caBundle": "Yg==", "insecureSkipTLSVerify": true})),
                "spec.caBundle: Invalid value: \"\": local APIServices may not have a caBundle\n\
                spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
            ),
        ],
    );
}

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

fn template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

#[test]
fn cron_jobs() {
    let cron = |spec: Value| {
        let mut template = template();
        template["spec"]["restartPolicy"] = "OnFailure".into();
        let mut full = json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"metadata": {"name": "c"}, "spec": full})
    };
    let mut named = cron(json!({}));
    named["metadata"]["name"] = "c".repeat(52).into();
    let mut longer = cron(json!({}));
    longer["metadata"]["name"] = "c".repeat(53).into();
    let mut wrong = cron(
        json!({"schedule": "", "timeZone": "", "startingDeadlineSeconds": -1, "concurrencyPolicy": "Some",
        "successfulJobsHistoryLimit": -1, "failedJobsHistoryLimit": -1}),
    );
    wrong["spec"]["jobTemplate"]["spec"]["manualSelector"] = true.into();
    wrong["spec"]["jobTemplate"]["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
    wrong["spec"]["jobTemplate"]["spec"]["parallelism"] = json!(-1);
    let mut plain = cron(json!({}));
    plain["spec"]["jobTemplate"]["spec"]["manualSelector"] = false.into();
    check(
        "batch",
        "CronJob",
        &[
            (plain, ""),
            (named, ""),
            (
                longer,
                "metadata.name: Invalid value: \"ccccccccccccccccccccccccccccccccccccccccccccccccccccc\": must be no more than 52 characters",
            ),
            (
                cron(
                    json!({"timeZone": "Etc/UTC", "startingDeadlineSeconds": 0, "concurrencyPolicy": "Replace"}),
                ),
                "",
            ),
            (
                wrong,
                "spec.schedule: Required value\n\
                spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string\n\
                spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0\n\
                spec.concurrencyPolicy: Unsupported value: \"Some\": supported values: \"Allow\", \"Forbid\", \"Replace\"\n\
                spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated\n\
                spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"\n\
                spec.jobTemplate.spec.parallelism: Invalid value: -1: must be greater than or equal to 0\n\
                spec.successfulJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0\n\
                spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                cron(json!({"schedule": "TZ=Etc/UTC * * * * *"})),
                "spec.schedule: Invalid value: \"TZ=Etc/UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
            (
                cron(json!({"schedule": "CRON_TZ=Etc/UTC * * * * *", "timeZone": "LOCAL"})),
                "spec.schedule: Invalid value: \"CRON_TZ=Etc/UTC * * * * *\": cannot use both timeZone field and TZ or CRON_TZ in schedule\n\
                spec.timeZone: Invalid value: \"LOCAL\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            ),
            (
                cron(json!({"schedule": "* * *", "timeZone": "Moon/Base"})),
                "spec.schedule: Invalid value: \"* * *\": expected exactly 5 fields, found 3: [* * *]\n\
                spec.timeZone: Invalid value: \"Moon/Base\": unknown time zone Moon/Base",
            ),
        ],
    );
    let zoned = cron(json!({"schedule": "TZ=Etc/UTC * * * * *"}));
    let mut later = zoned.clone();
    later["spec"]["schedule"] = "TZ=Etc/UTC 1 * * * *".into();
    check_updates(
        "batch",
        "CronJob",
        &[
            (zoned, later.clone(), ""),
            (
                cron(json!({})),
                later,
                "spec.schedule: Invalid value: \"TZ=Etc/UTC 1 * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
        ],
    );
    let mut defaulted = cron(json!({}));
    strategy("batch", "CronJob").default(&mut defaulted);
    for (field, expected) in [
        ("concurrencyPolicy", json!("Allow")),
        ("suspend", json!(false)),
        ("successfulJobsHistoryLimit", json!(3)),
        ("failedJobsHistoryLimit", json!(1)),
    ] {
        assert_eq!(defaulted["spec"][field], expected, "{field}");
    }
}

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

#[test]
fn admission_policies() {
    let rule = json!({"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]});
    let policy = |spec: Value| {
        let mut full =
            json!({"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"metadata": {"name": "p"}, "spec": full})
    };
    let conditions = |count: usize| -> Vec<Value> {
        (0..count).map(|number| json!({"name": format!("c{number}"), "expression": "true"})).collect()
    };
    let annotations = |count: usize| -> Vec<Value> {
        (0..count).map(|number| json!({"key": format!("k{number}"), "valueExpression": "'a'"})).collect()
    };
    let most = format!("'{}'", "a".repeat(5 * 1024 - 2));
    check(
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicy",
        &[
            (policy(json!({"matchConditions": conditions(64), "auditAnnotations": annotations(20)})), ""),
            (
                policy(
                    json!({"validations": [], "auditAnnotations": [{"key": "k", "valueExpression": most}]}),
                ),
                "",
            ),
            (
                policy(json!({"matchConditions": conditions(65), "auditAnnotations": annotations(21)})),
                "spec.matchConditions: Too many: 65: must have at most 64 items\n\
                spec.auditAnnotations: Too many: 21: must have at most 20 items",
            ),
            (
                policy(json!({"failurePolicy": "Some", "matchConstraints": null, "validations": [],
                    "matchConditions": [{"name": "", "expression": ""}, {"name": "-", "expression": "1"}, {"name": "a", "expression": "true"}, {"name": "a", "expression": "true"}],
                    "paramKind": {"apiVersion": "", "kind": ""}})),
                "spec.failurePolicy: Unsupported value: \"Some\": supported values: \"Fail\", \"Ignore\"\n\
                spec.paramKind.apiVersion: Required value\n\
                spec.paramKind.kind: Required value\n\
                spec.matchConstraints: Required value\n\
                spec.matchConditions[0].expression: Required value\n\
                spec.matchConditions[0].name: Required value\n\
                spec.matchConditions[1].expression: Invalid value: \"1\": must evaluate to bool\n\
                spec.matchConditions[1].name: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.matchConditions[3].name: Duplicate value: \"a\"\n\
                spec.validations: Required value: validations or auditAnnotations must contain at least one item",
            ),
            (
                policy(json!({"paramKind": {"apiVersion": "A/", "kind": "1"},
                    "matchConstraints": {"matchPolicy": "", "resourceRules": [], "namespaceSelector": {"matchLabels": {"-": "x"}},
                        "objectSelector": {"matchLabels": {"-": "x"}}, "excludeResourceRules": [{}]}})),
                "spec.paramKind.apiVersion: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.paramKind.apiVersion: Invalid value: \"A/\": version must be specified\n\
                spec.paramKind.kind: Invalid value: \"1\": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')\n\
                spec.matchConstraints.matchPolicy: Required value\n\
                spec.matchConstraints.namespaceSelector.matchLabels: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.matchConstraints.labelSelector.matchLabels: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.matchConstraints.excludeResourceRules[0].apiGroups: Required value\n\
                spec.matchConstraints.excludeResourceRules[0].apiVersions: Required value\n\
                spec.matchConstraints.excludeResourceRules[0].resources: Required value\n\
                spec.matchConstraints.excludeResourceRules[0].operations: Required value\n\
                spec.matchConstraints.resourceRules: Required value",
            ),
            (
                policy(json!({"paramKind": {"apiVersion": "V1", "kind": "Limit"}})),
                "spec.paramKind.apiVersion: Invalid value: \"V1\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
            ),
            (
                policy(json!({"paramKind": {"apiVersion": "a.example/V1", "kind": "Limit"}})),
                "spec.paramKind.apiVersion: Invalid value: \"V1\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
            ),
            (
                policy(
                    json!({"variables": [{"name": "", "expression": "1"}, {"name": "a b", "expression": "1"}, {"name": "_a1", "expression": "1"},
                    {"name": "_a1", "expression": ""}]}),
                ),
                "spec.variables[0].name: Required value: name is not specified\n\
                spec.variables[1].name: Invalid value: \"a b\": name is not a valid CEL identifier\n\
                spec.variables[3].name: Duplicate value: \"_a1\"\n\
                spec.variables[3].expression: Required value",
            ),
            (
                policy(json!({"validations": [{"expression": " "}, {"expression": "true", "message": " "},
                    {"expression": "true", "message": "a\nb"}, {"expression": "true &&\ntrue"}, {"expression": "true &&\ntrue", "message": "a"},
                    {"expression": "true &&\ntrue", "messageExpression": " "}, {"expression": "true", "reason": "Forbidden"}, {"expression": "true", "reason": "Some"}]})),
                "spec.validations[0].expression: Required value: expression is not specified\n\
                spec.validations[1].message: Invalid value: \" \": message must be non-empty if specified\n\
                spec.validations[2].message: Invalid value: \"a\\n\
                b\": message must not contain line breaks\n\
                spec.validations[5].messageExpression: Invalid value: \" \": must be non-empty if specified\n\
                spec.validations[7].reason: Unsupported value: \"Some\": supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\", \"Unauthorized\"",
            ),
            (
                policy(
                    json!({"auditAnnotations": [{"key": "-", "valueExpression": "1"}, {"key": "k", "valueExpression": format!("{most} ")},
                    {"key": "k", "valueExpression": format!("'a' + {most}")}, {"key": "n", "valueExpression": "null"}]}),
                ),
                "spec.auditAnnotations[0].key: Invalid value: \"p/-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.auditAnnotations[0].valueExpression: Invalid value: \"1\": must evaluate to one of [string null_type]\n\
                spec.auditAnnotations[2].key: Duplicate value: \"k\"\n\
                spec.auditAnnotations[2].valueExpression: Too long: may not be more than 5120 bytes",
            ),
        ],
    );
    let mutating = |spec: Value| {
        let mut full = json!({"matchConstraints": {"resourceRules": [rule]}, "reinvocationPolicy": "IfNeeded",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}]});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"metadata": {"name": "p"}, "spec": full})
    };
    check(
        "admissionregistration.k8s.io",
        "MutatingAdmissionPolicy",
        &[
            (mutating(json!({})), ""),
            (
                mutating(json!({"mutations": [], "reinvocationPolicy": ""})),
                "spec.mutations: Required value: mutations must contain at least one item\n\
                spec.reinvocationPolicy: Required value",
            ),
            (
                mutating(
                    json!({"mutations": [{}, {"patchType": "Some"}, {"patchType": "JSONPatch"}], "reinvocationPolicy": "Some"}),
                ),
                "spec.mutations[0].patchType: Required value\n\
                spec.mutations[1].patchType: Unsupported value: \"Some\": supported values: \"ApplyConfiguration\", \"JSONPatch\"\n\
                spec.mutations[2].jsonPatch.expression: Required value\n\
                spec.reinvocationPolicy: Unsupported value: \"Some\": supported values: \"IfNeeded\", \"Never\"",
            ),
        ],
    );
    let binding = |spec: Value| {
        let mut full = json!({"policyName": "p", "validationActions": ["Deny"]});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"spec": full})
    };
    let bindings = [
        (
            binding(
                json!({"paramRef": {"name": "a"}, "validationActions": ["Deny", "Audit"], "matchResources": {}}),
            ),
            "",
        ),
        (
            binding(
                json!({"paramRef": {"selector": {}, "parameterNotFoundAction": "Allow"}, "validationActions": ["Warn", "Audit"]}),
            ),
            "",
        ),
        (
            binding(json!({"policyName": "", "paramRef": {}, "validationActions": []})),
            "spec.policyName: Required value\n\
                spec.paramRef: Required value: one of name or selector must be specified\n\
                spec.validationActions: Required value: at least one validation action is required",
        ),
        (
            binding(json!({"paramRef": {"name": "a", "selector": {}, "parameterNotFoundAction": "Some"},
                "validationActions": ["Deny", "Warn", "Deny", "Some"], "matchResources": {"matchPolicy": "Some"}})),
            "spec.matchResources.matchPolicy: Unsupported value: \"Some\": supported values: \"Equivalent\", \"Exact\"\n\
                spec.paramRef.name: Invalid value: \"a\": name and selector are mutually exclusive\n\
                spec.paramRef.parameterNotFoundAction: Unsupported value: \"Some\": supported values: \"Allow\", \"Deny\"\n\
                spec.validationActions[2]: Duplicate value: \"Deny\"\n\
                spec.validationActions[3]: Unsupported value: \"Some\": supported values: \"Audit\", \"Deny\", \"Warn\"\n\
                spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Deny\",\"Some\"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
        ),
    ];
    check("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", &bindings);
    check(
        "admissionregistration.k8s.io",
        "MutatingAdmissionPolicyBinding",
        &[
            (json!({"spec": {"policyName": "p"}}), ""),
            (
                json!({"spec": {"policyName": "p", "paramRef": {}}}),
                "spec.paramRef: Required value: one of name or selector must be specified",
            ),
        ],
    );
    let mut given = policy(json!({}));
    strategy("admissionregistration.k8s.io", "ValidatingAdmissionPolicy").default(&mut given);
    assert_eq!(given["spec"]["failurePolicy"], "Fail");
    assert_eq!(
        given["spec"]["matchConstraints"],
        json!({"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [
            {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"], "scope": "*"}]})
    );
}

#[test]
fn services() {
    let service = |spec: Value| {
        let mut full = json!({"ports": [{"port": 80}]});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"metadata": {"name": "s"}, "spec": full})
    };
    check(
        "",
        "Service",
        &[
            (
                service(
                    json!({"type": "NodePort", "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local", "trafficDistribution": "PreferSameNode"}),
                ),
                "",
            ),
            (
                service(
                    json!({"type": "LoadBalancer", "loadBalancerClass": "a/b", "loadBalancerSourceRanges": [" 10.0.0.0/8 "], "allocateLoadBalancerNodePorts": false}),
                ),
                "",
            ),
            (service(json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": []})), ""),
            (service(json!({"type": "ExternalName", "externalName": "a.example.", "ports": []})), ""),
            (
                service(
                    json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86400}}}),
                ),
                "",
            ),
            (
                service(
                    json!({"ports": [{"port": 53, "name": "t"}, {"port": 53, "name": "u", "protocol": "UDP"}]}),
                ),
                "",
            ),
            (service(json!({"ports": []})), "spec.ports: Required value"),
            (
                service(
                    json!({"type": "Some", "ports": [{"port": 0, "protocol": "ICMP", "appProtocol": "-"}, {"port": 65536, "name": "A", "targetPort": "-"}]}),
                ),
                "spec.ports[0].name: Required value\n\
                spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\n\
                spec.ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"\n\
                spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive\n\
                spec.ports[0].appProtocol: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.ports[1].name: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')\n\
                spec.ports[1].port: Invalid value: 65536: must be between 1 and 65535, inclusive\n\
                spec.ports[1].targetPort: Invalid value: \"-\": must contain at least one letter (a-z)\n\
                spec.ports[1].targetPort: Invalid value: \"-\": must not begin or end with a hyphen\n\
                spec.type: Unsupported value: \"Some\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ),
            (
                service(
                    json!({"ports": [{"port": 80, "name": "a", "nodePort": 30000}, {"port": 80, "name": "a"}], "selector": {"-": "x"}}),
                ),
                "spec.ports[1].name: Duplicate value: \"a\"\n\
                spec.selector: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'\n\
                spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}",
            ),
            (
                service(
                    json!({"type": "NodePort", "ports": [{"port": 80, "name": "a", "nodePort": 30000}, {"port": 81, "name": "b", "nodePort": 30000}], "externalTrafficPolicy": "Some"}),
                ),
                "spec.ports[1].nodePort: Duplicate value: 30000\n\
                spec.externalTrafficPolicy: Unsupported value: \"Some\": supported values: \"Cluster\", \"Local\"",
            ),
            (
                service(json!({"type": "LoadBalancer", "clusterIP": "None", "clusterIPs": ["None"]})),
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services",
            ),
            (
                service(json!({"type": "NodePort", "clusterIP": "None", "clusterIPs": ["None"]})),
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
            ),
            (
                service(
                    json!({"type": "ExternalName", "externalName": "", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "ports": []}),
                ),
                "spec.clusterIPs: Forbidden: may not be set for ExternalName services\n\
                spec.ipFamilies: Forbidden: may not be set for ExternalName services\n\
                spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services\n\
                spec.externalName: Required value",
            ),
            (
                service(json!({"type": "ExternalName", "externalName": "A_", "ports": []})),
                "spec.externalName: Invalid value: \"A_\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
            (
                service(json!({"sessionAffinity": "Some"})),
                "spec.sessionAffinity: Unsupported value: \"Some\": supported values: \"ClientIP\", \"None\"",
            ),
            (
                service(
                    json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}}),
                ),
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
            ),
            (
                service(
                    json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}}),
                ),
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400",
            ),
            (
                service(
                    json!({"externalIPs": ["0.0.0.0", "127.0.0.1", "169.254.0.1", "224.0.0.1", "::", "::1", "fe80::1", "ff02::1", "x", "10.0.0.1"]}),
                ),
                "spec.externalIPs[0]: Invalid value: \"0.0.0.0\": may not be unspecified (0.0.0.0)\n\
                spec.externalIPs[1]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)\n\
                spec.externalIPs[2]: Invalid value: \"169.254.0.1\": may not be in the link-local range (169.254.0.0/16, fe80::/10)\n\
                spec.externalIPs[3]: Invalid value: \"224.0.0.1\": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)\n\
                spec.externalIPs[4]: Invalid value: \"::\": may not be unspecified (::)\n\
                spec.externalIPs[5]: Invalid value: \"::1\": may not be in the loopback range (127.0.0.0/8, ::1/128)\n\
                spec.externalIPs[6]: Invalid value: \"fe80::1\": may not be in the link-local range (169.254.0.0/16, fe80::/10)\n\
                spec.externalIPs[7]: Invalid value: \"ff02::1\": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)\n\
                spec.externalIPs[8]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ),
            (
                service(
                    json!({"allocateLoadBalancerNodePorts": true, "loadBalancerClass": "a", "loadBalancerSourceRanges": ["10.0.0.0/8"], "externalTrafficPolicy": "Local",
                    "healthCheckNodePort": 30000, "internalTrafficPolicy": "Some", "trafficDistribution": "Some"}),
                ),
                "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'\n\
                spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'\n\
                spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services\n\
                spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'\n\
                spec.internalTrafficPolicy: Unsupported value: \"Some\": supported values: \"Cluster\", \"Local\"\n\
                spec.trafficDistribution: Unsupported value: \"Some\": supported values: \"PreferClose\", \"PreferSameNode\", \"PreferSameZone\"\n\
                spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
            ),
            (
                service(
                    json!({"type": "LoadBalancer", "loadBalancerClass": "-", "loadBalancerSourceRanges": ["x"]}),
                ),
                "spec.loadBalancerClass: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.LoadBalancerSourceRanges[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            ),
        ],
    );
    let balancer = |spec: Value| {
        let mut full = json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "externalTrafficPolicy": "Local",
            "loadBalancerClass": "a/b", "healthCheckNodePort": 30001});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        service(full)
    };
    check_updates(
        "",
        "Service",
        &[
            (balancer(json!({})), balancer(json!({"sessionAffinity": "ClientIP"})), ""),
            (
                balancer(json!({})),
                balancer(json!({"loadBalancerClass": "c/d", "healthCheckNodePort": 30002})),
                "spec.loadBalancerClass: Invalid value: \"c/d\": may not change once set\n\
                spec.healthCheckNodePort: Forbidden: field is immutable",
            ),
        ],
    );
}

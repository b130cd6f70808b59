//! What is said of containers that are not as they must be.

use serde_json::{Value, json};
use strategy::testing::created;

use super::refusals::{container, pod};
use crate::Pod;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Compares what is told of each new pod, and lists all that differ at once.
pub(super) fn check(cases: &[(Value, String)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(pod, expected)| {
            let told = created(&Pod, pod.clone());
            (told != *expected).then(|| format!("{pod}\n told: {told}\n not:  {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Rows of one container's fields, and what is told below `spec.containers[0].`.
fn check_fields(cases: &[(Value, &[&str])]) {
    let rows: Vec<(Value, String)> = cases
        .iter()
        .map(|(fields, expected)| {
            let told: Vec<String> =
                expected.iter().map(|line| format!("spec.containers[0].{line}")).collect();
            (container(fields.clone()), told.join("\n"))
        })
        .collect();
    check(&rows);
}

#[test]
fn variables_from_the_pods_own_fields() {
    let field = |version: &str, path: &str| json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": version, "fieldPath": path}}}]});
    let told = |why: &str| format!("env[0].valueFrom.fieldRef.fieldPath: {why}");
    const ALLOWED: &str = "supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"";
    for (version, path, expected) in [
        ("v1", "spec.host", String::new()),
        ("v1", "metadata.annotations['A/b']", String::new()),
        (
            "v1",
            "metadata.annotations['-A']",
            "env[0].valueFrom.fieldRef: Invalid value: \"-a\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')".to_owned(),
        ),
        ("v2", "metadata.name", told("Invalid value: \"metadata.name\": error converting fieldPath: unsupported pod version: v2")),
        (
            "v1",
            "spec.x['a']",
            told("Invalid value: \"spec.x['a']\": error converting fieldPath: field label does not support subscript: spec.x['a']"),
        ),
        ("v1", "spec.restartPolicy", told(&format!("Unsupported value: \"spec.restartPolicy\": {ALLOWED}"))),
        ("v1", "spec.schedulerName", told(&format!("Unsupported value: \"spec.schedulerName\": {ALLOWED}"))),
        ("v1", "status.phase", told(&format!("Unsupported value: \"status.phase\": {ALLOWED}"))),
    ] {
        let expected: Vec<&str> = if expected.is_empty() { vec![] } else { vec![&expected] };
        check_fields(&[(field(version, path), &expected)]);
    }
}

#[test]
fn variables_from_elsewhere() {
    let file = |file: Value| {
        let spec = json!({"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "hostPath": {"path": "/w"}}],
            "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "valueFrom": {"fileKeyRef": file}}]}]});
        pod(spec)
    };
    let at = "spec.containers[0].env[0].valueFrom.fileKeyRef";
    check(&[
        (file(json!({"key": "A.b", "volumeName": "v", "path": "a/b"})), String::new()),
        (
            file(json!({})),
            format!(
                "{at}.key: Required value\n{at}.volumeName: Required value\n{at}.path: Required value\n{at}.volumeName: Not found: \"\""
            ),
        ),
        (
            file(json!({"key": "a=b", "volumeName": "V", "path": "a/../b"})),
            format!(
                "{at}.key: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='\n\
                 {at}.volumeName: Invalid value: \"V\": {LABEL}\n{at}.path: Invalid value: \"a/../b\": must not contain '..'\n\
                 {at}.volumeName: Not found: \"V\""
            ),
        ),
        (
            file(json!({"key": "a", "volumeName": "w", "path": "a"})),
            format!("{at}.volumeName: Invalid value: \"w\": referenced volume must be of type emptyDir"),
        ),
    ]);
    let at = "env[0].valueFrom.resourceFieldRef";
    let resource = |resource: &str, divisor: &str| json!({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}]});
    for (name, divisor, expected) in [
        ("limits.cpu", "1m", None),
        ("requests.memory", "1Ki", None),
        ("limits.hugepages-2Mi", "1Mi", None),
        (
            "limits.memory",
            "1m",
            Some(
                "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource",
            ),
        ),
        (
            "requests.ephemeral-storage",
            "3",
            Some(
                "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the local ephemeral storage resource",
            ),
        ),
        (
            "limits.hugepages-2Mi",
            "3",
            Some(
                "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the hugepages resource",
            ),
        ),
    ] {
        let told = expected.map(|why| format!("{at}.divisor: Invalid value: \"{name}\": {why}"));
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        check_fields(&[(resource(name, divisor), &told)]);
    }
    check_fields(&[
        (
            json!({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {}}}]}),
            &["env[0].valueFrom.resourceFieldRef.resource: Required value"],
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {}}]}),
            &[
                "env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
            ],
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}, "configMapKeyRef": {"name": "s", "key": "k"}}}]}),
            &["env[0].valueFrom: Invalid value: \"\": may not have more than one field specified at a time"],
        ),
        (
            json!({"envFrom": [{}, {"prefix": "=", "configMapRef": {"name": "a-"}}, {"configMapRef": {}, "secretRef": {"name": "s"}}]}),
            &[
                "envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
                "envFrom[1].prefix: Invalid value: \"=\": a valid environment variable name must consist only of printable ASCII characters other than '='",
                "envFrom[2].configMapRef.name: Required value",
                "envFrom: Invalid value: \"\": may not have more than one field specified at a time",
            ],
        ),
        (
            json!({"envFrom": [{"secretRef": {"name": "A"}}]}),
            &[&format!("envFrom[0].secretRef.name: Invalid value: \"A\": {SUBDOMAIN}")],
        ),
    ]);
}

#[test]
fn resources_of_containers() {
    check_fields(&[
        (
            json!({"resources": {"requests": {"gpu": "1"}}}),
            &[
                "resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
                "resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
            ],
        ),
        (
            json!({"resources": {"requests": {"requests.gpu": "1"}}}),
            &[
                "resources.requests[requests.gpu]: Invalid value: \"requests.gpu\": must be a standard resource type or fully qualified",
                "resources.requests[requests.gpu]: Invalid value: \"requests.gpu\": must be a standard resource for containers",
            ],
        ),
        (
            json!({"resources": {"requests": {"requests.cpu": "1"}}}),
            &[
                "resources.requests[requests.cpu]: Invalid value: \"requests.cpu\": must be a standard resource for containers",
            ],
        ),
        (
            json!({"resources": {"limits": {"cpu": "1", "hugepages-2Mi": "3Mi"}}}),
            &[
                "resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
                "resources.requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
            ],
        ),
        (json!({"resources": {"limits": {"cpu": "1", "hugepages-2Mi": "4Mi"}}}), &[]),
        (
            json!({"resources": {"limits": {"cpu": "1", "hugepages-2Mi": "4Mi"}, "requests": {"hugepages-2Mi": "2Mi"}}}),
            &["resources.requests: Invalid value: \"2Mi\": must be equal to hugepages-2Mi limit of 4Mi"],
        ),
        (
            json!({"resources": {"claims": [{}, {"name": "x"}]}}),
            &[
                "resources.claims[0]: Required value",
                "resources.claims[1]: Not found: \"x\": must be one of the names in pod.spec.resourceClaims which is empty",
            ],
        ),
    ]);
    let claims = |claims: Value| {
        pod(
            json!({"resourceClaims": [{"name": "b", "resourceClaimName": "b"}, {"name": "a", "resourceClaimName": "a"}],
            "containers": [{"name": "c", "image": "i", "resources": {"claims": claims}}]}),
        )
    };
    let at = "spec.containers[0].resources.claims";
    check(&[
        (
            claims(json!([{"name": "a", "request": "r"}, {"name": "a", "request": "s"}, {"name": "b"}])),
            String::new(),
        ),
        (
            claims(json!([{"name": "a"}, {"name": "a", "request": "r"}])),
            format!("{at}[1]: Duplicate value: \"a\""),
        ),
        (
            claims(json!([{"name": "a", "request": "r"}, {"name": "a", "request": "r"}, {"name": "a"}])),
            format!("{at}[1]: Duplicate value: \"a/r\"\n{at}[2]: Duplicate value: \"a\""),
        ),
        (
            claims(json!([{"name": "a", "request": "R"}, {"name": "x"}])),
            format!(
                "{at}[0].request: Invalid value: \"R\": {LABEL}\n{at}[1]: Not found: \"x\": must be one of the names in pod.spec.resourceClaims: a, b"
            ),
        ),
    ]);
}

#[test]
fn probes_and_hooks() {
    check_fields(&[
        (
            json!({"livenessProbe": {"exec": {"command": ["a"]}}, "readinessProbe": {"grpc": {"port": 1}}, "startupProbe": {"tcpSocket": {"port": "a"}},
                "lifecycle": {"postStart": {"sleep": {"seconds": 30}}, "preStop": {"sleep": {"seconds": 0}}}}),
            &[],
        ),
        (
            json!({"lifecycle": {"postStart": {"sleep": {"seconds": 31}}, "preStop": {"sleep": {"seconds": -1}}}}),
            &[
                "lifecycle.postStart.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
                "lifecycle.preStop.sleep: Invalid value: -1: must be non-negative and less than terminationGracePeriodSeconds (30)",
            ],
        ),
        (
            json!({"lifecycle": {"postStart": {}}}),
            &["lifecycle.postStart: Required value: must specify a handler type"],
        ),
        (
            json!({"lifecycle": {"preStop": {"exec": {}}}}),
            &["lifecycle.preStop.exec.command: Required value"],
        ),
        (
            json!({"livenessProbe": {"exec": {}, "httpGet": {"port": 1}, "tcpSocket": {"port": 1}, "grpc": {"port": 1}}}),
            &[
                "livenessProbe.exec.command: Required value",
                "livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type",
                "livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
                "livenessProbe.grpc: Forbidden: may not specify more than 1 handler type",
            ],
        ),
        (
            json!({"livenessProbe": {"grpc": {"port": 65536}}}),
            &["livenessProbe.grpc.port: Invalid value: 65536: must be between 1 and 65535, inclusive"],
        ),
        (
            json!({"startupProbe": {"tcpSocket": {"port": 0}}}),
            &["startupProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive"],
        ),
        (
            json!({"readinessProbe": {"httpGet": {"port": 1, "scheme": "ftp", "httpHeaders": [{"name": "a b"}]}, "terminationGracePeriodSeconds": 1}}),
            &[
                "readinessProbe.httpGet.scheme: Unsupported value: \"ftp\": supported values: \"HTTP\", \"HTTPS\"",
                "readinessProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
                "readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes",
            ],
        ),
        (
            json!({"startupProbe": {"exec": {"command": ["a"]}, "initialDelaySeconds": -1, "timeoutSeconds": -1, "periodSeconds": -1, "successThreshold": -1,
                "failureThreshold": -1, "terminationGracePeriodSeconds": 0}}),
            &[
                "startupProbe.initialDelaySeconds: Invalid value: -1: must be greater than or equal to 0",
                "startupProbe.timeoutSeconds: Invalid value: -1: must be greater than or equal to 0",
                "startupProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
                "startupProbe.successThreshold: Invalid value: -1: must be greater than or equal to 0",
                "startupProbe.failureThreshold: Invalid value: -1: must be greater than or equal to 0",
                "startupProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
                "startupProbe.successThreshold: Invalid value: -1: must be 1",
            ],
        ),
        (
            json!({"lifecycle": {"stopSignal": "SIGTERM"}}),
            &["lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`"],
        ),
    ]);
    let signal = |os: &str, signal: &str| {
        pod(
            json!({"os": {"name": os}, "containers": [{"name": "c", "image": "i", "lifecycle": {"stopSignal": signal}}]}),
        )
    };
    check(&[
        (signal("linux", "SIGRTMIN+15"), String::new()),
        (signal("linux", "SIGABRT"), String::new()),
        (signal("windows", "SIGKILL"), String::new()),
        (
            signal("windows", "SIGHUP"),
            "spec.containers[0].lifecycle.stopSignal: Unsupported value: \"SIGHUP\": supported values: \"SIGKILL\", \"SIGTERM\"".to_owned(),
        ),
    ]);
    let told = created(&Pod, signal("linux", "TERM"));
    assert!(told.starts_with("spec.containers[0].lifecycle.stopSignal: Unsupported value: \"TERM\": supported values: \"SIGABRT\", \"SIGALRM\""), "{told}");
    assert_eq!(told.matches("SIG").count(), 65);
}

#[test]
fn restarts_and_resizes() {
    const POLICIES: &str = "supported values: \"Always\", \"Never\", \"OnFailure\"";
    let rule = json!({"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}});
    check_fields(&[
        (json!({"restartPolicy": "Never", "restartPolicyRules": vec![&rule; 20]}), &[]),
        (
            json!({"restartPolicy": "OnFailure", "restartPolicyRules": [{"action": "RestartAllContainers", "exitCodes": {"operator": "NotIn"}}]}),
            &[],
        ),
        (
            json!({"restartPolicy": "Some"}),
            &[&format!("restartPolicy: Unsupported value: \"Some\": {POLICIES}")],
        ),
        (json!({"restartPolicy": ""}), &[&format!("restartPolicy: Unsupported value: \"\": {POLICIES}")]),
        (
            json!({"restartPolicyRules": [&rule]}),
            &["restartPolicy: Required value: must specify restartPolicy when restart rules are used"],
        ),
        (
            json!({"restartPolicy": "Never", "restartPolicyRules": vec![&rule; 21]}),
            &["restartPolicyRules: Too many: 21: must have at most 20 items"],
        ),
        (
            json!({"restartPolicy": "Never", "restartPolicyRules": [{}, {"action": "Some", "exitCodes": {"operator": "Some", "values": vec![1; 256]}}]}),
            &[
                "restartPolicyRules[0].action: Unsupported value: \"\": supported values: \"Restart\", \"RestartAllContainers\"",
                "restartPolicyRules[0].exitCodes: Required value: must be specified",
                "restartPolicyRules[1].action: Unsupported value: \"Some\": supported values: \"Restart\", \"RestartAllContainers\"",
                "restartPolicyRules[1].exitCodes.operator: Unsupported value: \"Some\": supported values: \"In\", \"NotIn\"",
                "restartPolicyRules[1].exitCodes.values: Too many: 256: must have at most 255 items",
            ],
        ),
        (
            json!({"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "memory", "restartPolicy": "RestartContainer"}]}),
            &[],
        ),
        (
            json!({"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "cpu"}, {"restartPolicy": "Some"}, {"resourceName": "pods", "restartPolicy": "NotRequired"}]}),
            &[
                "resizePolicy[1]: Duplicate value: \"cpu\"",
                "resizePolicy: Required value",
                "resizePolicy: Required value",
                "resizePolicy: Unsupported value: \"Some\": supported values: \"NotRequired\", \"RestartContainer\"",
                "resizePolicy: Unsupported value: \"pods\": supported values: \"cpu\", \"memory\"",
            ],
        ),
    ]);
    let never = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "restartPolicy": "Always",
        "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}, {"resourceName": "memory", "restartPolicy": "NotRequired"}]}]});
    check(&[(
        pod(never),
        "spec.containers[0].resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            .to_owned(),
    )]);
}

#[test]
fn init_containers() {
    let init = |containers: Value| pod(json!({ "initContainers": containers }));
    let rule = json!({"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}});
    let probe = json!({"exec": {"command": ["a"]}});
    let full = |name: &str, policy: Value| json!({"name": name, "image": "i", "restartPolicy": policy, "lifecycle": {"preStop": probe}, "livenessProbe": probe, "readinessProbe": probe, "startupProbe": probe});
    let without = "Forbidden: may not be set for init containers without restartPolicy=Always";
    let resize = json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    check(&[
        (init(json!([full("a", json!("Always")), {"name": "b", "image": "i", "restartPolicy": "Never", "restartPolicyRules": [rule]}])), String::new()),
        (
            init(json!([full("a", json!("OnFailure"))])),
            ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"]
                .map(|field| format!("spec.initContainers[0].{field}: {without}"))
                .join("\n"),
        ),
        (
            init(json!([{"name": "c", "image": "i", "restartPolicy": "Some", "livenessProbe": probe}])),
            format!(
                "spec.initContainers[0].restartPolicy: Unsupported value: \"Some\": supported values: \"Always\", \"Never\", \"OnFailure\"\n\
                 spec.initContainers[0].name: Duplicate value: \"c\"\nspec.initContainers[0].livenessProbe: {without}"
            ),
        ),
        (
            init(json!([{"name": "a", "image": "i", "restartPolicyRules": [{}]}])),
            "spec.initContainers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used".to_owned(),
        ),
        (
            init(json!([{"image": "i"}, {"image": "i"}])),
            "spec.initContainers[0].name: Required value\nspec.initContainers[1].name: Required value".to_owned(),
        ),
        (
            init(json!([{"name": "a", "image": "i", "ports": [{"containerPort": 1, "hostPort": 80}]}, {"name": "b", "image": "i", "ports": [{"containerPort": 1, "hostPort": 80}]}])),
            String::new(),
        ),
        (
            init(json!([{"name": "a", "image": "i", "ports": [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 80}]}])),
            "spec.initContainers[0].ports[1].hostPort: Duplicate value: \"TCP//80\"".to_owned(),
        ),
        (
            init(json!([{"name": "a", "image": "i", "resizePolicy": resize}, {"name": "b", "image": "i", "restartPolicy": "Always", "resizePolicy": resize}])),
            "spec.initContainers[0].resizePolicy[1].restartPolicy: Invalid value: \"RestartContainer\": must not be set to 'RestartContainer' for non-sidecar initContainers".to_owned(),
        ),
    ]);
}

#[test]
fn ephemeral_containers() {
    let ephemeral = |containers: Value| {
        pod(
            json!({"initContainers": [{"name": "i", "image": "i"}], "volumes": [{"name": "v", "emptyDir": {}}], "ephemeralContainers": containers}),
        )
    };
    let end = "spec.ephemeralContainers: Forbidden: cannot be set on create";
    let cannot = "Forbidden: cannot be set for an Ephemeral Container";
    let probe = json!({"exec": {"command": ["a"]}});
    check(&[
        (
            ephemeral(
                json!([{"name": "d", "image": "i", "targetContainerName": "i", "stdin": true, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]),
            ),
            end.to_owned(),
        ),
        (
            ephemeral(
                json!([{"name": "c", "image": " i", "targetContainerName": "d"}, {"name": "d", "image": "i"}, {"name": "d", "image": "i", "targetContainerName": "d"}]),
            ),
            format!(
                "spec.ephemeralContainers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace\n\
                 spec.ephemeralContainers[0].name: Duplicate value: \"c\"\n\
                 spec.ephemeralContainers[0].targetContainerName: Not found: \"d\"\n\
                 spec.ephemeralContainers[2].name: Duplicate value: \"d\"\n\
                 spec.ephemeralContainers[2].targetContainerName: Not found: \"d\"\n{end}"
            ),
        ),
        (
            ephemeral(
                json!([{"name": "d", "image": "i", "startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe, "lifecycle": {}, "restartPolicy": "Always",
                "restartPolicyRules": [{}], "resources": {"limits": {"cpu": "1"}}, "ports": [{"containerPort": 1}],
                "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}], "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a"}, {"name": "v", "mountPath": "/w", "subPathExpr": "a"}]}]),
            ),
            [
                "ports",
                "resources",
                "resizePolicy",
                "restartPolicy",
                "restartPolicyRules",
                "livenessProbe",
                "readinessProbe",
                "startupProbe",
                "lifecycle",
                "volumeMounts[0].subPath",
                "volumeMounts[1].subPathExpr",
            ]
            .map(|field| format!("spec.ephemeralContainers[0].{field}: {cannot}"))
            .join("\n")
                + "\n"
                + end,
        ),
    ]);
}

//! What is said of pods that are not as they must be, all of it at once.

use serde_json::{Value, json};
use strategy::testing::updated;

use crate::Pod;

pub(super) fn pod(spec: Value) -> Value {
    let mut full = json!({"containers": [{"name": "c", "image": "i"}]});
    for (key, value) in spec.as_object().unwrap() {
        full[key] = value.clone();
    }
    json!({"metadata": {"name": "p", "namespace": "x"}, "spec": full})
}

pub(super) fn container(fields: Value) -> Value {
    let mut full = json!({"name": "c", "image": "i"});
    for (key, value) in fields.as_object().unwrap() {
        full[key] = value.clone();
    }
    pod(
        json!({"containers": [full], "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "persistentVolumeClaim": {"claimName": "w"}}]}),
    )
}

fn check(cases: &[(Value, &str)]) {
    let rows: Vec<(Value, String)> =
        cases.iter().map(|(pod, expected)| (pod.clone(), (*expected).to_owned())).collect();
    super::containers::check(&rows);
}

#[test]
fn security_contexts() {
    let context = |context: Value| pod(json!({ "securityContext": context }));
    let own = |context: Value| container(json!({ "securityContext": context }));
    let longest = format!("a{}", ".b".repeat(126));
    check(&[
        (
            context(
                json!({"fsGroup": 0, "runAsUser": 2147483647, "runAsGroup": 0, "supplementalGroups": [0, 2147483647],
                "sysctls": [{"name": "kernel.shm_rmid_forced"}, {"name": "net/ipv4/conf.eth0"}, {"name": longest}],
                "fsGroupChangePolicy": "OnRootMismatch", "supplementalGroupsPolicy": "Strict", "seLinuxChangePolicy": "Recursive",
                "seccompProfile": {"type": "Localhost", "localhostProfile": "a/b"}, "appArmorProfile": {"type": "Localhost", "localhostProfile": "a"}}),
            ),
            "",
        ),
        (
            context(
                json!({"fsGroup": -1, "runAsUser": 2147483648_u64, "runAsGroup": -1, "supplementalGroups": [1, -1],
                "sysctls": [{"name": ""}, {"name": "a"}, {"name": "a"}, {"name": "-a"}, {"name": "a-"}, {"name": "A"}, {"name": format!("{longest}b")}],
                "fsGroupChangePolicy": "Some", "supplementalGroupsPolicy": "Some", "seLinuxChangePolicy": "Some",
                "seccompProfile": {"type": "Localhost"}, "appArmorProfile": {"type": "Localhost", "localhostProfile": " a"}}),
            ),
            "spec.securityContext.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive\n\
                spec.securityContext.runAsUser: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive\n\
                spec.securityContext.runAsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive\n\
                spec.securityContext.supplementalGroups[1]: Invalid value: -1: must be between 0 and 2147483647, inclusive\n\
                spec.securityContext.sysctls[0].name: Required value\n\
                spec.securityContext.sysctls[2].name: Duplicate value: \"a\"\n\
                spec.securityContext.sysctls[3].name: Invalid value: \"-a\": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$\n\
                spec.securityContext.sysctls[4].name: Invalid value: \"a-\": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$\n\
                spec.securityContext.sysctls[5].name: Invalid value: \"A\": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$\n\
                spec.securityContext.sysctls[6].name: Invalid value: \"a.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.bb\": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$\n\
                spec.securityContext.fsGroupChangePolicy: Unsupported value: \"Some\": supported values: \"Always\", \"OnRootMismatch\"\n\
                spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost\n\
                spec.securityContext.appArmorProfile.localhostProfile: Invalid value: \" a\": must not be padded with whitespace\n\
                spec.securityContext.supplementalGroupsPolicy: Unsupported value: \"Some\": supported values: \"Merge\", \"Strict\"\n\
                spec.securityContext.seLinuxChangePolicy: Unsupported value: \"Some\": supported values: \"Recursive\"",
        ),
        (
            context(
                json!({"seccompProfile": {"type": "RuntimeDefault", "localhostProfile": "a"}, "appArmorProfile": {"type": "Unconfined", "localhostProfile": "a"}}),
            ),
            "spec.securityContext.seccompProfile.localhostProfile: Invalid value: {\"localhostProfile\":\"a\",\"type\":\"RuntimeDefault\"}: can only be set when seccomp type is Localhost\n\
                spec.securityContext.appArmorProfile.localhostProfile: Invalid value: \"a\": can only be set when AppArmor type is Localhost",
        ),
        (
            context(json!({"seccompProfile": {}, "appArmorProfile": {"type": "Some"}})),
            "spec.securityContext.seccompProfile.type: Required value: type is required when seccompProfile is set\n\
                spec.securityContext.appArmorProfile.type: Unsupported value: \"Some\": supported values: \"Localhost\", \"RuntimeDefault\", \"Unconfined\"",
        ),
        (
            context(
                json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "/a"}, "appArmorProfile": {"type": "Localhost", "localhostProfile": "a".repeat(4096)}}),
            ),
            "spec.securityContext.seccompProfile.localhostProfile: Invalid value: \"/a\": must be a relative path\n\
                spec.securityContext.appArmorProfile.localhostProfile: Too long: may not be more than 4095 bytes",
        ),
        (
            context(json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": " "}})),
            "spec.securityContext.appArmorProfile.localhostProfile: Invalid value: \" \": must not be padded with whitespace",
        ),
        (pod(json!({"shareProcessNamespace": true})), ""),
        (
            pod(json!({"shareProcessNamespace": true, "hostPID": true})),
            "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
        ),
        (
            pod(
                json!({"hostNetwork": true, "hostIPC": true, "securityContext": {"sysctls": [{"name": "net.core.x"}, {"name": "net/core/y"},
                {"name": "kernel.shmmax"}, {"name": "kernel.msgmax"}, {"name": "kernel.sem"}, {"name": "fs.mqueue.x"}, {"name": "kernel.semi"}, {"name": "vm.x"}]}}),
            ),
            "spec.securityContext.sysctls[0].name: Invalid value: \"net.core.x\": may not be specified when 'hostNetwork' is true\n\
                spec.securityContext.sysctls[1].name: Invalid value: \"net/core/y\": may not be specified when 'hostNetwork' is true\n\
                spec.securityContext.sysctls[2].name: Invalid value: \"kernel.shmmax\": may not be specified when 'hostIPC' is true\n\
                spec.securityContext.sysctls[3].name: Invalid value: \"kernel.msgmax\": may not be specified when 'hostIPC' is true\n\
                spec.securityContext.sysctls[4].name: Invalid value: \"kernel.sem\": may not be specified when 'hostIPC' is true\n\
                spec.securityContext.sysctls[5].name: Invalid value: \"fs.mqueue.x\": may not be specified when 'hostIPC' is true",
        ),
        (pod(json!({"securityContext": {"sysctls": [{"name": "net.core.x"}, {"name": "kernel.sem"}]}})), ""),
        (
            own(
                json!({"runAsUser": 0, "procMount": "Default", "allowPrivilegeEscalation": false, "capabilities": {"add": ["NET_ADMIN"]}}),
            ),
            "",
        ),
        (
            own(
                json!({"allowPrivilegeEscalation": true, "privileged": true, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}),
            ),
            "",
        ),
        (
            own(
                json!({"runAsUser": -1, "runAsGroup": -1, "procMount": "Some", "allowPrivilegeEscalation": false, "privileged": true,
                "capabilities": {"add": ["CAP_SYS_ADMIN"]}, "seccompProfile": {}}),
            ),
            "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive\n\
                spec.containers[0].securityContext.runAsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive\n\
                spec.containers[0].securityContext.procMount: Unsupported value: \"Some\": supported values: \"Default\", \"Unmasked\"\n\
                spec.containers[0].securityContext.seccompProfile.type: Required value: type is required when seccompProfile is set\n\
                spec.containers[0].securityContext: Invalid value: {\"allowPrivilegeEscalation\":false,\"capabilities\":{\"add\":[\"CAP_SYS_ADMIN\"]},\"privileged\":true,\"procMount\":\"Some\",\"runAsGroup\":-1,\"runAsUser\":-1,\"seccompProfile\":{}}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true\n\
                spec.containers[0].securityContext: Invalid value: {\"allowPrivilegeEscalation\":false,\"capabilities\":{\"add\":[\"CAP_SYS_ADMIN\"]},\"privileged\":true,\"procMount\":\"Some\",\"runAsGroup\":-1,\"runAsUser\":-1,\"seccompProfile\":{}}: cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
        ),
        (
            own(json!({"procMount": "Unmasked"})),
            "spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`",
        ),
        (
            pod(
                json!({"hostUsers": false, "containers": [{"name": "c", "image": "i", "securityContext": {"procMount": "Unmasked"}}]}),
            ),
            "",
        ),
        (
            pod(json!({"hostUsers": false, "hostNetwork": true, "hostPID": true, "hostIPC": true})),
            "spec.hostNetwork: Forbidden: when `hostUsers` is false\n\
                spec.HostPID: Forbidden: when `hostUsers` is false\n\
                spec.HostIPC: Forbidden: when `hostUsers` is false",
        ),
    ]);
}

#[test]
fn specs() {
    let servers = |count: usize| vec!["10.0.0.1"; count];
    check(&[
        (
            pod(
                json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": servers(3), "searches": ["a_b.example.", ".", "c"], "options": [{"name": "n"}]},
                "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.example"]}], "activeDeadlineSeconds": 1, "hostname": "a", "subdomain": "b",
                "priorityClassName": "p", "runtimeClassName": "r", "preemptionPolicy": "Never", "serviceAccountName": "s", "nodeName": "n",
                "imagePullSecrets": [{"name": "s"}], "readinessGates": [{"conditionType": "a/b"}], "schedulingGates": []}),
            ),
            "",
        ),
        (
            pod(
                json!({"restartPolicy": "Some", "dnsPolicy": "Some", "nodeSelector": {"-": "x"}, "imagePullSecrets": [{}], "serviceAccountName": "A",
                "nodeName": "N", "activeDeadlineSeconds": 0, "hostname": "A.b", "subdomain": "-", "hostAliases": [{"ip": "x", "hostnames": ["A"]}],
                "priorityClassName": "P", "runtimeClassName": "R", "preemptionPolicy": "Some", "overhead": {"cpu": "-1"},
                "readinessGates": [{"conditionType": "-"}], "schedulingGates": [{"name": "a/b"}, {"name": "a/b"}, {"name": "-"}]}),
            ),
            "spec.restartPolicy: Unsupported value: \"Some\": supported values: \"Always\", \"OnFailure\", \"Never\"\n\
                spec.dnsPolicy: Unsupported value: \"Some\": supported values: \"ClusterFirstWithHostNet\", \"ClusterFirst\", \"Default\", \"None\"\n\
                spec.nodeSelector: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.readinessGates[0].conditionType: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.schedulingGates[1]: Duplicate value: \"a/b\"\n\
                spec.schedulingGates[2]: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.serviceAccountName: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.nodeName: Invalid value: \"N\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive\n\
                spec.hostname: Invalid value: \"A.b\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')\n\
                spec.subdomain: Invalid value: \"-\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')\n\
                spec.hostAliases[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)\n\
                spec.hostAliases[0].hostnames[0]: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.priorityClassName: Invalid value: \"P\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.runtimeClassName: Invalid value: \"R\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.preemptionPolicy: Unsupported value: \"Some\": supported values: \"PreemptLowerPriority\", \"Never\"\n\
                spec.overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0\n\
                spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
        ),
        (
            pod(json!({"restartPolicy": "", "activeDeadlineSeconds": 2147483648_u64})),
            "spec.activeDeadlineSeconds: Invalid value: 2147483648: must be between 1 and 2147483647, inclusive",
        ),
        (
            pod(json!({"dnsPolicy": "None"})),
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
        ),
        (
            pod(json!({"dnsPolicy": "None", "dnsConfig": {}})),
            "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None",
        ),
        (
            pod(
                json!({"dnsConfig": {"nameservers": ["a", "10.0.0.1", "10.0.0.2", "10.0.0.3"], "searches": ["A"], "options": [{}]}}),
            ),
            "spec.dnsConfig.nameservers: Invalid value: [\"a\",\"10.0.0.1\",\"10.0.0.2\",\"10.0.0.3\"]: must not have more than 3 nameservers\n\
                spec.dnsConfig.nameservers[0]: Invalid value: \"a\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)\n\
                spec.dnsConfig.searches[0]: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.dnsConfig.options[0]: Required value: must not be empty",
        ),
        (pod(json!({"dnsConfig": {"searches": vec!["a"; 32]}})), ""),
        (
            pod(json!({"dnsConfig": {"searches": vec!["a"; 33]}})),
            "spec.dnsConfig.searches: Invalid value: [\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]: must not have more than 32 search paths",
        ),
        (
            pod(
                json!({"hostNetwork": true, "containers": [{"name": "c", "image": " i", "ports": [{"containerPort": 80, "hostPort": 81}, {"containerPort": 82}, {"containerPort": 83, "hostPort": 83}]}],
                "initContainers": [{"name": "d", "image": "i", "ports": [{"containerPort": 90, "hostPort": 91}]}]}),
            ),
            "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true\n\
                spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace",
        ),
        (
            pod(
                json!({"resourceClaims": [{"name": "a", "resourceClaimName": "x"}, {"name": "a", "resourceClaimName": "x", "resourceClaimTemplateName": "y"}, {"name": "A"},
                {"name": "b", "resourceClaimName": "X"}]}),
            ),
            "spec.resourceClaims[1].name: Duplicate value: \"a\"\n\
                spec.resourceClaims[1]: Invalid value: {\"name\":\"a\",\"resourceClaimName\":\"x\",\"resourceClaimTemplateName\":\"y\"}: at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified\n\
                spec.resourceClaims[2].name: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')\n\
                spec.resourceClaims[2]: Invalid value: {\"name\":\"A\"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`\n\
                spec.resourceClaims[3].resourceClaimName: Invalid value: \"X\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
        (
            pod(json!({"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}, "containers": [
                {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}]})),
            "",
        ),
        (
            pod(
                json!({"resources": {"claims": [{"name": "x"}], "requests": {"cpu": "1", "pods": "1"}, "limits": {"cpu": "2"}}, "containers": [
                {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}}},
                {"name": "d", "image": "i", "resources": {"requests": {"cpu": "500m"}}}]}),
            ),
            "spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level\n\
                spec.resources.requests[pods]: Unsupported value: \"pods\": supported values: \"cpu\", \"hugepages-\", \"memory\"\n\
                spec.resources.claims[0]: Not found: \"x\": must be one of the names in pod.spec.resourceClaims which is empty\n\
                spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to aggregate container requests of 1500m\n\
                spec.resources.containers[0][cpu].limits: Invalid value: \"3\": must be less than or equal to pod limits of 2",
        ),
    ]);
}

#[test]
fn scheduling() {
    let term = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}});
    let node = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "Gt", "values": ["1"]}]}]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": {}}]});
    let pods = json!({"requiredDuringSchedulingIgnoredDuringExecution": [term], "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]});
    let spread = |fields: Value| {
        let mut full = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"a": "b"}}});
        for (key, value) in fields.as_object().unwrap() {
            full[key] = value.clone();
        }
        full
    };
    let tolerations = |tolerations: Value| pod(json!({ "tolerations": tolerations }));
    check(&[
        (pod(json!({"affinity": {"nodeAffinity": node, "podAffinity": pods, "podAntiAffinity": pods}})), ""),
        (
            pod(json!({"affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []},
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0, "preference": {"matchExpressions": [{"key": "k", "operator": "Some"}]}}]},
                "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "-", "namespaces": ["A"], "labelSelector": {"matchLabels": {"-": "b"}},
                        "namespaceSelector": {"matchLabels": {"-": "b"}}}, {"matchLabelKeys": ["a"]}],
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 101, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {},
                        "matchLabelKeys": ["a", "-"], "mismatchLabelKeys": ["a"]}}]}}})),
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term\n\
                spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100\n\
                spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].operator: Invalid value: \"Some\": not a valid selector operator\n\
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchLabels: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespaceSelector.matchLabels: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')\n\
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[1].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set\n\
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[1].topologyKey: Required value: can not be empty\n\
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[1].topologyKey: Invalid value: \"\": name part must be non-empty\n\
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[1].topologyKey: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100\n\
                spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.matchLabelKeys[1]: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.matchLabelKeys[0]: Invalid value: \"a\": exists in both matchLabelKeys and mismatchLabelKeys",
        ),
        (
            pod(
                json!({"topologySpreadConstraints": [spread(json!({"minDomains": 1, "nodeAffinityPolicy": "Honor", "nodeTaintsPolicy": "Ignore", "matchLabelKeys": ["c"]})),
                spread(json!({"whenUnsatisfiable": "ScheduleAnyway"}))]}),
            ),
            "",
        ),
        (
            pod(
                json!({"topologySpreadConstraints": [spread(json!({"maxSkew": 0, "minDomains": 0, "nodeAffinityPolicy": "Some", "nodeTaintsPolicy": "Some", "matchLabelKeys": ["a", "-"]})),
                spread(json!({})), spread(json!({"whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2, "topologyKey": ""})), spread(json!({"whenUnsatisfiable": "Some",
                    "labelSelector": null, "matchLabelKeys": ["c"]}))]}),
            ),
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero\n\
                spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{zone, DoNotSchedule}\"\n\
                spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than zero\n\
                spec.topologySpreadConstraints[0].nodeAffinityPolicy: Unsupported value: \"Some\": supported values: \"Honor\", \"Ignore\"\n\
                spec.topologySpreadConstraints[0].nodeTaintsPolicy: Unsupported value: \"Some\": supported values: \"Honor\", \"Ignore\"\n\
                spec.topologySpreadConstraints[0].matchLabelKeys[1]: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.topologySpreadConstraints[2].topologyKey: Required value: can not be empty\n\
                spec.topologySpreadConstraints[2].minDomains: Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway\n\
                spec.topologySpreadConstraints[3].whenUnsatisfiable: Unsupported value: \"Some\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"\n\
                spec.topologySpreadConstraints[3].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
        ),
        (
            tolerations(
                json!([{"operator": "Exists"}, {"key": "a/b", "value": "c"}, {"key": "a", "operator": "Equal", "effect": "NoExecute", "tolerationSeconds": 3}]),
            ),
            "",
        ),
        (
            tolerations(
                json!([{"key": "-"}, {"operator": "Equal"}, {"key": "a", "tolerationSeconds": 3, "effect": "NoSchedule"}, {"key": "a", "value": "-"},
                {"key": "a", "operator": "Exists", "value": "x"}, {"key": "a", "operator": "Some"}, {"key": "a", "effect": "Some"}]),
            ),
            "spec.tolerations[0].key: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.tolerations[1].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"\n\
                spec.tolerations[2].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set\n\
                spec.tolerations[3].operator: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')\n\
                spec.tolerations[4].operator: Invalid value: \"x\": value must be empty when `operator` is 'Exists'\n\
                spec.tolerations[5].operator: Unsupported value: \"Some\": supported values: \"Equal\", \"Exists\"\n\
                spec.tolerations[6].effect: Unsupported value: \"Some\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
        ),
    ]);
}

#[test]
fn environments() {
    let env = |variable: Value| container(json!({"env": [variable]}));
    let from = |source: Value| env(json!({"name": "A", "valueFrom": source}));
    let many = |from: Value| container(json!({ "envFrom": from }));
    let resource = |resource: &str, divisor: &str| {
        from(json!({"resourceFieldRef": {"resource": resource, "divisor": divisor}}))
    };
    check(&[
        (from(json!({"secretKeyRef": {"name": "s", "key": "k.a-b_c"}})), ""),
        (
            from(json!({})),
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        ),
        (
            from(
                json!({"secretKeyRef": {"name": "S", "key": "a b"}, "configMapKeyRef": {"name": "s", "key": "..a"}}),
            ),
            "spec.containers[0].env[0].valueFrom.configMapKeyRef.key: Invalid value: \"..a\": must not start with '..'\n\
                spec.containers[0].env[0].valueFrom.secretKeyRef.name: Invalid value: \"S\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.containers[0].env[0].valueFrom.secretKeyRef.key: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')\n\
                spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not have more than one field specified at a time",
        ),
        (from(json!({"secretKeyRef": {"name": "s", "key": "k".repeat(253)}})), ""),
        (
            from(json!({"secretKeyRef": {"name": "s", "key": "k".repeat(254)}})),
            "spec.containers[0].env[0].valueFrom.secretKeyRef.key: Invalid value: \"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\": must be no more than 253 characters",
        ),
        (
            from(json!({"secretKeyRef": {"name": "s", "key": ".."}})),
            "spec.containers[0].env[0].valueFrom.secretKeyRef.key: Invalid value: \"..\": must not be '..'",
        ),
        (
            from(json!({"secretKeyRef": {"name": "s", "key": "."}})),
            "spec.containers[0].env[0].valueFrom.secretKeyRef.key: Invalid value: \".\": must not be '.'",
        ),
        (
            from(json!({"fieldRef": {"fieldPath": ""}})),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Required value",
        ),
        (from(json!({"fieldRef": {"apiVersion": "", "fieldPath": "metadata.name"}})), ""),
        (
            from(json!({"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.x['a']"}})),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.x['a']\": error converting fieldPath: field label does not support subscript: spec.x['a']",
        ),
        (
            from(json!({"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations['-']"}})),
            "spec.containers[0].env[0].valueFrom.fieldRef: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
        (from(json!({"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations['A/b']"}})), ""),
        (
            from(json!({"fileKeyRef": {}})),
            "spec.containers[0].env[0].valueFrom.fileKeyRef.key: Required value\n\
                spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Required value\n\
                spec.containers[0].env[0].valueFrom.fileKeyRef.path: Required value\n\
                spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Not found: \"\"",
        ),
        (resource("", "1"), "spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Required value"),
        (
            resource("limits.x", "1"),
            "spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: \"limits.x\": supported values: \"limits.cpu\", \"limits.ephemeral-storage\", \"limits.memory\", \"requests.cpu\", \"requests.ephemeral-storage\", \"requests.memory\"",
        ),
        (resource("limits.memory", "1Mi"), ""),
        (
            resource("limits.memory", "2"),
            "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.memory\": only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource",
        ),
        (
            resource("requests.ephemeral-storage", "3"),
            "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"requests.ephemeral-storage\": only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the local ephemeral storage resource",
        ),
        (
            resource("requests.hugepages-2Mi", "3"),
            "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"requests.hugepages-2Mi\": only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the hugepages resource",
        ),
        (resource("requests.cpu", "0"), ""),
        (many(json!([{"prefix": "A_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}}])), ""),
        (
            many(
                json!([{"prefix": "=", "configMapRef": {"name": ""}}, {"secretRef": {"name": "S"}}, {}, {"configMapRef": {"name": "c"}, "secretRef": {"name": "s"}}]),
            ),
            "spec.containers[0].envFrom[0].prefix: Invalid value: \"=\": a valid environment variable name must consist only of printable ASCII characters other than '='\n\
                spec.containers[0].envFrom[0].configMapRef.name: Required value\n\
                spec.containers[0].envFrom[1].secretRef.name: Invalid value: \"S\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
                spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`\n\
                spec.containers[0].envFrom: Invalid value: \"\": may not have more than one field specified at a time",
        ),
    ]);
}

#[test]
fn volumes_and_mounts() {
    let volume = |source: Value| {
        let mut full = json!({"name": "v"});
        for (key, value) in source.as_object().unwrap() {
            full[key] = value.clone();
        }
        pod(json!({"serviceAccountName": "s", "volumes": [full]}))
    };
    let projected = |sources: Value| volume(json!({"projected": {"sources": sources}}));
    let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    check(&[
        (
            pod(
                json!({"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "0"}}, {"name": "v", "emptyDir": {}}, {"name": "", "emptyDir": {}}, {"name": "A", "emptyDir": {}}, {"name": "w"}]}),
            ),
            "spec.volumes[1].name: Duplicate value: \"v\"\n\
                spec.volumes[2].name: Required value\n\
                spec.volumes[3].name: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        ),
        (
            volume(json!({"emptyDir": {"sizeLimit": "-1"}})),
            "spec.volumes[0].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity",
        ),
        (
            volume(json!({"emptyDir": {}, "hostPath": {"path": "/a"}})),
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        ),
        (
            volume(
                json!({"secret": {"secretName": "s", "defaultMode": 511, "items": [{"key": "k", "path": "a/b", "mode": 0}]}}),
            ),
            "",
        ),
        (
            volume(
                json!({"secret": {"defaultMode": 512, "items": [{"key": "", "path": "", "mode": -1}, {"key": "k", "path": "/a"}, {"key": "k", "path": "a/../b"}, {"key": "k", "path": "..a"}]}}),
            ),
            "spec.volumes[0].secret.secretName: Required value\n\
                spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive\n\
                spec.volumes[0].secret.items[0].key: Required value\n\
                spec.volumes[0].secret.items[0].path: Required value\n\
                spec.volumes[0].secret.items[0].mode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive\n\
                spec.volumes[0].secret.items[1].path: Invalid value: \"/a\": must be a relative path\n\
                spec.volumes[0].secret.items[2].path: Invalid value: \"a/../b\": must not contain '..'\n\
                spec.volumes[0].secret.items[3].path: Invalid value: \"..a\": must not start with '..'",
        ),
        (volume(json!({"configMap": {}})), "spec.volumes[0].configMap.name: Required value"),
        (
            volume(json!({"persistentVolumeClaim": {}})),
            "spec.volumes[0].persistentVolumeClaim.claimName: Required value",
        ),
        (
            volume(json!({"gitRepo": {"directory": ".."}})),
            "spec.volumes[0].gitRepo.repository: Required value\n\
                spec.volumes[0].gitRepo.directory: Invalid value: \"..\": must not contain '..'",
        ),
        (
            volume(json!({"image": {"pullPolicy": "Some"}})),
            "spec.volumes[0].image.reference: Required value\n\
                spec.volumes[0].image.pullPolicy: Unsupported value: \"Some\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (volume(json!({"ephemeral": {}})), "spec.volumes[0].ephemeral.volumeClaimTemplate: Required value"),
        (
            volume(
                json!({"ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": claim}}}),
            ),
            "",
        ),
        (
            volume(
                json!({"ephemeral": {"volumeClaimTemplate": {"metadata": {"name": "x", "labels": {"-": "b"}, "annotations": {"-": "b"}}, "spec": {}}}}),
            ),
            "spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.annotations: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.labels: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set\n\
                spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required\n\
                spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
        ),
        (
            pod(
                json!({"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}, {"name": "w", "persistentVolumeClaim": {"claimName": "p-v"}}]}),
            ),
            "spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: \"p-v\": must not reference a PVC that gets created for an ephemeral volume",
        ),
        (
            volume(
                json!({"downwardAPI": {"defaultMode": 512, "items": [{"path": "a", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels"}},
                {"path": "", "mode": 512}, {"path": "b", "fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}, "resourceFieldRef": {}}, {"path": "c", "resourceFieldRef": {"resource": "limits.cpu"}}]}}),
            ),
            "spec.volumes[0].downwardAPI.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive\n\
                spec.volumes[0].downwardAPI.path: Required value\n\
                spec.volumes[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required\n\
                spec.volumes[0].downwardAPI.mode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive\n\
                spec.volumes[0].downwardAPI.fieldRef.fieldPath: Unsupported value: \"status.podIP\": supported values: \"metadata.annotations\", \"metadata.labels\", \"metadata.name\", \"metadata.namespace\", \"metadata.uid\"\n\
                spec.volumes[0].downwardAPI: Invalid value: \"resource\": fieldRef and resourceFieldRef can not be specified simultaneously\n\
                spec.volumes[0].downwardAPI.resourceFieldRef.containerName: Required value",
        ),
        (
            projected(
                json!([{"secret": {"name": "s", "items": [{"key": "k", "path": "a"}]}}, {"configMap": {"name": "c"}},
                {"serviceAccountToken": {"path": "t", "expirationSeconds": 600}}, {"clusterTrustBundle": {"name": "b", "path": "u"}}]),
            ),
            "",
        ),
        (
            projected(
                json!([{"secret": {"items": [{"key": "k", "path": "a"}]}}, {"configMap": {"items": [{"key": "k", "path": "a"}]}}, {},
                {"serviceAccountToken": {"expirationSeconds": 599}}, {"serviceAccountToken": {"path": "a", "expirationSeconds": 4294967297_u64}},
                {"clusterTrustBundle": {"name": "b", "signerName": "a.example/b", "path": "a"}}, {"clusterTrustBundle": {}}, {"podCertificate": {}},
                {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}]}}, {"secret": {"name": "s"}, "configMap": {"name": "c"}}]),
            ),
            "spec.volumes[0].projected.sources[0].secret.name: Required value\n\
                spec.volumes[0].projected.sources[1].configMap.name: Required value\n\
                spec.volumes[0].projected: Invalid value: \"\": conflicting duplicate paths\n\
                spec.volumes[0].projected.sources[3].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes\n\
                spec.volumes[0].projected.path: Required value\n\
                spec.volumes[0].projected.sources[4].serviceAccountToken.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds\n\
                spec.volumes[0].projected.sources[5].clusterTrustBundle: Invalid value: {\"name\":\"b\",\"path\":\"a\",\"signerName\":\"a.example/b\"}: only one of name and signerName may be used\n\
                spec.volumes[0].projected: Invalid value: \"a\": conflicting duplicate paths\n\
                spec.volumes[0].projected.sources[6].clusterTrustBundle: Required value: either name or signerName must be specified\n\
                spec.volumes[0].projected.sources[6].clusterTrustBundle.path: Required value\n\
                spec.volumes[0].projected.sources[7].podCertificate.signerName: Required value\n\
                spec.volumes[0].projected.sources[7].podCertificate.keyType: Unsupported value: \"\": supported values: \"RSA3072\", \"RSA4096\", \"ECDSAP256\", \"ECDSAP384\", \"ECDSAP521\", \"ED25519\"\n\
                spec.volumes[0].projected.sources[7].podCertificate: Required value: specify at least one of credentialBundlePath, keyPath, and certificateChainPath\n\
                spec.volumes[0].projected: Invalid value: \"a\": conflicting duplicate paths\n\
                spec.volumes[0].projected.sources[9]: Forbidden: may not specify more than 1 volume type per source",
        ),
        (
            pod(
                json!({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 600}}]}}]}),
            ),
            "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set",
        ),
        (
            container(
                json!({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "b", "mountPropagation": "HostToContainer"}, {"name": "v", "mountPath": "/b", "readOnly": true, "recursiveReadOnly": "Enabled"}],
                "volumeDevices": [{"name": "w", "devicePath": "/dev/w"}]}),
            ),
            "",
        ),
        (
            container(
                json!({"volumeMounts": [{"name": "", "mountPath": ""}, {"name": "x", "mountPath": "/a", "subPath": "/b", "subPathExpr": "../c", "mountPropagation": "Some"},
                {"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional", "recursiveReadOnly": "Enabled"}, {"name": "w", "mountPath": "/dev/w", "recursiveReadOnly": "Some"}],
                "volumeDevices": [{"name": "w", "devicePath": "/dev/w"}, {"name": "w", "devicePath": "/dev/w"}, {"name": "", "devicePath": ""}, {"name": "v", "devicePath": "/a/../b"}]}),
            ),
            "spec.containers[0].volumeMounts[0].name: Required value\n\
                spec.containers[0].volumeMounts[0].name: Not found: \"\"\n\
                spec.containers[0].volumeMounts[0].mountPath: Required value\n\
                spec.containers[0].volumeMounts[0].name: Invalid value: \"\": must not already exist in volumeDevices\n\
                spec.containers[0].volumeMounts[0].mountPath: Invalid value: \"\": must not already exist as a path in volumeDevices\n\
                spec.containers[0].volumeMounts[1].name: Not found: \"x\"\n\
                spec.containers[0].volumeMounts.subPath: Invalid value: \"/b\": must be a relative path\n\
                spec.containers[0].volumeMounts[1].subPathExpr: Invalid value: \"../c\": subPathExpr and subPath are mutually exclusive\n\
                spec.containers[0].volumeMounts.subPathExpr: Invalid value: \"../c\": must not contain '..'\n\
                spec.containers[0].volumeMounts.mountPropagation: Unsupported value: \"Some\": supported values: \"Bidirectional\", \"HostToContainer\", \"None\"\n\
                spec.containers[0].volumeMounts[2].mountPath: Invalid value: \"/a\": must be unique\n\
                spec.containers[0].volumeMounts[2].name: Invalid value: \"v\": must not already exist in volumeDevices\n\
                spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers\n\
                spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true\n\
                spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified\n\
                spec.containers[0].volumeMounts[3].name: Invalid value: \"w\": must not already exist in volumeDevices\n\
                spec.containers[0].volumeMounts[3].mountPath: Invalid value: \"/dev/w\": must not already exist as a path in volumeDevices\n\
                spec.containers[0].volumeMounts.recursiveReadOnly: Unsupported value: \"Some\": supported values: \"Disabled\", \"Enabled\", \"IfPossible\"\n\
                spec.containers[0].volumeDevices[0].name: Invalid value: \"w\": must not already exist in volumeMounts\n\
                spec.containers[0].volumeDevices[0].devicePath: Invalid value: \"/dev/w\": must not already exist as a path in volumeMounts\n\
                spec.containers[0].volumeDevices[1].name: Invalid value: \"w\": must be unique\n\
                spec.containers[0].volumeDevices[1].devicePath: Invalid value: \"/dev/w\": must be unique\n\
                spec.containers[0].volumeDevices[1].name: Invalid value: \"w\": must not already exist in volumeMounts\n\
                spec.containers[0].volumeDevices[1].devicePath: Invalid value: \"/dev/w\": must not already exist as a path in volumeMounts\n\
                spec.containers[0].volumeDevices[2].name: Required value\n\
                spec.containers[0].volumeDevices[2].name: Not found: \"\"\n\
                spec.containers[0].volumeDevices[2].devicePath: Required value\n\
                spec.containers[0].volumeDevices[2].name: Invalid value: \"\": must not already exist in volumeMounts\n\
                spec.containers[0].volumeDevices[2].devicePath: Invalid value: \"\": must not already exist as a path in volumeMounts\n\
                spec.containers[0].volumeDevices[3].name: Invalid value: \"v\": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode\n\
                spec.containers[0].volumeDevices[3].devicePath: Invalid value: \"/a/../b\": can not contain backsteps ('..')\n\
                spec.containers[0].volumeDevices[3].name: Invalid value: \"v\": must not already exist in volumeMounts",
        ),
    ]);
}

#[test]
fn updates() {
    let old = pod(
        json!({"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}], "activeDeadlineSeconds": 10,
        "initContainers": [{"name": "i", "image": "i"}], "schedulingGates": [{"name": "a/b"}]}),
    );
    let change = |change: &dyn Fn(&mut Value)| {
        let mut new = old.clone();
        change(&mut new["spec"]);
        updated(&Pod, new, old.clone())
    };
    for (told, expected) in [
        (change(&|spec| spec["containers"][0]["image"] = "j".into()), ""),
        (change(&|spec| spec["initContainers"][0]["image"] = "j".into()), ""),
        (change(&|spec| spec["activeDeadlineSeconds"] = 9.into()), ""),
        (
            change(&|spec| spec["activeDeadlineSeconds"] = 11.into()),
            "spec.activeDeadlineSeconds: Invalid value: 11: must be less than or equal to previous value",
        ),
        (
            change(&|spec| spec["activeDeadlineSeconds"] = 0.into()),
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
        (
            change(&|spec| spec["activeDeadlineSeconds"] = Value::Null),
            "spec.activeDeadlineSeconds: Invalid value: \"null\": must not update from a positive integer to nil value",
        ),
        (change(&|spec| spec["schedulingGates"] = json!([])), ""),
        (
            change(&|spec| spec["schedulingGates"] = json!([{"name": "c/d"}])),
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'c/d'",
        ),
        (change(&|spec| spec["tolerations"].as_array_mut().unwrap().push(json!({"operator": "Exists"}))), ""),
        (change(&|spec| spec["tolerations"][0]["tolerationSeconds"] = 6.into()), ""),
        (
            change(&|spec| spec["tolerations"] = json!([])),
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        (change(&|spec| spec["nodeSelector"] = json!({"a": "b"})), ""),
        (
            change(&|spec| {
                spec["containers"].as_array_mut().unwrap().push(json!({"name": "d", "image": "i"}))
            }),
            "spec.containers: Forbidden: pod updates may not add or remove containers",
        ),
        (
            change(&|spec| spec["initContainers"] = json!([])),
            "spec.initContainers: Forbidden: pod updates may not add or remove containers",
        ),
    ] {
        assert_eq!(told, expected);
    }
}

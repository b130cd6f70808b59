//! What is said of pods as a whole that are not as they must be.

use serde_json::{Value, json};

use super::containers::check;
use super::refusals::{container, pod};

fn rows(cases: &[(Value, &str)]) {
    let rows: Vec<(Value, String)> =
        cases.iter().map(|(pod, expected)| (pod.clone(), (*expected).to_owned())).collect();
    check(&rows);
}

fn containers(containers: Value, spec: Value) -> Value {
    let mut spec = spec;
    spec["containers"] = containers;
    pod(spec)
}

#[test]
fn resources_of_the_pod_as_a_whole() {
    let of = |own: Value, inner: Value| {
        containers(json!([{"name": "c", "image": "i", "resources": inner}]), json!({ "resources": own }))
    };
    rows(&[
        (of(json!({"requests": {"cpu": "1"}}), json!({"requests": {"cpu": "1", "memory": "1Gi"}})), ""),
        (
            of(
                json!({"limits": {"cpu": "1", "hugepages-2Mi": "4Mi"}}),
                json!({"limits": {"cpu": "1", "hugepages-2Mi": "4Mi"}}),
            ),
            "",
        ),
        (
            of(json!({"requests": {"cpu": "1"}, "claims": []}), json!({})),
            "spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level",
        ),
        (
            of(json!({"requests": {"pods": "1"}}), json!({})),
            "spec.resources.requests[pods]: Unsupported value: \"pods\": supported values: \"cpu\", \"hugepages-\", \"memory\"",
        ),
        (
            of(json!({"limits": {"gpu": "1"}}), json!({})),
            "spec.resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
        ),
        (
            of(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "500m"}}), json!({})),
            "spec.resources.requests: Invalid value: \"1\": must be less than or equal to cpu limit of 500m",
        ),
        (
            of(json!({"requests": {"memory": "1"}}), json!({"requests": {"memory": "2"}})),
            "spec.resources.requests[memory]: Invalid value: \"1\": must be greater than or equal to aggregate container requests of 2",
        ),
        (
            of(
                json!({"limits": {"cpu": "1", "hugepages-2Mi": "2Mi"}, "requests": {"cpu": "1", "hugepages-2Mi": "2Mi"}}),
                json!({"limits": {"cpu": "1", "hugepages-2Mi": "4Mi"}}),
            ),
            "spec.resources.requests[hugepages-2Mi]: Invalid value: \"2Mi\": must be greater than or equal to aggregate container requests of 4Mi\n\
             spec.resources.limits[hugepages-2Mi]: Invalid value: \"2Mi\": must be greater than or equal to aggregate container limits of 4Mi\n\
             spec.resources.containers[0][hugepages-2Mi].limits: Invalid value: \"4Mi\": must be less than or equal to pod limits of 2Mi",
        ),
        (
            containers(
                json!([{"name": "c", "image": "i"}]),
                json!({"os": {"name": "windows"}, "resources": {"requests": {"gpu": "1"}, "claims": []}}),
            ),
            "spec.resources: Forbidden: may not be set for a windows pod",
        ),
    ]);
}

#[test]
fn claims_and_mirrors() {
    let mut mirror = pod(
        json!({"nodeName": "n", "resourceClaims": [{"name": ""}, {"name": "a", "resourceClaimName": "a"}]}),
    );
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    rows(&[
        (
            mirror,
            ": Forbidden: static pods do not support resource claims\n: Forbidden: static pods do not support resource claims",
        ),
        (
            pod(json!({"resourceClaims": [{"resourceClaimTemplateName": ""}]})),
            "spec.resourceClaims[0].name: Required value\n\
             spec.resourceClaims[0].resourceClaimTemplateName: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
    ]);
}

#[test]
fn the_hosts_namespaces() {
    let port = |container: i64, host: i64| {
        containers(
            json!([{"name": "c", "image": "i", "ports": [{"containerPort": container, "hostPort": host}]}]),
            json!({"hostNetwork": true, "initContainers": [{"name": "i", "image": "i", "ports": [{"containerPort": 1, "hostPort": 2}]}]}),
        )
    };
    let devices = json!([{"name": "w", "devicePath": "/w"}]);
    rows(&[
        (port(80, 0), ""),
        (port(80, 80), ""),
        (
            port(80, 81),
            "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
        ),
        (
            pod(
                json!({"hostUsers": false, "hostNetwork": true, "hostPID": true, "hostIPC": true, "volumes": [{"name": "w", "persistentVolumeClaim": {"claimName": "w"}}],
                "containers": [{"name": "c", "image": "i", "volumeDevices": devices}], "initContainers": [{"name": "i", "image": "i", "volumeDevices": devices}]}),
            ),
            "spec.hostNetwork: Forbidden: when `hostUsers` is false\n\
             spec.HostPID: Forbidden: when `hostUsers` is false\n\
             spec.HostIPC: Forbidden: when `hostUsers` is false\n\
             spec.initContainers[0].volumeDevices: Forbidden: when `hostUsers` is false\n\
             spec.containers[0].volumeDevices: Forbidden: when `hostUsers` is false",
        ),
        (
            pod(
                json!({"shareProcessNamespace": true, "hostPID": true, "securityContext": {"supplementalGroups": [-1], "sysctls": [{}]}}),
            ),
            "spec.securityContext.supplementalGroups[0]: Invalid value: -1: must be between 0 and 2147483647, inclusive\n\
             spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled\n\
             spec.securityContext.sysctls[0].name: Required value",
        ),
        (pod(json!({"hostnameOverride": "a.b"})), ""),
        (
            pod(json!({"hostnameOverride": "A", "setHostnameAsFQDN": true, "hostNetwork": true})),
            "spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true\n\
             spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true\n\
             spec.hostnameOverride: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
        (pod(json!({"hostnameOverride": "a".repeat(64)})), ""),
        (
            pod(json!({"hostnameOverride": "a".repeat(65)})),
            "spec.hostnameOverride: Too long: may not be more than 64 bytes",
        ),
    ]);
}

#[test]
fn odds_and_ends_of_specs() {
    rows(&[
        (pod(json!({"imagePullSecrets": [{}]})), ""),
        (pod(json!({"preemptionPolicy": ""})), "spec.preemptionPolicy: Required value"),
        (
            pod(json!({"overhead": {"cpu": "-1", "gpu": "1"}})),
            "spec.overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0\n\
             spec.overhead.limits[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified\n\
             spec.overhead.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
        ),
        (pod(json!({"overhead": {"cpu": "1"}})), ""),
        (
            pod(json!({"overhead": {"hugepages-2Mi": "2Mi"}})),
            "spec.overhead: Forbidden: HugePages require cpu or memory",
        ),
        (
            pod(json!({"dnsConfig": {"searches": ["", "."]}})),
            "spec.dnsConfig.searches[0]: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
        (
            pod(json!({"runtimeClassName": ""})),
            "spec.runtimeClassName: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
    ]);
    let searches = |longest: usize| {
        pod(
            json!({"dnsConfig": {"searches": [vec!["a"; 124].join("."), vec!["a"; 124].join("."), vec!["a"; 124].join("."), vec!["a"; 124].join("."),
        vec!["a"; 124].join("."), vec!["a"; 124].join("."), vec!["a"; 124].join("."), vec!["a"; 124].join("."), "b".repeat(longest)]}}),
        )
    };
    rows(&[(searches(56 - 8), "")]);
    let told = strategy::testing::created(&crate::Pod, searches(63));
    assert_eq!(told, "");
    let mut long = searches(63);
    long["spec"]["dnsConfig"]["searches"][7] = json!(vec!["a"; 126].join("."));
    let told = strategy::testing::created(&crate::Pod, long);
    assert!(
        told.ends_with("must not have more than 2048 characters (including spaces) in the search list"),
        "{told}"
    );
}

#[test]
fn profiles_and_windows_options() {
    let context = |context: Value| pod(json!({ "securityContext": context }));
    let options = |options: Value| container(json!({"securityContext": {"windowsOptions": options}}));
    let user = |name: &str, why: &str| {
        let told = match why {
            "" => String::new(),
            why => format!(
                "spec.containers[0].securityContext.windowsOptions.runAsUserName: Invalid value: {}: {why}",
                json!(name)
            ),
        };
        (options(json!({"runAsUserName": name})), told)
    };
    let domain = |length: usize| vec!["a"; length.div_ceil(2)].join(".");
    let format = "runAsUserName's Domain doesn't match the NetBios nor the DNS format";
    check(&[
        user("NT AUTHORITY\\SYSTEM", ""),
        user("user", ""),
        user("a.example\\user", ""),
        user("", "runAsUserName cannot be an empty string"),
        user("a\tb", "runAsUserName cannot contain control characters"),
        user("a\\b\\c", "runAsUserName cannot contain more than one backslash"),
        user(&format!("{}\\u", domain(255)), ""),
        user(&format!("{}\\u", domain(257)), "runAsUserName's Domain length must be under 256 characters"),
        user("a_b_c_d_e_f_g_h_i\\u", format),
        user("\\u", format),
        user("a\\", "runAsUserName's User cannot be empty"),
        user(&"a".repeat(104), ""),
        user(&"a".repeat(105), "runAsUserName's User length must not be longer than 104 characters"),
        user(". .", "runAsUserName's User cannot contain only periods or spaces"),
        user("a@b", "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"),
    ]);
    rows(&[
        (
            options(json!({"gmsaCredentialSpecName": "A", "gmsaCredentialSpec": ""})),
            "spec.containers[0].securityContext.windowsOptions.gmsaCredentialSpecName: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
             spec.containers[0].securityContext.windowsOptions.gmsaCredentialSpec: Invalid value: \"\": gmsaCredentialSpec cannot be an empty string",
        ),
        (options(json!({"gmsaCredentialSpec": "a".repeat(65536)})), ""),
        (context(json!({"seccompProfile": {"type": "Localhost", "localhostProfile": ""}})), ""),
        (
            context(json!({"seccompProfile": {"localhostProfile": "a"}})),
            "spec.securityContext.seccompProfile.type: Required value: type is required when seccompProfile is set\n\
             spec.securityContext.seccompProfile.localhostProfile: Invalid value: {\"localhostProfile\":\"a\"}: can only be set when seccomp type is Localhost",
        ),
        (
            context(json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": ""}})),
            "spec.securityContext.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost",
        ),
        (
            context(json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": " "}})),
            "spec.securityContext.appArmorProfile.localhostProfile: Invalid value: \" \": must not be padded with whitespace",
        ),
        (
            context(
                json!({"seLinuxChangePolicy": "a", "supplementalGroupsPolicy": "a", "appArmorProfile": {}, "seccompProfile": {}, "fsGroupChangePolicy": "a"}),
            ),
            "spec.securityContext.fsGroupChangePolicy: Unsupported value: \"a\": supported values: \"Always\", \"OnRootMismatch\"\n\
             spec.securityContext.seccompProfile.type: Required value: type is required when seccompProfile is set\n\
             spec.securityContext.appArmorProfile.type: Required value: type is required when appArmorProfile is set\n\
             spec.securityContext.supplementalGroupsPolicy: Unsupported value: \"a\": supported values: \"Merge\", \"Strict\"\n\
             spec.securityContext.seLinuxChangePolicy: Unsupported value: \"a\": supported values: \"Recursive\"",
        ),
    ]);
    let told =
        strategy::testing::created(&crate::Pod, options(json!({"gmsaCredentialSpec": "a".repeat(65537)})));
    assert!(told.ends_with("gmsaCredentialSpec size must be under 64 KiB"), "{told}");
}

#[test]
fn host_processes() {
    let of = |pod_says: Option<bool>, each: &[Option<bool>], network: bool| {
        let list: Vec<Value> = each
            .iter()
            .enumerate()
            .map(|(index, says)| {
                let mut container = json!({"name": format!("c{index}"), "image": "i"});
                if let Some(says) = says {
                    container["securityContext"] = json!({"windowsOptions": {"hostProcess": says}});
                }
                container
            })
            .collect();
        let mut spec = json!({ "hostNetwork": network });
        if let Some(says) = pod_says {
            spec["securityContext"] = json!({"windowsOptions": {"hostProcess": says}});
        }
        containers(Value::Array(list), spec)
    };
    let all = "spec: Invalid value: \"\": If pod contains any hostProcess containers then all containers must be HostProcess containers";
    rows(&[
        (of(None, &[Some(true), Some(true)], true), ""),
        (of(Some(true), &[None, Some(true)], true), ""),
        (of(Some(false), &[None, Some(false)], false), ""),
        (of(None, &[Some(true), None], true), all),
        (
            of(Some(true), &[None], false),
            "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers",
        ),
        (
            of(Some(true), &[None, Some(false)], true),
            "spec.containers[1].securityContext.windowsOptions.hostProcess: Invalid value: false: pod hostProcess value must be identical if both are specified, was true\n\
             spec: Invalid value: \"\": If pod contains any hostProcess containers then all containers must be HostProcess containers",
        ),
    ]);
}

#[test]
fn operating_systems() {
    let windows = "cannot be set for a windows pod";
    let pod_fields = ["appArmorProfile", "seLinuxOptions"];
    let rest = ["seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls"];
    let last =
        ["runAsUser", "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy"];
    let own = [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "capabilities",
        "readOnlyRootFilesystem",
        "privileged",
        "allowPrivilegeEscalation",
        "procMount",
        "runAsUser",
        "runAsGroup",
    ];
    let context = |prefix: &str, keys: &[&str]| -> Vec<String> {
        keys.iter().map(|key| format!("{prefix}{key}: Forbidden: {windows}")).collect()
    };
    let mut told = context("spec.securityContext.", &pod_fields);
    told.extend(context("spec.", &["hostUsers", "hostPID", "hostIPC"]));
    told.extend(context("spec.securityContext.", &rest));
    told.extend(context("spec.", &["shareProcessNamespace"]));
    told.extend(context("spec.securityContext.", &last));
    told.extend(context("spec.containers[0].securityContext.", &own));
    check(&[
        (
            pod(json!({"os": {"name": "windows"}, "hostUsers": true, "hostPID": true, "hostIPC": true, "shareProcessNamespace": false,
                "securityContext": {"appArmorProfile": {"type": "Unconfined"}, "seLinuxOptions": {}, "seccompProfile": {"type": "Unconfined"}, "fsGroup": 1, "fsGroupChangePolicy": "Always",
                    "sysctls": [{"name": "a"}], "runAsUser": 1, "runAsGroup": 1, "supplementalGroups": [1], "supplementalGroupsPolicy": "Merge", "seLinuxChangePolicy": "Recursive"},
                "containers": [{"name": "c", "image": "i", "securityContext": {"appArmorProfile": {"type": "Unconfined"}, "seLinuxOptions": {}, "seccompProfile": {"type": "Unconfined"},
                    "capabilities": {}, "readOnlyRootFilesystem": true, "privileged": false, "allowPrivilegeEscalation": true, "procMount": "Default", "runAsUser": 1, "runAsGroup": 1}}]})),
            told.join("\n"),
        ),
        (pod(json!({"os": {}})), "spec.os.name: Required value: cannot be empty".to_owned()),
        (
            pod(json!({"os": {"name": "linux"}, "securityContext": {"windowsOptions": {}}, "initContainers": [{"name": "i", "image": "i", "securityContext": {"windowsOptions": {}}}]})),
            "spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod\n\
             spec.initContainers[0].securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod".to_owned(),
        ),
    ]);
}

#[test]
fn where_pods_run() {
    let labelled = |labels: Value, spec: Value| {
        let mut pod = pod(spec);
        pod["metadata"]["labels"] = labels;
        pod
    };
    let term = |fields: Value| {
        let mut full = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}});
        for (key, value) in fields.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [full]}}})
    };
    let spread = |constraints: Value| pod(json!({ "topologySpreadConstraints": constraints }));
    let at = "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]";
    let name = "name part must be non-empty\nAT: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        .replace("AT", &format!("{at}.topologyKey"));
    check(&[
        (
            pod(json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["-"]}]}}]}}})),
            String::new(),
        ),
        (
            pod(term(json!({"topologyKey": ""}))),
            format!("{at}.topologyKey: Required value: can not be empty\n{at}.topologyKey: Invalid value: \"\": {name}"),
        ),
        (labelled(json!({"h": "x"}), term(json!({"matchLabelKeys": ["h"]}))), String::new()),
        (
            labelled(json!({"a": "b"}), term(json!({"matchLabelKeys": ["a"]}))),
            format!("{at}[0]: Invalid value: \"a\": exists in both matchLabelKeys and labelSelector"),
        ),
        (
            labelled(json!({"h": "x"}), term(json!({"matchLabelKeys": ["z", "h"], "labelSelector": {"matchExpressions": [{"key": "h", "operator": "Exists"}]}}))),
            format!("{at}[1]: Invalid value: \"h\": exists in both matchLabelKeys and labelSelector"),
        ),
        (
            spread(json!([
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"},
                {"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["-"], "labelSelector": {"matchLabels": {"-": "b"}}},
            ])),
            "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{zone, DoNotSchedule}\"\n\
             spec.topologySpreadConstraints[1].maxSkew: Invalid value: 0: must be greater than zero\n\
             spec.topologySpreadConstraints[1].matchLabelKeys[0]: Invalid value: \"-\": NAME\n\
             spec.topologySpreadConstraints[1].labelSelector.matchLabels: Invalid value: \"-\": NAME"
                .replace("NAME", "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"),
        ),
        (
            labelled(json!({"a": "b"}), json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["a"], "labelSelector": {"matchLabels": {"a": "b"}}}]})),
            "spec.topologySpreadConstraints[0][0]: Invalid value: \"a\": exists in both matchLabelKeys and labelSelector".to_owned(),
        ),
        (
            pod(json!({"tolerations": [{"key": "a", "operator": "Gt", "value": "1"}, {"key": "a", "operator": "Some"}]})),
            "spec.tolerations[0].operator: Unsupported value: \"Gt\": supported values: \"Equal\", \"Exists\", \"Lt\", \"Gt\"\n\
             spec.tolerations[1].operator: Unsupported value: \"Some\": supported values: \"Equal\", \"Exists\"".to_owned(),
        ),
    ]);
}

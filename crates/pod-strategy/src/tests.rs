use super::*;

mod changes;
mod containers;
mod filled;
mod kept;
mod refusals;
mod specs;
mod volumes;

use strategy::testing::{created, defaulted, found, updated};

fn web() -> Value {
    json!({"metadata": {"name": "web", "namespace": "x"}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}})
}

fn with(path: &str, value: Value) -> Value {
    let mut pod = web();
    *pod["spec"].pointer_mut(path).expect("a path into the spec") = value;
    pod
}

fn with_spec(key: &str, value: Value) -> Value {
    let mut pod = web();
    pod["spec"][key] = value;
    pod
}

fn with_container(key: &str, value: Value) -> Value {
    let mut pod = web();
    pod["spec"]["containers"][0][key] = value;
    pod
}

#[test]
fn a_new_pod_is_pending_and_classed() {
    let mut pod = defaulted(&Pod, web());
    pod["status"] = json!({"phase": "Running", "podIP": "1.2.3.4"});
    Pod.prepare_for_create(&mut pod);
    assert_eq!(pod["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    assert_eq!(pod["metadata"]["generation"], 1);
    let mut gated = defaulted(&Pod, with_spec("schedulingGates", json!([{"name": "a/b"}])));
    Pod.prepare_for_create(&mut gated);
    assert_eq!(gated["status"]["conditions"][0]["reason"], "SchedulingGated");
}

#[test]
fn what_a_user_gets_wrong() {
    for (pod, expected) in [
        (web(), ""),
        (with("/containers", json!([])), "spec.containers: Required value"),
        (with("/containers/0/name", json!("")), "spec.containers[0].name: Required value"),
        (
            with("/containers/0/name", json!("Web")),
            "spec.containers[0].name: Invalid value: \"Web\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        ),
        (with("/containers/0/image", json!("")), "spec.containers[0].image: Required value"),
        (
            with("/containers/0/image", json!(" a")),
            "spec.containers[0].image: Invalid value: \" a\": must not have leading or trailing whitespace",
        ),
        (
            with_container("imagePullPolicy", json!("Sometimes")),
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (
            with_spec("restartPolicy", json!("Perhaps")),
            "spec.restartPolicy: Unsupported value: \"Perhaps\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ),
        (
            with_container("volumeMounts", json!([{"name": "x", "mountPath": "/x"}])),
            "spec.containers[0].volumeMounts[0].name: Not found: \"x\"",
        ),
        (
            with_container(
                "ports",
                json!([{"containerPort": 0}, {"containerPort": 70000, "name": "a"}, {"containerPort": 1, "name": "a"}]),
            ),
            "spec.containers[0].ports[0].containerPort: Required value\nspec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive\nspec.containers[0].ports[2].name: Duplicate value: \"a\"",
        ),
        (
            with_container(
                "ports",
                json!([{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]),
            ),
            "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//80\"",
        ),
        (
            with_container("livenessProbe", json!({})),
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
        ),
        (
            with_container("livenessProbe", json!({"httpGet": {"port": 80}, "successThreshold": 2})),
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            with_container(
                "readinessProbe",
                json!({"tcpSocket": {"port": "a_b"}, "exec": {"command": ["a"]}}),
            ),
            "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ),
        (
            with_container("securityContext", json!({"privileged": true, "allowPrivilegeEscalation": false})),
            "spec.containers[0].securityContext: Invalid value: {\"allowPrivilegeEscalation\":false,\"privileged\":true}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        ),
        (
            with_spec("tolerations", json!([{"key": "a", "operator": "Exists", "value": "b"}])),
            "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
        ),
        (
            with_spec("tolerations", json!([{"operator": "Equal"}])),
            "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
        ),
        (
            with_spec(
                "affinity",
                json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}),
            ),
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty\nspec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: \"\": name part must be non-empty\nspec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
        (
            with_spec(
                "topologySpreadConstraints",
                json!([{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "No"}]),
            ),
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero\nspec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"No\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"",
        ),
        (
            with_spec("dnsPolicy", json!("None")),
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
        ),
        (
            with_spec("securityContext", json!({"runAsUser": -1})),
            "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ),
        (
            with_spec(
                "initContainers",
                json!([{"name": "web", "image": "i", "livenessProbe": {"exec": {"command": ["a"]}}}]),
            ),
            "spec.initContainers[0].name: Duplicate value: \"web\"\nspec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
        ),
        (
            with_spec("ephemeralContainers", json!([{"name": "d", "image": "i"}])),
            "spec.ephemeralContainers: Forbidden: cannot be set on create",
        ),
        (
            with_container("securityContext", json!({"procMount": "Unmasked"})),
            "spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`",
        ),
        (
            with_spec("resources", json!({"requests": {"cpu": "1", "gpu": "1"}, "claims": []})),
            "spec.resources.claims: Forbidden: claims may not be set for Resources at pod-level\nspec.resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
        ),
        (
            with_spec(
                "volumes",
                json!([{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]),
            ),
            "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set",
        ),
        (
            with_spec(
                "volumes",
                json!([
                    {"name": "a", "ephemeral": {"volumeClaimTemplate": {"metadata": {"name": "x"}, "spec": {
                        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}}}},
                    {"name": "b", "persistentVolumeClaim": {"claimName": "web-a"}},
                    {"name": "c", "image": {}},
                ]),
            ),
            "spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set\nspec.volumes[1].persistentVolumeClaim.claimName: Invalid value: \"web-a\": must not reference a PVC that gets created for an ephemeral volume\nspec.volumes[2].image.reference: Required value",
        ),
        (
            with_spec(
                "topologySpreadConstraints",
                json!([{"maxSkew": 1, "topologyKey": "zone",
                "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2, "matchLabelKeys": ["a"]}]),
            ),
            "spec.topologySpreadConstraints[0].minDomains: Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway\nspec.topologySpreadConstraints[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
        ),
        (
            with_spec("activeDeadlineSeconds", json!(0)),
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
    ] {
        assert_eq!(created(&Pod, pod.clone()), expected, "{pod}");
    }
}

#[test]
fn updates_change_images_tolerations_and_deadlines() {
    assert_eq!(
        updated(
            &Pod,
            with("/containers/0/image", json!("nginx:2")),
            with_container("imagePullPolicy", json!("Always"))
        ),
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n- .containers[0].imagePullPolicy: \"Always\"\n+ .containers[0].imagePullPolicy: \"IfNotPresent\""
    );
    let mut pinned = with_container("imagePullPolicy", json!("Always"));
    pinned["spec"]["containers"][0]["image"] = json!("nginx:2");
    assert_eq!(updated(&Pod, pinned, web()), "");
    assert_eq!(updated(&Pod, with_spec("tolerations", json!([{"operator": "Exists"}])), web()), "");
    assert_eq!(
        updated(&Pod, web(), with_spec("tolerations", json!([{"operator": "Exists"}]))),
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    );
    assert_eq!(
        updated(
            &Pod,
            with_spec("activeDeadlineSeconds", json!(9)),
            with_spec("activeDeadlineSeconds", json!(5))
        ),
        "spec.activeDeadlineSeconds: Invalid value: 9: must be less than or equal to previous value"
    );
    let mut two = web();
    two["spec"]["containers"] = json!([{"name": "web", "image": "nginx"}, {"name": "b", "image": "i"}]);
    assert_eq!(
        updated(&Pod, two, web()),
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    );
}

#[test]
fn a_pod_dies_by_its_own_grace_where_a_kubelet_has_it() {
    let mut pod = defaulted(&Pod, web());
    assert_eq!(Pod.deletion_grace(&pod, None), Grace::Seconds(0));
    pod["spec"]["nodeName"] = json!("w1");
    assert_eq!(Pod.deletion_grace(&pod, None), Grace::Seconds(30));
    assert_eq!(Pod.deletion_grace(&pod, Some(5)), Grace::Seconds(5));
    assert_eq!(Pod.deletion_grace(&pod, Some(0)), Grace::Seconds(0));
    assert_eq!(Pod.deletion_grace(&pod, Some(-1)), Grace::Seconds(1));
    pod["status"] = json!({"phase": "Succeeded"});
    assert_eq!(Pod.deletion_grace(&pod, Some(5)), Grace::Seconds(0));
}

#[test]
fn fields_are_selected_as_text() {
    let pod = json!({"spec": {"nodeName": "w1"}, "status": {"podIPs": [{"ip": "10.0.0.1"}]}});
    for (field, expected) in [
        ("spec.nodeName", "w1"),
        ("spec.hostNetwork", "false"),
        ("status.phase", ""),
        ("status.podIP", "10.0.0.1"),
    ] {
        assert_eq!(Pod.selectable_field(&pod, field).unwrap(), expected, "{field}");
    }
    assert_eq!(Pod.selectable_field(&pod, "spec.other"), None);
}

#[test]
fn the_status_leaves_the_spec_alone() {
    let mut old = defaulted(&Pod, with_spec("restartPolicy", json!("Never")));
    Pod.prepare_for_create(&mut old);
    old["status"]["containerStatuses"] = json!([{"name": "web", "state": {"terminated": {"exitCode": 0}}}]);
    let mut new = old.clone();
    new["spec"]["nodeName"] = json!("other");
    new["status"] =
        json!({"phase": "Running", "containerStatuses": [{"name": "web", "state": {"running": {}}}]});
    Pod.prepare_status_update(&mut new, &old);
    assert_eq!(new["spec"], old["spec"]);
    assert_eq!(new["status"]["qosClass"], "BestEffort");
    assert_eq!(
        found(|errors| Pod.validate_status_update(&new, &old, errors)),
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    );
}

#[test]
fn debugging_containers_are_only_added() {
    let strategy = Pod.subresource("ephemeralcontainers").unwrap();
    let old = defaulted(&Pod, web());
    let mut new = old.clone();
    new["spec"]["ephemeralContainers"] = json!([{"name": "d", "image": "i", "targetContainerName": "web"}]);
    new["spec"]["nodeName"] = json!("other");
    Pod.default(&mut new);
    strategy.prepare_for_update(&mut new, &old);
    assert!(new["spec"].get("nodeName").is_none());
    assert_eq!(found(|errors| strategy.validate_update(&new, &old, errors)), "");
    assert_eq!(
        found(|errors| strategy.validate_update(&old, &new, errors)),
        "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"d\" may not be removed\n"
    );
}

#[test]
fn a_resize_keeps_the_class_of_service() {
    let strategy = Pod.subresource("resize").unwrap();
    let old = defaulted(
        &Pod,
        with_container("resources", json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}})),
    );
    let mut new = old.clone();
    new["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "2"}, "limits": {"cpu": "2"}});
    new["spec"]["containers"][0]["image"] = json!("other");
    strategy.prepare_for_update(&mut new, &old);
    assert_eq!(new["spec"]["containers"][0]["image"], "nginx");
    assert_eq!(found(|errors| strategy.validate_update(&new, &old, errors)), "");
    new["spec"]["containers"][0]["resources"] = json!({});
    assert_eq!(
        found(|errors| strategy.validate_update(&new, &old, errors)),
        "spec: Invalid value: \"\": Pod QOS Class may not change as a result of resizing\nspec.containers[0].resources.requests: Forbidden: resource requests cannot be removed\nspec.containers[0].resources.limits: Forbidden: resource limits cannot be removed"
    );
}

#[test]
fn a_resize_changes_cpu_and_memory_alone() {
    let strategy = Pod.subresource("resize").unwrap();
    let with = |list: &str, resources: Value, status: Value| {
        let mut pod = web();
        pod["spec"]["initContainers"] = json!([{"name": "init", "image": "i"}, {"name": "side", "image": "i", "restartPolicy": "Always"}]);
        pod["spec"][list][0]["resources"] = resources;
        pod["status"] = status;
        defaulted(&Pod, pod)
    };
    let old = |list: &str, status: Value| {
        with(list, json!({"requests": {"memory": "1Mi", "ephemeral-storage": "1"}}), status)
    };
    let running = |resources: bool| {
        let mut status = json!({"containerStatuses": [{"name": "web", "state": {"running": {}}}]});
        if resources {
            status["containerStatuses"][0]["resources"] = json!({});
        }
        status
    };
    for (list, after, status, expected) in [
        ("containers", json!({"memory": "2Mi", "cpu": "1", "ephemeral-storage": "1"}), json!({}), ""),
        (
            "containers",
            json!({"memory": "2Mi", "ephemeral-storage": "2"}),
            json!({}),
            "spec: Forbidden: only cpu and memory resources are mutable",
        ),
        ("initContainers", json!({"memory": "2Mi", "ephemeral-storage": "1"}), json!({}), ""),
        ("containers", json!({"memory": "2Mi", "ephemeral-storage": "1"}), running(true), ""),
        (
            "containers",
            json!({"memory": "2Mi", "ephemeral-storage": "1"}),
            running(false),
            "spec: Forbidden: Pod running on node without support for resize",
        ),
    ] {
        let old = old(list, status.clone());
        let mut new = with(list, json!({"requests": after}), status);
        strategy.prepare_for_update(&mut new, &old);
        assert_eq!(found(|errors| strategy.validate_update(&new, &old, errors)), expected);
    }
}

#[test]
fn a_pod_has_one_address_of_each_family() {
    let check = |status: Value| {
        let pod = json!({"spec": {}, "status": status});
        found(|errors| Pod.validate_status_update(&pod, &pod, errors))
    };
    assert_eq!(check(json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]})), "");
    assert_eq!(
        check(json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]})),
        "status.podIPs: Invalid value: [{\"ip\":\"10.0.0.1\"},{\"ip\":\"10.0.0.2\"}]: may specify no more than one IP for each IP family"
    );
    assert_eq!(
        check(json!({"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.2"}]})),
        "status.hostIPs[0].ip: Invalid value: \"10.0.0.2\": must be equal to `hostIP`"
    );
    assert_eq!(
        check(json!({"resourceClaimStatuses": [{"name": "a"}]})),
        "status.resourceClaimStatuses[0].name: Invalid value: \"a\": must match the name of an entry in `spec.resourceClaims`"
    );
}

#[test]
fn label_keys_become_requirements() {
    let mut pod = defaulted(
        &Pod,
        with_spec(
            "topologySpreadConstraints",
            json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["pod-template-hash"]}]),
        ),
    );
    pod["metadata"]["labels"] = json!({"app": "web", "pod-template-hash": "abc"});
    Pod.prepare_for_create(&mut pod);
    assert_eq!(
        pod["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchExpressions"],
        json!([{"key": "pod-template-hash", "operator": "In", "values": ["abc"]}])
    );
}

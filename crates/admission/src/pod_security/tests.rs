use super::*;
use crate::testing::{Cluster, Request};
use serde_json::json;

fn create(labels: Value, spec: Value) -> (Result<(), String>, Vec<String>) {
    let cluster = Cluster::new().with("", "namespaces", json!({"metadata": {"name": "x", "labels": labels}}));
    let request = Request::create("", "pods").inside("x").named("web");
    let pod = json!({"metadata": {"name": "web"}, "spec": spec});
    let (result, warnings) = request.run(&cluster, |context| PodSecurity::default().validate(context, &pod));
    (result.map_err(|status| status.message), warnings)
}

fn bare() -> Value {
    json!({"containers": [{"name": "c", "image": "i"}]})
}

#[test]
fn namespaces_are_open_by_default() {
    let host =
        json!({"hostNetwork": true, "containers": [{"name": "c", "securityContext": {"privileged": true}}]});
    assert_eq!(create(json!({}), host), (Ok(()), vec![]));
}

#[test]
fn restricted_says_everything_that_is_missing() {
    let (result, _) = create(json!({"pod-security.kubernetes.io/enforce": "restricted"}), bare());
    assert_eq!(
        result.unwrap_err(),
        "pods \"web\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
    );
    let hard = json!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
        "volumes": [{"name": "a", "emptyDir": {}}],
    });
    assert_eq!(create(json!({"pod-security.kubernetes.io/enforce": "restricted"}), hard).0, Ok(()));
}

#[test]
fn baseline_closes_the_host() {
    let spec = json!({"hostPID": true, "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
        "containers": [{"name": "a", "ports": [{"hostPort": 80}], "securityContext": {"privileged": true, "capabilities": {"add": ["SYS_ADMIN"]}}}, {"name": "b"}]});
    assert_eq!(
        create(json!({"pod-security.kubernetes.io/enforce": "baseline"}), spec).0.unwrap_err(),
        "pods \"web\" is forbidden: violates PodSecurity \"baseline:latest\": non-default capabilities (container \"a\" must not include \"SYS_ADMIN\" in securityContext.capabilities.add), host namespaces (hostPID=true), hostPath volumes (volume \"v\"), hostPort (container \"a\" uses hostPort 80), privileged (container \"a\" must not set securityContext.privileged=true)"
    );
    assert_eq!(create(json!({"pod-security.kubernetes.io/enforce": "baseline"}), bare()).0, Ok(()));
}

#[test]
fn warnings_let_through() {
    let (result, warnings) = create(json!({"pod-security.kubernetes.io/warn": "restricted"}), bare());
    assert_eq!(result, Ok(()));
    assert!(
        warnings[0].starts_with("would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation")
    );
}

#[test]
fn labels_of_namespaces_are_checked() {
    let bad = json!({"metadata": {"name": "x", "labels": {"pod-security.kubernetes.io/enforce": "tight"}}});
    let refused = Request::create("", "namespaces")
        .named("x")
        .admit(&PodSecurity::default(), &Cluster::new(), bad)
        .unwrap_err();
    assert_eq!(
        refused.message,
        "Namespace \"x\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"tight\": must be one of privileged, baseline, restricted"
    );
}

#[test]
fn a_tighter_namespace_warns_of_its_pods() {
    let pod = |name: &str| json!({"metadata": {"name": name, "namespace": "x"}, "spec": {"hostPID": true}});
    let cluster = Cluster::new().with("", "pods", pod("a")).with("", "pods", pod("b"));
    let old = json!({"metadata": {"name": "x"}});
    let new =
        json!({"metadata": {"name": "x", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}});
    let request = Request::update("", "namespaces", old).named("x");
    let (_, warnings) = request.run(&cluster, |context| PodSecurity::default().validate(context, &new));
    assert_eq!(
        warnings,
        [
            "existing pods in namespace \"x\" violate the new PodSecurity enforce level \"baseline:latest\"",
            "a (and 1 other pod): host namespaces"
        ]
    );
}

fn configured(defaults: Value, exemptions: Value) -> Result<PodSecurity, String> {
    let mut plugin = PodSecurity::default();
    let configuration = json!({"apiVersion": "pod-security.admission.config.k8s.io/v1", "kind": "PodSecurityConfiguration",
        "defaults": defaults, "exemptions": exemptions});
    plugin.configure(Some(&configuration)).map(|()| plugin)
}

#[test]
fn the_configuration_holds_where_labels_say_nothing() {
    let exemptions = json!({"usernames": ["root"], "namespaces": ["open"], "runtimeClasses": ["vm"]});
    let plugin = configured(json!({"enforce": "baseline", "enforce-version": "v1.36"}), exemptions).unwrap();
    let labelled = |name: &str, labels: Value| json!({"metadata": {"name": name, "labels": labels}});
    let cluster = Cluster::new()
        .with("", "namespaces", labelled("x", json!({})))
        .with("", "namespaces", labelled("open", json!({})))
        .with(
            "",
            "namespaces",
            labelled("loose", json!({"pod-security.kubernetes.io/enforce": "privileged"})),
        );
    let judge = |request: Request, spec: Value| {
        let pod = json!({"metadata": {"name": "web"}, "spec": spec});
        let judged = request.named("web").run(&cluster, |context| plugin.validate(context, &pod)).0;
        judged.map_err(|status| status.message)
    };
    let host = || json!({"hostPID": true});
    let pods = |namespace: &'static str| Request::create("", "pods").inside(namespace);
    assert_eq!(
        judge(pods("x"), host()).unwrap_err(),
        "pods \"web\" is forbidden: violates PodSecurity \"baseline:v1.36\": host namespaces (hostPID=true)"
    );
    assert_eq!(judge(pods("open"), host()), Ok(()));
    assert_eq!(judge(pods("loose"), host()), Ok(()));
    assert_eq!(judge(pods("x").by("root"), host()), Ok(()));
    assert_eq!(judge(pods("x"), json!({"hostPID": true, "runtimeClassName": "vm"})), Ok(()));
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_in_upstreams_words() {
    let refused =
        |defaults: Value, exemptions: Value| configured(defaults, exemptions).err().unwrap_or_default();
    assert_eq!(
        refused(json!({"enforce": "tight", "warn-version": "1.36"}), json!({})),
        "[defaults.enforce: Invalid value: \"tight\": must be one of privileged, baseline, restricted, defaults.warn-version: Invalid value: \"1.36\": must be \"latest\" or \"v1.x\"]"
    );
    assert_eq!(
        refused(json!({}), json!({"namespaces": ["a", "a"]})),
        "exemptions.namespaces[1]: Duplicate value: \"a\""
    );
    assert!(
        refused(json!({"enforced": "baseline"}), json!({}))
            .starts_with("strict decoding error: unknown field")
    );
    assert!(refused(json!({}), json!({"usernames": [""]})).contains("must not be empty"));
}

#[test]
fn whoever_enforces_is_warned_of_controllers() {
    let labels = json!({"pod-security.kubernetes.io/enforce": "baseline"});
    let cluster = Cluster::new().with("", "namespaces", json!({"metadata": {"name": "x", "labels": labels}}));
    let request = Request::create("apps", "deployments").inside("x").named("web");
    let object = json!({"spec": {"template": {"spec": {"hostPID": true}}}});
    let (_, warnings) = request.run(&cluster, |context| PodSecurity::default().validate(context, &object));
    assert_eq!(warnings, ["would violate PodSecurity \"baseline:latest\": host namespaces (hostPID=true)"]);
}

#[test]
fn labels_of_an_exempt_namespace_are_said_to_be_ignored() {
    let plugin = configured(json!({}), json!({"namespaces": ["x"]})).unwrap();
    let labels = json!({"pod-security.kubernetes.io/enforce": "baseline"});
    let object = json!({"metadata": {"name": "x", "labels": labels}});
    let request = Request::create("", "namespaces").inside("x").named("x");
    let (_, warnings) = request.run(&Cluster::new(), |context| plugin.validate(context, &object));
    assert_eq!(
        warnings,
        [
            "namespace \"x\" is exempt from Pod Security, and the policy (enforce=baseline:latest) will be ignored"
        ]
    );
}

#[test]
fn a_version_of_a_standard_stays_as_it_was() {
    let judged = |policy: &str, version: &str, pod: &Value| {
        let standard = policy::standard(policy, version);
        let found = evaluate(&standard, &pod["metadata"], &pod["spec"]);
        found.iter().map(|finding| finding.check).collect::<Vec<_>>().join(",")
    };
    let windows = json!({"spec": {"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": true},
        "containers": [{"name": "c", "securityContext": {"runAsUser": 0}}]}});
    let caps = json!({"spec": {"containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}],
        "securityContext": {"runAsNonRoot": true}}});
    let annotated = json!({"metadata": {"annotations": {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}},
        "spec": {"containers": []}});
    let sysctl = |name: &str| json!({"spec": {"securityContext": {"sysctls": [{"name": name}]}}});
    let probe = json!({"spec": {"containers": [{"livenessProbe": {"httpGet": {"host": "h"}}}]}});
    let engine = json!({"spec": {"securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}}});
    let namespaced = json!({"spec": {"hostUsers": false, "containers": [{"name": "c", "securityContext": {
        "runAsUser": 0, "procMount": "Unmasked", "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}});
    for (level, version, pod, expected) in [
        ("restricted", "v1.7", &windows, ""),
        ("restricted", "v1.8", &windows, "allowPrivilegeEscalation"),
        ("restricted", "v1.19", &windows, "allowPrivilegeEscalation,seccompProfile_restricted"),
        (
            "restricted",
            "v1.24",
            &windows,
            "allowPrivilegeEscalation,capabilities_restricted,runAsUser,seccompProfile_restricted",
        ),
        ("restricted", "v1.25", &windows, "runAsUser"),
        (
            "restricted",
            "v1.21",
            &caps,
            "allowPrivilegeEscalation,capabilities_baseline,seccompProfile_restricted",
        ),
        (
            "restricted",
            "v1.22",
            &caps,
            "allowPrivilegeEscalation,capabilities_restricted,seccompProfile_restricted",
        ),
        ("baseline", "v1.18", &annotated, "seccompProfile_baseline"),
        ("baseline", "v1.19", &annotated, ""),
        ("baseline", "v1.26", &sysctl("net.ipv4.ip_local_reserved_ports"), "sysctls"),
        ("baseline", "v1.27", &sysctl("net.ipv4.ip_local_reserved_ports"), ""),
        ("baseline", "v1.31", &sysctl("net.ipv4.tcp_rmem"), "sysctls"),
        ("baseline", "v1.32", &sysctl("net.ipv4.tcp_rmem"), ""),
        ("baseline", "v1.0", &sysctl("kernel.shm_rmid_forced"), ""),
        ("baseline", "v1.30", &engine, "seLinuxOptions"),
        ("baseline", "v1.31", &engine, ""),
        ("baseline", "v1.33", &probe, ""),
        ("baseline", "v1.34", &probe, "hostProbesAndHostLifecycle"),
        ("baseline", "v1.99", &probe, "hostProbesAndHostLifecycle"),
        ("restricted", "latest", &namespaced, ""),
    ] {
        assert_eq!(judged(level, version, pod), expected, "{level}:{version} {pod}");
    }
}

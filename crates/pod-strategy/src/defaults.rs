//! Defaults of pod specs, for pods themselves and for the templates of workloads.

use apimachinery::Quantity;
use serde_json::{Value, json};

use crate::{resources, volume_defaults};
use strategy::read::Read;
use strategy::write;

/// Lists of a pod spec that hold containers.
pub(crate) const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Fills in what any pod spec leaves out, in a template too.
pub(crate) fn template_spec(spec: &mut Value) {
    volume_defaults::all(spec);
    for list in CONTAINER_LISTS {
        for container in write::items(spec, list) {
            self::container(container);
        }
    }
    if let Some(resources) = write::object(spec, "resources") {
        resource_lists(resources);
    }
    write::zero(spec, "dnsPolicy", "ClusterFirst");
    write::zero(spec, "restartPolicy", "Always");
    write::missing(spec, "securityContext", json!({}));
    write::missing(spec, "terminationGracePeriodSeconds", 30);
    write::zero(spec, "schedulerName", "default-scheduler");
    // `serviceAccount` is the deprecated twin of `serviceAccountName`; both always say the same.
    let name = match (spec.text("serviceAccountName"), spec.text("serviceAccount")) {
        ("", "") => None,
        ("", twin) => Some(twin.to_owned()),
        (name, _) => Some(name.to_owned()),
    };
    if let Some(name) = name {
        write::set(spec, "serviceAccount", name.clone());
        write::set(spec, "serviceAccountName", name);
    }
}

/// Fills in what only pods themselves get: service links, requests from limits, host ports of the host's network.
pub(crate) fn pod_spec(spec: &mut Value) {
    template_spec(spec);
    for list in ["initContainers", "containers"] {
        for container in write::items(spec, list) {
            requests_from_limits(container);
        }
    }
    pod_level_requests(spec);
    write::missing(spec, "enableServiceLinks", true);
    if spec.flag("hostNetwork") == Some(true) {
        for list in ["initContainers", "containers"] {
            for container in write::items(spec, list) {
                for port in write::items(container, "ports") {
                    if let Some(number) = port.int("containerPort").filter(|number| *number != 0) {
                        write::zero(port, "hostPort", number);
                    }
                }
            }
        }
    }
}

fn container(container: &mut Value) {
    if container.text("imagePullPolicy").is_empty() {
        let policy = pull_policy(container.text("image"));
        write::set(container, "imagePullPolicy", policy);
    }
    write::zero(container, "terminationMessagePath", "/dev/termination-log");
    write::zero(container, "terminationMessagePolicy", "File");
    for port in write::items(container, "ports") {
        write::zero(port, "protocol", "TCP");
    }
    for variable in write::items(container, "env") {
        if let Some(source) = write::object(variable, "valueFrom") {
            if let Some(field) = write::object(source, "fieldRef") {
                write::zero(field, "apiVersion", "v1");
            }
            if let Some(file) = write::object(source, "fileKeyRef") {
                write::missing(file, "optional", false);
            }
        }
    }
    write::missing(container, "resources", json!({}));
    resource_lists(write::ensure(container, "resources"));
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = write::object(container, probe) {
            self::probe(probe);
        }
    }
    if let Some(lifecycle) = write::object(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = write::object(lifecycle, hook) {
                http_get(hook);
            }
        }
    }
}

fn probe(probe: &mut Value) {
    write::zero(probe, "timeoutSeconds", 1);
    write::zero(probe, "periodSeconds", 10);
    write::zero(probe, "successThreshold", 1);
    write::zero(probe, "failureThreshold", 3);
    http_get(probe);
    if let Some(grpc) = write::object(probe, "grpc") {
        write::missing(grpc, "service", "");
    }
}

fn http_get(handler: &mut Value) {
    if let Some(request) = write::object(handler, "httpGet") {
        write::zero(request, "path", "/");
        write::zero(request, "scheme", "HTTP");
    }
}

/// Rounds quantities up to a thousandth, the finest that the API keeps.
fn resource_lists(resources: &mut Value) {
    for list in ["limits", "requests"] {
        round_up(resources, list);
    }
}

/// Rounds the quantities of one resource list up to a thousandth.
pub fn round_up(object: &mut Value, list: &str) {
    for (_, quantity) in object.get_mut(list).and_then(Value::as_object_mut).into_iter().flatten() {
        // Whatever is too fine for a thousandth is written with the suffixes n or u, or with four decimals.
        let Some(text) = quantity.as_str() else { continue };
        let fine = text.ends_with(['n', 'u'])
            || text.split_once('.').is_some_and(|(_, decimals)| decimals.len() > 3);
        if fine && let Ok(parsed) = text.parse::<Quantity>() {
            *quantity = Value::String(Quantity::from_milli(parsed.milli_value()).to_string());
        }
    }
}

/// `Always` for `:latest` and images without a tag, otherwise `IfNotPresent`.
pub(crate) fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = match image.split_once('@') {
        Some((name, _)) => (name, true),
        None => (image, false),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.rsplit_once(':') {
        Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
        None if digest => "IfNotPresent",
        None => "Always",
    }
}

fn requests_from_limits(container: &mut Value) {
    let Some(resources) = write::object(container, "resources") else { return };
    let Some(limits) = resources["limits"].as_object().filter(|limits| !limits.is_empty()).cloned() else {
        return;
    };
    let requests = write::ensure(resources, "requests");
    for (name, quantity) in limits {
        write::missing(requests, &name, quantity);
    }
}

/// What a pod as a whole is given where it says a part: limits of huge pages as its containers have them, and where it
/// has limits, the requests of its containers and else those limits.
fn pod_level_requests(spec: &mut Value) {
    let own = &spec["resources"];
    if !own.has("limits") && !own.has("requests") {
        return;
    }
    let pages: Vec<(String, Quantity)> = resources::of_containers(spec, "limits")
        .into_iter()
        .filter(|(name, _)| name.starts_with("hugepages-"))
        .filter(|(name, _)| own["limits"].get(name).is_none() && own["requests"].get(name).is_none())
        .collect();
    let together = resources::of_containers(spec, "requests");
    let own = write::ensure(spec, "resources");
    if !pages.is_empty() {
        let limits = write::ensure(own, "limits");
        for (name, quantity) in pages {
            write::missing(limits, &name, quantity.to_string());
        }
    }
    let Some(limits) = own["limits"].as_object().filter(|limits| !limits.is_empty()).cloned() else { return };
    let requests = write::ensure(own, "requests");
    let shared = |name: &str| resources::is_of_pods(name) && resources::may_overcommit(name);
    for (name, quantity) in together.iter().filter(|(name, _)| shared(name)) {
        write::missing(requests, name, quantity.to_string());
    }
    for (name, quantity) in limits.into_iter().filter(|(name, _)| resources::is_of_pods(name)) {
        write::missing(requests, &name, quantity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_bare_pod_gets_what_upstream_gives_it() {
        let mut spec = json!({
            "serviceAccount": "robot",
            "containers": [{
                "name": "web", "image": "nginx", "ports": [{"containerPort": 80}],
                "livenessProbe": {"httpGet": {"port": 80}},
                "resources": {"limits": {"cpu": "1"}},
            }],
            "volumes": [{"name": "a", "secret": {"secretName": "s"}}, {"name": "b"}],
        });
        pod_spec(&mut spec);
        expect![[r#"{"containers":[{"image":"nginx","imagePullPolicy":"Always","livenessProbe":{"failureThreshold":3,"httpGet":{"path":"/","port":80,"scheme":"HTTP"},"periodSeconds":10,"successThreshold":1,"timeoutSeconds":1},"name":"web","ports":[{"containerPort":80,"protocol":"TCP"}],"resources":{"limits":{"cpu":"1"},"requests":{"cpu":"1"}},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst","enableServiceLinks":true,"restartPolicy":"Always","schedulerName":"default-scheduler","securityContext":{},"serviceAccount":"robot","serviceAccountName":"robot","terminationGracePeriodSeconds":30,"volumes":[{"name":"a","secret":{"defaultMode":420,"secretName":"s"}},{"emptyDir":{},"name":"b"}]}"#]]
            .assert_eq(&spec.to_string());
        let once = spec.clone();
        pod_spec(&mut spec);
        assert_eq!(spec, once);
    }

    #[test]
    fn images_are_pulled_by_tag() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.25", "IfNotPresent"),
            ("localhost:5000/nginx", "Always"),
            ("localhost:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:0123", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }

    #[test]
    fn requests_follow_the_pods_own_limits() {
        let mut spec = json!({"resources": {"limits": {"cpu": "2", "memory": "1Gi"}}, "containers": [
            {"name": "a", "image": "x", "resources": {"requests": {"cpu": "500m"}}},
            {"name": "b", "image": "x", "resources": {"requests": {"cpu": "1"}}},
        ]});
        pod_spec(&mut spec);
        assert_eq!(spec["resources"]["requests"], json!({"cpu": "1500m", "memory": "1Gi"}));
        let given = |own: Value, inner: Value| {
            let mut spec = json!({"resources": own, "overhead": {"cpu": "1"}, "containers": [{"name": "a", "image": "x", "resources": inner}]});
            pod_spec(&mut spec);
            spec["resources"].clone()
        };
        assert_eq!(
            given(json!({"requests": {"cpu": "1"}}), json!({"requests": {"memory": "1"}})),
            json!({"requests": {"cpu": "1"}})
        );
        assert_eq!(
            given(
                json!({"limits": {"cpu": "2"}}),
                json!({"requests": {"cpu": "1", "ephemeral-storage": "1"}})
            ),
            json!({"limits": {"cpu": "2"}, "requests": {"cpu": "1"}})
        );
        assert_eq!(
            given(json!({"requests": {"cpu": "1"}}), json!({"limits": {"cpu": "1", "hugepages-2Mi": "2Mi"}})),
            json!({"limits": {"hugepages-2Mi": "2Mi"}, "requests": {"cpu": "1", "hugepages-2Mi": "2Mi"}})
        );
    }
}

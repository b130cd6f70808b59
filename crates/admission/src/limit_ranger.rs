//! LimitRanger: what a namespace's LimitRanges give to containers and what they allow.

use apimachinery::Quantity;
use apimachinery::status::Status;
use pod_strategy::resources::{self, ResourceList, quantity};
use serde_json::Value;
use strategy::read::Read;
use strategy::write;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct LimitRanger;

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

impl Plugin for LimitRanger {
    fn name(&self) -> &'static str {
        "LimitRanger"
    }

    fn steps(&self) -> Steps {
        Steps::Both
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        let attributes = context.attributes;
        if !attributes.is("", "pods") || attributes.operation != Operation::Create {
            return Ok(());
        }
        for range in context.view.list("", "limitranges", attributes.namespace) {
            give_defaults(object, &range);
        }
        Ok(())
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let attributes = context.attributes;
        let create = attributes.operation == Operation::Create;
        let resize = attributes.group.is_empty()
            && attributes.resource == "pods"
            && attributes.subresource == "resize";
        let pod = resize || (attributes.is("", "pods") && create);
        let claim = attributes.is("", "persistentvolumeclaims");
        // What is on its way out is held to nothing.
        if (!pod && !claim) || object["metadata"].has("deletionTimestamp") {
            return Ok(());
        }
        let mut broken = Vec::new();
        for range in context.view.list("", "limitranges", attributes.namespace) {
            for limit in range["spec"].items("limits") {
                match (limit.text("type"), pod) {
                    ("Container", true) => check_containers(object, limit, &mut broken),
                    ("Pod", true) => check_pod(object, limit, &mut broken),
                    ("PersistentVolumeClaim", false) => check_claim(object, limit, &mut broken),
                    _ => {}
                }
            }
        }
        match broken.as_slice() {
            [] => Ok(()),
            [one] => Err(attributes.forbidden(object, one)),
            many => Err(attributes.forbidden(object, format!("[{}]", many.join(", ")))),
        }
    }
}

fn give_defaults(pod: &mut Value, range: &Value) {
    let (mut limits, mut requests) = (ResourceList::new(), ResourceList::new());
    for limit in range["spec"].items("limits").iter().filter(|limit| limit.text("type") == "Container") {
        limits.extend(resources::list(limit, "default"));
        requests.extend(resources::list(limit, "defaultRequest"));
    }
    if limits.is_empty() && requests.is_empty() {
        return;
    }
    let mut notes = Vec::new();
    let spec = write::ensure(pod, "spec");
    for (list, word) in [("containers", "container"), ("initContainers", "init container")] {
        for container in write::items(spec, list) {
            let name = container.text("name").to_owned();
            let own = write::ensure(container, "resources");
            let limited = fill(own, "limits", &limits);
            let requested = fill(own, "requests", &requests);
            for (set, what) in [(requested, "request"), (limited, "limit")] {
                if !set.is_empty() {
                    notes.push(format!("{} {what} for {word} {name}", set.join(", ")));
                }
            }
        }
    }
    if !notes.is_empty() {
        let annotations = write::ensure(write::ensure(pod, "metadata"), "annotations");
        write::set(annotations, ANNOTATION, format!("LimitRanger plugin set: {}", notes.join("; ")));
    }
}

fn fill<'a>(own: &mut Value, key: &str, defaults: &'a ResourceList) -> Vec<&'a str> {
    let mut set = Vec::new();
    for (name, amount) in defaults {
        if !own[key].has(name) {
            write::set(write::ensure(own, key), name, amount.to_string());
            set.push(name.as_str());
        }
    }
    set
}

/// What one container, or a pod, asks for beside what one limit demands.
struct Check<'a> {
    kind: &'a str,
    name: &'a str,
    request: Option<Quantity>,
    limit: Option<Quantity>,
}

impl<'a> Check<'a> {
    fn of(kind: &'a str, name: &'a str, requests: &ResourceList, limits: &ResourceList) -> Check<'a> {
        Check { kind, name, request: requests.get(name).copied(), limit: limits.get(name).copied() }
    }

    fn min(&self, bound: Quantity) -> Option<String> {
        let head = format!("minimum {} usage per {} is {bound}", self.name, self.kind);
        match (self.request, self.limit) {
            (None, _) => Some(format!("{head}.  No request is specified")),
            (Some(request), _) if request < bound => Some(format!("{head}, but request is {request}")),
            (_, Some(limit)) if limit < bound => Some(format!("{head}, but limit is {limit}")),
            _ => None,
        }
    }

    fn max(&self, bound: Quantity) -> Option<String> {
        let head = format!("maximum {} usage per {} is {bound}", self.name, self.kind);
        match (self.limit, self.request) {
            (None, _) => Some(format!("{head}.  No limit is specified")),
            (Some(limit), _) if limit > bound => Some(format!("{head}, but limit is {limit}")),
            (_, Some(request)) if request > bound => Some(format!("{head}, but request is {request}")),
            _ => None,
        }
    }

    fn ratio(&self, bound: Quantity) -> Option<String> {
        let head = format!("{} max limit to request ratio per {} is {bound}", self.name, self.kind);
        let Some(request) = self.request.filter(|request| !request.is_zero()) else {
            return Some(format!("{head}, but no request is specified or request is 0"));
        };
        let Some(limit) = self.limit.filter(|limit| !limit.is_zero()) else {
            return Some(format!("{head}, but no limit is specified or limit is 0"));
        };
        let ratio = limit.milli_value() as f64 / request.milli_value() as f64;
        (ratio > bound.milli_value() as f64 / 1000.0)
            .then(|| format!("{head}, but provided ratio is {ratio:.6}"))
    }
}

fn check(
    kind: &str,
    limit: &Value,
    requests: &ResourceList,
    limits: &ResourceList,
    broken: &mut Vec<String>,
) {
    for (name, bound) in resources::list(limit, "min") {
        broken.extend(Check::of(kind, &name, requests, limits).min(bound));
    }
    for (name, bound) in resources::list(limit, "max") {
        broken.extend(Check::of(kind, &name, requests, limits).max(bound));
    }
    for (name, bound) in resources::list(limit, "maxLimitRequestRatio") {
        broken.extend(Check::of(kind, &name, requests, limits).ratio(bound));
    }
}

fn check_containers(pod: &Value, limit: &Value, broken: &mut Vec<String>) {
    let spec = &pod["spec"];
    for container in spec.items("containers").iter().chain(spec.items("initContainers")) {
        let own = &container["resources"];
        check("Container", limit, &resources::list(own, "requests"), &resources::list(own, "limits"), broken);
    }
}

fn check_pod(pod: &Value, limit: &Value, broken: &mut Vec<String>) {
    let spec = &pod["spec"];
    check("Pod", limit, &resources::requests(spec), &resources::limits(spec), broken);
}

fn check_claim(claim: &Value, limit: &Value, broken: &mut Vec<String>) {
    let requested = quantity(&claim["spec"]["resources"]["requests"]["storage"]);
    const HEAD: &str = "storage usage per PersistentVolumeClaim is";
    for (key, word) in [("min", "minimum"), ("max", "maximum")] {
        let Some(bound) = quantity(&limit[key]["storage"]) else { continue };
        match requested {
            None => broken.push(format!("{word} {HEAD} {bound}.  No request is specified")),
            Some(request) if (key == "min" && request < bound) || (key == "max" && request > bound) => {
                broken.push(format!("{word} {HEAD} {bound}, but request is {request}"));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};
    use serde_json::json;

    fn cluster(limit: Value) -> Cluster {
        Cluster::new().with(
            "",
            "limitranges",
            json!({"metadata": {"name": "l", "namespace": "x"}, "spec": {"limits": [limit]}}),
        )
    }

    fn create(limit: Value, resources: Value) -> Result<Value, Status> {
        let pod = json!({"spec": {"containers": [{"name": "c", "resources": resources}]}});
        Request::create("", "pods").named("web").inside("x").admit(&LimitRanger, &cluster(limit), pod)
    }

    #[test]
    fn containers_get_the_namespaces_defaults() {
        let limit = json!({"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m", "memory": "1Mi"}});
        let pod = create(limit, json!({"requests": {"memory": "2Mi"}})).unwrap();
        assert_eq!(
            pod["spec"]["containers"][0]["resources"],
            json!({"limits": {"cpu": "1"}, "requests": {"cpu": "100m", "memory": "2Mi"}})
        );
        assert_eq!(
            pod["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
        );
    }

    #[test]
    fn bounds_are_kept() {
        for (limit, resources, expected) in [
            (
                json!({"type": "Container", "max": {"cpu": "1"}}),
                json!({"limits": {"cpu": "2"}}),
                "maximum cpu usage per Container is 1, but limit is 2",
            ),
            (
                json!({"type": "Container", "max": {"cpu": "1"}}),
                json!({}),
                "maximum cpu usage per Container is 1.  No limit is specified",
            ),
            (
                json!({"type": "Pod", "min": {"memory": "1Gi"}}),
                json!({"requests": {"memory": "1Mi"}}),
                "minimum memory usage per Pod is 1Gi, but request is 1Mi",
            ),
            (
                json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}),
                json!({"requests": {"cpu": "1"}, "limits": {"cpu": "3"}}),
                "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
            ),
        ] {
            let refused = create(limit, resources).unwrap_err();
            assert_eq!(refused.message, format!("pods \"web\" is forbidden: {expected}"));
        }
    }
}

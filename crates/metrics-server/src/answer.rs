//! What `metrics.k8s.io/v1beta1` answers: discovery, nodes and pods, as objects or as tables.

use apimachinery::quantity::{Format, Quantity};
use apimachinery::{Status, fields, labels, time};
use http::Method;
use informer::Object as _;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::objects::{Cluster, Identity};
use crate::points::{Points, Use};

/// The group.
pub const GROUP: &str = "metrics.k8s.io";
const API_VERSION: &str = "metrics.k8s.io/v1beta1";

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// `/apis`
    Groups,
    /// `/apis/metrics.k8s.io`
    Group,
    /// `/apis/metrics.k8s.io/v1beta1`
    Resources,
    /// Nodes or pods.
    Objects(Objects),
}

/// Which nodes or pods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// `nodes` or `pods`.
    pub resource: &'static str,
    /// The namespace; empty for all of them, and for nodes.
    pub namespace: String,
    /// One object's name; empty for a list.
    pub name: String,
}

impl Wish {
    /// Reads a path; `None` if nothing is there.
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let objects = |resource, namespace: &str, name: &str| {
            Some(Self::Objects(Objects { resource, namespace: decode(namespace), name: decode(name) }))
        };
        match parts.as_slice() {
            ["apis"] => Some(Self::Groups),
            ["apis", GROUP] => Some(Self::Group),
            ["apis", GROUP, "v1beta1", rest @ ..] => match rest {
                [] => Some(Self::Resources),
                ["nodes"] => objects("nodes", "", ""),
                ["nodes", name] => objects("nodes", "", name),
                ["pods"] => objects("pods", "", ""),
                ["namespaces", namespace, "pods"] => objects("pods", namespace, ""),
                ["namespaces", namespace, "pods", name] => objects("pods", namespace, name),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Objects {
    /// The verb that is asked for permission.
    pub fn verb(&self, watch: bool) -> &'static str {
        match (self.name.is_empty(), watch) {
            (true, true) => "watch",
            (true, false) => "list",
            _ => "get",
        }
    }
}

/// How objects are selected and shown.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `labelSelector`
    pub labels: String,
    /// `fieldSelector`
    pub fields: String,
    /// Whether rows and columns are wanted.
    pub table: bool,
    /// Whether each row's object comes with it whole (`includeObject=Object`).
    pub whole_objects: bool,
}

/// Answers from what was measured.
pub fn answer(
    wish: &Wish,
    method: &Method,
    options: &Options,
    cluster: &Cluster,
    points: &Points,
    now: Timestamp,
) -> Result<Value, Status> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let resource = if let Wish::Objects(objects) = wish { objects.resource } else { "" };
        return Err(Status::method_not_allowed(GROUP, resource, &method.as_str().to_ascii_lowercase()));
    }
    match wish {
        Wish::Groups => Ok(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]})),
        Wish::Group => {
            let mut group = group();
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            Ok(group)
        }
        Wish::Resources => Ok(resources()),
        Wish::Objects(objects) if objects.name.is_empty() => list(objects, options, cluster, points, now),
        Wish::Objects(objects) => {
            let object = one(objects, cluster, points, now)?;
            Ok(if options.table { table(vec![object], options) } else { object })
        }
    }
}

fn group() -> Value {
    let version = json!({"groupVersion": API_VERSION, "version": "v1beta1"});
    json!({"name": GROUP, "versions": [version], "preferredVersion": version})
}

fn resources() -> Value {
    let resource = |name: &str, kind: &str, namespaced: bool| json!({"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]});
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": API_VERSION,
        "resources": [resource("nodes", "NodeMetrics", false), resource("pods", "PodMetrics", true)],
    })
}

fn one(objects: &Objects, cluster: &Cluster, points: &Points, now: Timestamp) -> Result<Value, Status> {
    let Objects { resource, namespace, name } = objects;
    if *resource == "nodes" {
        let node = cluster.nodes.get(name).ok_or_else(|| Status::not_found("", "nodes", name))?;
        let used = points.node(name).ok_or_else(|| Status::not_found(GROUP, "nodemetrics", name))?;
        return Ok(with_kind(node_metrics(name, &node.metadata, used, now), "NodeMetrics"));
    }
    let key = format!("{namespace}/{name}");
    let pod = cluster.pods.get(&key).ok_or_else(|| Status::not_found("", "pods", &key))?;
    let used = points.pod(namespace, name).ok_or_else(|| Status::not_found(GROUP, "podmetrics", &key))?;
    Ok(with_kind(pod_metrics(namespace, name, &pod.metadata, &used, now), "PodMetrics"))
}

fn list(
    objects: &Objects,
    options: &Options,
    cluster: &Cluster,
    points: &Points,
    now: Timestamp,
) -> Result<Value, Status> {
    let bad = |error: &dyn std::fmt::Display| Status::bad_request(error.to_string());
    let selector = labels::parse(&options.labels).map_err(|error| bad(&error))?;
    let field_selector = fields::parse(&options.fields).map_err(|error| bad(&error))?;
    let selected = |namespace: &str, name: &str, metadata: &Identity| {
        selector.matches(|key| metadata.labels.get(key).map(|value| &**value))
            && field_selector.matches(|field| match field {
                "metadata.name" => Some(name),
                "metadata.namespace" => Some(namespace),
                _ => None,
            })
    };
    let mut items = Vec::new();
    let kind = if objects.resource == "nodes" {
        for node in cluster.nodes.list() {
            let name = node.name();
            if selected("", name, &node.metadata)
                && let Some(used) = points.node(name)
            {
                items.push(node_metrics(name, &node.metadata, used, now));
            }
        }
        "NodeMetrics"
    } else {
        let pods = match objects.namespace.as_str() {
            "" => cluster.pods.list(),
            namespace => cluster.pods.in_namespace(namespace),
        };
        for pod in pods {
            let (namespace, name) = (pod.namespace(), pod.name());
            if selected(namespace, name, &pod.metadata)
                && let Some(used) = points.pod(namespace, name)
            {
                items.push(pod_metrics(namespace, name, &pod.metadata, &used, now));
            }
        }
        "PodMetrics"
    };
    if options.table {
        return Ok(table(items.into_iter().map(|item| with_kind(item, kind)).collect(), options));
    }
    Ok(json!({"kind": format!("{kind}List"), "apiVersion": API_VERSION, "metadata": {}, "items": items}))
}

fn with_kind(mut object: Value, kind: &str) -> Value {
    object["kind"] = kind.into();
    object["apiVersion"] = API_VERSION.into();
    object
}

fn metadata(namespace: &str, name: &str, identity: &Identity, now: Timestamp) -> Value {
    let mut metadata = json!({"name": name, "creationTimestamp": time::rfc3339(now)});
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    if !identity.labels.is_empty() {
        metadata["labels"] =
            identity.labels.iter().map(|(key, value)| (key.to_string(), Value::from(&**value))).collect();
    }
    metadata
}

fn usage(used: Use) -> Value {
    // A quantity of billionths prints with the largest suffix that loses nothing, as upstream's.
    let cpu = format!("{}n", used.nano_cores).parse::<Quantity>().unwrap_or(Quantity::ZERO);
    let memory = Quantity::from_value(i64::try_from(used.memory).unwrap_or(i64::MAX), Format::BinarySi);
    json!({"cpu": cpu.to_string(), "memory": memory.to_string()})
}

fn stamp(used: Use) -> (String, String) {
    let at = Timestamp::from_millisecond(used.at).unwrap_or(Timestamp::UNIX_EPOCH);
    (time::rfc3339(at), time::format_go_duration(used.window.saturating_mul(1_000_000)))
}

fn node_metrics(name: &str, identity: &Identity, used: Use, now: Timestamp) -> Value {
    let (timestamp, window) = stamp(used);
    json!({
        "metadata": metadata("", name, identity, now), "timestamp": timestamp, "window": window, "usage": usage(used),
    })
}

/// The time is that of the container measured first.
fn pod_metrics(
    namespace: &str,
    name: &str,
    identity: &Identity,
    used: &[(&str, Use)],
    now: Timestamp,
) -> Value {
    let earliest = used.iter().map(|(_, used)| *used).min_by_key(|used| used.at);
    let (timestamp, window) = earliest.map(stamp).unwrap_or_default();
    let containers: Vec<Value> =
        used.iter().map(|(name, used)| json!({"name": name, "usage": usage(*used)})).collect();
    json!({
        "metadata": metadata(namespace, name, identity, now), "timestamp": timestamp, "window": window,
        "containers": containers,
    })
}

/// Rows and columns as upstream's: name, processor, memory, window.
fn table(objects: Vec<Value>, options: &Options) -> Value {
    let column = |name: &str, format: &str, description: &str| json!({"name": name, "type": "string", "format": format, "description": description, "priority": 0});
    let sum = |object: &Value, resource: &str| -> String {
        let of = |usage: &Value| usage[resource].as_str().and_then(|text| text.parse::<Quantity>().ok());
        match object["containers"].as_array() {
            Some(containers) => {
                let used = containers.iter().filter_map(|container| of(&container["usage"]));
                used.fold(Quantity::ZERO, |sum, used| sum + used).to_string()
            }
            None => of(&object["usage"]).unwrap_or(Quantity::ZERO).to_string(),
        }
    };
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| {
            let cells = json!([
                object["metadata"]["name"], sum(&object, "cpu"), sum(&object, "memory"), object["window"]
            ]);
            let object = match options.whole_objects {
                true => object,
                false => json!({
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
                }),
            };
            json!({"cells": cells, "object": object})
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
        "columnDefinitions": [
            column("Name", "name", "Name of the resource"),
            column("cpu", "quantity", ""),
            column("memory", "quantity", ""),
            column("Window", "duration", ""),
        ],
        "rows": rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition;

    fn world() -> (Cluster, Points) {
        let cluster = Cluster::new();
        let from = |value: Value| serde_json::from_value(value).unwrap();
        cluster.nodes.apply(from(json!({"metadata": {"name": "w1", "labels": {"zone": "a"}}})));
        cluster.nodes.apply(serde_json::from_value(json!({"metadata": {"name": "w2"}})).unwrap());
        for (namespace, name, app) in [("a", "web", "web"), ("a", "new", "web"), ("b", "db", "db")] {
            let pod = json!({"metadata": {"name": name, "namespace": namespace, "labels": {"app": app}}});
            cluster.pods.apply(serde_json::from_value(pod).unwrap());
        }
        let mut points = Points::default();
        for second in [0, 15] {
            let text = format!(
                "node_cpu_usage_seconds_total {cpu} {at}\nnode_memory_working_set_bytes 1048576 {at}\n\
                 container_cpu_usage_seconds_total{{container=\"nginx\",namespace=\"a\",pod=\"web\"}} {cpu} {at}\n\
                 container_memory_working_set_bytes{{container=\"nginx\",namespace=\"a\",pod=\"web\"}} 4096 {at}\n\
                 container_cpu_usage_seconds_total{{container=\"x\",namespace=\"b\",pod=\"db\"}} {cpu} {at}\n\
                 container_memory_working_set_bytes{{container=\"x\",namespace=\"b\",pod=\"db\"}} 4096 {at}\n\
                 container_cpu_usage_seconds_total{{container=\"x\",namespace=\"b\",pod=\"deleted\"}} {cpu} {at}\n\
                 container_memory_working_set_bytes{{container=\"x\",namespace=\"b\",pod=\"deleted\"}} 1 {at}\n",
                cpu = f64::from(second) * 0.01000001,
                at = 1_700_000_000_000_i64 + i64::from(second) * 1000,
            );
            points.apply("w1", &exposition::parse(&text, 0));
        }
        (cluster, points)
    }

    fn ask(path: &str, options: &Options) -> Result<Value, Status> {
        let (cluster, points) = world();
        let now = Timestamp::from_second(1_700_000_020).unwrap();
        answer(&Wish::parse(path).unwrap(), &Method::GET, options, &cluster, &points, now)
    }

    fn names(path: &str, options: &Options) -> Vec<String> {
        let list = ask(path, options).unwrap();
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["metadata"]["name"].as_str().unwrap().into())
            .collect()
    }

    #[test]
    fn pods_have_what_their_containers_use() {
        let pod = ask("/apis/metrics.k8s.io/v1beta1/namespaces/a/pods/web", &Options::default()).unwrap();
        assert_eq!(
            pod,
            json!({
                "kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1beta1",
                "metadata": {"name": "web", "namespace": "a", "creationTimestamp": "2023-11-14T22:13:40Z", "labels": {"app": "web"}},
                "timestamp": "2023-11-14T22:13:35Z", "window": "15s",
                "containers": [{"name": "nginx", "usage": {"cpu": "10000010n", "memory": "4Ki"}}],
            })
        );
        let node = ask("/apis/metrics.k8s.io/v1beta1/nodes/w1", &Options::default()).unwrap();
        assert_eq!(node["usage"]["memory"], "1Mi");
    }

    #[test]
    fn lists_are_of_what_was_measured_and_selected() {
        let all = Options::default();
        let labels = |text: &str| Options { labels: text.into(), ..Options::default() };
        let root = "/apis/metrics.k8s.io/v1beta1";
        assert_eq!(names(&format!("{root}/pods"), &all), ["web", "db"]);
        assert_eq!(names(&format!("{root}/namespaces/b/pods"), &all), ["db"]);
        assert_eq!(names(&format!("{root}/pods"), &labels("app=web")), ["web"]);
        assert_eq!(names(&format!("{root}/nodes"), &all), ["w1"]);
        assert_eq!(names(&format!("{root}/nodes"), &labels("zone!=a")), Vec::<String>::new());
        let fields = Options { fields: "metadata.name=db".into(), ..Options::default() };
        assert_eq!(names(&format!("{root}/pods"), &fields), ["db"]);
        assert_eq!(ask(&format!("{root}/pods"), &labels("a in")).unwrap_err().code, 400);
    }

    #[test]
    fn what_is_not_there_is_said_in_upstreams_words() {
        let root = "/apis/metrics.k8s.io/v1beta1";
        let message = |path: &str| ask(&format!("{root}{path}"), &Options::default()).unwrap_err().message;
        assert_eq!(message("/nodes/w3"), r#"nodes "w3" not found"#);
        assert_eq!(message("/nodes/w2"), r#"nodemetrics.metrics.k8s.io "w2" not found"#);
        assert_eq!(message("/namespaces/a/pods/none"), r#"pods "a/none" not found"#);
        assert_eq!(message("/namespaces/a/pods/new"), r#"podmetrics.metrics.k8s.io "a/new" not found"#);
        assert_eq!(Wish::parse("/apis/metrics.k8s.io/v1beta1/namespaces/a"), None);
        assert_eq!(Wish::parse("/api/v1"), None);
    }

    #[test]
    fn people_get_tables() {
        let options = Options { table: true, ..Options::default() };
        let table = ask("/apis/metrics.k8s.io/v1beta1/pods", &options).unwrap();
        assert_eq!(table["rows"][0]["cells"], json!(["web", "10000010n", "4Ki", "15s"]));
        assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    }

    #[test]
    fn discovery_names_both_resources() {
        let list = ask("/apis/metrics.k8s.io/v1beta1/", &Options::default()).unwrap();
        assert_eq!(list["resources"][1]["kind"], "PodMetrics");
        assert_eq!(ask("/apis/metrics.k8s.io", &Options::default()).unwrap()["kind"], "APIGroup");
        assert_eq!(ask("/apis", &Options::default()).unwrap()["groups"][0]["name"], "metrics.k8s.io");
    }
}

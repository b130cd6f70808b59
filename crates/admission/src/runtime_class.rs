//! RuntimeClass: the overhead and the nodes that a pod's runtime brings with it.

use apimachinery::status::Status;
use serde_json::{Value, json};
use strategy::read::{Read, same};
use strategy::write;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct RuntimeClass;

impl Plugin for RuntimeClass {
    fn name(&self) -> &'static str {
        "RuntimeClass"
    }

    fn steps(&self) -> Steps {
        Steps::Both
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        let attributes = context.attributes;
        let name = object["spec"].text("runtimeClassName").to_owned();
        if !attributes.is("", "pods") || name.is_empty() {
            return Ok(());
        }
        let Some(class) = context.view.get("node.k8s.io", "runtimeclasses", "", &name) else {
            return Err(
                attributes.forbidden(object, format!("pod rejected: RuntimeClass {name:?} not found"))
            );
        };
        let overhead = &class["overhead"]["podFixed"];
        if !overhead.is_null() {
            if object["spec"].has("overhead") && !same(&object["spec"]["overhead"], overhead) {
                return Err(attributes.forbidden(
                    object,
                    "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
                ));
            }
            write::set(write::ensure(object, "spec"), "overhead", overhead.clone());
        }
        if class.has("scheduling") {
            schedule(object, &class["scheduling"]).map_err(|why| attributes.forbidden(object, why))?;
        }
        Ok(())
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let attributes = context.attributes;
        let spec = &object["spec"];
        if attributes.is("", "pods") && spec.has("overhead") && spec.text("runtimeClassName").is_empty() {
            return Err(attributes.forbidden(
                object,
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
            ));
        }
        Ok(())
    }
}

fn schedule(pod: &mut Value, scheduling: &Value) -> Result<(), String> {
    let spec = write::ensure(pod, "spec");
    for (key, value) in scheduling.entries("nodeSelector") {
        let own = &spec["nodeSelector"][key];
        if !own.is_null() && own != value {
            let (class, own) = (value.as_str().unwrap_or_default(), own.as_str().unwrap_or_default());
            return Err(format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {class}; pod.spec.nodeSelector[{key}] = {own}"
            ));
        }
        write::set(write::ensure(spec, "nodeSelector"), key, value.clone());
    }
    for toleration in scheduling.items("tolerations") {
        if !spec.items("tolerations").contains(toleration) {
            write::missing(spec, "tolerations", json!([]));
            if let Some(Value::Array(tolerations)) = spec.get_mut("tolerations") {
                tolerations.push(toleration.clone());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn a_class_brings_overhead_and_nodes() {
        let cluster = Cluster::new().with(
            "node.k8s.io",
            "runtimeclasses",
            json!({"metadata": {"name": "vm"}, "overhead": {"podFixed": {"cpu": "1"}},
                   "scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "vm"}]}}),
        );
        let create = |spec| {
            let request = Request::create("", "pods").named("web");
            request.admit(&RuntimeClass, &cluster, json!({"spec": spec})).map(|pod| pod["spec"].clone())
        };
        assert_eq!(
            create(json!({"runtimeClassName": "vm"})).unwrap(),
            json!({"runtimeClassName": "vm", "overhead": {"cpu": "1"}, "nodeSelector": {"a": "b"}, "tolerations": [{"key": "vm"}]})
        );
        for (spec, message) in [
            (json!({"runtimeClassName": "x"}), "pod rejected: RuntimeClass \"x\" not found"),
            (
                json!({"runtimeClassName": "vm", "nodeSelector": {"a": "c"}}),
                "conflict: runtimeClass.scheduling.nodeSelector[a] = b; pod.spec.nodeSelector[a] = c",
            ),
            (
                json!({"overhead": {"cpu": "1"}}),
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
            ),
        ] {
            assert_eq!(create(spec).unwrap_err().message, format!("pods \"web\" is forbidden: {message}"));
        }
    }
}

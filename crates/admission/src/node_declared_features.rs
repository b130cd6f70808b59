//! NodeDeclaredFeatureValidator: a pod that runs is changed only to what its node has declared that it can do.

use std::cmp::Ordering;

use apimachinery::status::Status;
use pod_strategy::resources::{qos_class, quantity};
use serde_json::Value;
use strategy::read::{Read, same};

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct NodeDeclaredFeatures;

/// Another amount of CPU for a pod of the class Guaranteed.
const GUARANTEED: &str = "GuaranteedQoSPodCPUResize";
/// Other resources of a pod as a whole.
const WHOLE: &str = "InPlacePodLevelResourcesVerticalScaling";

impl Plugin for NodeDeclaredFeatures {
    fn name(&self) -> &'static str {
        "NodeDeclaredFeatureValidator"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let attributes = context.attributes;
        let of_pods = attributes.group.is_empty() && attributes.resource == "pods";
        let name = object["spec"].text("nodeName");
        if !of_pods || !matches!(attributes.subresource, "" | "resize") || name.is_empty() {
            return Ok(());
        }
        let Some(old) = context.old else { return Ok(()) };
        let needed = needs(&old["spec"], &object["spec"]);
        if needed.is_empty() {
            return Ok(());
        }
        let Some(node) = context.view.get("", "nodes", "", name) else {
            return Err(attributes.forbidden(object, format!("node {name:?} not found")));
        };
        let declared = node["status"].items("declaredFeatures");
        let missing: Vec<&str> =
            needed.into_iter().filter(|feature| !declared.iter().any(|own| own == feature)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let why = format!(
            "pod update requires features {} which are not available on node {name:?}",
            missing.join(", ")
        );
        Err(attributes.forbidden(object, why))
    }
}

/// What a node must be able to do to follow a change, by name.
fn needs(old: &Value, new: &Value) -> Vec<&'static str> {
    let mut needed = Vec::new();
    if qos_class(old) == "Guaranteed" && other_cpu(old, new) {
        needed.push(GUARANTEED);
    }
    if !same(&old["resources"], &new["resources"]) {
        needed.push(WHOLE);
    }
    needed
}

fn other_cpu(old: &Value, new: &Value) -> bool {
    let cpu = |container: &Value| quantity(&container["resources"]["requests"]["cpu"]);
    ["initContainers", "containers"].iter().any(|list| {
        old.items(list).iter().zip(new.items(list)).any(|(old, new)| match (cpu(old), cpu(new)) {
            (Some(old), Some(new)) => old.cmp(&new) != Ordering::Equal,
            (old, new) => old.is_some() != new.is_some(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};
    use serde_json::json;

    fn pod(cpu: &str, limit: &str, whole: &str) -> Value {
        let resources =
            json!({"requests": {"cpu": cpu, "memory": "1Gi"}, "limits": {"cpu": limit, "memory": "1Gi"}});
        let mut spec = json!({"nodeName": "w1", "containers": [{"name": "c", "resources": resources}]});
        if !whole.is_empty() {
            spec["resources"] = json!({"requests": {"cpu": whole}});
        }
        json!({"metadata": {"name": "web"}, "spec": spec})
    }

    fn judged(declared: Value, old: Value, new: Value) -> String {
        let node = json!({"metadata": {"name": "w1"}, "status": {"declaredFeatures": declared}});
        let cluster = Cluster::new().with("", "nodes", node);
        let request = Request::update("", "pods", old).inside("x").named("web").through("resize");
        let (result, _) = request.run(&cluster, |context| NodeDeclaredFeatures.validate(context, &new));
        result.map_or_else(|status| status.message, |()| String::new())
    }

    #[test]
    fn a_node_is_asked_only_for_what_it_can_do() {
        let lacks = |features: &str| {
            format!(
                "pods \"web\" is forbidden: pod update requires features {features} which are not available on node \"w1\""
            )
        };
        let more = || pod("2", "2", "");
        assert_eq!(judged(json!([]), pod("1", "1", ""), more()), lacks(GUARANTEED));
        assert_eq!(judged(json!([GUARANTEED]), pod("1", "1", ""), more()), "");
        // The same amount in other words, and pods of other classes.
        assert_eq!(judged(json!([]), pod("1", "1", ""), pod("1000m", "1", "")), "");
        assert_eq!(judged(json!([]), pod("1", "2", ""), pod("2", "2", "")), "");
        assert_eq!(judged(json!([GUARANTEED]), pod("1", "2", "3"), pod("1", "2", "4")), lacks(WHOLE));
    }

    #[test]
    fn a_node_that_is_unknown_has_declared_nothing() {
        let request =
            Request::update("", "pods", pod("1", "1", "")).inside("x").named("web").through("resize");
        let new = pod("2", "2", "");
        let (result, _) =
            request.run(&Cluster::new(), |context| NodeDeclaredFeatures.validate(context, &new));
        assert_eq!(result.unwrap_err().message, "pods \"web\" is forbidden: node \"w1\" not found");
    }
}

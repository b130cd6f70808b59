//! PodTopologyLabels: a pod that is bound learns the zone and region of its node.

use apimachinery::ObjectExt;
use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::Read;
use strategy::write;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct PodTopologyLabels;

const LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

impl Plugin for PodTopologyLabels {
    fn name(&self) -> &'static str {
        "PodTopologyLabels"
    }

    fn steps(&self) -> Steps {
        Steps::Admit
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        let attributes = context.attributes;
        if !attributes.group.is_empty() || attributes.resource != "pods" {
            return Ok(());
        }
        let node = match attributes.subresource {
            "binding" => object["target"].text("name"),
            "" => object["spec"].text("nodeName"),
            _ => return Ok(()),
        };
        // A node that is not known yet has told nobody where it is.
        let Some(node) = context.view.get("", "nodes", "", node) else { return Ok(()) };
        for label in LABELS {
            if let Some(value) = node.label(label) {
                let labels = write::ensure(write::ensure(object, "metadata"), "labels");
                write::set(labels, label, value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};
    use serde_json::json;

    #[test]
    fn bindings_carry_the_zone() {
        let cluster = Cluster::new().with(
            "",
            "nodes",
            json!({"metadata": {"name": "w1", "labels": {LABELS[0]: "z", "other": "o"}}}),
        );
        let request = Request::create("", "pods").through("binding");
        let binding = request.admit(&PodTopologyLabels, &cluster, json!({"target": {"name": "w1"}})).unwrap();
        assert_eq!(binding["metadata"]["labels"], json!({LABELS[0]: "z"}));
    }
}

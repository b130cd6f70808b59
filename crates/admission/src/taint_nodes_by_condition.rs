//! TaintNodesByCondition: a new node takes no pods until somebody has seen that it is ready.

use apimachinery::status::Status;
use serde_json::{Value, json};
use strategy::read::Read;
use strategy::write;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct TaintNodesByCondition;

const NOT_READY: &str = "node.kubernetes.io/not-ready";

impl Plugin for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    fn steps(&self) -> Steps {
        Steps::Admit
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        if !context.attributes.is("", "nodes") {
            return Ok(());
        }
        let spec = write::ensure(object, "spec");
        let there = spec
            .items("taints")
            .iter()
            .any(|taint| taint.text("key") == NOT_READY && taint.text("effect") == "NoSchedule");
        if !there {
            write::missing(spec, "taints", json!([]));
            if let Some(Value::Array(taints)) = spec.get_mut("taints") {
                taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn a_new_node_is_tainted_once() {
        let tainted = json!({"spec": {"taints": [{"key": NOT_READY, "effect": "NoSchedule"}]}});
        for node in [json!({}), tainted.clone()] {
            let request = Request::create("", "nodes");
            assert_eq!(request.admit(&TaintNodesByCondition, &Cluster::new(), node).unwrap(), tainted);
        }
    }
}

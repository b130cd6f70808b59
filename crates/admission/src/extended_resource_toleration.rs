//! ExtendedResourceToleration: a pod that asks for devices tolerates the taint by which their nodes are kept for it.

use std::collections::BTreeSet;

use apimachinery::status::Status;
use pod_strategy::resources::is_extended;
use serde_json::{Value, json};
use strategy::read::Read;
use strategy::write;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct ExtendedResourceToleration;

impl Plugin for ExtendedResourceToleration {
    fn name(&self) -> &'static str {
        "ExtendedResourceToleration"
    }

    fn steps(&self) -> Steps {
        Steps::Admit
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        if !context.attributes.is("", "pods") {
            return Ok(());
        }
        let lists = ["containers", "initContainers"].iter().flat_map(|list| object["spec"].items(list));
        let asked = lists.flat_map(|container| container["resources"].entries("requests"));
        let devices: BTreeSet<String> =
            asked.map(|(name, _)| name).filter(|name| is_extended(name)).cloned().collect();
        let spec = write::ensure(object, "spec");
        for device in devices {
            let toleration = json!({"key": device, "operator": "Exists", "effect": "NoSchedule"});
            if spec.items("tolerations").contains(&toleration) {
                continue;
            }
            write::missing(spec, "tolerations", json!([]));
            if let Some(Value::Array(tolerations)) = spec.get_mut("tolerations") {
                tolerations.push(toleration);
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
    fn devices_are_tolerated_once() {
        let pod = json!({"spec": {"containers": [{"resources": {"requests": {"example.com/gpu": "1", "cpu": "1"}}}]}});
        let request = Request::create("", "pods").inside("x");
        let admit = |pod| request.admit(&ExtendedResourceToleration, &Cluster::new(), pod).unwrap();
        let expected = json!([{"key": "example.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]);
        let made = admit(pod);
        assert_eq!(made["spec"]["tolerations"], expected);
        assert_eq!(admit(made)["spec"]["tolerations"], expected);
    }
}

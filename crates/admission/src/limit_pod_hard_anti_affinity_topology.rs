//! LimitPodHardAntiAffinityTopology: a pod may keep others off its node, but not off a whole zone.

use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::Read;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct LimitPodHardAntiAffinityTopology;

const HOSTNAME: &str = "kubernetes.io/hostname";

impl Plugin for LimitPodHardAntiAffinityTopology {
    fn name(&self) -> &'static str {
        "LimitPodHardAntiAffinityTopology"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        if !context.attributes.is("", "pods") {
            return Ok(());
        }
        let affinity = &object["spec"]["affinity"]["podAntiAffinity"];
        let terms = affinity.items("requiredDuringSchedulingIgnoredDuringExecution");
        match terms.iter().map(|term| term.text("topologyKey")).find(|key| *key != HOSTNAME) {
            None => Ok(()),
            Some(key) => {
                let why = format!(
                    "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} but only key {HOSTNAME} is allowed"
                );
                Err(context.attributes.forbidden(object, why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn only_nodes_may_be_kept_free() {
        let judge = |required: &str, key: &str| {
            let pod = json!({"spec": {"affinity": {"podAntiAffinity": {required: [{"topologyKey": key}]}}}});
            let request = Request::create("", "pods").inside("x").named("p");
            let judged = request.admit(&LimitPodHardAntiAffinityTopology, &Cluster::new(), pod);
            judged.map(drop).map_err(|status| status.message)
        };
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        assert_eq!(judge(required, HOSTNAME), Ok(()));
        assert_eq!(judge("preferredDuringSchedulingIgnoredDuringExecution", "zone"), Ok(()));
        assert_eq!(
            judge(required, "zone").unwrap_err(),
            "pods \"p\" is forbidden: affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only key kubernetes.io/hostname is allowed"
        );
    }
}

//! DefaultTolerationSeconds: pods stay five minutes on a node that is lost, unless they say otherwise.

use apimachinery::status::Status;
use serde_json::{Value, json};
use strategy::read::Read;
use strategy::write;

use crate::{Context, Operation, Plugin};

pub(crate) struct DefaultTolerationSeconds;

/// Upstream's flags `--default-not-ready-toleration-seconds` and `--default-unreachable-toleration-seconds`.
const SECONDS: i64 = 300;
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        if !context.attributes.is("", "pods") {
            return Ok(());
        }
        let spec = write::ensure(object, "spec");
        for taint in TAINTS {
            let tolerated = spec.items("tolerations").iter().any(|toleration| {
                matches!(toleration.text("key"), key if key == taint || key.is_empty())
                    && matches!(toleration.text("effect"), "NoExecute" | "")
            });
            if !tolerated {
                write::missing(spec, "tolerations", json!([]));
                if let Some(Value::Array(tolerations)) = spec.get_mut("tolerations") {
                    tolerations.push(json!({
                        "key": taint,
                        "operator": "Exists",
                        "effect": "NoExecute",
                        "tolerationSeconds": SECONDS,
                    }));
                }
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
    fn only_what_is_missing_is_added() {
        for (given, count) in [
            (json!([]), 2),
            (json!([{"key": TAINTS[0], "operator": "Exists", "effect": "NoExecute"}]), 2),
            (json!([{"operator": "Exists"}]), 1),
            (json!([{"operator": "Exists", "effect": "NoSchedule"}]), 3),
        ] {
            let request = Request::create("", "pods");
            let pod = json!({"spec": {"tolerations": given}});
            let pod = request.admit(&DefaultTolerationSeconds, &Cluster::new(), pod).unwrap();
            assert_eq!(pod["spec"].items("tolerations").len(), count);
        }
    }
}

//! DefaultTolerationSeconds: pods stay five minutes on a node that is lost, unless they say otherwise.

use apimachinery::status::Status;
use serde::Deserialize;
use serde_json::{Value, json};
use strategy::read::Read;
use strategy::write;

use crate::{Context, Operation, Plugin, Steps};

/// The plugin, with the seconds for each of the two taints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DefaultTolerationSeconds {
    not_ready: i64,
    unreachable: i64,
}

impl Default for DefaultTolerationSeconds {
    fn default() -> Self {
        Self { not_ready: 300, unreachable: 300 }
    }
}

const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn configure(&mut self, configuration: Option<&Value>) -> Result<(), String> {
        if let Some(configuration) = configuration {
            *self = Self::deserialize(configuration).map_err(|error| error.to_string())?;
        }
        Ok(())
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
        let spec = write::ensure(object, "spec");
        for (taint, seconds) in TAINTS.into_iter().zip([self.not_ready, self.unreachable]) {
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
                        "tolerationSeconds": seconds,
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
            let pod = request.admit(&DefaultTolerationSeconds::default(), &Cluster::new(), pod).unwrap();
            assert_eq!(pod["spec"].items("tolerations").len(), count);
        }
    }

    #[test]
    fn the_seconds_may_be_others() {
        let mut plugin = DefaultTolerationSeconds::default();
        plugin.configure(Some(&json!({"notReady": 30, "unreachable": 0}))).unwrap();
        let pod = Request::create("", "pods").admit(&plugin, &Cluster::new(), json!({"spec": {}})).unwrap();
        let seconds: Vec<Option<i64>> =
            pod["spec"].items("tolerations").iter().map(|one| one.int("tolerationSeconds")).collect();
        assert_eq!(seconds, [Some(30), Some(0)]);
    }
}

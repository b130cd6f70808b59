//! PodNodeSelector: pods of a namespace run on the nodes that its annotation selects.

use apimachinery::status::Status;
use serde_json::{Map, Value};
use strategy::read::Read;
use strategy::write;

use crate::{Context, Operation, Plugin};

pub(crate) struct PodNodeSelector;

const ANNOTATION: &str = "scheduler.alpha.kubernetes.io/node-selector";

/// The labels that the namespace's annotation names: `a=b,c=d`.
fn selected(context: &Context) -> Result<Map<String, Value>, String> {
    let namespace = context.view.get("", "namespaces", "", context.attributes.namespace);
    let text =
        namespace.as_deref().map_or("", |namespace| namespace["metadata"]["annotations"].text(ANNOTATION));
    let mut labels = Map::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("invalid selector: [{text}]"))?;
        labels.insert(key.trim().to_owned(), value.trim().into());
    }
    Ok(labels)
}

impl Plugin for PodNodeSelector {
    fn name(&self) -> &'static str {
        "PodNodeSelector"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        if !context.attributes.is("", "pods") {
            return Ok(());
        }
        let labels = selected(context).map_err(|why| context.attributes.forbidden(object, why))?;
        let own = &object["spec"]["nodeSelector"];
        if labels.iter().any(|(key, value)| own.get(key).is_some_and(|own| own != value)) {
            let why = "pod node label selector conflicts with its namespace node label selector";
            return Err(context.attributes.forbidden(object, why));
        }
        if !labels.is_empty() {
            let selector = write::ensure(write::ensure(object, "spec"), "nodeSelector");
            for (key, value) in labels {
                selector[key.as_str()] = value;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn the_namespaces_selector_joins_the_pods() {
        let namespace = json!({"metadata": {"name": "x", "annotations": {ANNOTATION: "zone=a, disk=ssd"}}});
        let cluster = Cluster::new().with("", "namespaces", namespace);
        let admit = |selector: Value| {
            let request = Request::create("", "pods").inside("x").named("p");
            let pod = request.admit(&PodNodeSelector, &cluster, json!({"spec": {"nodeSelector": selector}}));
            pod.map(|pod| pod["spec"]["nodeSelector"].clone()).map_err(|status| status.message)
        };
        assert_eq!(admit(json!({"own": "1"})), Ok(json!({"own": "1", "zone": "a", "disk": "ssd"})));
        let refused = admit(json!({"zone": "b"})).unwrap_err();
        assert!(
            refused.ends_with("pod node label selector conflicts with its namespace node label selector")
        );
    }
}

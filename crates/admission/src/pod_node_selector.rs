//! PodNodeSelector: pods of a namespace run on the nodes that its annotation selects, and may ask for no others than the
//! configuration allows.

use std::collections::BTreeMap;

use apimachinery::status::Status;
use serde::Deserialize;
use serde_json::{Map, Value};
use strategy::read::Read;
use strategy::write;

use crate::{Context, Operation, Plugin, Steps};

/// The plugin: for each namespace the labels that its pods may ask for.
#[derive(Debug, Default)]
pub(crate) struct PodNodeSelector(BTreeMap<String, Map<String, Value>>);

const ANNOTATION: &str = "scheduler.alpha.kubernetes.io/node-selector";
/// Among the namespaces of the configuration, what stands for those without the annotation.
const DEFAULT: &str = "clusterDefaultNodeSelector";

/// Its configuration, which has no kind.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    pod_node_selector_plugin_config: BTreeMap<String, String>,
}

/// Reads `a=b,c=d`.
fn labels(text: &str) -> Result<Map<String, Value>, String> {
    let mut labels = Map::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("invalid selector: [{text}]"))?;
        labels.insert(key.trim().to_owned(), value.trim().into());
    }
    Ok(labels)
}

impl PodNodeSelector {
    /// The labels that the namespace's annotation names, or else the configuration for all.
    fn selected(&self, context: &Context) -> Result<Map<String, Value>, String> {
        let namespace = context.view.get("", "namespaces", "", context.attributes.namespace);
        let annotations = namespace.as_deref().map(|namespace| &namespace["metadata"]["annotations"]);
        match annotations.filter(|annotations| annotations.has(ANNOTATION)) {
            Some(annotations) => labels(annotations.text(ANNOTATION)),
            None => Ok(self.0.get(DEFAULT).cloned().unwrap_or_default()),
        }
    }
}

impl Plugin for PodNodeSelector {
    fn name(&self) -> &'static str {
        "PodNodeSelector"
    }

    fn configure(&mut self, configuration: Option<&Value>) -> Result<(), String> {
        let Some(configuration) = configuration else { return Ok(()) };
        let read = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
        let read = read.pod_node_selector_plugin_config.into_iter();
        self.0 = read.map(|(name, text)| Ok((name, labels(&text)?))).collect::<Result<_, String>>()?;
        Ok(())
    }

    fn steps(&self) -> Steps {
        Steps::Both
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        if !context.attributes.is("", "pods") {
            return Ok(());
        }
        let labels = self.selected(context).map_err(|why| context.attributes.forbidden(object, why))?;
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

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let Some(allowed) = self.0.get(context.attributes.namespace).filter(|allowed| !allowed.is_empty())
        else {
            return Ok(());
        };
        let mut own = object["spec"].entries("nodeSelector");
        if !context.attributes.is("", "pods") || own.all(|(key, value)| allowed.get(key) == Some(value)) {
            return Ok(());
        }
        let why = "pod node label selector labels conflict with its namespace whitelist";
        Err(context.attributes.forbidden(object, why))
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
            let pod = request.admit(
                &PodNodeSelector::default(),
                &cluster,
                json!({"spec": {"nodeSelector": selector}}),
            );
            pod.map(|pod| pod["spec"]["nodeSelector"].clone()).map_err(|status| status.message)
        };
        assert_eq!(admit(json!({"own": "1"})), Ok(json!({"own": "1", "zone": "a", "disk": "ssd"})));
        let refused = admit(json!({"zone": "b"})).unwrap_err();
        assert!(
            refused.ends_with("pod node label selector conflicts with its namespace node label selector")
        );
    }

    #[test]
    fn the_configuration_speaks_for_namespaces_that_say_nothing() {
        let mut plugin = PodNodeSelector::default();
        let configuration =
            json!({"podNodeSelectorPluginConfig": {DEFAULT: "pool=shared", "x": "pool=shared,disk=ssd"}});
        plugin.configure(Some(&configuration)).unwrap();
        let cluster = Cluster::new().with("", "namespaces", json!({"metadata": {"name": "x"}})).with(
            "",
            "namespaces",
            json!({"metadata": {"name": "y", "annotations": {ANNOTATION: ""}}}),
        );
        let admit = |namespace: &'static str, selector: Value| {
            let request = Request::create("", "pods").inside(namespace).named("p");
            let pod = request.admit(&plugin, &cluster, json!({"spec": {"nodeSelector": selector}}));
            pod.map(|pod| pod["spec"]["nodeSelector"].clone()).map_err(|status| status.message)
        };
        assert_eq!(admit("x", json!({})), Ok(json!({"pool": "shared"})));
        assert_eq!(admit("x", json!({"disk": "ssd"})), Ok(json!({"pool": "shared", "disk": "ssd"})));
        let refused = admit("x", json!({"disk": "tape"})).unwrap_err();
        assert!(refused.ends_with("pod node label selector labels conflict with its namespace whitelist"));
        assert_eq!(admit("y", json!({"disk": "tape"})), Ok(json!({"disk": "tape"})));
        let wrong = json!({"podNodeSelectorPluginConfig": {"x": "pool"}});
        assert_eq!(plugin.configure(Some(&wrong)), Err("invalid selector: [pool]".to_owned()));
    }
}

//! Which objects in which namespaces the selectors of a webhook or a policy choose.

use apimachinery::labels::Selector;
use apimachinery::status::Status;
use serde_json::Value;

use crate::attributes::{Attributes, Operation};
use crate::plugin::View;

/// `namespaceSelector` and `objectSelector`.
#[derive(Clone, Debug)]
pub struct Selectors {
    namespace: Result<Selector, String>,
    object: Result<Selector, String>,
}

impl Selectors {
    /// Reads both from what has them.
    pub fn parse(of: &Value) -> Self {
        let read = |key: &str| match &of[key] {
            Value::Null => Ok(Selector::everything()),
            selector => Selector::from_label_selector(selector).map_err(|error| error.to_string()),
        };
        Self { namespace: read("namespaceSelector"), object: read("objectSelector") }
    }

    /// Whether both choose the request.
    pub fn choose(
        &self,
        attributes: &Attributes,
        object: &Value,
        old: Option<&Value>,
        view: &dyn View,
    ) -> Result<bool, Status> {
        Ok(self.chooses_object(object, old)? && self.chooses_namespace(attributes, object, view)?)
    }

    fn chooses_object(&self, object: &Value, old: Option<&Value>) -> Result<bool, Status> {
        let selector = self.object.as_ref().map_err(Status::internal)?;
        if selector.is_everything() {
            return Ok(true);
        }
        let chooses = |object: &Value| {
            object["metadata"].is_object() && selector.matches_value(object["metadata"]["labels"].as_object())
        };
        Ok(chooses(object) || old.is_some_and(chooses))
    }

    fn chooses_namespace(
        &self,
        attributes: &Attributes,
        object: &Value,
        view: &dyn View,
    ) -> Result<bool, Status> {
        let selector = self.namespace.as_ref().map_err(Status::internal)?;
        if selector.is_everything() {
            return Ok(true);
        }
        let is_namespace = attributes.group.is_empty() && attributes.resource == "namespaces";
        if attributes.namespace.is_empty() && !is_namespace {
            return Ok(true);
        }
        // A namespace that is written carries the labels that it will have.
        let written = matches!(attributes.operation, Operation::Create | Operation::Update);
        if is_namespace && attributes.subresource.is_empty() && written {
            return Ok(selector.matches_value(object["metadata"]["labels"].as_object()));
        }
        let name = attributes.namespace;
        let namespace =
            view.get("", "namespaces", "", name).ok_or_else(|| Status::not_found("", "namespaces", name))?;
        Ok(selector.matches_value(namespace["metadata"]["labels"].as_object()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn labels_of_objects_and_namespaces_count() {
        let cluster = Cluster::new().with(
            "",
            "namespaces",
            json!({"metadata": {"name": "x", "labels": {"tier": "prod"}}}),
        );
        let choose = |request: &Request, selectors: Value, object: Value| {
            let work = |context: &mut crate::Context| {
                Selectors::parse(&selectors).choose(context.attributes, &object, context.old, context.view)
            };
            request.run(&cluster, work).0.map_err(|status| status.message)
        };
        let labelled = |value: &str| json!({"metadata": {"labels": {"tier": value}}});
        let by = |key: &str| json!({key: {"matchLabels": {"tier": "prod"}}});
        let create = Request::create("", "pods").inside("x");
        assert_eq!(choose(&create, by("namespaceSelector"), json!({})), Ok(true));
        assert_eq!(choose(&create, by("objectSelector"), json!({})), Ok(false));
        assert_eq!(choose(&create, by("objectSelector"), labelled("prod")), Ok(true));
        let update = Request::update("", "pods", labelled("prod")).inside("x");
        assert_eq!(choose(&update, by("objectSelector"), labelled("test")), Ok(true), "it was chosen before");
        let node = Request::create("", "nodes");
        assert_eq!(choose(&node, by("namespaceSelector"), json!({})), Ok(true), "in no namespace");
        let namespace = Request::create("", "namespaces").inside("new").named("new");
        assert_eq!(choose(&namespace, by("namespaceSelector"), labelled("test")), Ok(false));
        let elsewhere = Request::create("", "pods").inside("gone");
        assert_eq!(
            choose(&elsewhere, by("namespaceSelector"), json!({})),
            Err("namespaces \"gone\" not found".into())
        );
    }
}

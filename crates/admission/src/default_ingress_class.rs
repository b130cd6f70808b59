//! DefaultIngressClass: an ingress that names no class gets the one marked as default.

use apimachinery::ObjectExt;
use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::Read;
use strategy::write;

use crate::default_class::choose;
use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct DefaultIngressClass;

const ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";
const OLD_CLASS: &str = "kubernetes.io/ingress.class";
const GROUP: &str = "networking.k8s.io";

impl Plugin for DefaultIngressClass {
    fn name(&self) -> &'static str {
        "DefaultIngressClass"
    }

    fn steps(&self) -> Steps {
        Steps::Admit
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        let named = object["spec"].has("ingressClassName") || object.annotation(OLD_CLASS).is_some();
        if !context.attributes.is(GROUP, "ingresses") || named {
            return Ok(());
        }
        if let Some(class) = choose(context.view.list(GROUP, "ingressclasses", ""), &[ANNOTATION]) {
            write::set(write::ensure(object, "spec"), "ingressClassName", class.name());
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
    fn only_marked_classes_are_defaults() {
        let cluster = Cluster::new().with(GROUP, "ingressclasses", json!({"metadata": {"name": "a"}})).with(
            GROUP,
            "ingressclasses",
            json!({"metadata": {"name": "b", "annotations": {ANNOTATION: "true"}}}),
        );
        let admit = |object| {
            Request::create(GROUP, "ingresses").admit(&DefaultIngressClass, &cluster, object).unwrap()
        };
        assert_eq!(admit(json!({}))["spec"]["ingressClassName"], "b");
        let old = json!({"metadata": {"annotations": {OLD_CLASS: "x"}}});
        assert_eq!(admit(old.clone()), old);
    }
}

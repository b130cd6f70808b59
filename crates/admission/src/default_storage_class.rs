//! DefaultStorageClass: a claim that names no class gets the one marked as default.

use apimachinery::ObjectExt;
use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::Read;
use strategy::write;

use crate::default_class::choose;
use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct DefaultStorageClass;

const ANNOTATIONS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

impl Plugin for DefaultStorageClass {
    fn name(&self) -> &'static str {
        "DefaultStorageClass"
    }

    fn steps(&self) -> Steps {
        Steps::Admit
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        let named = object["spec"].has("storageClassName") || object.annotation(OLD_CLASS).is_some();
        if !context.attributes.is("", "persistentvolumeclaims") || named {
            return Ok(());
        }
        if let Some(class) = choose(context.view.list("storage.k8s.io", "storageclasses", ""), &ANNOTATIONS) {
            write::set(write::ensure(object, "spec"), "storageClassName", class.name());
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
    fn the_newest_default_is_taken() {
        let class = |name: &str, born: &str| json!({"metadata": {"name": name, "creationTimestamp": born, "annotations": {ANNOTATIONS[0]: "true"}}});
        let cluster = Cluster::new()
            .with("storage.k8s.io", "storageclasses", class("a", "2026-01-01T00:00:00Z"))
            .with("storage.k8s.io", "storageclasses", class("c", "2026-01-02T00:00:00Z"))
            .with("storage.k8s.io", "storageclasses", class("b", "2026-01-02T00:00:00Z"));
        let request = Request::create("", "persistentvolumeclaims");
        let admit = |claim| request.admit(&DefaultStorageClass, &cluster, claim).unwrap();
        assert_eq!(admit(json!({}))["spec"]["storageClassName"], "b");
        assert_eq!(admit(json!({"spec": {"storageClassName": ""}}))["spec"]["storageClassName"], "");
    }
}

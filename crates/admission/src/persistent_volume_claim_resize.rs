//! PersistentVolumeClaimResize: a claim grows only when it is bound and its class lets volumes grow.

use apimachinery::status::Status;
use pod_strategy::resources::quantity;
use serde_json::Value;
use strategy::read::Read;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct PersistentVolumeClaimResize;

impl Plugin for PersistentVolumeClaimResize {
    fn name(&self) -> &'static str {
        "PersistentVolumeClaimResize"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let attributes = context.attributes;
        let Some(old) = context.old.filter(|_| attributes.is("", "persistentvolumeclaims")) else {
            return Ok(());
        };
        let size = |claim: &Value| quantity(&claim["spec"]["resources"]["requests"]["storage"]);
        if size(object) <= size(old) {
            return Ok(());
        }
        if old["status"].text("phase") != "Bound" {
            return Err(attributes.forbidden(object, "Only bound persistent volume claims can be expanded"));
        }
        let class = object["spec"].text("storageClassName");
        let grows = context
            .view
            .get("storage.k8s.io", "storageclasses", "", class)
            .is_some_and(|class| class.flag("allowVolumeExpansion") == Some(true));
        if grows {
            Ok(())
        } else {
            Err(attributes.forbidden(
                object,
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};
    use serde_json::json;

    #[test]
    fn growth_needs_a_class_that_allows_it() {
        let claim = |size: &str, class: &str, phase: &str| json!({"spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}}, "status": {"phase": phase}});
        let cluster = Cluster::new()
            .with(
                "storage.k8s.io",
                "storageclasses",
                json!({"metadata": {"name": "a"}, "allowVolumeExpansion": true}),
            )
            .with("storage.k8s.io", "storageclasses", json!({"metadata": {"name": "b"}}));
        for (class, phase, size, allowed) in [
            ("a", "Bound", "2Gi", true),
            ("b", "Bound", "2Gi", false),
            ("a", "Pending", "2Gi", false),
            ("b", "Bound", "1Gi", true),
        ] {
            let request = Request::update("", "persistentvolumeclaims", claim("1Gi", class, phase));
            let result = request.admit(&PersistentVolumeClaimResize, &cluster, claim(size, class, phase));
            assert_eq!(result.is_ok(), allowed, "{class} {phase} {size}");
        }
    }
}

//! NamespaceLifecycle: objects live in namespaces that exist, none is made in one that ends, some never end.

use apimachinery::status::{Cause, Status};
use serde_json::Value;
use strategy::read::Read;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct NamespaceLifecycle;

/// Namespaces that may not be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

impl Plugin for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    fn steps(&self) -> Steps {
        Steps::Admit
    }

    fn handles(&self, operation: Operation) -> bool {
        operation != Operation::Connect
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        let attributes = context.attributes;
        if attributes.group.is_empty() && attributes.resource == "namespaces" {
            if attributes.operation == Operation::Delete && IMMORTAL.contains(&attributes.name) {
                return Err(Status::forbidden(
                    "",
                    "namespaces",
                    attributes.name,
                    "this namespace may not be deleted",
                ));
            }
            return Ok(());
        }
        // What ends a namespace must be able to go on in it; reviews of access tell nothing of the namespace.
        let review = attributes.group == "authorization.k8s.io";
        if attributes.namespace.is_empty() || attributes.operation == Operation::Delete || review {
            return Ok(());
        }
        let name = attributes.namespace;
        let Some(namespace) = context.view.get("", "namespaces", "", name) else {
            return Err(Status::not_found("", "namespaces", name));
        };
        let ending = namespace["status"].text("phase") == "Terminating";
        if attributes.operation == Operation::Create && ending {
            let why =
                format!("unable to create new content in namespace {name} because it is being terminated");
            let mut status = attributes.forbidden(object, why);
            if let Some(details) = &mut status.details {
                details.causes.push(Cause {
                    reason: "NamespaceTerminating".into(),
                    message: format!("namespace {name} is being terminated"),
                    field: "metadata.namespace".into(),
                });
            }
            return Err(status);
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
    fn objects_need_a_living_namespace() {
        let cluster = Cluster::new()
            .with("", "namespaces", json!({"metadata": {"name": "x"}, "status": {"phase": "Active"}}))
            .with("", "namespaces", json!({"metadata": {"name": "y"}, "status": {"phase": "Terminating"}}));
        let create = |namespace: &'static str| {
            Request::create("", "pods").named("web").inside(namespace).admit(
                &NamespaceLifecycle,
                &cluster,
                json!({}),
            )
        };
        assert!(create("x").is_ok());
        let ending = create("y").unwrap_err();
        assert_eq!(
            ending.message,
            "pods \"web\" is forbidden: unable to create new content in namespace y because it is being terminated"
        );
        assert_eq!(ending.details.unwrap().causes[0].reason, "NamespaceTerminating");
        let missing = create("z").unwrap_err();
        assert_eq!((missing.code, missing.message.as_str()), (404, "namespaces \"z\" not found"));
    }

    #[test]
    fn some_namespaces_stay() {
        let delete = |name: &'static str| {
            Request::delete("", "namespaces").named(name).admit(
                &NamespaceLifecycle,
                &Cluster::new(),
                Value::Null,
            )
        };
        assert_eq!(
            delete("default").unwrap_err().message,
            "namespaces \"default\" is forbidden: this namespace may not be deleted"
        );
        assert!(delete("x").is_ok());
    }
}

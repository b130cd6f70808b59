//! NamespaceExists: nothing is written into a namespace that is not there.

use apimachinery::status::Status;
use serde_json::Value;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct NamespaceExists;

impl Plugin for NamespaceExists {
    fn name(&self) -> &'static str {
        "NamespaceExists"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        operation != Operation::Connect
    }

    fn validate(&self, context: &mut Context, _object: &Value) -> Result<(), Status> {
        let attributes = context.attributes;
        let own = attributes.group.is_empty() && attributes.resource == "namespaces";
        let name = attributes.namespace;
        if name.is_empty() || own || context.view.get("", "namespaces", "", name).is_some() {
            return Ok(());
        }
        Err(Status::not_found("", "namespaces", name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn a_namespace_must_be_there() {
        let cluster = Cluster::new().with("", "namespaces", json!({"metadata": {"name": "x"}}));
        let judge = |request: Request| {
            request.admit(&NamespaceExists, &cluster, json!({})).map(drop).map_err(|status| status.message)
        };
        assert_eq!(judge(Request::create("", "pods").inside("x")), Ok(()));
        assert_eq!(judge(Request::create("", "nodes")), Ok(()));
        assert_eq!(judge(Request::create("", "pods").inside("y")), Err("namespaces \"y\" not found".into()));
    }
}

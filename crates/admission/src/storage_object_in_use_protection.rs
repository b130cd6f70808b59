//! StorageObjectInUseProtection: claims and volumes are held by a finalizer while they are in use.

use apimachinery::status::Status;
use serde_json::{Value, json};
use strategy::read::Read;
use strategy::write;

use crate::{Context, Operation, Plugin, Steps};

pub(crate) struct StorageObjectInUseProtection;

impl Plugin for StorageObjectInUseProtection {
    fn name(&self) -> &'static str {
        "StorageObjectInUseProtection"
    }

    fn steps(&self) -> Steps {
        Steps::Admit
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        let finalizer = if context.attributes.is("", "persistentvolumeclaims") {
            "kubernetes.io/pvc-protection"
        } else if context.attributes.is("", "persistentvolumes") {
            "kubernetes.io/pv-protection"
        } else {
            return Ok(());
        };
        let metadata = write::ensure(object, "metadata");
        if metadata.items("finalizers").iter().any(|name| name == finalizer) {
            return Ok(());
        }
        write::missing(metadata, "finalizers", json!([]));
        if let Some(Value::Array(finalizers)) = metadata.get_mut("finalizers") {
            finalizers.push(json!(finalizer));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn finalizers_are_added_once() {
        let request = Request::create("", "persistentvolumes");
        let once = request.admit(&StorageObjectInUseProtection, &Cluster::new(), json!({})).unwrap();
        assert_eq!(once["metadata"]["finalizers"], json!(["kubernetes.io/pv-protection"]));
        let twice = request.admit(&StorageObjectInUseProtection, &Cluster::new(), once.clone()).unwrap();
        assert_eq!(once, twice);
    }
}

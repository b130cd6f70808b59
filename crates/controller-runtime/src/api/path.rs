//! Where the API serves things.

use crate::objects::Resource;

/// Returns the path of a resource's collection; an empty namespace gives all of them, or the cluster's.
pub fn collection_path(group: &str, version: &str, plural: &str, namespace: &str) -> String {
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    if namespace.is_empty() {
        format!("{root}/{plural}")
    } else {
        format!("{root}/namespaces/{namespace}/{plural}")
    }
}

/// Returns the path of a type's collection in a namespace.
pub fn resource_path<K: Resource>(namespace: &str) -> String {
    collection_path(K::GROUP, K::VERSION, K::PLURAL, namespace)
}

/// Returns the path of an object of a type by namespace and name.
pub fn named_path<K: Resource>(namespace: &str, name: &str) -> String {
    format!("{}/{name}", resource_path::<K>(namespace))
}

/// Returns the path of an object.
pub fn path_of<K: Resource>(object: &K) -> String {
    named_path::<K>(object.namespace(), object.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{Deployment, Node};

    #[test]
    fn paths_are_those_of_the_api() {
        assert_eq!(named_path::<Node>("", "w1"), "/api/v1/nodes/w1");
        assert_eq!(
            named_path::<Deployment>("web", "front"),
            "/apis/apps/v1/namespaces/web/deployments/front"
        );
    }
}

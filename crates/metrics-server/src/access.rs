//! What a request is to the API server, which is asked whether its user may.

use component::access;

use crate::answer::{GROUP, Wish};

/// What the API server is asked: about objects of the group, or about the path.
pub fn wished(wish: Option<&Wish>, verb: &'static str, path: &str) -> access::Wish {
    match wish {
        Some(Wish::Objects(objects)) => access::Wish::Resource {
            verb,
            group: GROUP,
            version: "v1beta1",
            resource: objects.resource,
            subresource: "",
            namespace: objects.namespace.clone(),
            name: objects.name.clone(),
        },
        _ => access::Wish::Path { verb: verb.into(), path: path.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &str) {
        let wish = Wish::parse(path);
        let asked = match wished(wish.as_ref(), "get", path) {
            access::Wish::Path { verb, path } => format!("{verb} {path}"),
            access::Wish::Resource { verb, group, resource, namespace, name, .. } => {
                format!("{verb} {resource}.{group} {namespace}/{name}")
            }
        };
        assert_eq!(asked, expected);
    }

    #[test]
    fn objects_are_asked_about_and_all_else_is_a_path() {
        check("/metrics", "get /metrics");
        check("/apis/metrics.k8s.io/v1beta1", "get /apis/metrics.k8s.io/v1beta1");
        check("/apis/metrics.k8s.io/v1beta1/nodes/w1", "get nodes.metrics.k8s.io /w1");
        check("/apis/metrics.k8s.io/v1beta1/namespaces/a/pods/web", "get pods.metrics.k8s.io a/web");
    }
}

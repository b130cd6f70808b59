//! What is written to a Service: as one patch of its status, finaliser and annotation included.

use std::net::Ipv4Addr;

use informer::Object as _;
use serde_json::{Value, json};

use super::objects::{ANNOUNCED_BY, Balancer, FINALIZER, Service};

/// Gives an address to a Service and names the node that answers for it; none if the Service says so already.
pub fn give(service: &Service, balancer: &Balancer, address: Ipv4Addr, node: Option<&str>) -> Option<Value> {
    let has_all = balancer.has_finalizer
        && balancer.status_is_plain
        && balancer.given == [address]
        && balancer.announced_by.as_deref() == node;
    (!has_all).then(|| {
        json!({
            "metadata": {
                "uid": service.uid(),
                "finalizers": [FINALIZER],
                "annotations": {ANNOUNCED_BY: node},
            },
            // `VIP`: packets come with this very address as destination, so nodes may take short cuts.
            "status": {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}},
        })
    })
}

/// Takes from a Service all that it was given, and lets it go.
pub fn take(service: &Service) -> Value {
    json!({
        "metadata": {
            "uid": service.uid(),
            "$deleteFromPrimitiveList/finalizers": [FINALIZER],
            "annotations": {ANNOUNCED_BY: null},
        },
        "status": {"loadBalancer": {"ingress": null}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_so_already_is_not_written() {
        let service = |announced: &str| -> Service {
            serde_json::from_value(json!({
                "metadata": {"name": "web", "uid": "u", "finalizers": [FINALIZER],
                    "annotations": {ANNOUNCED_BY: announced}},
                "spec": {"type": "LoadBalancer"},
                "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1", "ipMode": "VIP"}]}},
            }))
            .unwrap()
        };
        let wants = |announced: &str, address: &str, node| {
            let service = service(announced);
            let balancer = service.balancer.clone().unwrap();
            give(&service, &balancer, address.parse().unwrap(), node)
        };
        assert_eq!(wants("w1", "10.0.0.1", Some("w1")), None);
        let moved = wants("w1", "10.0.0.1", Some("w2")).unwrap();
        assert_eq!(moved["metadata"]["annotations"][ANNOUNCED_BY], "w2");
        assert!(wants("w1", "10.0.0.1", None).unwrap()["metadata"]["annotations"][ANNOUNCED_BY].is_null());
        let other = wants("w1", "10.0.0.2", Some("w1")).unwrap();
        assert_eq!(other["status"]["loadBalancer"]["ingress"], json!([{"ip": "10.0.0.2", "ipMode": "VIP"}]));
        assert_eq!(other["metadata"]["uid"], "u", "not to be written to a successor of the same name");
    }
}

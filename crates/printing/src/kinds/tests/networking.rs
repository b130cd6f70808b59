//! Networks and endpoints.

use serde_json::json;

use super::{check, meta};

#[test]
fn networking_and_discovery() {
    let group = "networking.k8s.io";
    check(
        group,
        "Ingress",
        json!({
            "metadata": meta("i"),
            "spec": {
                "ingressClassName": "nginx", "tls": [{}],
                "rules": [{"host": "a"}, {"host": "b"}, {"host": "c"}, {"host": "d"}],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}},
        }),
        "i | nginx | a,b,c + 1 more... | 1.1.1.1 | 80, 443 | 60m",
    );
    check(
        group,
        "Ingress",
        json!({"metadata": meta("i"), "spec": {"rules": [{}]}}),
        "i | <none> | * |  | 80 | 60m",
    );
    check(
        group,
        "IngressClass",
        json!({"metadata": meta("c"), "spec": {"controller": "x/y", "parameters": {"apiGroup": "g", "kind": "K", "name": "n"}}}),
        "c | x/y | K.g/n | 60m",
    );
    check(
        group,
        "NetworkPolicy",
        json!({"metadata": meta("p"), "spec": {"podSelector": {}}}),
        "p | <none> | 60m",
    );
    check(
        group,
        "IPAddress",
        json!({"metadata": meta("10.96.0.1"), "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "kubernetes"}}}),
        "10.96.0.1 | services/default/kubernetes",
    );
    check(
        group,
        "ServiceCIDR",
        json!({"metadata": meta("k"), "spec": {"cidrs": ["10.96.0.0/12"]}}),
        "k | 10.96.0.0/12 | 60m",
    );
    check(
        "discovery.k8s.io",
        "EndpointSlice",
        json!({
            "metadata": meta("e"), "addressType": "IPv4", "ports": [{"port": 80}, {"name": "x"}, {}],
            "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}],
        }),
        "e | IPv4 | 80,x,* | 10.0.0.1,10.0.0.2 | 60m",
    );
    check(
        "discovery.k8s.io",
        "EndpointSlice",
        json!({"metadata": meta("e"), "addressType": "IPv4", "endpoints": []}),
        "e | IPv4 | <unset> | <unset> | 60m",
    );
}

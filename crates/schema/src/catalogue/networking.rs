//! The groups `networking.k8s.io` and `discovery.k8s.io`.

use super::{Row, STATUS};
use crate::kinds::*;
use crate::resource::{Resource, Stability};

const V1: (&str, &str) = ("networking.k8s.io", "v1");
const V1BETA1: (&str, &str) = ("networking.k8s.io", "v1beta1");
const DISCOVERY_V1: (&str, &str) = ("discovery.k8s.io", "v1");

pub(super) const RESOURCES: &[Resource] = &[
    Row::cluster(
        V1,
        "ingressclasses",
        "ingressclass",
        ("IngressClass", "IngressClassList"),
        NETWORKING_V1_INGRESSCLASS,
    )
    .build(),
    Row::namespaced(V1, "ingresses", "ingress", ("Ingress", "IngressList"), NETWORKING_V1_INGRESS)
        .short(&["ing"])
        .subresources(STATUS)
        .prefix("ingress")
        .build(),
    Row::cluster(V1, "ipaddresses", "ipaddress", ("IPAddress", "IPAddressList"), NETWORKING_V1_IPADDRESS)
        .short(&["ip"])
        .build(),
    Row::namespaced(
        V1,
        "networkpolicies",
        "networkpolicy",
        ("NetworkPolicy", "NetworkPolicyList"),
        NETWORKING_V1_NETWORKPOLICY,
    )
    .short(&["netpol"])
    .build(),
    Row::cluster(
        V1,
        "servicecidrs",
        "servicecidr",
        ("ServiceCIDR", "ServiceCIDRList"),
        NETWORKING_V1_SERVICECIDR,
    )
    .subresources(STATUS)
    .build(),
    Row::cluster(
        V1BETA1,
        "ipaddresses",
        "ipaddress",
        ("IPAddress", "IPAddressList"),
        NETWORKING_V1BETA1_IPADDRESS,
    )
    .short(&["ip"])
    .stored_as("networking.k8s.io", "v1")
    .off(Stability::Beta)
    .build(),
    Row::cluster(
        V1BETA1,
        "servicecidrs",
        "servicecidr",
        ("ServiceCIDR", "ServiceCIDRList"),
        NETWORKING_V1BETA1_SERVICECIDR,
    )
    .subresources(STATUS)
    .stored_as("networking.k8s.io", "v1")
    .off(Stability::Beta)
    .build(),
];

pub(super) const DISCOVERY: &[Resource] = &[Row::namespaced(
    DISCOVERY_V1,
    "endpointslices",
    "endpointslice",
    ("EndpointSlice", "EndpointSliceList"),
    DISCOVERY_V1_ENDPOINTSLICE,
)
.build()];

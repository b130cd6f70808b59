//! The group `resource.k8s.io`: dynamic resource allocation.

use super::{Row, STATUS};
use crate::kinds::*;
use crate::resource::{Resource, Stability};

const V1: (&str, &str) = ("resource.k8s.io", "v1");
const V1BETA2: (&str, &str) = ("resource.k8s.io", "v1beta2");
const V1BETA1: (&str, &str) = ("resource.k8s.io", "v1beta1");
const V1ALPHA3: (&str, &str) = ("resource.k8s.io", "v1alpha3");

pub(super) const RESOURCES: &[Resource] = &[
    Row::cluster(
        V1,
        "deviceclasses",
        "deviceclass",
        ("DeviceClass", "DeviceClassList"),
        RESOURCE_V1_DEVICECLASS,
    )
    .build(),
    Row::namespaced(
        V1,
        "resourceclaims",
        "resourceclaim",
        ("ResourceClaim", "ResourceClaimList"),
        RESOURCE_V1_RESOURCECLAIM,
    )
    .subresources(STATUS)
    .build(),
    Row::namespaced(
        V1,
        "resourceclaimtemplates",
        "resourceclaimtemplate",
        ("ResourceClaimTemplate", "ResourceClaimTemplateList"),
        RESOURCE_V1_RESOURCECLAIMTEMPLATE,
    )
    .build(),
    Row::cluster(
        V1,
        "resourceslices",
        "resourceslice",
        ("ResourceSlice", "ResourceSliceList"),
        RESOURCE_V1_RESOURCESLICE,
    )
    .selectable(&["spec.driver", "spec.nodeName"])
    .build(),
    Row::cluster(
        V1BETA2,
        "deviceclasses",
        "deviceclass",
        ("DeviceClass", "DeviceClassList"),
        RESOURCE_V1BETA2_DEVICECLASS,
    )
    .stored_as("resource.k8s.io", "v1")
    .off(Stability::Beta)
    .build(),
    Row::cluster(
        V1BETA2,
        "devicetaintrules",
        "devicetaintrule",
        ("DeviceTaintRule", "DeviceTaintRuleList"),
        RESOURCE_V1BETA2_DEVICETAINTRULE,
    )
    .subresources(STATUS)
    .off(Stability::Beta)
    .build(),
    Row::namespaced(
        V1BETA2,
        "resourceclaims",
        "resourceclaim",
        ("ResourceClaim", "ResourceClaimList"),
        RESOURCE_V1BETA2_RESOURCECLAIM,
    )
    .subresources(STATUS)
    .stored_as("resource.k8s.io", "v1")
    .off(Stability::Beta)
    .build(),
    Row::namespaced(
        V1BETA2,
        "resourceclaimtemplates",
        "resourceclaimtemplate",
        ("ResourceClaimTemplate", "ResourceClaimTemplateList"),
        RESOURCE_V1BETA2_RESOURCECLAIMTEMPLATE,
    )
    .stored_as("resource.k8s.io", "v1")
    .off(Stability::Beta)
    .build(),
    Row::cluster(
        V1BETA2,
        "resourceslices",
        "resourceslice",
        ("ResourceSlice", "ResourceSliceList"),
        RESOURCE_V1BETA2_RESOURCESLICE,
    )
    .selectable(&["spec.driver", "spec.nodeName"])
    .stored_as("resource.k8s.io", "v1")
    .off(Stability::Beta)
    .build(),
    Row::cluster(
        V1BETA1,
        "deviceclasses",
        "deviceclass",
        ("DeviceClass", "DeviceClassList"),
        RESOURCE_V1BETA1_DEVICECLASS,
    )
    .stored_as("resource.k8s.io", "v1")
    .off(Stability::Beta)
    .build(),
    Row::namespaced(
        V1BETA1,
        "resourceclaims",
        "resourceclaim",
        ("ResourceClaim", "ResourceClaimList"),
        RESOURCE_V1BETA1_RESOURCECLAIM,
    )
    .subresources(STATUS)
    .stored_as("resource.k8s.io", "v1")
    .off(Stability::Beta)
    .build(),
    Row::namespaced(
        V1BETA1,
        "resourceclaimtemplates",
        "resourceclaimtemplate",
        ("ResourceClaimTemplate", "ResourceClaimTemplateList"),
        RESOURCE_V1BETA1_RESOURCECLAIMTEMPLATE,
    )
    .stored_as("resource.k8s.io", "v1")
    .off(Stability::Beta)
    .build(),
    Row::cluster(
        V1BETA1,
        "resourceslices",
        "resourceslice",
        ("ResourceSlice", "ResourceSliceList"),
        RESOURCE_V1BETA1_RESOURCESLICE,
    )
    .selectable(&["spec.driver", "spec.nodeName"])
    .stored_as("resource.k8s.io", "v1")
    .off(Stability::Beta)
    .build(),
    Row::cluster(
        V1ALPHA3,
        "devicetaintrules",
        "devicetaintrule",
        ("DeviceTaintRule", "DeviceTaintRuleList"),
        RESOURCE_V1ALPHA3_DEVICETAINTRULE,
    )
    .subresources(STATUS)
    .stored_as("resource.k8s.io", "v1beta2")
    .off(Stability::Alpha)
    .build(),
    Row::cluster(
        V1ALPHA3,
        "resourcepoolstatusrequests",
        "resourcepoolstatusrequest",
        ("ResourcePoolStatusRequest", "ResourcePoolStatusRequestList"),
        RESOURCE_V1ALPHA3_RESOURCEPOOLSTATUSREQUEST,
    )
    .subresources(STATUS)
    .off(Stability::Alpha)
    .build(),
];

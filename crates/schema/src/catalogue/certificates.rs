//! The group `certificates.k8s.io`.

use super::{Row, STATUS, own};
use crate::kinds::*;
use crate::resource::{Resource, Stability};

const V1: (&str, &str) = ("certificates.k8s.io", "v1");
const V1BETA1: (&str, &str) = ("certificates.k8s.io", "v1beta1");
const V1ALPHA1: (&str, &str) = ("certificates.k8s.io", "v1alpha1");

pub(super) const RESOURCES: &[Resource] = &[
    Row::cluster(
        V1,
        "certificatesigningrequests",
        "certificatesigningrequest",
        ("CertificateSigningRequest", "CertificateSigningRequestList"),
        CERTIFICATES_V1_CERTIFICATESIGNINGREQUEST,
    )
    .short(&["csr"])
    .subresources(&[own("approval"), own("status")])
    .selectable(&["spec.signerName"])
    .build(),
    Row::cluster(
        V1BETA1,
        "clustertrustbundles",
        "clustertrustbundle",
        ("ClusterTrustBundle", "ClusterTrustBundleList"),
        CERTIFICATES_V1BETA1_CLUSTERTRUSTBUNDLE,
    )
    .selectable(&["spec.signerName"])
    .off(Stability::Beta)
    .build(),
    Row::namespaced(
        V1BETA1,
        "podcertificaterequests",
        "podcertificaterequest",
        ("PodCertificateRequest", "PodCertificateRequestList"),
        CERTIFICATES_V1BETA1_PODCERTIFICATEREQUEST,
    )
    .subresources(STATUS)
    .selectable(&["spec.nodeName", "spec.signerName"])
    .off(Stability::Beta)
    .build(),
    Row::cluster(
        V1ALPHA1,
        "clustertrustbundles",
        "clustertrustbundle",
        ("ClusterTrustBundle", "ClusterTrustBundleList"),
        CERTIFICATES_V1ALPHA1_CLUSTERTRUSTBUNDLE,
    )
    .selectable(&["spec.signerName"])
    .stored_as("certificates.k8s.io", "v1beta1")
    .off(Stability::Alpha)
    .build(),
];

//! The group `admissionregistration.k8s.io`.

use super::{Row, STATUS};
use crate::kinds::*;
use crate::resource::{Resource, Stability};

const V1: (&str, &str) = ("admissionregistration.k8s.io", "v1");
const V1BETA1: (&str, &str) = ("admissionregistration.k8s.io", "v1beta1");
const V1ALPHA1: (&str, &str) = ("admissionregistration.k8s.io", "v1alpha1");

pub(super) const RESOURCES: &[Resource] = &[
    Row::cluster(
        V1,
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicy",
        ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyList"),
        ADMISSIONREGISTRATION_V1_MUTATINGADMISSIONPOLICY,
    )
    .categories(&["api-extensions"])
    .build(),
    Row::cluster(
        V1,
        "mutatingadmissionpolicybindings",
        "mutatingadmissionpolicybinding",
        ("MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBindingList"),
        ADMISSIONREGISTRATION_V1_MUTATINGADMISSIONPOLICYBINDING,
    )
    .categories(&["api-extensions"])
    .build(),
    Row::cluster(
        V1,
        "mutatingwebhookconfigurations",
        "mutatingwebhookconfiguration",
        ("MutatingWebhookConfiguration", "MutatingWebhookConfigurationList"),
        ADMISSIONREGISTRATION_V1_MUTATINGWEBHOOKCONFIGURATION,
    )
    .categories(&["api-extensions"])
    .build(),
    Row::cluster(
        V1,
        "validatingadmissionpolicies",
        "validatingadmissionpolicy",
        ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyList"),
        ADMISSIONREGISTRATION_V1_VALIDATINGADMISSIONPOLICY,
    )
    .categories(&["api-extensions"])
    .subresources(STATUS)
    .build(),
    Row::cluster(
        V1,
        "validatingadmissionpolicybindings",
        "validatingadmissionpolicybinding",
        ("ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicyBindingList"),
        ADMISSIONREGISTRATION_V1_VALIDATINGADMISSIONPOLICYBINDING,
    )
    .categories(&["api-extensions"])
    .build(),
    Row::cluster(
        V1,
        "validatingwebhookconfigurations",
        "validatingwebhookconfiguration",
        ("ValidatingWebhookConfiguration", "ValidatingWebhookConfigurationList"),
        ADMISSIONREGISTRATION_V1_VALIDATINGWEBHOOKCONFIGURATION,
    )
    .categories(&["api-extensions"])
    .build(),
    Row::cluster(
        V1BETA1,
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicy",
        ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyList"),
        ADMISSIONREGISTRATION_V1BETA1_MUTATINGADMISSIONPOLICY,
    )
    .categories(&["api-extensions"])
    .off(Stability::Beta)
    .build(),
    Row::cluster(
        V1BETA1,
        "mutatingadmissionpolicybindings",
        "mutatingadmissionpolicybinding",
        ("MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBindingList"),
        ADMISSIONREGISTRATION_V1BETA1_MUTATINGADMISSIONPOLICYBINDING,
    )
    .categories(&["api-extensions"])
    .off(Stability::Beta)
    .build(),
    Row::cluster(
        V1ALPHA1,
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicy",
        ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyList"),
        ADMISSIONREGISTRATION_V1ALPHA1_MUTATINGADMISSIONPOLICY,
    )
    .categories(&["api-extensions"])
    .off(Stability::Alpha)
    .build(),
    Row::cluster(
        V1ALPHA1,
        "mutatingadmissionpolicybindings",
        "mutatingadmissionpolicybinding",
        ("MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBindingList"),
        ADMISSIONREGISTRATION_V1ALPHA1_MUTATINGADMISSIONPOLICYBINDING,
    )
    .categories(&["api-extensions"])
    .off(Stability::Alpha)
    .build(),
];

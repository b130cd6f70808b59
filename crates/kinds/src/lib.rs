//! Strategies of the built-in kinds: defaulting, validation and what create, update and status may change.
//!
//! [`strategy`] finds the rules of a kind; [`create`] and [`update`] run them in the engine's order together
//! with the rules of [`strategy::metadata`]. Everything is a pure function over `serde_json::Value`.

mod address;
pub mod admission_expressions;
mod admission_policy;
mod api_service;
pub mod certificate_signing_request;
mod cluster_trust_bundle;
mod conditions;
mod config_map;
mod controller_revision;
mod cron;
mod cron_job;
mod csi;
pub mod custom_resource_definition;
mod daemon_set;
mod definition_warnings;
mod deployment;
pub mod deprecation;
mod device;
mod domain_path;
mod endpoint_slice;
mod endpoints;
mod event;
mod flow_control;
mod horizontal_pod_autoscaler;
mod ingress;
mod inline_volume;
mod job;
mod lease;
mod lease_candidate;
mod limit_range;
mod matched_rules;
pub mod namespace;
mod network_policy;
mod node;
mod pem;
mod persistent_volume;
mod pod_certificate_request;
mod pod_disruption_budget;
mod pod_group;
pub mod priority_class;
mod replica_set;
mod replication_controller;
mod resource_quota;
mod review;
mod role;
mod role_binding;
mod runtime_class;
mod scale;
pub mod secret;
pub mod service;
mod service_account;
mod stateful_set;
mod storage_class;
mod storage_version_migration;
mod topology;
mod webhook_client;
mod webhook_configuration;
mod workload;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use apimachinery::status::FieldError;
use apimachinery::time;
use jiff::Timestamp;
use serde_json::Value;

pub use device::{StatusRights, asked_admin_access, judge_admin_access, status_rights};
pub use device::{is_account_on, no_binding, no_driver};
pub use scale::judge_scale;
pub use strategy::{Dependents, Grace, Strategy, generic};

use pod_strategy::{Pod, persistent_volume_claim::PersistentVolumeClaim, pod_template::PodTemplate};
use strategy::{addresses, field::Errors, metadata, selectors};

/// The strategy of a kind, the generic one where the kind needs none of its own.
///
/// Kinds with several versions have one strategy, over the version that is stored: core/v1 for events of both
/// groups, autoscaling/v2 for HorizontalPodAutoscalers.
pub fn strategy(group: &str, kind: &str) -> &'static dyn Strategy {
    match (group, kind) {
        ("", "ConfigMap") => &config_map::ConfigMap,
        ("", "Endpoints") => &endpoints::Endpoints,
        ("", "Event") => &event::CoreEvent,
        ("", "Namespace") => &namespace::Namespace,
        ("", "Node") => &node::Node,
        ("", "PersistentVolume") => &persistent_volume::PersistentVolume,
        ("", "PersistentVolumeClaim") => &PersistentVolumeClaim,
        ("", "Pod") => &Pod,
        ("", "PodTemplate") => &PodTemplate,
        ("", "ReplicationController") => &replication_controller::ReplicationController,
        ("", "Secret") => &secret::Secret,
        ("", "Service") => &service::Service,
        ("apps", "ControllerRevision") => &controller_revision::ControllerRevision,
        ("apps", "DaemonSet") => &daemon_set::DaemonSet,
        ("apps", "Deployment") => &deployment::Deployment,
        ("apps", "ReplicaSet") => &replica_set::ReplicaSet,
        ("apps", "StatefulSet") => &stateful_set::StatefulSet,
        ("batch", "CronJob") => &cron_job::CronJob,
        ("batch", "Job") => &job::Job,
        ("coordination.k8s.io", "Lease") => &lease::Lease,
        ("discovery.k8s.io", "EndpointSlice") => &endpoint_slice::EndpointSlice,
        ("events.k8s.io", "Event") => &event::NewEvent,
        ("policy", "PodDisruptionBudget") => &pod_disruption_budget::PodDisruptionBudget,
        ("rbac.authorization.k8s.io", "ClusterRole") => &role::Role { namespaced: false },
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => {
            &role_binding::RoleBinding { namespaced: false }
        }
        ("rbac.authorization.k8s.io", "Role") => &role::Role { namespaced: true },
        ("rbac.authorization.k8s.io", "RoleBinding") => &role_binding::RoleBinding { namespaced: true },
        ("scheduling.k8s.io", "PodGroup") => &pod_group::PodGroup,
        ("scheduling.k8s.io", "PriorityClass") => &priority_class::PriorityClass,
        ("scheduling.k8s.io", "Workload") => &pod_group::Workload,
        ("storage.k8s.io", "StorageClass") => &storage_class::StorageClass,
        ("", "ServiceAccount") => &service_account::ServiceAccount,
        ("certificates.k8s.io", "ClusterTrustBundle") => &cluster_trust_bundle::ClusterTrustBundle,
        ("certificates.k8s.io", "PodCertificateRequest") => &pod_certificate_request::PodCertificateRequest,
        ("coordination.k8s.io", "LeaseCandidate") => &lease_candidate::LeaseCandidate,
        ("storagemigration.k8s.io", "StorageVersionMigration") => {
            &storage_version_migration::StorageVersionMigration
        }
        ("", "LimitRange") => &limit_range::LimitRange,
        ("", "ResourceQuota") => &resource_quota::ResourceQuota,
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy") => {
            &admission_policy::Policy { mutating: true }
        }
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding") => {
            &admission_policy::PolicyBinding { mutating: true }
        }
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => {
            &webhook_configuration::WebhookConfiguration { mutating: true }
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            &admission_policy::Policy { mutating: false }
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => {
            &admission_policy::PolicyBinding { mutating: false }
        }
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => {
            &webhook_configuration::WebhookConfiguration { mutating: false }
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            &custom_resource_definition::CustomResourceDefinition
        }
        ("apiregistration.k8s.io", "APIService") => &api_service::ApiService,
        ("authentication.k8s.io", "TokenRequest") => &review::TokenRequest,
        ("authentication.k8s.io", "TokenReview") => &review::TokenReview,
        ("authorization.k8s.io", "LocalSubjectAccessReview" | "SubjectAccessReview") => {
            &review::SubjectAccessReview
        }
        ("authorization.k8s.io", "SelfSubjectAccessReview") => &review::SelfSubjectAccessReview,
        ("autoscaling", "HorizontalPodAutoscaler") => &horizontal_pod_autoscaler::HorizontalPodAutoscaler,
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            &certificate_signing_request::CertificateSigningRequest
        }
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => &flow_control::FlowSchema,
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => {
            &flow_control::PriorityLevelConfiguration
        }
        ("networking.k8s.io", "IPAddress") => &address::IpAddress,
        ("networking.k8s.io", "Ingress") => &ingress::Ingress,
        ("networking.k8s.io", "IngressClass") => &ingress::IngressClass,
        ("networking.k8s.io", "NetworkPolicy") => &network_policy::NetworkPolicy,
        ("networking.k8s.io", "ServiceCIDR") => &address::ServiceCidr,
        ("node.k8s.io", "RuntimeClass") => &runtime_class::RuntimeClass,
        ("resource.k8s.io", "DeviceClass") => &device::DeviceClass,
        ("resource.k8s.io", "DeviceTaintRule") => &device::DeviceTaintRule,
        ("resource.k8s.io", "ResourceClaim") => &device::ResourceClaim,
        ("resource.k8s.io", "ResourceClaimTemplate") => &device::ResourceClaimTemplate,
        ("resource.k8s.io", "ResourcePoolStatusRequest") => &device::ResourcePoolStatusRequest,
        ("resource.k8s.io", "ResourceSlice") => &device::ResourceSlice,
        ("storage.k8s.io", "CSIDriver") => &csi::CsiDriver,
        ("storage.k8s.io", "CSINode") => &csi::CsiNode,
        ("storage.k8s.io", "CSIStorageCapacity") => &csi::CsiStorageCapacity,
        ("storage.k8s.io", "VolumeAttachment") => &csi::VolumeAttachment,
        ("storage.k8s.io", "VolumeAttributesClass") => &csi::VolumeAttributesClass,
        _ => &generic::PLAIN,
    }
}

/// Prepares a defaulted and admitted new object and lists everything that is wrong with it.
pub fn create(strategy: &dyn Strategy, namespaced: bool, object: &mut Value) -> Vec<FieldError> {
    metadata::prepare_for_create(object);
    strategy.prepare_for_create(object);
    let mut errors = Errors::new();
    errors.extend(metadata::validate_create(object, namespaced, strategy.name_rule()));
    if !strategy.takes_any_finalizer() {
        errors.extend(metadata::validate_finalizer_names(object));
    }
    strategy.validate(object, &mut errors);
    errors.into_vec()
}

/// Prepares a defaulted and admitted update and lists everything that is wrong with it.
///
/// The resourceVersion is the store's business: see [`missing_resource_version`].
pub fn update(strategy: &dyn Strategy, new: &mut Value, old: &Value) -> Vec<FieldError> {
    metadata::prepare_for_update(new, old);
    strategy.prepare_for_update(new, old);
    let mut errors = Errors::new();
    errors.extend(metadata::validate_update(new, old));
    if !strategy.takes_any_finalizer() {
        errors.extend(metadata::validate_finalizer_names(new));
    }
    strategy.validate_update(new, old, &mut errors);
    addresses::forgive_stored(&mut errors, old);
    selectors::forgive_stored(&mut errors, old);
    errors.into_vec()
}

/// As [`update`], for the `status` subresource.
pub fn update_status(strategy: &dyn Strategy, new: &mut Value, old: &Value) -> Vec<FieldError> {
    metadata::prepare_for_update(new, old);
    strategy.prepare_status_update(new, old);
    let mut errors = Errors::new();
    errors.extend(metadata::validate_update(new, old));
    strategy.validate_status_update(new, old, &mut errors);
    addresses::forgive_stored(&mut errors, old);
    errors.into_vec()
}

/// Dates what a kind's rules have dated by the server, in an object that was prepared to be created (and was null
/// before) or updated.
pub fn date(group: &str, kind: &str, new: &mut Value, old: &Value, now: Timestamp) {
    match (group, kind) {
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            certificate_signing_request::date_conditions(new, old, &time::rfc3339(now));
        }
        ("resource.k8s.io", "DeviceTaintRule" | "ResourceSlice") => {
            device::date(kind, new, old, &time::rfc3339(now));
        }
        ("", "PersistentVolume") => persistent_volume::date_phase(new, old, &time::rfc3339(now)),
        ("apiregistration.k8s.io", "APIService") if old.is_null() => {
            api_service::mark_local(new, &time::rfc3339(now));
        }
        _ => {}
    }
}

/// Lists what is wrong with a status update that was prepared and found in order, at this time.
pub fn judge_status_at(group: &str, kind: &str, new: &Value, old: &Value, now: Timestamp) -> Vec<FieldError> {
    let mut errors = Errors::new();
    if (group, kind) == ("certificates.k8s.io", "PodCertificateRequest") {
        pod_certificate_request::validate_status_at(new, old, now, &mut errors);
    }
    errors.into_vec()
}

/// The error of an update that names no version, for kinds without `allow_unconditional_update`.
pub fn missing_resource_version() -> FieldError {
    // A number without a sign, as upstream prints it.
    FieldError::invalid_unshown("metadata.resourceVersion", "0x0: must be specified for an update")
}

//! The kinds that the tables start from; everything they refer to comes along.

use k8s_openapi::api;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
use k8s_openapi::apimachinery::pkg::{apis::meta, version};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration;
use k8s_openapi::schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The definitions of all roots and what they refer to, and the names of the roots that have lists.
pub struct Definitions {
    /// JSON schemas by definition name; references read `#/definitions/<name>`.
    pub schemas: Map<String, Value>,
    /// Kinds that are served as lists too.
    pub listed: Vec<String>,
    /// Kinds that are not.
    pub single: Vec<String>,
}

macro_rules! add {
    ($generator:ident, $names:ident, $($module:path => $($kind:ident)+;)+) => {
        $({
            use $module as module;
            $(
                $generator.subschema_for::<module::$kind>();
                $names.push(<module::$kind as k8s_openapi::schemars::JsonSchema>::schema_name().into_owned());
            )+
        })+
    };
}

/// Collects the definitions from k8s-openapi.
pub fn definitions() -> Definitions {
    let mut generator = SchemaSettings::draft07().into_generator();
    let mut listed = Vec::new();
    add! { generator, listed,
        api::admissionregistration::v1 => MutatingAdmissionPolicy MutatingAdmissionPolicyBinding
            MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
            ValidatingWebhookConfiguration;
        api::admissionregistration::v1alpha1 => MutatingAdmissionPolicy MutatingAdmissionPolicyBinding;
        api::admissionregistration::v1beta1 => MutatingAdmissionPolicy MutatingAdmissionPolicyBinding;
        api::apiserverinternal::v1alpha1 => StorageVersion;
        api::apps::v1 => ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet;
        api::autoscaling::v1 => HorizontalPodAutoscaler;
        api::autoscaling::v2 => HorizontalPodAutoscaler;
        api::batch::v1 => CronJob Job;
        api::certificates::v1 => CertificateSigningRequest;
        api::certificates::v1alpha1 => ClusterTrustBundle;
        api::certificates::v1beta1 => ClusterTrustBundle PodCertificateRequest;
        api::coordination::v1 => Lease;
        api::coordination::v1alpha2 => LeaseCandidate;
        api::coordination::v1beta1 => LeaseCandidate;
        api::core::v1 => ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume
            PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service
            ServiceAccount;
        api::discovery::v1 => EndpointSlice;
        api::events::v1 => Event;
        api::flowcontrol::v1 => FlowSchema PriorityLevelConfiguration;
        api::networking::v1 => Ingress IngressClass IPAddress NetworkPolicy ServiceCIDR;
        api::networking::v1beta1 => IPAddress ServiceCIDR;
        api::node::v1 => RuntimeClass;
        api::policy::v1 => PodDisruptionBudget;
        api::rbac::v1 => ClusterRole ClusterRoleBinding Role RoleBinding;
        api::resource::v1 => DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice;
        api::resource::v1alpha3 => DeviceTaintRule ResourcePoolStatusRequest;
        api::resource::v1beta1 => DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice;
        api::resource::v1beta2 => DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice;
        api::scheduling::v1 => PriorityClass;
        api::scheduling::v1alpha2 => PodGroup Workload;
        api::storage::v1 => CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment
            VolumeAttributesClass;
        api::storage::v1beta1 => VolumeAttributesClass;
        api::storagemigration::v1beta1 => StorageVersionMigration;
        apiextensions::v1 => CustomResourceDefinition;
        apiregistration::v1 => APIService;
    }
    let mut single = Vec::new();
    add! { generator, single,
        api::authentication::v1 => SelfSubjectReview TokenRequest TokenReview;
        api::authorization::v1 => LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview
            SubjectAccessReview;
        api::autoscaling::v1 => Scale;
        api::core::v1 => Binding;
        api::policy::v1 => Eviction;
        meta::v1 => APIGroup APIGroupList APIResourceList APIVersions Status DeleteOptions ListMeta Patch;
        version => Info;
    }
    generator.subschema_for::<meta::v1::WatchEvent<k8s_openapi::apimachinery::pkg::runtime::RawExtension>>();
    let schemas = generator.take_definitions(false);
    Definitions { schemas, listed, single }
}

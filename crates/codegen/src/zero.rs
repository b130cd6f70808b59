//! Which optional fields are pointers in Go, or lack `omitempty`: their zero value is kept.
//!
//! All other optional scalars, lists and maps are plain values with `omitempty`, so that a stored object
//! never holds their zero value.

use std::collections::BTreeSet;

use crate::model::ShapeModel;
use crate::names::expand;

/// Types and the optional fields of theirs that Go writes at zero.
const POINTERS: &[(&str, &str)] = &[
    (
        "admissionregistration.v1.MutatingWebhook",
        "failurePolicy matchPolicy reinvocationPolicy timeoutSeconds",
    ),
    ("admissionregistration.v1.ValidatingWebhook", "failurePolicy matchPolicy timeoutSeconds"),
    ("admissionregistration.v1.MatchResources", "matchPolicy"),
    ("admissionregistration.v1.MutatingAdmissionPolicySpec+ValidatingAdmissionPolicySpec", "failurePolicy"),
    ("admissionregistration.v1.NamedRuleWithOperations+RuleWithOperations", "scope"),
    ("admissionregistration.v1.ParamRef", "parameterNotFoundAction"),
    ("admissionregistration.v1.Validation", "reason"),
    ("admissionregistration.v1.ServiceReference", "path port"),
    ("admissionregistration.v1.WebhookClientConfig", "url"),
    ("apiextensions.v1.ServiceReference", "path port"),
    ("apiextensions.v1.WebhookClientConfig", "url"),
    ("apiextensions.v1.CustomResourceDefinitionVersion", "deprecationWarning"),
    ("apiextensions.v1.CustomResourceSubresourceScale", "labelSelectorPath"),
    ("apiextensions.v1.CustomResourceDefinitionStatus", "conditions storedVersions"),
    (
        "apiextensions.v1.JSONSchemaProps",
        "$ref maxItems maxLength maxProperties minItems minLength minProperties x-kubernetes-list-type x-kubernetes-map-type x-kubernetes-preserve-unknown-fields",
    ),
    ("apiextensions.v1.ValidationRule", "optionalOldSelf reason"),
    ("apiregistration.v1.ServiceReference", "port"),
    ("apps.v1.DaemonSetSpec", "revisionHistoryLimit"),
    ("apps.v1.DaemonSetStatus", "collisionCount"),
    ("apps.v1.DeploymentSpec", "progressDeadlineSeconds replicas revisionHistoryLimit"),
    ("apps.v1.DeploymentStatus", "collisionCount terminatingReplicas"),
    ("apps.v1.ReplicaSetSpec", "replicas"),
    ("apps.v1.ReplicaSetStatus", "terminatingReplicas"),
    ("apps.v1.RollingUpdateStatefulSetStrategy", "partition"),
    ("apps.v1.StatefulSetOrdinals", "start"),
    ("apps.v1.StatefulSetSpec", "replicas revisionHistoryLimit"),
    ("apps.v1.StatefulSetStatus", "availableReplicas collisionCount"),
    ("authentication.v1.TokenRequestSpec", "expirationSeconds"),
    ("autoscaling.v1.HorizontalPodAutoscalerSpec", "minReplicas targetCPUUtilizationPercentage"),
    ("autoscaling.v1.HorizontalPodAutoscalerStatus", "currentCPUUtilizationPercentage observedGeneration"),
    ("autoscaling.v1.ScaleSpec", "replicas"),
    ("autoscaling.v2.HPAScalingRules", "selectPolicy stabilizationWindowSeconds"),
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", "minReplicas"),
    ("autoscaling.v2.HorizontalPodAutoscalerStatus", "observedGeneration"),
    ("autoscaling.v2.MetricTarget+MetricValueStatus", "averageUtilization"),
    (
        "batch.v1.CronJobSpec",
        "failedJobsHistoryLimit startingDeadlineSeconds successfulJobsHistoryLimit suspend timeZone",
    ),
    (
        "batch.v1.JobSpec",
        "activeDeadlineSeconds backoffLimit backoffLimitPerIndex completionMode completions managedBy manualSelector maxFailedIndexes parallelism podReplacementPolicy suspend ttlSecondsAfterFinished",
    ),
    ("batch.v1.JobStatus", "failedIndexes ready terminating"),
    ("batch.v1.PodFailurePolicyOnExitCodesRequirement", "containerName"),
    ("batch.v1.SuccessPolicyRule", "succeededCount succeededIndexes"),
    ("certificates.v1.CertificateSigningRequestSpec", "expirationSeconds"),
    (
        "coordination.v1.LeaseSpec",
        "holderIdentity leaseDurationSeconds leaseTransitions preferredHolder strategy",
    ),
    ("core.v1.AppArmorProfile+SeccompProfile", "localhostProfile"),
    ("core.v1.AzureDiskVolumeSource", "cachingMode fsType kind readOnly"),
    ("core.v1.AzureFilePersistentVolumeSource", "secretNamespace"),
    ("core.v1.CSIVolumeSource", "fsType readOnly"),
    ("core.v1.ClientIPConfig", "timeoutSeconds"),
    ("core.v1.ClusterTrustBundleProjection", "name optional signerName"),
    ("core.v1.ConfigMap+Secret", "immutable"),
    (
        "core.v1.ConfigMapEnvSource+ConfigMapKeySelector+ConfigMapProjection+FileKeySelector+SecretEnvSource+SecretKeySelector+SecretProjection",
        "optional",
    ),
    ("core.v1.ConfigMapVolumeSource+SecretVolumeSource", "defaultMode optional"),
    ("core.v1.DownwardAPIVolumeSource+ProjectedVolumeSource", "defaultMode"),
    ("core.v1.DownwardAPIVolumeFile+KeyToPath", "mode"),
    ("core.v1.Container+EphemeralContainer", "restartPolicy"),
    ("core.v1.ContainerStatus", "started stopSignal"),
    ("core.v1.EndpointAddress", "nodeName"),
    ("core.v1.EndpointPort+ServicePort", "appProtocol"),
    ("core.v1.FCVolumeSource", "lun"),
    ("core.v1.GRPCAction", "service"),
    ("core.v1.GlusterfsPersistentVolumeSource", "endpointsNamespace"),
    ("core.v1.HostPathVolumeSource", "type"),
    ("core.v1.ISCSIPersistentVolumeSource+ISCSIVolumeSource", "initiatorName"),
    ("core.v1.Lifecycle", "stopSignal"),
    ("core.v1.LoadBalancerIngress", "ipMode"),
    ("core.v1.LocalVolumeSource", "fsType"),
    ("core.v1.NodeFeatures", "supplementalGroupsPolicy"),
    ("core.v1.NodeRuntimeHandlerFeatures", "recursiveReadOnlyMounts userNamespaces"),
    ("core.v1.NodeSwapStatus", "capacity"),
    ("core.v1.PersistentVolumeClaimSpec", "storageClassName volumeAttributesClassName volumeMode"),
    ("core.v1.PersistentVolumeClaimStatus", "currentVolumeAttributesClassName"),
    ("core.v1.PersistentVolumeSpec", "volumeAttributesClassName volumeMode"),
    ("core.v1.PodCertificateProjection", "maxExpirationSeconds"),
    ("core.v1.PodDNSConfigOption", "value"),
    ("core.v1.PodResourceClaim", "resourceClaimName resourceClaimTemplateName"),
    ("core.v1.PodResourceClaimStatus", "resourceClaimName"),
    ("core.v1.PodSchedulingGroup", "podGroupName"),
    (
        "core.v1.PodSecurityContext",
        "fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser seLinuxChangePolicy supplementalGroupsPolicy",
    ),
    (
        "core.v1.PodSpec",
        "activeDeadlineSeconds automountServiceAccountToken enableServiceLinks hostUsers hostnameOverride preemptionPolicy priority runtimeClassName setHostnameAsFQDN shareProcessNamespace terminationGracePeriodSeconds",
    ),
    ("core.v1.PortStatus", "error"),
    ("core.v1.Probe", "terminationGracePeriodSeconds"),
    ("core.v1.ReplicationControllerSpec", "replicas"),
    ("core.v1.ResourceHealth", "message"),
    (
        "core.v1.SecurityContext",
        "allowPrivilegeEscalation privileged procMount readOnlyRootFilesystem runAsGroup runAsNonRoot runAsUser",
    ),
    ("core.v1.ServiceAccount", "automountServiceAccountToken"),
    ("core.v1.ServiceAccountTokenProjection", "expirationSeconds"),
    (
        "core.v1.ServiceSpec",
        "allocateLoadBalancerNodePorts internalTrafficPolicy ipFamilyPolicy loadBalancerClass trafficDistribution",
    ),
    ("core.v1.Toleration", "tolerationSeconds"),
    ("core.v1.TopologySpreadConstraint", "minDomains nodeAffinityPolicy nodeTaintsPolicy"),
    ("core.v1.TypedLocalObjectReference", "apiGroup"),
    ("core.v1.TypedObjectReference", "apiGroup namespace"),
    ("core.v1.VolumeMount", "mountPropagation recursiveReadOnly"),
    ("core.v1.VolumeMountStatus", "recursiveReadOnly"),
    (
        "core.v1.WindowsSecurityContextOptions",
        "gmsaCredentialSpec gmsaCredentialSpecName hostProcess runAsUserName",
    ),
    ("discovery.v1.Endpoint", "hostname nodeName zone"),
    ("discovery.v1.EndpointConditions", "ready serving terminating"),
    ("discovery.v1.EndpointPort", "appProtocol name port protocol"),
    ("discovery.v1.EndpointSlice", "ports"),
    ("flowcontrol.v1.ExemptPriorityLevelConfiguration", "lendablePercent nominalConcurrencyShares"),
    (
        "flowcontrol.v1.LimitedPriorityLevelConfiguration",
        "borrowingLimitPercent lendablePercent nominalConcurrencyShares",
    ),
    ("flowcontrol.v1.FlowSchemaSpec", "matchingPrecedence"),
    (
        "meta.v1.DeleteOptions",
        "gracePeriodSeconds ignoreStoreReadErrorWithClusterBreakingPotential orphanDependents propagationPolicy",
    ),
    ("meta.v1.ListMeta", "remainingItemCount"),
    ("meta.v1.ObjectMeta", "deletionGracePeriodSeconds"),
    ("meta.v1.OwnerReference", "blockOwnerDeletion controller"),
    ("meta.v1.Preconditions", "resourceVersion uid"),
    ("networking.v1.IngressClassParametersReference", "apiGroup namespace scope"),
    ("networking.v1.IngressPortStatus", "error"),
    ("networking.v1.IngressSpec", "ingressClassName"),
    ("networking.v1.NetworkPolicyPort", "endPort protocol"),
    ("policy.v1.PodDisruptionBudgetSpec", "unhealthyPodEvictionPolicy"),
    ("policy.v1.PodDisruptionBudgetStatus", "currentHealthy desiredHealthy disruptionsAllowed expectedPods"),
    ("rbac.v1.ClusterRole+Role", "rules"),
    ("rbac.v1.RoleRef", "apiGroup"),
    ("resource.v1.AllocatedDeviceStatus+DeviceRequestAllocationResult", "shareID"),
    ("resource.v1.Device", "allNodes allowMultipleAllocations bindsToNode nodeName"),
    ("resource.v1.DeviceAttribute", "bool int string version"),
    ("resource.v1.DeviceClassSpec", "extendedResourceName"),
    ("resource.v1.DeviceConstraint", "distinctAttribute matchAttribute"),
    ("resource.v1.DeviceRequestAllocationResult", "adminAccess"),
    ("resource.v1.DeviceToleration", "tolerationSeconds"),
    ("resource.v1.ExactDeviceRequest", "adminAccess"),
    ("resource.v1.ResourceSliceSpec", "allNodes nodeName perDeviceNodeSelection"),
    ("scheduling.v1.PriorityClass", "preemptionPolicy value"),
    (
        "storage.v1.CSIDriverSpec",
        "attachRequired fsGroupPolicy nodeAllocatableUpdatePeriodSeconds podInfoOnMount preventPodSchedulingIfMissing requiresRepublish seLinuxMount serviceAccountTokenInSecrets storageCapacity",
    ),
    ("storage.v1.StorageClass", "allowVolumeExpansion reclaimPolicy volumeBindingMode"),
    ("storage.v1.TokenRequest", "expirationSeconds"),
    ("storage.v1.VolumeAttachmentSource", "persistentVolumeName"),
    ("storage.v1.VolumeError", "errorCode"),
    ("storage.v1.VolumeNodeResources", "count"),
];

/// Types and those fields of theirs that are structs by value in Go, so that they are always written, if empty.
/// The metadata, spec and status of every kind are such too.
const EMBEDDED: &[(&str, &str)] = &[
    ("admissionregistration.v1.MutatingWebhook+ValidatingWebhook", "clientConfig"),
    ("apps.v1.DaemonSetSpec+StatefulSetSpec", "template updateStrategy"),
    ("apps.v1.DeploymentSpec", "strategy template"),
    ("apps.v1.ReplicaSetSpec", "template"),
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", "scaleTargetRef"),
    ("batch.v1.CronJobSpec", "jobTemplate"),
    ("batch.v1.JobSpec", "template"),
    ("batch.v1.JobTemplateSpec", "metadata spec"),
    ("core.v1.Container+EphemeralContainer", "resources"),
    ("core.v1.ContainerStatus", "lastState state"),
    ("core.v1.Event", "involvedObject source"),
    ("core.v1.NodeDaemonEndpoints", "kubeletEndpoint"),
    ("core.v1.NodeStatus", "daemonEndpoints nodeInfo"),
    ("core.v1.PersistentVolumeClaimSpec", "resources"),
    ("core.v1.PersistentVolumeClaimTemplate", "metadata spec"),
    ("core.v1.PodTemplate", "template"),
    ("core.v1.PodTemplateSpec", "metadata spec"),
    ("core.v1.ServiceStatus", "loadBalancer"),
    ("events.v1.Event", "deprecatedSource regarding"),
    ("networking.v1.HTTPIngressPath", "backend"),
    ("networking.v1.IngressStatus", "loadBalancer"),
    ("networking.v1.NetworkPolicySpec", "podSelector"),
    ("resource.v1.ResourceClaimTemplateSpec", "metadata spec"),
    ("storage.v1.VolumeAttachmentSpec", "source"),
];

/// Lists every field that is kept at zero by definition and field name.
pub fn pointers() -> BTreeSet<(String, String)> {
    listed(POINTERS)
}

/// Lists every field outside a kind's own three that is a struct by value.
pub fn embedded() -> BTreeSet<(String, String)> {
    listed(EMBEDDED)
}

fn listed(table: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    table
        .iter()
        .flat_map(|(types, fields)| {
            expand(types)
                .into_iter()
                .flat_map(|name| fields.split(' ').map(move |field| (name.clone(), field.to_owned())))
        })
        .collect()
}

/// Says whether a shape has a zero value that `omitempty` leaves out.
pub fn has_zero(shape: &ShapeModel) -> bool {
    match shape {
        ShapeModel::Scalar(name) => matches!(*name, "Bool" | "Int32" | "Int64" | "String" | "Bytes"),
        ShapeModel::Ref(..) => false,
        ShapeModel::Array(_) | ShapeModel::Map(_) => true,
    }
}

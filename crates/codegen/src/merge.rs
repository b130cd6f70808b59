//! Merge facts of the API's fields: how lists and maps merge in server-side apply (`+listType`,
//! `+listMapKey`, `+mapType`) and in strategic merge patch (`patchStrategy`, `patchMergeKey`).
//!
//! Types are written `group.versions.names`, several versions or names joined by `+`.

use std::collections::BTreeMap;

use crate::names::expand;

/// Structs declared `+structType=atomic`: always replaced as a whole.
pub const ATOMIC_STRUCTS: &[&str] = &[
    "admissionregistration.v1+v1alpha1+v1beta1.MatchResources+NamedRuleWithOperations+ParamKind+ParamRef",
    "admissionregistration.v1+v1beta1.Variable",
    "autoscaling.v1.CrossVersionObjectReference",
    "core.v1.ConfigMapKeySelector+EndpointAddress+EndpointPort+FileKeySelector+LocalObjectReference+NodeSelector+NodeSelectorTerm+ObjectFieldSelector+ObjectReference+ResourceFieldSelector+ScopeSelector+SecretKeySelector+SecretReference+TopologySelectorTerm+TypedLocalObjectReference",
    "discovery.v1.EndpointPort",
    "networking.v1.ServiceBackendPort",
    "rbac.v1.RoleRef+Subject",
    "meta.v1.LabelSelector+OwnerReference",
];

/// Lists replaced as a whole.
pub const ATOMIC_LISTS: &[(&str, &str)] = &[
    ("admissionregistration.v1+v1alpha1+v1beta1.MatchResources", "excludeResourceRules resourceRules"),
    ("admissionregistration.v1+v1alpha1+v1beta1.MutatingAdmissionPolicySpec", "mutations variables"),
    ("admissionregistration.v1.MutatingWebhook+ValidatingWebhook", "admissionReviewVersions rules"),
    (
        "admissionregistration.v1+v1alpha1+v1beta1.NamedRuleWithOperations",
        "apiGroups apiVersions operations resourceNames resources",
    ),
    ("admissionregistration.v1.RuleWithOperations", "apiGroups apiVersions operations resources"),
    ("admissionregistration.v1.TypeChecking", "expressionWarnings"),
    ("admissionregistration.v1.ValidatingAdmissionPolicySpec", "auditAnnotations validations"),
    ("apps.v1.StatefulSetSpec", "volumeClaimTemplates"),
    ("authentication.v1.TokenRequestSpec+TokenReviewSpec+TokenReviewStatus", "audiences"),
    ("authentication.v1.UserInfo", "groups"),
    ("authorization.v1.FieldSelectorAttributes+LabelSelectorAttributes", "requirements"),
    ("authorization.v1.NonResourceRule", "nonResourceURLs verbs"),
    ("authorization.v1.ResourceRule", "apiGroups resourceNames resources verbs"),
    ("authorization.v1.SubjectAccessReviewSpec", "groups"),
    ("authorization.v1.SubjectRulesReviewStatus", "nonResourceRules resourceRules"),
    ("autoscaling.v2.HPAScalingRules", "policies"),
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", "metrics"),
    ("autoscaling.v2.HorizontalPodAutoscalerStatus", "currentMetrics"),
    ("batch.v1.CronJobStatus", "active"),
    ("batch.v1.PodFailurePolicy+SuccessPolicy", "rules"),
    ("batch.v1.PodFailurePolicyRule", "onPodConditions"),
    ("certificates.v1.CertificateSigningRequestSpec", "groups usages"),
    ("core.v1.Capabilities", "add drop"),
    (
        "core.v1.CephFSPersistentVolumeSource+CephFSVolumeSource+RBDPersistentVolumeSource+RBDVolumeSource",
        "monitors",
    ),
    (
        "core.v1.ConfigMapProjection+ConfigMapVolumeSource+DownwardAPIProjection+DownwardAPIVolumeSource+SecretProjection+SecretVolumeSource",
        "items",
    ),
    ("core.v1.Container+EphemeralContainer", "args command envFrom resizePolicy restartPolicyRules"),
    ("core.v1.ContainerImage", "names"),
    ("core.v1.EndpointSubset", "addresses notReadyAddresses ports"),
    ("core.v1.Endpoints", "subsets"),
    ("core.v1.ExecAction", "command"),
    ("core.v1.FCVolumeSource", "targetWWNs wwids"),
    ("core.v1.HTTPGetAction", "httpHeaders"),
    ("core.v1.HostAlias", "hostnames"),
    ("core.v1.ISCSIPersistentVolumeSource+ISCSIVolumeSource", "portals"),
    ("core.v1.LimitRangeSpec", "limits"),
    ("core.v1.LinuxContainerUser", "supplementalGroups"),
    ("core.v1.LoadBalancerIngress", "ports"),
    ("core.v1.LoadBalancerStatus", "ingress"),
    ("core.v1.NamespaceSpec", "finalizers"),
    ("core.v1.NodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution"),
    ("core.v1.NodeSelector", "nodeSelectorTerms"),
    (
        "core.v1.NodeSelectorRequirement+ScopedResourceSelectorRequirement+TopologySelectorLabelRequirement",
        "values",
    ),
    ("core.v1.NodeSelectorTerm", "matchExpressions matchFields"),
    ("core.v1.NodeSpec", "taints"),
    ("core.v1.NodeStatus", "declaredFeatures images runtimeHandlers volumesAttached volumesInUse"),
    ("core.v1.PersistentVolumeClaimSpec+PersistentVolumeClaimStatus", "accessModes"),
    ("core.v1.PersistentVolumeSpec", "accessModes mountOptions"),
    (
        "core.v1.PodAffinity+PodAntiAffinity",
        "preferredDuringSchedulingIgnoredDuringExecution requiredDuringSchedulingIgnoredDuringExecution",
    ),
    ("core.v1.PodAffinityTerm", "matchLabelKeys mismatchLabelKeys namespaces"),
    ("core.v1.PodDNSConfig", "nameservers options searches"),
    ("core.v1.PodExtendedResourceClaimStatus", "requestMappings"),
    ("core.v1.PodSecurityContext", "supplementalGroups sysctls"),
    ("core.v1.PodSpec", "readinessGates tolerations"),
    (
        "core.v1.PodStatus",
        "containerStatuses ephemeralContainerStatuses initContainerStatuses nodeAllocatableResourceClaimStatuses",
    ),
    ("core.v1.ProjectedVolumeSource", "sources"),
    ("core.v1.ResourceQuotaSpec", "scopes"),
    ("core.v1.ScopeSelector", "matchExpressions"),
    ("core.v1.ServiceAccount", "imagePullSecrets"),
    ("core.v1.ServiceSpec", "clusterIPs externalIPs ipFamilies loadBalancerSourceRanges"),
    ("core.v1.TopologySelectorTerm", "matchLabelExpressions"),
    ("core.v1.TopologySpreadConstraint", "matchLabelKeys"),
    ("discovery.v1.EndpointHints", "forNodes forZones"),
    ("discovery.v1.EndpointSlice", "endpoints ports"),
    ("flowcontrol.v1.FlowSchemaSpec", "rules"),
    ("flowcontrol.v1.PolicyRulesWithSubjects", "nonResourceRules resourceRules subjects"),
    ("networking.v1.HTTPIngressRuleValue", "paths"),
    ("networking.v1.IPBlock", "except"),
    ("networking.v1.IngressLoadBalancerIngress", "ports"),
    ("networking.v1.IngressLoadBalancerStatus", "ingress"),
    ("networking.v1.IngressSpec", "rules tls"),
    ("networking.v1.IngressTLS", "hosts"),
    ("networking.v1.NetworkPolicyEgressRule", "ports to"),
    ("networking.v1.NetworkPolicyIngressRule", "from ports"),
    ("networking.v1.NetworkPolicySpec", "egress ingress policyTypes"),
    ("networking.v1+v1beta1.ServiceCIDRSpec", "cidrs"),
    ("node.v1.Scheduling", "tolerations"),
    ("rbac.v1.AggregationRule", "clusterRoleSelectors"),
    ("rbac.v1.ClusterRole+Role", "rules"),
    ("rbac.v1.ClusterRoleBinding+RoleBinding", "subjects"),
    ("rbac.v1.PolicyRule", "apiGroups nonResourceURLs resourceNames resources verbs"),
    ("resource.v1+v1beta1+v1beta2.CapacityRequestPolicy", "validValues"),
    ("resource.v1+v1beta2.Device", "bindingConditions bindingFailureConditions consumesCounters taints"),
    (
        "resource.v1+v1beta1+v1beta2.DeviceAllocationConfiguration+DeviceClaimConfiguration+DeviceConstraint",
        "requests",
    ),
    ("resource.v1+v1beta1+v1beta2.DeviceAllocationResult", "config results"),
    ("resource.v1+v1beta1+v1beta2.DeviceAttribute", "bools ints strings versions"),
    ("resource.v1+v1beta1+v1beta2.DeviceClaim", "config constraints requests"),
    ("resource.v1+v1beta1+v1beta2.DeviceClassSpec", "config selectors"),
    ("resource.v1+v1beta2.DeviceRequest", "firstAvailable"),
    (
        "resource.v1+v1beta1+v1beta2.DeviceRequestAllocationResult",
        "bindingConditions bindingFailureConditions tolerations",
    ),
    ("resource.v1+v1beta1+v1beta2.DeviceSubRequest", "selectors tolerations"),
    ("resource.v1+v1beta2.ExactDeviceRequest", "selectors tolerations"),
    ("resource.v1+v1beta1+v1beta2.NetworkDeviceData", "ips"),
    ("resource.v1+v1beta1+v1beta2.ResourceSliceSpec", "devices sharedCounters"),
    ("resource.v1alpha3.ResourcePoolStatusRequestStatus", "pools"),
    ("resource.v1beta1.BasicDevice", "bindingConditions bindingFailureConditions consumesCounters taints"),
    ("resource.v1beta1.DeviceRequest", "firstAvailable selectors tolerations"),
    ("scheduling.v1alpha2.PodGroupSchedulingConstraints", "topology"),
    ("storage.v1.CSIDriverSpec", "tokenRequests"),
    ("storage.v1.CSINodeDriver", "topologyKeys"),
    ("storage.v1.StorageClass", "allowedTopologies mountOptions"),
    ("apiextensions.v1.CustomResourceDefinitionNames", "categories shortNames"),
    ("apiextensions.v1.CustomResourceDefinitionSpec", "versions"),
    ("apiextensions.v1.CustomResourceDefinitionStatus", "storedVersions"),
    ("apiextensions.v1.CustomResourceDefinitionVersion", "additionalPrinterColumns selectableFields"),
    ("apiextensions.v1.JSONSchemaProps", "allOf anyOf enum oneOf required x-kubernetes-list-map-keys"),
    ("apiextensions.v1.WebhookConversion", "conversionReviewVersions"),
    ("meta.v1.APIGroup+APIVersions", "serverAddressByClientCIDRs versions"),
    ("meta.v1.APIGroupList", "groups"),
    ("meta.v1.APIResource", "categories shortNames"),
    ("meta.v1.APIResourceList", "resources"),
    ("meta.v1.DeleteOptions", "dryRun"),
    ("meta.v1.FieldSelectorRequirement+LabelSelectorRequirement", "values"),
    ("meta.v1.LabelSelector", "matchExpressions"),
    ("meta.v1.ObjectMeta", "managedFields"),
    ("meta.v1.StatusDetails", "causes"),
    ("apiregistration.v1.APIServiceSpec", "caBundle"),
];

/// Lists of unique scalars.
pub const SETS: &[(&str, &str)] = &[
    ("admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec", "validationActions"),
    ("apiserverinternal.v1alpha1.ServerStorageVersion", "decodableVersions servedVersions"),
    ("batch.v1.PodFailurePolicyOnExitCodesRequirement", "values"),
    ("batch.v1.UncountedTerminatedPods", "failed succeeded"),
    ("core.v1.ContainerRestartRuleOnExitCodes", "values"),
    ("core.v1.NodeAllocatableResourceClaimStatus", "containers"),
    ("discovery.v1.Endpoint", "addresses"),
    ("flowcontrol.v1.NonResourcePolicyRule", "nonResourceURLs verbs"),
    ("flowcontrol.v1.ResourcePolicyRule", "apiGroups namespaces resources verbs"),
    ("storage.v1.CSIDriverSpec", "volumeLifecycleModes"),
];

/// Lists of objects told apart by keys. Strategic merge knows one key only, the first, and not for all of
/// these lists.
pub const KEYED_LISTS: &[(&str, &[Keyed])] = &[
    (
        "admissionregistration.v1+v1alpha1+v1beta1.MutatingAdmissionPolicySpec",
        &[merged("matchConditions", "name")],
    ),
    ("admissionregistration.v1.MutatingWebhook+ValidatingWebhook", &[merged("matchConditions", "name")]),
    (
        "admissionregistration.v1.MutatingWebhookConfiguration+ValidatingWebhookConfiguration",
        &[merged("webhooks", "name")],
    ),
    (
        "admissionregistration.v1.ValidatingAdmissionPolicySpec",
        &[merged("matchConditions", "name"), merged("variables", "name")],
    ),
    ("admissionregistration.v1.ValidatingAdmissionPolicyStatus", &[apply_only("conditions", "type")]),
    (
        "apiserverinternal.v1alpha1.StorageVersionStatus",
        &[apply_only("conditions", "type"), apply_only("storageVersions", "apiServerID")],
    ),
    (
        "apps.v1.DaemonSetStatus+DeploymentStatus+ReplicaSetStatus+StatefulSetStatus",
        &[merged("conditions", "type")],
    ),
    ("autoscaling.v2.HorizontalPodAutoscalerStatus", &[merged("conditions", "type")]),
    ("certificates.v1.CertificateSigningRequestStatus", &[apply_only("conditions", "type")]),
    ("certificates.v1beta1.PodCertificateRequestStatus", &[merged("conditions", "type")]),
    (
        "core.v1.ComponentStatus+NamespaceStatus+PersistentVolumeClaimStatus+ReplicationControllerStatus+ServiceStatus",
        &[merged("conditions", "type")],
    ),
    (
        "core.v1.Container+EphemeralContainer",
        &[
            merged("env", "name"),
            merged("ports", "containerPort,protocol"),
            merged("volumeDevices", "devicePath"),
            merged("volumeMounts", "mountPath"),
        ],
    ),
    (
        "core.v1.ContainerStatus",
        &[merged("allocatedResourcesStatus", "name"), merged("volumeMounts", "mountPath")],
    ),
    ("core.v1.NodeStatus", &[merged("addresses", "type"), merged("conditions", "type")]),
    (
        "core.v1.PodSpec",
        &[
            merged("containers", "name"),
            merged("ephemeralContainers", "name"),
            merged("hostAliases", "ip"),
            merged("imagePullSecrets", "name"),
            merged("initContainers", "name"),
            retained("resourceClaims", "name"),
            merged("schedulingGates", "name"),
            merged("topologySpreadConstraints", "topologyKey,whenUnsatisfiable"),
            retained("volumes", "name"),
        ],
    ),
    (
        "core.v1.PodStatus",
        &[merged("conditions", "type"), merged("podIPs", "ip"), retained("resourceClaimStatuses", "name")],
    ),
    ("core.v1.ResourceRequirements", &[apply_only("claims", "name")]),
    ("core.v1.ResourceStatus", &[apply_only("resources", "resourceID")]),
    ("core.v1.ServiceAccount", &[merged("secrets", "name")]),
    ("core.v1.ServiceSpec", &[merged("ports", "port,protocol")]),
    ("flowcontrol.v1.FlowSchemaStatus+PriorityLevelConfigurationStatus", &[merged("conditions", "type")]),
    ("networking.v1+v1beta1.ServiceCIDRStatus", &[merged("conditions", "type")]),
    ("policy.v1.PodDisruptionBudgetStatus", &[merged("conditions", "type")]),
    ("resource.v1+v1beta1+v1beta2.AllocatedDeviceStatus", &[apply_only("conditions", "type")]),
    (
        "resource.v1+v1beta1+v1beta2.ResourceClaimStatus",
        &[apply_only("devices", "driver,device,pool,shareID"), merged("reservedFor", "uid")],
    ),
    ("resource.v1alpha3+v1beta2.DeviceTaintRuleStatus", &[merged("conditions", "type")]),
    ("resource.v1alpha3.ResourcePoolStatusRequestStatus", &[merged("conditions", "type")]),
    ("scheduling.v1alpha2.PodGroupSpec+PodGroupTemplate", &[retained("resourceClaims", "name")]),
    (
        "scheduling.v1alpha2.PodGroupStatus",
        &[merged("conditions", "type"), retained("resourceClaimStatuses", "name")],
    ),
    ("scheduling.v1alpha2.WorkloadSpec", &[apply_only("podGroupTemplates", "name")]),
    ("storage.v1.CSINodeSpec", &[merged("drivers", "name")]),
    ("storagemigration.v1beta1.StorageVersionMigrationStatus", &[merged("conditions", "type")]),
    ("apiextensions.v1.CustomResourceDefinitionStatus", &[apply_only("conditions", "type")]),
    ("apiextensions.v1.JSONSchemaProps", &[merged("x-kubernetes-validations", "rule")]),
    ("meta.v1.ObjectMeta", &[merged("ownerReferences", "uid")]),
    ("apiregistration.v1.APIServiceStatus", &[merged("conditions", "type")]),
];

/// What the tables above cannot say: fields with a combination of their own.
pub const SPECIAL: &[(&str, &str, Merge)] = &[
    ("apps.v1.DeploymentSpec", "strategy", Merge { strategy: "RetainKeys", ..NOTHING }),
    ("batch.v1.JobStatus", "conditions", Merge { list: "Atomic", strategy: "Merge", key: "type", ..NOTHING }),
    ("core.v1.NodeSpec", "podCIDRs", Merge { list: "Set", strategy: "Merge", ..NOTHING }),
    (
        "core.v1.PersistentVolumeClaimStatus",
        "allocatedResourceStatuses",
        Merge { map: "Granular", ..NOTHING },
    ),
    ("core.v1.PersistentVolumeSpec", "claimRef", Merge { map: "Granular", ..NOTHING }),
    ("core.v1.PodSpec", "nodeSelector", Merge { map: "Atomic", ..NOTHING }),
    ("core.v1.PodStatus", "hostIPs", Merge { list: "Atomic", strategy: "Merge", key: "ip", ..NOTHING }),
    ("core.v1.ReplicationControllerSpec", "selector", Merge { map: "Atomic", ..NOTHING }),
    ("core.v1.ServiceSpec", "selector", Merge { map: "Atomic", ..NOTHING }),
    ("node.v1.Scheduling", "nodeSelector", Merge { map: "Atomic", ..NOTHING }),
    ("policy.v1.PodDisruptionBudgetSpec", "selector", Merge { strategy: "Replace", ..NOTHING }),
    ("meta.v1.ObjectMeta", "finalizers", Merge { list: "Set", strategy: "Merge", ..NOTHING }),
];

/// A list of objects told apart by keys.
pub struct Keyed {
    field: &'static str,
    keys: &'static str,
    strategy: &'static str,
}

/// The merge facts of one field, in the words of the generated rows; empty says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Merge {
    /// `x-kubernetes-list-type`
    pub list: &'static str,
    /// `x-kubernetes-map-type`
    pub map: &'static str,
    /// `x-kubernetes-list-map-keys`
    pub keys: &'static str,
    /// `x-kubernetes-patch-strategy`
    pub strategy: &'static str,
    /// `x-kubernetes-patch-merge-key`
    pub key: &'static str,
}

/// The merge facts of a field that declares none.
pub const NOTHING: Merge = Merge { list: "", map: "", keys: "", strategy: "", key: "" };

const fn apply_only(field: &'static str, keys: &'static str) -> Keyed {
    Keyed { field, keys, strategy: "" }
}

const fn merged(field: &'static str, keys: &'static str) -> Keyed {
    Keyed { field, keys, strategy: "Merge" }
}

const fn retained(field: &'static str, keys: &'static str) -> Keyed {
    Keyed { field, keys, strategy: "MergeRetainKeys" }
}

/// Expands the tables to one entry per type and field; the field is empty where the type itself is meant.
pub fn all() -> BTreeMap<(String, String), Merge> {
    let mut facts = BTreeMap::new();
    let mut add = |types: &str, field: &str, merge: Merge| {
        for name in expand(types) {
            let clash = facts.insert((name.clone(), field.to_owned()), merge);
            assert!(clash.is_none(), "{name}.{field} is in two merge tables");
        }
    };
    for types in ATOMIC_STRUCTS {
        add(types, "", Merge { map: "Atomic", ..NOTHING });
    }
    for (types, fields) in ATOMIC_LISTS {
        fields.split(' ').for_each(|field| add(types, field, Merge { list: "Atomic", ..NOTHING }));
    }
    for (types, fields) in SETS {
        fields.split(' ').for_each(|field| add(types, field, Merge { list: "Set", ..NOTHING }));
    }
    for (types, lists) in KEYED_LISTS {
        for Keyed { field, keys, strategy } in *lists {
            let key = if strategy.is_empty() { "" } else { keys.split(',').next().unwrap_or_default() };
            add(types, field, Merge { list: "Map", map: "", keys, strategy, key });
        }
    }
    for (types, field, merge) in SPECIAL {
        add(types, field, *merge);
    }
    facts
}

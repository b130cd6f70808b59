//! Named string types of Go's API packages: `+enum` types with their values, others by name only, and the
//! discriminated unions (`+union`).
//!
//! The name is what a type mismatch reports; the values are what OpenAPI lists and validation may ask for.
//! Values marked "alpha" upstream are there as in a server with default feature gates.

/// One named string type: its Go name, its values (empty where any string goes), and where it is used as
/// `group.versions.types.field` or `….{field field}`.
pub struct Named {
    /// Go's name, `v1.PullPolicy`.
    pub go: &'static str,
    /// Values separated by commas.
    pub values: &'static str,
    /// `types field` pairs separated by `;`.
    pub uses: &'static str,
}

const fn named(go: &'static str, values: &'static str, uses: &'static str) -> Named {
    Named { go, values, uses }
}

/// All named string types whose fields are known.
pub const NAMED: &[Named] = &[
    named(
        "v1.PullPolicy",
        "Always,IfNotPresent,Never",
        "core.v1.Container+EphemeralContainer imagePullPolicy; core.v1.ImageVolumeSource pullPolicy",
    ),
    named(
        "v1.TerminationMessagePolicy",
        "FallbackToLogsOnError,File",
        "core.v1.Container+EphemeralContainer terminationMessagePolicy",
    ),
    named("v1.RestartPolicy", "Always,Never,OnFailure", "core.v1.PodSpec restartPolicy"),
    named("v1.ContainerRestartPolicy", "", "core.v1.Container+EphemeralContainer restartPolicy"),
    named("v1.ContainerRestartRuleAction", "", "core.v1.ContainerRestartRule action"),
    named(
        "v1.ContainerRestartRuleOnExitCodesOperator",
        "",
        "core.v1.ContainerRestartRuleOnExitCodes operator",
    ),
    named("v1.DNSPolicy", "ClusterFirst,ClusterFirstWithHostNet,Default,None", "core.v1.PodSpec dnsPolicy"),
    named(
        "v1.Protocol",
        "SCTP,TCP,UDP",
        "core.v1.ContainerPort+ServicePort+EndpointPort protocol; networking.v1.NetworkPolicyPort protocol; discovery.v1.EndpointPort protocol; core.v1.PortStatus protocol; networking.v1.IngressPortStatus protocol",
    ),
    named("v1.URIScheme", "HTTP,HTTPS", "core.v1.HTTPGetAction scheme"),
    named("v1.ServiceType", "ClusterIP,ExternalName,LoadBalancer,NodePort", "core.v1.ServiceSpec type"),
    named("v1.ServiceAffinity", "ClientIP,None", "core.v1.ServiceSpec sessionAffinity"),
    named("v1.ServiceExternalTrafficPolicy", "Cluster,Local", "core.v1.ServiceSpec externalTrafficPolicy"),
    named("v1.ServiceInternalTrafficPolicy", "Cluster,Local", "core.v1.ServiceSpec internalTrafficPolicy"),
    named(
        "v1.IPFamilyPolicy",
        "PreferDualStack,RequireDualStack,SingleStack",
        "core.v1.ServiceSpec ipFamilyPolicy",
    ),
    named("v1.IPFamily", "", "core.v1.ServiceSpec ipFamilies"),
    named("v1.LoadBalancerIPMode", "", "core.v1.LoadBalancerIngress ipMode"),
    named("v1.TaintEffect", "NoExecute,NoSchedule,PreferNoSchedule", "core.v1.Taint+Toleration effect"),
    named("v1.TolerationOperator", "Equal,Exists,Gt,Lt", "core.v1.Toleration operator"),
    named(
        "v1.NodeSelectorOperator",
        "DoesNotExist,Exists,Gt,In,Lt,NotIn",
        "core.v1.NodeSelectorRequirement operator",
    ),
    named("v1.LabelSelectorOperator", "", "meta.v1.LabelSelectorRequirement operator"),
    named("v1.FieldSelectorOperator", "", "meta.v1.FieldSelectorRequirement operator"),
    named(
        "v1.UnsatisfiableConstraintAction",
        "DoNotSchedule,ScheduleAnyway",
        "core.v1.TopologySpreadConstraint whenUnsatisfiable",
    ),
    named(
        "v1.NodeInclusionPolicy",
        "Honor,Ignore",
        "core.v1.TopologySpreadConstraint nodeAffinityPolicy nodeTaintsPolicy",
    ),
    named(
        "v1.PreemptionPolicy",
        "Never,PreemptLowerPriority",
        "core.v1.PodSpec preemptionPolicy; scheduling.v1.PriorityClass preemptionPolicy",
    ),
    named(
        "v1.MountPropagationMode",
        "Bidirectional,HostToContainer,None",
        "core.v1.VolumeMount mountPropagation",
    ),
    named("v1.RecursiveReadOnlyMode", "", "core.v1.VolumeMount+VolumeMountStatus recursiveReadOnly"),
    named(
        "v1.HostPathType",
        ",BlockDevice,CharDevice,Directory,DirectoryOrCreate,File,FileOrCreate,Socket",
        "core.v1.HostPathVolumeSource type",
    ),
    named("v1.StorageMedium", "", "core.v1.EmptyDirVolumeSource medium"),
    named(
        "v1.PodFSGroupChangePolicy",
        "Always,OnRootMismatch",
        "core.v1.PodSecurityContext fsGroupChangePolicy",
    ),
    named(
        "v1.SupplementalGroupsPolicy",
        "Merge,Strict",
        "core.v1.PodSecurityContext supplementalGroupsPolicy",
    ),
    named("v1.PodSELinuxChangePolicy", "", "core.v1.PodSecurityContext seLinuxChangePolicy"),
    named("v1.ProcMountType", "Default,Unmasked", "core.v1.SecurityContext procMount"),
    named("v1.SeccompProfileType", "Localhost,RuntimeDefault,Unconfined", "core.v1.SeccompProfile type"),
    named("v1.AppArmorProfileType", "Localhost,RuntimeDefault,Unconfined", "core.v1.AppArmorProfile type"),
    named("v1.Capability", "", "core.v1.Capabilities add drop"),
    named("v1.OSName", "", "core.v1.PodOS name"),
    named(
        "v1.Signal",
        "SIGABRT,SIGALRM,SIGBUS,SIGCHLD,SIGCLD,SIGCONT,SIGFPE,SIGHUP,SIGILL,SIGINT,SIGIO,SIGIOT,SIGKILL,SIGPIPE,SIGPOLL,SIGPROF,SIGPWR,SIGQUIT,SIGRTMAX,SIGRTMAX-1,SIGRTMAX-10,SIGRTMAX-11,SIGRTMAX-12,SIGRTMAX-13,SIGRTMAX-14,SIGRTMAX-2,SIGRTMAX-3,SIGRTMAX-4,SIGRTMAX-5,SIGRTMAX-6,SIGRTMAX-7,SIGRTMAX-8,SIGRTMAX-9,SIGRTMIN,SIGRTMIN+1,SIGRTMIN+10,SIGRTMIN+11,SIGRTMIN+12,SIGRTMIN+13,SIGRTMIN+14,SIGRTMIN+15,SIGRTMIN+2,SIGRTMIN+3,SIGRTMIN+4,SIGRTMIN+5,SIGRTMIN+6,SIGRTMIN+7,SIGRTMIN+8,SIGRTMIN+9,SIGSEGV,SIGSTKFLT,SIGSTOP,SIGSYS,SIGTERM,SIGTRAP,SIGTSTP,SIGTTIN,SIGTTOU,SIGURG,SIGUSR1,SIGUSR2,SIGVTALRM,SIGWINCH,SIGXCPU,SIGXFSZ",
        "core.v1.Lifecycle stopSignal; core.v1.ContainerStatus stopSignal",
    ),
    named("v1.ResourceName", "", "core.v1.ContainerResizePolicy resourceName"),
    named("v1.ResourceResizeRestartPolicy", "", "core.v1.ContainerResizePolicy restartPolicy"),
    named("v1.PodPhase", "Failed,Pending,Running,Succeeded,Unknown", "core.v1.PodStatus phase"),
    named("v1.PodQOSClass", "BestEffort,Burstable,Guaranteed", "core.v1.PodStatus qosClass"),
    named("v1.PodResizeStatus", "", "core.v1.PodStatus resize"),
    named("v1.PodConditionType", "", "core.v1.PodCondition type; core.v1.PodReadinessGate conditionType"),
    named(
        "v1.ConditionStatus",
        "",
        "core.v1.PodCondition+NodeCondition+NamespaceCondition+PersistentVolumeClaimCondition+ReplicationControllerCondition+ComponentCondition status; apps.v1.DeploymentCondition+ReplicaSetCondition+DaemonSetCondition+StatefulSetCondition status; batch.v1.JobCondition status; certificates.v1.CertificateSigningRequestCondition status; autoscaling.v2.HorizontalPodAutoscalerCondition status; meta.v1.Condition status",
    ),
    named("v1.NamespacePhase", "Active,Terminating", "core.v1.NamespaceStatus phase"),
    named("v1.NamespaceConditionType", "", "core.v1.NamespaceCondition type"),
    named("v1.FinalizerName", "", "core.v1.NamespaceSpec finalizers"),
    named("v1.NodePhase", "Pending,Running,Terminated", "core.v1.NodeStatus phase"),
    named("v1.NodeConditionType", "", "core.v1.NodeCondition type"),
    named("v1.NodeAddressType", "", "core.v1.NodeAddress type"),
    named(
        "v1.PersistentVolumeAccessMode",
        "ReadOnlyMany,ReadWriteMany,ReadWriteOnce,ReadWriteOncePod",
        "core.v1.PersistentVolumeSpec accessModes; core.v1.PersistentVolumeClaimSpec accessModes; core.v1.PersistentVolumeClaimStatus accessModes",
    ),
    named(
        "v1.PersistentVolumeReclaimPolicy",
        "Delete,Recycle,Retain",
        "core.v1.PersistentVolumeSpec persistentVolumeReclaimPolicy; storage.v1.StorageClass reclaimPolicy",
    ),
    named(
        "v1.PersistentVolumeMode",
        "Block,Filesystem",
        "core.v1.PersistentVolumeSpec volumeMode; core.v1.PersistentVolumeClaimSpec volumeMode",
    ),
    named(
        "v1.PersistentVolumePhase",
        "Available,Bound,Failed,Pending,Released",
        "core.v1.PersistentVolumeStatus phase",
    ),
    named("v1.PersistentVolumeClaimPhase", "Bound,Lost,Pending", "core.v1.PersistentVolumeClaimStatus phase"),
    named("v1.PersistentVolumeClaimConditionType", "", "core.v1.PersistentVolumeClaimCondition type"),
    named(
        "v1.PersistentVolumeClaimModifyVolumeStatus",
        "InProgress,Infeasible,Pending",
        "core.v1.ModifyVolumeStatus status",
    ),
    named(
        "v1.AzureDataDiskCachingMode",
        "None,ReadOnly,ReadWrite",
        "core.v1.AzureDiskVolumeSource cachingMode",
    ),
    named("v1.AzureDataDiskKind", "Dedicated,Managed,Shared", "core.v1.AzureDiskVolumeSource kind"),
    named(
        "v1.ResourceQuotaScope",
        "BestEffort,CrossNamespacePodAffinity,NotBestEffort,NotTerminating,PriorityClass,Terminating,VolumeAttributesClass",
        "core.v1.ScopedResourceSelectorRequirement scopeName; core.v1.ResourceQuotaSpec scopes",
    ),
    named(
        "v1.ScopeSelectorOperator",
        "DoesNotExist,Exists,In,NotIn",
        "core.v1.ScopedResourceSelectorRequirement operator",
    ),
    named("v1.LimitType", "", "core.v1.LimitRangeItem type"),
    named("v1.SecretType", "", "core.v1.Secret type"),
    named("v1.ComponentConditionType", "", "core.v1.ComponentCondition type"),
    named("v1.ReplicationControllerConditionType", "", "core.v1.ReplicationControllerCondition type"),
    named(
        "types.UID",
        "",
        "meta.v1.ObjectMeta uid; meta.v1.OwnerReference uid; meta.v1.Preconditions uid; meta.v1.StatusDetails uid; core.v1.ObjectReference uid; batch.v1.UncountedTerminatedPods failed succeeded",
    ),
    named("v1.ManagedFieldsOperationType", "", "meta.v1.ManagedFieldsEntry operation"),
    named("v1.DeletionPropagation", "", "meta.v1.DeleteOptions propagationPolicy"),
    named("v1.StatusReason", "", "meta.v1.Status reason"),
    named("v1.CauseType", "", "meta.v1.StatusCause reason"),
    named("v1.DeploymentStrategyType", "Recreate,RollingUpdate", "apps.v1.DeploymentStrategy type"),
    named("v1.DaemonSetUpdateStrategyType", "OnDelete,RollingUpdate", "apps.v1.DaemonSetUpdateStrategy type"),
    named(
        "v1.StatefulSetUpdateStrategyType",
        "OnDelete,RollingUpdate",
        "apps.v1.StatefulSetUpdateStrategy type",
    ),
    named(
        "v1.PodManagementPolicyType",
        "OrderedReady,Parallel",
        "apps.v1.StatefulSetSpec podManagementPolicy",
    ),
    named(
        "v1.PersistentVolumeClaimRetentionPolicyType",
        "",
        "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy whenDeleted whenScaled",
    ),
    named("v1.DeploymentConditionType", "", "apps.v1.DeploymentCondition type"),
    named("v1.ReplicaSetConditionType", "", "apps.v1.ReplicaSetCondition type"),
    named("v1.StatefulSetConditionType", "", "apps.v1.StatefulSetCondition type"),
    named("v1.DaemonSetConditionType", "", "apps.v1.DaemonSetCondition type"),
    named("v1.CompletionMode", "Indexed,NonIndexed", "batch.v1.JobSpec completionMode"),
    named("v1.ConcurrencyPolicy", "Allow,Forbid,Replace", "batch.v1.CronJobSpec concurrencyPolicy"),
    named("v1.PodReplacementPolicy", "Failed,TerminatingOrFailed", "batch.v1.JobSpec podReplacementPolicy"),
    named(
        "v1.PodFailurePolicyAction",
        "Count,FailIndex,FailJob,Ignore",
        "batch.v1.PodFailurePolicyRule action",
    ),
    named(
        "v1.PodFailurePolicyOnExitCodesOperator",
        "In,NotIn",
        "batch.v1.PodFailurePolicyOnExitCodesRequirement operator",
    ),
    named("v1.JobConditionType", "", "batch.v1.JobCondition type"),
    named("v1.PathType", "Exact,ImplementationSpecific,Prefix", "networking.v1.HTTPIngressPath pathType"),
    named("v1.PolicyType", "", "networking.v1.NetworkPolicySpec policyTypes"),
    named("v1.AddressType", "FQDN,IPv4,IPv6", "discovery.v1.EndpointSlice addressType"),
    named(
        "v1.UnhealthyPodEvictionPolicyType",
        "AlwaysAllow,IfHealthyBudget",
        "policy.v1.PodDisruptionBudgetSpec unhealthyPodEvictionPolicy",
    ),
    named(
        "v1.VolumeBindingMode",
        "Immediate,WaitForFirstConsumer",
        "storage.v1.StorageClass volumeBindingMode",
    ),
    named("v1.FSGroupPolicy", "", "storage.v1.CSIDriverSpec fsGroupPolicy"),
    named("v1.VolumeLifecycleMode", "", "storage.v1.CSIDriverSpec volumeLifecycleModes"),
    named("v1.RequestConditionType", "", "certificates.v1.CertificateSigningRequestCondition type"),
    named(
        "v1.KeyUsage",
        "any,cert sign,client auth,code signing,content commitment,crl sign,data encipherment,decipher only,digital signature,email protection,encipher only,ipsec end system,ipsec tunnel,ipsec user,key agreement,key encipherment,microsoft sgc,netscape sgc,ocsp signing,s/mime,server auth,signing,timestamping",
        "certificates.v1.CertificateSigningRequestSpec usages",
    ),
    named(
        "v1.FailurePolicyType",
        "Fail,Ignore",
        "admissionregistration.v1.MutatingWebhook+ValidatingWebhook failurePolicy; admissionregistration.v1.ValidatingAdmissionPolicySpec+MutatingAdmissionPolicySpec failurePolicy",
    ),
    named(
        "v1.MatchPolicyType",
        "Equivalent,Exact",
        "admissionregistration.v1.MutatingWebhook+ValidatingWebhook+MatchResources matchPolicy",
    ),
    named(
        "v1.SideEffectClass",
        "None,NoneOnDryRun,Some,Unknown",
        "admissionregistration.v1.MutatingWebhook+ValidatingWebhook sideEffects",
    ),
    named(
        "v1.ReinvocationPolicyType",
        "IfNeeded,Never",
        "admissionregistration.v1.MutatingWebhook reinvocationPolicy; admissionregistration.v1.MutatingAdmissionPolicySpec reinvocationPolicy",
    ),
    named(
        "v1.ScopeType",
        "*,Cluster,Namespaced",
        "admissionregistration.v1.RuleWithOperations+NamedRuleWithOperations scope",
    ),
    named(
        "v1.OperationType",
        "*,CONNECT,CREATE,DELETE,UPDATE",
        "admissionregistration.v1.RuleWithOperations+NamedRuleWithOperations operations",
    ),
    named("v1.ParameterNotFoundActionType", "", "admissionregistration.v1.ParamRef parameterNotFoundAction"),
    named("v1.PatchType", "ApplyConfiguration,JSONPatch", "admissionregistration.v1.Mutation patchType"),
    named(
        "v1.ValidationAction",
        "Audit,Deny,Warn",
        "admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec validationActions",
    ),
    named("v1.LimitResponseType", "", "flowcontrol.v1.LimitResponse type"),
    named("v1.PriorityLevelEnablement", "", "flowcontrol.v1.PriorityLevelConfigurationSpec type"),
    named("v1.FlowDistinguisherMethodType", "", "flowcontrol.v1.FlowDistinguisherMethod type"),
    named("v1.SubjectKind", "", "flowcontrol.v1.Subject kind"),
    named(
        "v2.MetricSourceType",
        "ContainerResource,External,Object,Pods,Resource",
        "autoscaling.v2.MetricSpec+MetricStatus type",
    ),
    named("v2.MetricTargetType", "AverageValue,Utilization,Value", "autoscaling.v2.MetricTarget type"),
    named("v2.ScalingPolicySelect", "", "autoscaling.v2.HPAScalingRules selectPolicy"),
    named("v2.HPAScalingPolicyType", "", "autoscaling.v2.HPAScalingPolicy type"),
    named(
        "v2.HorizontalPodAutoscalerConditionType",
        "",
        "autoscaling.v2.HorizontalPodAutoscalerCondition type",
    ),
    named("v1.ResourceScope", "", "apiextensions.v1.CustomResourceDefinitionSpec scope"),
    named("v1.ConversionStrategyType", "", "apiextensions.v1.CustomResourceConversion strategy"),
];

/// Unions: the types, the discriminator and `field=Value` members.
pub const UNIONS: &[(&str, &str, &str)] = &[
    ("core.v1.SeccompProfile+AppArmorProfile", "type", "localhostProfile=LocalhostProfile"),
    ("flowcontrol.v1.LimitResponse", "type", "queuing=Queuing"),
    ("flowcontrol.v1.PriorityLevelConfigurationSpec", "type", "exempt=Exempt,limited=Limited"),
    ("flowcontrol.v1.Subject", "kind", "group=Group,serviceAccount=ServiceAccount,user=User"),
];

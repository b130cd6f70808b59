//! The core group.

use super::{Row, SCALE, STATUS, other, own, stream};
use crate::kinds::*;
use crate::resource::{Resource, Verbs};

const V1: (&str, &str) = ("", "v1");
const PROXY_VERBS: Verbs =
    Verbs::CREATE.with(Verbs::DELETE).with(Verbs::GET).with(Verbs::PATCH).with(Verbs::UPDATE);
const STREAM_VERBS: Verbs = Verbs::CREATE.with(Verbs::GET);

pub(super) const RESOURCES: &[Resource] = &[
    Row::namespaced(V1, "bindings", "binding", ("Binding", ""), CORE_V1_BINDING)
        .virtual_only(Verbs::CREATE)
        .build(),
    Row::cluster(
        V1,
        "componentstatuses",
        "componentstatus",
        ("ComponentStatus", "ComponentStatusList"),
        CORE_V1_COMPONENTSTATUS,
    )
    .virtual_only(Verbs::GET.with(Verbs::LIST))
    .short(&["cs"])
    .build(),
    Row::namespaced(V1, "configmaps", "configmap", ("ConfigMap", "ConfigMapList"), CORE_V1_CONFIGMAP)
        .short(&["cm"])
        .build(),
    Row::namespaced(V1, "endpoints", "endpoints", ("Endpoints", "EndpointsList"), CORE_V1_ENDPOINTS)
        .short(&["ep"])
        .prefix("services/endpoints")
        .build(),
    Row::namespaced(V1, "events", "event", ("Event", "EventList"), CORE_V1_EVENT)
        .short(&["ev"])
        .selectable(&[
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.resourceVersion",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ])
        .build(),
    Row::namespaced(V1, "limitranges", "limitrange", ("LimitRange", "LimitRangeList"), CORE_V1_LIMITRANGE)
        .short(&["limits"])
        .build(),
    Row::cluster(V1, "namespaces", "namespace", ("Namespace", "NamespaceList"), CORE_V1_NAMESPACE)
        .verbs(Verbs::ALL.without(Verbs::DELETECOLLECTION))
        .short(&["ns"])
        .subresources(&[other("finalize", V1, "Namespace", Verbs::UPDATE, CORE_V1_NAMESPACE), own("status")])
        .selectable(&["status.phase"])
        .build(),
    Row::cluster(V1, "nodes", "node", ("Node", "NodeList"), CORE_V1_NODE)
        .short(&["no"])
        .subresources(&[stream("proxy", "NodeProxyOptions", PROXY_VERBS), own("status")])
        .prefix("minions")
        .selectable(&["spec.unschedulable"])
        .build(),
    Row::namespaced(
        V1,
        "persistentvolumeclaims",
        "persistentvolumeclaim",
        ("PersistentVolumeClaim", "PersistentVolumeClaimList"),
        CORE_V1_PERSISTENTVOLUMECLAIM,
    )
    .short(&["pvc"])
    .subresources(STATUS)
    .build(),
    Row::cluster(
        V1,
        "persistentvolumes",
        "persistentvolume",
        ("PersistentVolume", "PersistentVolumeList"),
        CORE_V1_PERSISTENTVOLUME,
    )
    .short(&["pv"])
    .subresources(STATUS)
    .build(),
    Row::namespaced(V1, "pods", "pod", ("Pod", "PodList"), CORE_V1_POD)
        .short(&["po"])
        .categories(&["all"])
        .subresources(&[
            stream("attach", "PodAttachOptions", STREAM_VERBS),
            other("binding", V1, "Binding", Verbs::CREATE, CORE_V1_BINDING),
            own("ephemeralcontainers"),
            other("eviction", ("policy", "v1"), "Eviction", Verbs::CREATE, POLICY_V1_EVICTION),
            stream("exec", "PodExecOptions", STREAM_VERBS),
            stream("log", "Pod", Verbs::GET),
            stream("portforward", "PodPortForwardOptions", STREAM_VERBS),
            stream("proxy", "PodProxyOptions", PROXY_VERBS),
            own("resize"),
            own("status"),
        ])
        .selectable(&[
            "spec.hostNetwork",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.nominatedNodeName",
            "status.phase",
            "status.podIP",
        ])
        .build(),
    Row::namespaced(
        V1,
        "podtemplates",
        "podtemplate",
        ("PodTemplate", "PodTemplateList"),
        CORE_V1_PODTEMPLATE,
    )
    .build(),
    Row::namespaced(
        V1,
        "replicationcontrollers",
        "replicationcontroller",
        ("ReplicationController", "ReplicationControllerList"),
        CORE_V1_REPLICATIONCONTROLLER,
    )
    .short(&["rc"])
    .categories(&["all"])
    .subresources(&[SCALE, own("status")])
    .prefix("controllers")
    .selectable(&["status.replicas"])
    .build(),
    Row::namespaced(
        V1,
        "resourcequotas",
        "resourcequota",
        ("ResourceQuota", "ResourceQuotaList"),
        CORE_V1_RESOURCEQUOTA,
    )
    .short(&["quota"])
    .subresources(STATUS)
    .build(),
    Row::namespaced(V1, "secrets", "secret", ("Secret", "SecretList"), CORE_V1_SECRET)
        .selectable(&["type"])
        .build(),
    Row::namespaced(
        V1,
        "serviceaccounts",
        "serviceaccount",
        ("ServiceAccount", "ServiceAccountList"),
        CORE_V1_SERVICEACCOUNT,
    )
    .short(&["sa"])
    .subresources(&[other(
        "token",
        ("authentication.k8s.io", "v1"),
        "TokenRequest",
        Verbs::CREATE,
        AUTHENTICATION_V1_TOKENREQUEST,
    )])
    .build(),
    Row::namespaced(V1, "services", "service", ("Service", "ServiceList"), CORE_V1_SERVICE)
        .short(&["svc"])
        .categories(&["all"])
        .subresources(&[stream("proxy", "ServiceProxyOptions", PROXY_VERBS), own("status")])
        .prefix("services/specs")
        .selectable(&["spec.clusterIP", "spec.type"])
        .build(),
];

use apimachinery::fields;
use serde_json::{Value, json};

use super::*;

fn world() -> NodeGraph {
    let graph = NodeGraph::default();
    put(&graph, &pod("web", "w1"));
    put(
        &graph,
        &json!({"kind": "Pod", "metadata": {"name": "mirror", "namespace": "a",
        "annotations": {"kubernetes.io/config.mirror": "x"}},
        "spec": {"nodeName": "w1", "volumes": [{"secret": {"secretName": "stolen"}}]}}),
    );
    put(
        &graph,
        &json!({"kind": "Pod", "metadata": {"name": "waiting", "namespace": "a"},
        "spec": {"volumes": [{"secret": {"secretName": "unplaced"}}]}}),
    );
    put(
        &graph,
        &json!({"kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": {
        "claimRef": {"namespace": "a", "name": "data"},
        "csi": {"nodePublishSecretRef": {"namespace": "store", "name": "csi"}}}}),
    );
    put(&graph, &json!({"kind": "VolumeAttachment", "metadata": {"name": "va"}, "spec": {"nodeName": "w1"}}));
    put(&graph, &json!({"kind": "ResourceSlice", "metadata": {"name": "slice"}, "spec": {"nodeName": "w1"}}));
    graph
}

fn put(graph: &NodeGraph, object: &Value) {
    let kind = object["kind"].as_str().unwrap();
    graph.apply(kind, object.to_string().as_bytes()).unwrap();
}

fn pod(name: &str, node: &str) -> Value {
    json!({"kind": "Pod", "metadata": {"name": name, "namespace": "a"}, "spec": {
        "nodeName": node,
        "serviceAccountName": "builder",
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "env"}}},
                {"valueFrom": {"configMapKeyRef": {"name": "env"}}}],
            "envFrom": [{"configMapRef": {"name": "from"}}]}],
        "initContainers": [{"envFrom": [{"secretRef": {"name": "init"}}]}],
        "volumes": [
            {"secret": {"secretName": "vol"}},
            {"configMap": {"name": "vol"}},
            {"persistentVolumeClaim": {"claimName": "data"}},
            {"name": "tmp", "ephemeral": {}},
            {"projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}, {"secret": {"name": "proj"}}]}},
            {"csi": {"nodePublishSecretRef": {"name": "inline"}}}],
        "resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}]}})
}

/// `verb resource[/sub] [namespace/]name [field=value]`
fn ask(graph: &NodeGraph, node: &str, request: &str) -> String {
    let mut words = request.split(' ');
    let verb = words.next().unwrap();
    let (group, resource) = words.next().map(|word| word.split_once(':').unwrap_or(("", word))).unwrap();
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let (namespace, name) = words.next().map(|word| word.split_once('/').unwrap_or(("", word))).unwrap();
    let selector = words.next().map(|word| fields::parse(word).unwrap());
    let user = format!("system:node:{node}");
    let groups = [GROUP.to_owned()];
    let decision = graph.authorize(&Attributes {
        user: User { name: &user, groups: &groups },
        verb,
        namespace,
        group,
        resource,
        subresource,
        name,
        is_resource: true,
        field_selector: selector.as_ref(),
        ..Attributes::default()
    });
    if decision.is_allowed() {
        "yes".into()
    } else {
        format!("no {}", decision.reason()).trim_end().to_owned()
    }
}

#[test]
fn nodes_read_what_their_pods_need() {
    let graph = world();
    let stranger = "no no relationship found between node 'w1' and this object";
    for (request, expected) in [
        ("get secrets a/vol", "yes"),
        ("watch secrets a/env", "yes"),
        ("list secrets a/init", "yes"),
        ("get secrets a/pull", "yes"),
        ("get secrets a/proj", "yes"),
        ("get secrets a/inline", "yes"),
        ("get secrets store/csi", "yes"),
        ("get secrets a/stolen", stranger),
        ("get secrets a/unplaced", stranger),
        ("get secrets b/vol", stranger),
        ("list secrets a/", "no No Object name found"),
        ("list secrets vol", "no can only read namespaced object of this type"),
        ("delete secrets a/vol", "no can only read resources of this type"),
        ("get configmaps a/from", "yes"),
        ("get configmaps a/env", "yes"),
        ("get configmaps a/vol", "yes"),
        ("get configmaps a/init", stranger),
        ("get configmaps a/kube-root-ca.crt", "yes"),
        ("get persistentvolumeclaims a/data", "yes"),
        ("get persistentvolumeclaims a/web-tmp", "yes"),
        ("patch persistentvolumeclaims/status a/data", "yes"),
        ("list persistentvolumeclaims a/data", "no can only get individual resources of this type"),
        ("get persistentvolumes pv", "yes"),
        ("get persistentvolumes other", stranger),
        ("create serviceaccounts/token a/builder", "yes"),
        ("create serviceaccounts/token a/admin", stranger),
        ("get serviceaccounts a/builder", "yes"),
        ("get resource.k8s.io:resourceclaims a/gpu", "yes"),
        ("get storage.k8s.io:volumeattachments va", "yes"),
        ("get resource.k8s.io:resourceslices slice", "yes"),
        ("create resource.k8s.io:resourceslices ", "yes"),
        ("list resource.k8s.io:resourceslices  spec.nodeName=w1", "yes"),
    ] {
        assert_eq!(ask(&graph, "w1", request), expected, "{request}");
    }
    assert_eq!(
        ask(&graph, "w2", "get secrets a/vol"),
        "no no relationship found between node 'w2' and this object"
    );
}

#[test]
fn nodes_write_what_is_their_own() {
    let graph = world();
    for (request, expected) in [
        ("get nodes w1", "yes"),
        ("watch nodes w1 metadata.name=w1", "yes"),
        ("get nodes w2", "no node 'w1' cannot read 'w2', only its own Node object"),
        ("list nodes ", "no node 'w1' cannot read all nodes, only its own Node object"),
        ("create nodes ", "yes"),
        ("patch nodes/status w1", "yes"),
        ("delete nodes w1", "no"),
        ("get pods a/web", "yes"),
        ("get pods a/waiting", "no no relationship found between node 'w1' and this object"),
        ("list pods  spec.nodeName=w1", "yes"),
        ("watch pods  spec.nodeName=w2", "no can only list/watch pods with spec.nodeName field selector"),
        ("list pods ", "no can only list/watch pods with spec.nodeName field selector"),
        ("patch pods/status a/web", "yes"),
        ("create pods/eviction a/web", "yes"),
        ("create pods/binding a/web", "no"),
        ("update coordination.k8s.io:leases kube-node-lease/w1", "yes"),
        (
            "update coordination.k8s.io:leases kube-node-lease/w2",
            "no can only access node lease with the same name as the requesting node",
        ),
        (
            "get coordination.k8s.io:leases kube-system/w1",
            "no can only access leases in the \"kube-node-lease\" system namespace",
        ),
        ("create coordination.k8s.io:leases kube-node-lease/", "yes"),
        ("get storage.k8s.io:csinodes w1", "yes"),
        ("create storage.k8s.io:csinodes ", "yes"),
        (
            "patch storage.k8s.io:csinodes w2",
            "no can only access CSINode with the same name as the requesting node",
        ),
        ("update storage.k8s.io:csinodes/status w1", "no cannot authorize CSINode subresources"),
        ("list services ", "yes"),
        ("create events a/", "yes"),
        ("create authentication.k8s.io:tokenreviews ", "yes"),
        ("list networking.k8s.io:ingresses ", "no"),
    ] {
        assert_eq!(ask(&graph, "w1", request), expected, "{request}");
    }
}

#[test]
fn relations_end_with_the_last_pod() {
    let graph = world();
    put(&graph, &pod("web-2", "w1"));
    graph.delete("Pod", "a", "web");
    assert_eq!(ask(&graph, "w1", "get secrets a/vol"), "yes");
    put(&graph, &pod("web-2", "w2"));
    assert!(ask(&graph, "w1", "get secrets a/vol").starts_with("no"));
    assert_eq!(ask(&graph, "w2", "get secrets store/csi"), "yes");
    graph.clear("Pod");
    assert!(ask(&graph, "w2", "get secrets store/csi").starts_with("no"));
    assert_eq!(ask(&graph, "w1", "get storage.k8s.io:volumeattachments va"), "yes", "other kinds stay");
}

#[test]
fn pods_of_several_nodes_share_what_they_need() {
    let graph = world();
    put(&graph, &pod("web-2", "w2"));
    let secret = |node| ask(&graph, node, "get secrets a/vol");
    assert_eq!((secret("w1").as_str(), secret("w2").as_str()), ("yes", "yes"));
    graph.delete("Pod", "a", "web");
    assert!(secret("w1").starts_with("no"));
    assert_eq!(secret("w2"), "yes");
}

#[test]
fn relations_follow_changes_of_volumes_attachments_and_slices() {
    let graph = world();
    let volume = |claim: &str, secret: &str| {
        json!({"kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": {
            "claimRef": {"namespace": "a", "name": claim},
            "csi": {"nodePublishSecretRef": {"namespace": "store", "name": secret}}}})
    };
    let check = |request: &str, expected: &str| {
        let answer = ask(&graph, "w1", request);
        assert_eq!(answer.split(' ').next(), Some(expected), "{request}: {answer}");
    };
    put(&graph, &volume("data", "renewed"));
    check("get secrets store/csi", "no");
    check("get secrets store/renewed", "yes");
    put(&graph, &volume("other", "renewed"));
    check("get secrets store/renewed", "no");
    check("get persistentvolumes pv", "no");
    put(&graph, &volume("data", "csi"));
    check("get secrets store/csi", "yes");
    graph.clear("PersistentVolume");
    check("get secrets store/csi", "no");
    check("get persistentvolumes pv", "no");
    put(&graph, &json!({"kind": "VolumeAttachment", "metadata": {"name": "va"}, "spec": {"nodeName": "w2"}}));
    check("get storage.k8s.io:volumeattachments va", "no");
    graph.delete("ResourceSlice", "", "slice");
    check("get resource.k8s.io:resourceslices slice", "no");
}

#[test]
fn fields_of_other_types_are_no_relations() {
    let graph = NodeGraph::default();
    put(
        &graph,
        &json!({"kind": "Pod", "metadata": {"name": "p", "namespace": "a", "annotations": null}, "spec": {
            "nodeName": "w1", "containers": null, "imagePullSecrets": [{"name": null}], "volumes": [{"csi": null}]},
            "status": {"resourceClaimStatuses": [{"resourceClaimName": "made"}]}}),
    );
    assert_eq!(ask(&graph, "w1", "get resource.k8s.io:resourceclaims a/made"), "yes");
    assert_eq!(ask(&graph, "w1", "get pods a/p"), "yes");
    assert!(graph.apply("Pod", b"{\"metadata\":[").is_err());
}

#[test]
fn only_kubelets_are_nodes() {
    let groups = [GROUP.to_owned()];
    let name = |name, groups| node_name(User { name, groups });
    assert_eq!(name("system:node:w1", &groups), Some("w1"));
    assert_eq!(name("system:node:w1", &[]), None);
    assert_eq!(name("jane", &groups), None);
}

//! Where daemons run and how they are replaced.

use expect_test::{Expect, expect};

use super::decision::*;
use super::*;

fn node(name: &str, change: Value) -> Arc<Node> {
    let mut node = json!({"metadata": {"name": name, "labels": {"disk": "ssd"}}, "spec": {}});
    for (field, value) in change.as_object().unwrap() {
        node["spec"][field] = value.clone();
    }
    Arc::new(serde_json::from_value(node).unwrap())
}

/// `name:node:hash:state`, state as `up`, `down`, `bad`, `go`, `new` (not yet bound).
fn pod(text: &str) -> Arc<Pod> {
    let parts: Vec<&str> = text.split(':').collect();
    let ready = if matches!(parts[3], "up" | "go") { "True" } else { "False" };
    let mut pod = json!({
        "metadata": {"name": parts[0], "uid": parts[0], "labels": {HASH: parts[2]},
            "creationTimestamp": format!("2026-01-01T00:00:{:02}Z", parts[0].len())},
        "spec": {"nodeName": parts[1]},
        "status": {"phase": if parts[3] == "bad" { "Failed" } else { "Running" },
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    match parts[3] {
        "go" => pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into(),
        "new" => {
            let term =
                json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [parts[1]]}]});
            pod["spec"] = json!({"affinity": {"nodeAffinity":
                {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}});
        }
        _ => {}
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn check(strategy: Value, nodes: &[Arc<Node>], pods: &[&str], expected: Expect) {
    let object =
        json!({"metadata": {"name": "d", "uid": "d", "generation": 1}, "spec": {"updateStrategy": strategy}});
    let set: DaemonSet = serde_json::from_value(object).unwrap();
    let spec = serde_json::from_value(json!({"nodeSelector": {"disk": "ssd"}, "containers": []})).unwrap();
    let pods: Vec<_> = pods.iter().map(|text| pod(text)).collect();
    let now = "2026-01-01T01:00:00Z".parse().unwrap();
    let decision =
        decide(&View { set: &set, spec: &spec, nodes, pods: &pods, hash: "h2", may_act: true, now });
    let names =
        |pods: &[Arc<Pod>]| pods.iter().map(|pod| pod.metadata.name.clone()).collect::<Vec<_>>().join(" ");
    let status = &decision.status;
    expected.assert_eq(&format!(
        "create [{}] delete [{}] ended [{}] desired {} current {} missed {} ready {} updated {}",
        decision.create.join(" "),
        names(&decision.delete),
        names(&decision.failed),
        status.desired_number_scheduled,
        status.current_number_scheduled,
        status.number_misscheduled,
        status.number_ready,
        status.updated_number_scheduled,
    ));
}

fn rolling(change: Value) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": change})
}

#[test]
fn every_node_that_fits_gets_one_pod() {
    let taint = |key: &str, effect: &str| json!({"taints": [{"key": key, "effect": effect}]});
    let mut wrong = (*node("wrong", json!({}))).clone();
    wrong.metadata.labels.clear();
    let nodes = [
        node("a", json!({})),
        node("b", json!({})),
        node("tainted", taint("mine", "NoSchedule")),
        node("pressed", taint("node.kubernetes.io/disk-pressure", "NoSchedule")),
        node("evicting", taint("mine", "NoExecute")),
        Arc::new(wrong),
    ];
    check(
        rolling(json!({})),
        &nodes,
        &["p:a:h2:up"],
        expect!["create [b pressed] delete [] ended [] desired 3 current 1 missed 0 ready 1 updated 1"],
    );
    let misplaced = [
        "p:a:h2:up",
        "q:b:h2:up",
        "r:pressed:h2:up",
        "stays:tainted:h2:up",
        "goes:evicting:h2:up",
        "away:wrong:h2:up",
    ];
    check(
        rolling(json!({})),
        &nodes,
        &misplaced,
        expect!["create [] delete [goes away] ended [] desired 3 current 3 missed 3 ready 3 updated 3"],
    );
}

#[test]
fn pods_not_yet_bound_count_for_the_node_they_are_pinned_to() {
    let nodes = [node("a", json!({}))];
    check(
        rolling(json!({})),
        &nodes,
        &["p:a:h2:new", "lost:gone:h2:new"],
        expect!["create [] delete [lost] ended [] desired 1 current 1 missed 0 ready 0 updated 1"],
    );
}

#[test]
fn doubles_go_and_ended_pods_are_made_anew() {
    let nodes = [node("a", json!({})), node("b", json!({}))];
    check(
        rolling(json!({})),
        &nodes,
        &["p:a:h2:up", "younger:a:h2:up", "q:b:h2:bad"],
        expect!["create [] delete [younger] ended [q] desired 2 current 2 missed 0 ready 1 updated 2"],
    );
}

#[test]
fn replaces_as_many_as_may_be_unavailable() {
    let nodes = [node("a", json!({})), node("b", json!({})), node("c", json!({}))];
    let old = ["p:a:h1:up", "q:b:h1:up", "r:c:h1:up"];
    check(
        rolling(json!({"maxUnavailable": 1})),
        &nodes,
        &old,
        expect!["create [] delete [p] ended [] desired 3 current 3 missed 0 ready 3 updated 0"],
    );
    check(
        rolling(json!({"maxUnavailable": "50%"})),
        &nodes,
        &old,
        expect!["create [] delete [p q] ended [] desired 3 current 3 missed 0 ready 3 updated 0"],
    );
    check(
        rolling(json!({"maxUnavailable": 1})),
        &nodes,
        &["n:a:h2:down", "q:b:h1:up", "r:c:h1:up"],
        expect!["create [] delete [] ended [] desired 3 current 3 missed 0 ready 2 updated 1"],
    );
    check(
        rolling(json!({"maxUnavailable": 1})),
        &nodes,
        &["n:a:h2:up", "q:b:h1:down", "r:c:h1:up"],
        expect!["create [] delete [q] ended [] desired 3 current 3 missed 0 ready 2 updated 1"],
    );
    check(
        json!({"type": "OnDelete"}),
        &nodes,
        &old,
        expect!["create [] delete [] ended [] desired 3 current 3 missed 0 ready 3 updated 0"],
    );
}

#[test]
fn surge_starts_the_new_pod_beside_the_old_one() {
    let nodes = [node("a", json!({})), node("b", json!({}))];
    let surge = rolling(json!({"maxSurge": 1, "maxUnavailable": 0}));
    check(
        surge.clone(),
        &nodes,
        &["p:a:h1:up", "q:b:h1:up"],
        expect!["create [a] delete [] ended [] desired 2 current 2 missed 0 ready 2 updated 0"],
    );
    check(
        surge.clone(),
        &nodes,
        &["p:a:h1:up", "new:a:h2:down", "q:b:h1:up"],
        expect!["create [] delete [] ended [] desired 2 current 2 missed 0 ready 2 updated 0"],
    );
    check(
        surge,
        &nodes,
        &["p:a:h1:up", "new:a:h2:up", "q:b:h1:up"],
        expect!["create [] delete [p] ended [] desired 2 current 2 missed 0 ready 2 updated 0"],
    );
}

#[test]
fn a_pod_is_pinned_to_its_node_and_tolerates_trouble() {
    let set: DaemonSet =
        serde_json::from_value(json!({"metadata": {"name": "d", "namespace": "a", "uid": "d"}})).unwrap();
    let template =
        json!({"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [], "hostNetwork": true}});
    let pod = new_pod::object(&set, &template, &controller_reference(&set), "w1", "h2");
    assert_eq!(pod["metadata"]["labels"], json!({"app": "d", HASH: "h2"}));
    assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 7);
    let pod: Pod = serde_json::from_value(pod).unwrap();
    assert_eq!(placement::node_of(&pod), "w1");
}

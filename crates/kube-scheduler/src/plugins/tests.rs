use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::framework::Filter;
use crate::node::Node;
use crate::pod::Pod;
use crate::snapshot::Snapshot;

fn pod(labels: Value, spec: Value) -> Pod {
    let mut spec = spec;
    if spec.get("containers").is_none() {
        spec["containers"] = json!([{"name": "c", "image": "nginx"}]);
    }
    let name = format!("{labels}{spec}");
    serde_json::from_value(
        json!({"metadata": {"namespace": "d", "name": name, "uid": name, "labels": labels}, "spec": spec}),
    )
    .unwrap()
}

/// Nodes a (zone 1), b (zone 1), c (zone 2), d (no zone), each with the pods given.
fn snapshot(placed: &[(&str, Pod)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (name, zone) in [("a", Some("1")), ("b", Some("1")), ("c", Some("2")), ("d", None)] {
        let mut labels = json!({"kubernetes.io/hostname": name});
        if let Some(zone) = zone {
            labels["topology.kubernetes.io/zone"] = zone.into();
        }
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": labels},
            "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}}}))
        .unwrap();
        snapshot.set_node(Arc::new(node));
    }
    for (index, (node, pod)) in placed.iter().enumerate() {
        let pod = Arc::new(Pod { uid: index.to_string().into(), ..pod.on(node) });
        assert!(snapshot.change(node, |info| info.add(pod)));
    }
    snapshot
}

/// The nodes a plugin lets the pod go to, or its refusal.
fn allowed(plugin: &dyn Plugin, pod: &Pod, snapshot: &Snapshot) -> String {
    match plugin.filter(pod, snapshot) {
        Filter::Skip => "skip".into(),
        Filter::Reject(rejection) => rejection.reasons.join(", "),
        Filter::Among(names, check) => {
            let fits =
                names.iter().filter(|name| snapshot.node(name).is_some_and(|info| check(info).is_ok()));
            format!("{names:?} {}", fits.copied().collect::<String>())
        }
        Filter::Check(check) => {
            let nodes = snapshot.nodes().iter().filter(|info| check(info).is_ok());
            nodes.map(|info| info.node.name.to_string()).collect::<Vec<_>>().join("")
        }
    }
}

/// The normalised scores of nodes a, b, c, d.
fn scores(plugin: &dyn Plugin, pod: &Pod, snapshot: &Snapshot) -> Vec<i64> {
    let feasible: Vec<_> = snapshot.nodes().iter().map(Arc::as_ref).collect();
    let Some(scorer) = plugin.score(pod, snapshot, &feasible) else { return Vec::new() };
    let mut scores: Vec<_> = feasible.iter().map(|info| (scorer.score)(info)).collect();
    (scorer.normalize)(&mut scores);
    scores.into_iter().map(|score| score.unwrap_or(0)).collect()
}

fn near(kind: &str, mode: &str, app: &str, key: &str) -> Value {
    let term = json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key});
    let term =
        if mode.starts_with("preferred") { json!({"weight": 10, "podAffinityTerm": term}) } else { term };
    let mode = format!("{mode}DuringSchedulingIgnoredDuringExecution");
    json!({"affinity": {kind: {mode: [term]}}})
}

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";

#[test]
fn inter_pod_affinity_filters_from_both_sides() {
    let plugin = InterPodAffinity { hard_weight: 1, heeds_preferences_of_others: true };
    let db = pod(json!({"app": "db"}), json!({}));
    let around = snapshot(&[("a", db)]);
    let wants = |spec| pod(json!({"app": "web"}), spec);
    assert_eq!(allowed(&plugin, &wants(json!({})), &around), "skip");
    assert_eq!(allowed(&plugin, &wants(near("podAffinity", "required", "db", ZONE)), &around), "ab");
    assert_eq!(allowed(&plugin, &wants(near("podAffinity", "required", "none", ZONE)), &around), "");
    // The first of a group that attracts itself goes anywhere that has the label.
    assert_eq!(allowed(&plugin, &wants(near("podAffinity", "required", "web", ZONE)), &around), "abc");
    assert_eq!(allowed(&plugin, &wants(near("podAntiAffinity", "required", "db", HOST)), &around), "bcd");
    let loner = pod(json!({"app": "loner"}), near("podAntiAffinity", "required", "web", ZONE));
    assert_eq!(allowed(&plugin, &wants(json!({})), &snapshot(&[("c", loner)])), "abd");
}

#[test]
fn terms_reach_into_the_namespaces_they_select() {
    let plugin = InterPodAffinity { hard_weight: 1, heeds_preferences_of_others: true };
    let elsewhere =
        |namespace: &str| Pod { namespace: namespace.into(), ..pod(json!({"app": "db"}), json!({})) };
    let mut around = snapshot(&[("a", elsewhere("x")), ("c", elsewhere("y"))]);
    let team: BTreeMap<String, String> = [("team".to_owned(), "blue".to_owned())].into();
    Arc::make_mut(&mut around.around).namespaces.insert("y".into(), team);
    let check = |scope: Value, expected: &str| {
        let mut near = near("podAffinity", "required", "db", HOST);
        let term = &mut near["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
        for (key, value) in scope.as_object().unwrap() {
            term[key] = value.clone();
        }
        assert_eq!(allowed(&plugin, &pod(json!({"app": "web"}), near), &around), expected, "{scope}");
    };
    check(json!({}), "");
    check(json!({"namespaces": ["x"]}), "a");
    check(json!({"namespaceSelector": {"matchLabels": {"team": "blue"}}}), "c");
    check(json!({"namespaceSelector": {"matchLabels": {"team": "blue"}}, "namespaces": ["x"]}), "ac");
    check(json!({"namespaceSelector": {}}), "ac");
}

#[test]
fn inter_pod_affinity_scores_what_is_preferred() {
    let plugin = InterPodAffinity { hard_weight: 1, heeds_preferences_of_others: true };
    let around = snapshot(&[("a", pod(json!({"app": "db"}), json!({})))]);
    let wants = |kind| pod(json!({"app": "web"}), near(kind, "preferred", "db", ZONE));
    assert_eq!(scores(&plugin, &wants("podAffinity"), &around), [100, 100, 0, 0]);
    assert_eq!(scores(&plugin, &wants("podAntiAffinity"), &around), [0, 0, 100, 100]);
}

#[test]
fn what_placed_pods_prefer_may_be_ignored() {
    let drawn = || pod(json!({"app": "db"}), near("podAffinity", "preferred", "web", HOST));
    let around = snapshot(&[("c", drawn())]);
    let web = pod(json!({"app": "web"}), json!({}));
    let plugin = |heeds| InterPodAffinity { hard_weight: 1, heeds_preferences_of_others: heeds };
    assert_eq!(scores(&plugin(true), &web, &around), [0, 0, 100, 0]);
    assert!(scores(&plugin(false), &web, &around).is_empty());
}

fn on_nodes(terms: Value) -> Pod {
    pod(
        json!({}),
        json!({"affinity": {"nodeAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}}),
    )
}

#[test]
fn nodes_that_are_named_are_the_only_ones_in_question() {
    let plugin = NodeAffinity::default();
    let around = snapshot(&[]);
    let named = |names: &[&str]| json!({"key": "metadata.name", "operator": "In", "values": names});
    let in_zone = json!({"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["2"]}]});
    let check = |terms: Value, expected: &str| {
        assert_eq!(allowed(&plugin, &on_nodes(terms), &around), expected);
    };
    check(json!([{"matchFields": [named(&["a"])]}]), "{\"a\"} a");
    check(
        json!([{"matchFields": [named(&["a", "x"])]}, {"matchFields": [named(&["c"])]}]),
        "{\"a\", \"c\", \"x\"} ac",
    );
    check(json!([{"matchFields": [named(&["a"])]}, in_zone]), "ac");
    check(json!([{"matchFields": [named(&["a"]), named(&["b"])]}]), "pod affinity terms conflict");
}

#[test]
fn a_profile_adds_affinity_of_its_own() {
    let added: k8s_openapi::api::core::v1::NodeAffinity = serde_json::from_value(json!({
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms":
            [{"matchExpressions": [{"key": ZONE, "operator": "Exists"}]}]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "preference":
            {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["2"]}]}}],
    }))
    .unwrap();
    let plugin = NodeAffinity { added: added.into() };
    let around = snapshot(&[]);
    let any = pod(json!({}), json!({}));
    assert_eq!(allowed(&plugin, &any, &around), "abc");
    assert_eq!(scores(&plugin, &any, &around), [0, 0, 100, 0]);
    let Filter::Check(check) = plugin.filter(&any, &around) else { panic!("each node is judged") };
    let refused = check(around.node("d").unwrap()).unwrap_err();
    assert_eq!(refused.reasons, ["node(s) didn't match scheduler-enforced node affinity"]);
}

fn spread(key: &str, skew: i32, mode: &str, more: Value) -> Pod {
    let mut constraint = json!({"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": mode,
        "labelSelector": {"matchLabels": {"app": "web"}}});
    for (name, value) in more.as_object().cloned().unwrap_or_default() {
        constraint[name] = value;
    }
    pod(json!({"app": "web"}), json!({"topologySpreadConstraints": [constraint]}))
}

#[test]
fn topology_spread_keeps_the_skew() {
    let plugin = PodTopologySpread::default();
    let web = || pod(json!({"app": "web"}), json!({}));
    let around = snapshot(&[("a", web()), ("b", web())]);
    let strict = |skew, more| spread(ZONE, skew, "DoNotSchedule", more);
    assert_eq!(allowed(&plugin, &strict(1, json!({})), &around), "c");
    assert_eq!(allowed(&plugin, &strict(3, json!({})), &around), "abc");
    assert_eq!(allowed(&plugin, &strict(1, json!({"minDomains": 3})), &around), "c");
    assert_eq!(allowed(&plugin, &spread(ZONE, 1, "ScheduleAnyway", json!({})), &around), "skip");
    let missing = match plugin.filter(&strict(1, json!({})), &around) {
        Filter::Check(check) => check(around.node("d").unwrap()).unwrap_err(),
        other => panic!("{other:?}"),
    };
    assert!(missing.unresolvable);
    assert_eq!(
        missing.reasons,
        ["node(s) didn't match pod topology spread constraints (missing required label)"]
    );
}

#[test]
fn topology_spread_prefers_the_emptiest_place() {
    let plugin = PodTopologySpread::default();
    let web = || pod(json!({"app": "web"}), json!({}));
    let around = snapshot(&[("a", web()), ("a", web()), ("b", web())]);
    let scores = scores(&plugin, &spread(HOST, 1, "ScheduleAnyway", json!({})), &around);
    assert!(scores[0] < scores[1] && scores[1] < scores[2] && scores[2] == scores[3], "{scores:?}");
}

#[test]
fn pods_of_a_service_are_spread_by_default() {
    let plugin = PodTopologySpread::default();
    let web = || pod(json!({"app": "web"}), json!({}));
    let mut around = snapshot(&[("a", web()), ("a", web())]);
    assert!(scores(&plugin, &web(), &around).is_empty(), "nothing groups it");
    let selector = apimachinery::labels::Selector::from_pairs([("app", "web")]);
    Arc::make_mut(&mut around.around)
        .workloads
        .insert(("Service", "d/web".into()), crate::snapshot::Workload { selector });
    let scores = scores(&plugin, &web(), &around);
    assert!(scores[0] < scores[1] && scores[1] < scores[2], "{scores:?}");
}

#[test]
fn host_ports_are_taken_once() {
    let with = |ip: &str, protocol: &str| {
        pod(
            json!({}),
            json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80, "hostIP": ip, "protocol": protocol}]}]}),
        )
    };
    let around = snapshot(&[("a", with("", "TCP")), ("b", with("10.0.0.1", "TCP"))]);
    assert_eq!(allowed(&NodePorts, &with("", "TCP"), &around), "cd");
    assert_eq!(allowed(&NodePorts, &with("10.0.0.2", "TCP"), &around), "bcd");
    assert_eq!(allowed(&NodePorts, &with("", "UDP"), &around), "abcd");
}

#[test]
fn the_emptier_node_scores_higher_and_the_fuller_one_for_packing() {
    let asks = |cpu: &str| {
        pod(
            json!({}),
            json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}]}),
        )
    };
    let around = snapshot(&[("a", asks("2"))]);
    let least = scores(&ResourcesFit::default(), &asks("1"), &around);
    assert_eq!(least, [50, 81, 81, 81]);
    let packing =
        ResourcesFit { strategy: Strategy { scoring: Scoring::MostAllocated, ..Strategy::default() } };
    assert_eq!(scores(&packing, &asks("1"), &around), [50, 18, 18, 18]);
    // Full ones, but none more than half: cpu 75 % and memory 25 % of a, 25 % and 12 % of the others.
    let shape = vec![(0, 0), (50, 100), (100, 0)];
    let halves = Strategy { scoring: Scoring::RequestedToCapacityRatio(shape), ..Strategy::default() };
    assert_eq!(scores(&ResourcesFit { strategy: halves }, &asks("1"), &around), [50, 37, 37, 37]);
}

//! The scheduler's memory and decisions with simulated clusters.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Dice;

use crate::config::Config;
use crate::core::{Core, Nomination, Outcome};
use crate::laps::{Laps, Point, Status, Stopwatch};
use crate::node::Node;
use crate::pod::Pod;
use crate::preemption::Budget;
use crate::queue::Backoff;

struct Cluster {
    core: Core,
    now: Instant,
    dice: Dice,
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn pod(name: &str, more: Value) -> Arc<Pod> {
    let mut pod = json!({
        "metadata": {"namespace": "default", "name": name, "uid": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    });
    merge(&mut pod, more);
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn sized(name: &str, cpu: &str) -> Arc<Pod> {
    pod(name, json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}}))
}

fn node(name: &str, more: Value) -> Arc<Node> {
    let mut node = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}},
    });
    merge(&mut node, more);
    Arc::new(serde_json::from_value(node).unwrap())
}

impl Cluster {
    fn new(nodes: impl IntoIterator<Item = Arc<Node>>) -> Self {
        let flags = <crate::config::Flags as clap::Parser>::parse_from(["kube-scheduler"]);
        let core = Core::new(Config::new(flags).unwrap().profiles, Backoff::default());
        let mut cluster = Cluster { core, now: Instant::now(), dice: Dice::new(42) };
        for node in nodes {
            cluster.core.apply_node(node, cluster.now);
        }
        cluster
    }

    fn add(&mut self, pod: Arc<Pod>) {
        self.core.apply_pod(pod, self.now);
    }

    fn step(&mut self) -> Option<Outcome> {
        let dice = &mut self.dice;
        self.core.try_next(self.now, &mut |below| dice.roll(below), Laps::default())
    }

    /// Schedules everything that waits: the node of each pod, or why it has none.
    fn run(&mut self) -> BTreeMap<String, String> {
        let mut results = BTreeMap::new();
        while let Some(outcome) = self.step() {
            match outcome {
                Outcome::Bind { pod, node, .. } => {
                    // The watch shows the binding.
                    self.core.apply_pod(Arc::new(pod.on(&node)), self.now);
                    results.insert(pod.name.to_string(), node.to_string());
                }
                Outcome::Wait { pod, misfit, .. } => {
                    results.insert(pod.name.to_string(), misfit.to_string());
                }
            }
        }
        results
    }

    fn place(&mut self, pod: Arc<Pod>) -> String {
        let name = pod.name.to_string();
        self.add(pod);
        self.run().remove(&name).expect("the pod was tried")
    }
}

fn lab() -> Vec<Arc<Node>> {
    let control_plane = json!({"spec": {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]}});
    vec![node("m-k8s", control_plane), node("w1-k8s", json!({})), node("w2-k8s", json!({}))]
}

#[test]
fn says_why_in_upstreams_words() {
    let mut cluster = Cluster::new(lab());
    assert_eq!(
        cluster.place(sized("big", "100")),
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. \
         preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
    assert_eq!(Cluster::new([]).place(sized("a", "1")), "no nodes available to schedule pods");
    for number in 0..2 {
        cluster.place(sized(&format!("full-{number}"), "4"));
    }
    assert_eq!(
        cluster.place(sized("more", "1")),
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. \
         preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."
    );
}

/// Notes what it is told, but how long it took.
#[derive(Default)]
struct Heard {
    points: RefCell<Vec<String>>,
    plugins: RefCell<BTreeSet<String>>,
}

impl Stopwatch for Heard {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn point(&self, profile: &str, point: Point, status: Status, _: Duration) {
        self.points.borrow_mut().push(format!("{profile} {} {}", point.name(), status.name()));
    }

    fn plugin(&self, plugin: &'static str, point: Point, status: Status, _: Duration) {
        self.plugins.borrow_mut().insert(format!("{plugin} {} {}", point.name(), status.name()));
    }
}

#[test]
fn whoever_asks_is_told_how_long_plugins_take() {
    let mut cluster = Cluster::new(lab());
    let mut heard = |pod, each| {
        cluster.add(pod);
        let heard = Heard::default();
        cluster.core.try_next(cluster.now, &mut |_| 0, Laps::told_to(&heard, each));
        let plugins: Vec<String> = heard.plugins.take().into_iter().collect();
        (heard.points.take().join(", ").replace("default-scheduler ", ""), plugins)
    };
    let (points, plugins) = heard(sized("web", "1"), true);
    assert_eq!(points, "PreFilter Success, Filter Success, PreScore Success, Score Success");
    for expected in [
        "NodeName PreFilter Skip",
        "NodeResourcesFit PreFilter Success",
        "NodeResourcesFit Filter Success",
        "TaintToleration Filter UnschedulableAndUnresolvable",
        "NodeResourcesFit Score Success",
        "NodeResourcesFit ScoreExtensionNormalize Success",
    ] {
        assert!(plugins.iter().any(|found| found == expected), "{expected}: {plugins:#?}");
    }
    let (points, plugins) = heard(sized("big", "100"), false);
    assert_eq!(points, "PreFilter Success, Filter Success, PostFilter Unschedulable");
    assert_eq!(plugins, [""; 0]);
}

#[test]
fn a_deployments_pods_are_spread_over_the_workers() {
    let mut cluster = Cluster::new(lab());
    for number in 0..6 {
        cluster.add(pod(&format!("p{number}"), json!({})));
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for node in cluster.run().into_values() {
        *counts.entry(node).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([("w1-k8s".into(), 3), ("w2-k8s".into(), 3)]));
}

#[test]
fn hundreds_of_nodes_are_never_overcommitted_and_evenly_filled() {
    let nodes = (0..300).map(|number| {
        let zone = format!("z{}", number % 3);
        node(&format!("n{number}"), json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}}))
    });
    let mut cluster = Cluster::new(nodes);
    let mut dice = Dice::new(7);
    let mut refused = 0;
    for number in 0..3000 {
        let cpu = format!("{}m", 100 + dice.roll(10) * 100);
        cluster.add(sized(&format!("p{number}"), &cpu));
        if number % 50 == 49 {
            refused += cluster.run().values().filter(|result| result.starts_with("0/")).count();
        }
        // Some go again.
        if dice.roll(10) == 0 {
            let uid = format!("p{}", dice.roll(number + 1));
            cluster.core.delete_pod(&uid, cluster.now);
        }
    }
    assert!(refused < 1500, "{refused} refused while there was room");
    let mut used: Vec<i64> = Vec::new();
    for info in cluster.core.snapshot().nodes() {
        assert!(
            info.requested.milli_cpu <= info.node.allocatable.milli_cpu,
            "{} overcommitted",
            info.node.name
        );
        let sum: i64 = info.pods.values().map(|pod| pod.requests.milli_cpu).sum();
        assert_eq!(sum, info.requested.milli_cpu, "the sum is kept right");
        used.push(sum);
    }
    used.sort_unstable();
    assert!(used[used.len() - 15] - used[15] <= 2000, "spread {} to {}", used[15], used[used.len() - 15]);
}

#[test]
fn a_refused_pod_goes_when_what_it_waits_for_comes() {
    let mut cluster = Cluster::new(lab());
    let wanted = pod("ssd", json!({"spec": {"nodeSelector": {"disk": "ssd"}}}));
    assert!(cluster.place(wanted).contains("2 node(s) didn't match Pod's node affinity/selector"));
    cluster.now += Duration::from_secs(2);
    // Something else changes: it is not tried.
    cluster.core.apply_node(node("w1-k8s", json!({"metadata": {"labels": {"other": "x"}}})), cluster.now);
    assert!(cluster.run().is_empty());
    cluster.core.apply_node(node("w1-k8s", json!({"metadata": {"labels": {"disk": "ssd"}}})), cluster.now);
    assert_eq!(cluster.run(), BTreeMap::from([("ssd".into(), "w1-k8s".into())]));
}

#[test]
fn room_of_a_pod_that_went_is_used_and_room_of_a_failed_binding_is_free() {
    let mut cluster = Cluster::new([node("n", json!({}))]);
    assert_eq!(cluster.place(sized("a", "3")), "n");
    assert!(cluster.place(sized("b", "3")).contains("Insufficient cpu"));
    cluster.now += Duration::from_secs(2);
    cluster.core.delete_pod("a", cluster.now);
    let Some(Outcome::Bind { pod, .. }) = cluster.step() else { panic!("b is tried") };
    assert!(cluster.place(sized("c", "3")).contains("Insufficient cpu"), "b is assumed");
    cluster.core.not_bound(&pod.uid, cluster.now);
    cluster.now += Duration::from_secs(20);
    assert_eq!(cluster.run().values().filter(|result| *result == "n").count(), 1);
    assert!(cluster.core.snapshot().nodes()[0].requested.milli_cpu <= 4000);
}

#[test]
fn pods_seen_before_their_node_count_once_it_comes() {
    let mut cluster = Cluster::new([]);
    cluster.add(Arc::new(sized("early", "3").on("n")));
    cluster.core.apply_node(node("n", json!({})), cluster.now);
    assert_eq!(cluster.core.snapshot().nodes()[0].requested.milli_cpu, 3000);
    cluster.core.delete_node("n");
    cluster.core.delete_pod("early", cluster.now);
    cluster.core.apply_node(node("n", json!({})), cluster.now);
    assert_eq!(cluster.core.snapshot().nodes()[0].requested.milli_cpu, 0);
}

#[test]
fn gated_pods_other_schedulers_and_leaving_pods_are_left_alone() {
    let mut cluster = Cluster::new(lab());
    cluster.add(pod("gated", json!({"spec": {"schedulingGates": [{"name": "g"}]}})));
    cluster.add(pod("other", json!({"spec": {"schedulerName": "other"}})));
    cluster.add(pod("leaving", json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})));
    assert!(cluster.run().is_empty());
    assert!(cluster.place(pod("gated", json!({}))).starts_with('w'));
}

#[test]
fn a_higher_pod_pushes_out_as_few_and_as_low_as_it_can() {
    let mut cluster = Cluster::new([node("n1", json!({})), node("n2", json!({}))]);
    let ranked = |name: &str, cpu: &str, priority: i32, node: &str| {
        let mut pod = (*sized(name, cpu)).clone();
        pod.priority = priority;
        Arc::new(pod.on(node))
    };
    cluster.add(ranked("low", "2", 1, "n1"));
    cluster.add(ranked("middle", "2", 5, "n1"));
    cluster.add(ranked("high", "4", 7, "n2"));
    let mut urgent = (*sized("urgent", "2")).clone();
    urgent.priority = 10;
    cluster.add(Arc::new(urgent));
    let Some(Outcome::Wait { victims: Some(victims), .. }) = cluster.step() else { panic!("it preempts") };
    assert_eq!(&*victims.node, "n1");
    assert_eq!(victims.pods.iter().map(|pod| &*pod.name).collect::<Vec<_>>(), ["low"]);
    // The room is promised: a pod of lower rank does not take it.
    cluster.core.delete_pod("low", cluster.now);
    assert!(cluster.place(sized("sneaky", "2")).starts_with("0/2"));
    cluster.now += Duration::from_secs(2);
    assert_eq!(cluster.run().get("urgent").map(String::as_str), Some("n1"));
}

/// A cluster of two full nodes: a pod of this rank on each, the first one's covered by a budget.
fn full(first: i32, second: i32, budget: Budget) -> Cluster {
    let mut cluster = Cluster::new([node("n1", json!({})), node("n2", json!({}))]);
    for (name, priority, node) in [("first", first, "n1"), ("second", second, "n2")] {
        let mut pod = (*sized(name, "4")).clone();
        pod.priority = priority;
        cluster.add(Arc::new(pod.on(node)));
    }
    cluster.core.set_budgets(vec![Arc::new(budget)]);
    cluster
}

fn urgent(name: &str, priority: i32) -> Arc<Pod> {
    Arc::new(Pod { priority, ..(*sized(name, "2")).clone() })
}

#[test]
fn budgets_are_respected_where_that_is_possible() {
    let covering = |allowed, granted: &[&str]| Budget {
        namespace: "default".into(),
        selector: apimachinery::labels::Selector::from_pairs([("app", "web")]),
        allowed,
        granted: granted.iter().map(|name| Box::from(*name)).collect(),
    };
    // Both are covered; what the budget allows is used up by whoever is counted first on each node.
    let node_of = |cluster: &mut Cluster| {
        cluster.add(urgent("urgent", 10));
        let Some(Outcome::Wait { victims: Some(victims), .. }) = cluster.step() else {
            panic!("it preempts")
        };
        victims.node.to_string()
    };
    assert_eq!(node_of(&mut full(1, 5, covering(0, &[]))), "n1", "one must be violated: the lower goes");
    assert_eq!(node_of(&mut full(1, 5, covering(0, &["second"]))), "n2", "its eviction was granted");
    assert_eq!(node_of(&mut full(1, 5, covering(1, &[]))), "n1");
}

#[test]
fn a_promise_is_taken_back_for_a_higher_pod_and_where_it_is_void() {
    let none = Budget {
        namespace: "other".into(),
        selector: apimachinery::labels::Selector::everything(),
        allowed: 0,
        granted: BTreeSet::new(),
    };
    let mut cluster = full(1, 100, none);
    let wait = |cluster: &mut Cluster, pod: Arc<Pod>| {
        cluster.add(pod);
        match cluster.step() {
            Some(Outcome::Wait { nomination, outranked, misfit, .. }) => (
                nomination,
                outranked.iter().map(|pod| pod.name.to_string()).collect::<Vec<_>>(),
                misfit.preemption.clone(),
            ),
            other => panic!("it waits: {other:?}"),
        }
    };
    let given = |node: &str| Nomination::Given(node.into());
    assert_eq!(wait(&mut cluster, urgent("low", 5)), (given("n1"), vec![], None));
    assert_eq!(wait(&mut cluster, urgent("high", 9)), (given("n1"), vec!["low".to_owned()], None));
    let never = Arc::new(Pod { preempts: false, ..(*urgent("never", 9)).clone() });
    assert_eq!(
        wait(&mut cluster, never),
        (Nomination::Stays, vec![], Some("not eligible due to preemptionPolicy=Never.".into()))
    );
    // Nobody lower is left there: the promise holds no more.
    let lost = Pod { nominated_node: Some("n2".into()), ..(*urgent("lost", 0)).clone() };
    let (nomination, _, message) = wait(&mut cluster, Arc::new(lost));
    assert_eq!(nomination, Nomination::Void);
    assert!(message.unwrap().contains("2 No preemption victims found for incoming pod"));
}

#[test]
fn a_pod_waits_for_its_claim_and_what_was_chosen_for_it_is_free_again_when_it_fails() {
    use crate::framework::Event;
    use crate::plugins::volume_binding::{Action, Progress};
    use crate::volumes::{Choice, Claim, Class, Kind};
    let mut cluster = Cluster::new(lab());
    let claims =
        json!({"spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}});
    let why = cluster.place(pod("web", claims));
    assert!(why.starts_with("0/3 nodes are available: persistentvolumeclaim \"data\" not found."), "{why}");
    cluster.now += Duration::from_secs(2);
    let class = Class { waits: true, provisioner: "local".into(), ..Class::default() };
    let kind = Kind { class: "later".into(), ..Kind::default() };
    let claim = Claim { uid: "u".into(), version: 5, kind, ..Claim::default() };
    cluster.core.change_surroundings(
        Some(Event::Volumes("storage.k8s.io/StorageClassUpdate")),
        cluster.now,
        |around| {
            around.volumes.classes.insert("later".into(), class);
        },
    );
    assert_eq!(cluster.core.queue().counts()[0], 1, "any class may help");
    assert!(matches!(cluster.step(), Some(Outcome::Wait { .. })));
    cluster.now += Duration::from_secs(3);
    cluster.core.change_surroundings(Some(Event::Claim("default/other")), cluster.now, |_| {});
    assert!(cluster.step().is_none(), "another claim does not help");
    cluster.core.change_surroundings(Some(Event::Claim("default/data")), cluster.now, |around| {
        around.volumes.claims.insert("default/data".into(), claim);
    });
    let Some(Outcome::Bind { pod, node, mut claims, .. }) = cluster.step() else { panic!("it has a node") };
    assert_eq!((&claims[0].choice, claims[0].action), (&Choice::Node(node), Action::Write(5)));
    claims[0].action = Action::Written(6);
    assert_eq!(cluster.core.progress(&pod.uid, &claims), Some(Progress::Waits));
    assert!(cluster.core.snapshot().around.volumes.assumed.contains_key("default/data"));
    cluster.core.not_bound(&pod.uid, cluster.now);
    assert!(cluster.core.snapshot().around.volumes.assumed.is_empty());
    assert_eq!(cluster.core.progress(&pod.uid, &claims), None, "nobody waits for it any more");
    cluster.now += Duration::from_secs(20);
    assert!(matches!(cluster.step(), Some(Outcome::Bind { .. })));
    cluster.core.delete_pod(&pod.uid, cluster.now);
    assert!(cluster.core.snapshot().around.volumes.assumed.is_empty());
}

use serde_json::{Value, json};

use super::*;
use crate::observed::{ObservedContainer, Sandbox};

const MACHINE: Machine = Machine { memory: 4_000_000_000, cpu_quota: true };

fn a_pod(resources: &[Value]) -> Pod {
    let containers: Vec<Value> = resources
        .iter()
        .zip(["a", "b", "c"])
        .map(|(resources, name)| json!({"name": name, "resources": resources}))
        .collect();
    serde_json::from_value(json!({"metadata": {"name": "p", "uid": "p"}, "spec": {"containers": containers}}))
        .unwrap()
}

fn asks(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}})
}

/// A pod's containers, all running with what this version of it grants.
fn running(pod: &Pod) -> Observed {
    let containers = pod::spec(pod).containers.iter();
    let containers = containers.map(|container| ObservedContainer {
        id: format!("id-{}", container.name),
        name: container.name.clone(),
        sandbox_id: "s".into(),
        state: State::Running,
        resources: Some(resources::container(pod, container, MACHINE, false)),
        ..ObservedContainer::default()
    });
    Observed {
        sandboxes: vec![Sandbox { id: "s".into(), ready: true, ..Sandbox::default() }],
        containers: containers.collect(),
    }
}

#[test]
fn what_is_asked_for_is_compared_by_amount() {
    for (one, other, same) in [
        (asks("1", "1Gi"), asks("1000m", "1024Mi"), true),
        (asks("1", "1Gi"), asks("1", "1025Mi"), false),
        (asks("1", "1Gi"), json!({"requests": {"cpu": "1", "memory": "1Gi"}}), false),
        (json!({}), Value::Null, true),
        // What cannot be resized is not looked at.
        (json!({"limits": {"x.com/gpu": "1"}}), json!({}), true),
    ] {
        let text = format!("{one} {other}");
        assert_eq!(is_same(&a_pod(&[one]), &a_pod(&[other])), same, "{text}");
    }
}

#[test]
fn a_pod_keeps_what_was_granted_while_more_is_not() {
    let (asked, granted) =
        (a_pod(&[asks("2", "1Gi"), json!({})]), a_pod(&[asks("1", "1Gi"), asks("1", "1Mi")]));
    assert!(is_same(&with_resources_of(&asked, &granted), &granted));
    let status: PodStatus = serde_json::from_value(json!({"containerStatuses": [
        {"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
         "allocatedResources": {"cpu": "1", "memory": "1Gi"}, "resources": asks("1", "1Gi")},
    ]}))
    .unwrap();
    assert!(is_same(&as_shown(&asked, &status), &a_pod(&[asks("1", "1Gi"), json!({})])));
}

#[test]
fn a_resize_is_granted_deferred_or_infeasible() {
    let allocatable =
        BTreeMap::from([("cpu".into(), "2".parse().unwrap()), ("memory".into(), "1Gi".parse().unwrap())]);
    let mut other = a_pod(&[asks("500m", "512Mi")]);
    other.metadata.uid = Some("other".into());
    let told = |cpu: &str, memory: &str| match decide(
        &a_pod(&[asks(cpu, memory)]),
        [&other].into_iter(),
        &allocatable,
    ) {
        Answer::Granted => "granted".to_owned(),
        Answer::Deferred(why) => format!("later: {why}"),
        Answer::Infeasible(why) => format!("never: {why}"),
    };
    assert_eq!(told("1500m", "512Mi"), "granted");
    assert_eq!(
        told("1600m", "512Mi"),
        "later: Node didn't have enough resource: cpu, requested: 1600, used: 500, capacity: 2000"
    );
    assert_eq!(
        told("1", "2Gi"),
        "never: Node didn't have enough capacity: memory, requested: 2147483648, capacity: 1073741824"
    );
}

#[test]
fn containers_change_as_their_policy_says() {
    let before = a_pod(&[asks("100m", "64Mi"), asks("100m", "64Mi"), asks("100m", "64Mi")]);
    let observed = running(&before);
    assert_eq!(changes(&before, &observed, MACHINE, false), []);
    let mut after = a_pod(&[asks("200m", "64Mi"), asks("100m", "32Mi"), asks("100m", "64Mi")]);
    after.spec.as_mut().unwrap().containers[1].resize_policy =
        serde_json::from_value(json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]))
            .unwrap();
    let changes = changes(&after, &observed, MACHINE, false);
    let text: Vec<String> = changes
        .iter()
        .map(|change| {
            let Change { id, restart, less_memory, resources, .. } = change;
            format!(
                "{id} {restart} {less_memory:?} {} {}",
                resources.cpu_quota, resources.memory_limit_in_bytes
            )
        })
        .collect();
    assert_eq!(text, ["id-a false None 20000 67108864", "id-b true Some(33554432) 10000 33554432"]);
}

#[test]
fn a_container_that_does_not_run_or_is_not_told_of_is_left_alone() {
    let (before, after) = (a_pod(&[asks("100m", "64Mi")]), a_pod(&[asks("200m", "64Mi")]));
    let mut observed = running(&before);
    observed.containers[0].resources = None;
    assert_eq!(changes(&after, &observed, MACHINE, false), []);
    let mut observed = running(&before);
    observed.containers[0].state = State::Exited;
    assert_eq!(changes(&after, &observed, MACHINE, false), []);
}

#[test]
fn a_pod_is_as_wide_as_it_must_be_meanwhile() {
    let limits =
        |quota, memory| Limits { cpu_shares: Some(2), cpu_quota: quota, memory, ..Limits::default() };
    for (before, after, between) in [
        (limits(Some(10), Some(20)), limits(Some(20), Some(10)), limits(Some(20), Some(20))),
        (limits(None, Some(20)), limits(Some(20), Some(30)), limits(Some(-1), Some(30))),
        (limits(None, None), limits(None, None), limits(None, None)),
    ] {
        assert_eq!(wider(&before, &after), between);
    }
}

//! Which endpoints a service has, and how they are packed into slices.

use serde_json::json;

use super::desired::desired;
use super::packing::FULL;
use super::*;

fn service(change: Value) -> Service {
    let mut service = json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "s", "labels": {"team": "a"}},
        "spec": {"selector": {"app": "web"}, "clusterIP": "10.96.0.7", "ipFamilies": ["IPv4"],
            "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]}});
    for (name, value) in change.as_object().unwrap() {
        service["spec"][name] = value.clone();
    }
    serde_json::from_value(service).unwrap()
}

fn pod(number: usize, state: &str) -> Arc<Pod> {
    let (high, low) = (number / 250, number % 250);
    let mut pod = json!({
        "metadata": {"name": format!("p{number:03}"), "namespace": "default", "uid": format!("u{number}")},
        "spec": {"nodeName": "w1", "containers": [{"ports": [{"name": "web", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": format!("172.16.{high}.{low}"),
            "podIPs": [{"ip": format!("172.16.{high}.{low}")}, {"ip": format!("fd00::{number:x}")}],
            "conditions": [{"type": "Ready", "status": if state == "waiting" { "False" } else { "True" }}]}});
    match state {
        "leaving" => pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into(),
        "ended" => pod["status"]["phase"] = "Failed".into(),
        "unnamed" => pod["spec"]["containers"][0]["ports"][0]["name"] = "other".into(),
        "new" => pod["status"] = json!({"phase": "Pending"}),
        _ => {}
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn zones() -> HashMap<String, String> {
    HashMap::from([("w1".to_owned(), "z1".to_owned())])
}

fn groups(service: &Service, states: &[&str]) -> desired::Groups {
    let pods: Vec<_> = states.iter().enumerate().map(|(number, state)| pod(number, state)).collect();
    desired(service, &pods, &zones())
}

#[test]
fn conditions_follow_the_pod() {
    let states = ["ready", "waiting", "leaving", "ended", "new"];
    let told = |service: &Service| -> Vec<String> {
        let groups = groups(service, &states);
        let endpoints = groups.values().flatten();
        let tell = |value: Option<bool>| if value == Some(true) { '+' } else { '-' };
        endpoints
            .map(|endpoint| {
                let conditions = &endpoint.conditions;
                [conditions.ready, conditions.serving, conditions.terminating].map(tell).iter().collect()
            })
            .collect()
    };
    assert_eq!(told(&service(json!({}))), ["++-", "---", "-++"]);
    assert_eq!(told(&service(json!({"publishNotReadyAddresses": true}))), ["++-", "+--", "+++"]);
}

#[test]
fn endpoints_name_pod_node_and_zone() {
    let groups = groups(&service(json!({})), &["ready"]);
    let ((family, ports), endpoints) = groups.iter().next().unwrap();
    assert_eq!((family.as_str(), ports[0].port), ("IPv4", Some(8080)));
    assert_eq!(
        json!(endpoints[0]),
        json!({"addresses": ["172.16.0.0"], "nodeName": "w1", "zone": "z1",
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "p000", "uid": "u0"}})
    );
    let near =
        desired(&service(json!({"trafficDistribution": "PreferSameNode"})), &[pod(0, "ready")], &zones());
    let hints = near.values().flatten().next().unwrap().hints.clone().unwrap();
    assert_eq!(json!(hints), json!({"forZones": [{"name": "z1"}], "forNodes": [{"name": "w1"}]}));
}

#[test]
fn pods_with_other_ports_and_families_are_groups_of_their_own() {
    let both = service(json!({"ipFamilies": ["IPv4", "IPv6"]}));
    let groups = groups(&both, &["ready", "unnamed"]);
    let told: Vec<(&str, usize, usize)> =
        groups.iter().map(|((family, ports), endpoints)| (&**family, ports.len(), endpoints.len())).collect();
    assert_eq!(told, [("IPv4", 0, 1), ("IPv4", 1, 1), ("IPv6", 0, 1), ("IPv6", 1, 1)]);
}

/// Writes a packing as the store would see it afterwards.
fn settle(packing: Packing, before: &[Arc<EndpointSlice>]) -> Vec<Arc<EndpointSlice>> {
    let mut after: Vec<_> = before.to_vec();
    after.retain(|slice| !packing.delete.iter().any(|gone| gone.metadata.name == slice.metadata.name));
    let labels = labels(&service(json!({})));
    for (present, content) in packing.update {
        let index = after.iter().position(|slice| slice.metadata.name == present.metadata.name);
        let index = index.unwrap_or_else(|| {
            after.push(Arc::clone(&present));
            after.len() - 1
        });
        let mut slice = (*present).clone();
        (slice.address_type, slice.ports, slice.endpoints) =
            (content.address_type, content.ports, content.endpoints);
        slice.metadata.labels = labels.clone();
        after[index] = Arc::new(slice);
    }
    for content in packing.create {
        let mut slice = EndpointSlice {
            address_type: content.address_type,
            ports: content.ports,
            endpoints: content.endpoints,
            ..EndpointSlice::default()
        };
        slice.metadata.name = format!("web-{}", after.len());
        slice.metadata.labels = labels.clone();
        after.push(Arc::new(slice));
    }
    after
}

fn packed(present: &[Arc<EndpointSlice>], pods: impl IntoIterator<Item = (usize, &'static str)>) -> Packing {
    let pods: Vec<_> = pods.into_iter().map(|(number, state)| pod(number, state)).collect();
    let service = service(json!({}));
    pack(present, desired(&service, &pods, &zones()), &labels(&service))
}

fn sizes(slices: &[Arc<EndpointSlice>]) -> Vec<usize> {
    slices.iter().map(|slice| slice.endpoints.len()).collect()
}

fn writes(packing: &Packing) -> (usize, usize, usize) {
    (packing.create.len(), packing.update.len(), packing.delete.len())
}

#[test]
fn fills_slices_of_a_hundred_and_changes_as_few_as_can_be() {
    let ready = |range: std::ops::Range<usize>| range.map(|number| (number, "ready"));
    let slices = settle(packed(&[], ready(0..250)), &[]);
    assert_eq!(sizes(&slices), [FULL, FULL, 50]);
    assert_eq!(writes(&packed(&slices, ready(0..250))), (0, 0, 0), "nothing changed, nothing is written");

    let more = packed(&slices, ready(0..260));
    assert_eq!(writes(&more), (0, 1, 0), "new endpoints go where there is room");
    let changed = packed(&slices, ready(0..249).chain([(249, "waiting")]));
    assert_eq!(writes(&changed), (0, 1, 0), "a changed endpoint changes its slice only");
    let swapped = packed(&slices, ready(1..251));
    assert_eq!(writes(&swapped), (0, 1, 0), "the slice that lost one takes the new one");
    let fewer = packed(&slices, ready(0..200));
    assert_eq!(writes(&fewer), (0, 0, 1), "an empty slice goes");
    let many = packed(&slices, ready(0..500));
    assert_eq!(writes(&many), (2, 1, 0));
}

#[test]
fn a_service_without_pods_keeps_one_empty_slice() {
    let slices = settle(packed(&[], []), &[]);
    assert_eq!(sizes(&slices), [0]);
    assert_eq!(writes(&packed(&slices, [])), (0, 0, 0));
    let filled = packed(&slices, [(0, "ready")]);
    assert_eq!(writes(&filled), (0, 1, 0), "which becomes the first real one");
    let slices = settle(filled, &slices);
    assert_eq!(sizes(&slices), [1]);
    assert_eq!(writes(&packed(&slices, [])), (0, 1, 0), "and the empty one again");
}

#[test]
fn slices_follow_the_labels_of_the_service() {
    let slices = settle(packed(&[], [(0, "ready")]), &[]);
    let mut renamed = service(json!({"clusterIP": "None"}));
    renamed.metadata.labels.insert("team".to_owned(), "b".to_owned());
    let labels = labels(&renamed);
    assert_eq!(labels["service.kubernetes.io/headless"], "");
    let packing = pack(&slices, desired(&renamed, &[pod(0, "ready")], &zones()), &labels);
    assert_eq!(writes(&packing), (0, 1, 0));
}

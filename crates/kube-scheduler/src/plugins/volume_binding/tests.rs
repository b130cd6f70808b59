use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::node::Node;
use crate::plugins::{VolumeRestrictions, VolumeZone};
use crate::snapshot::Snapshot;
use crate::volumes::{AccessModes, Choice, Claim, ClaimRef, Class, Kind, Volume};

/// Nodes a (zone 1), b (zone 1), c (zone 2), d (no zone).
fn nodes() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (name, zone) in [("a", Some("1")), ("b", Some("1")), ("c", Some("2")), ("d", None)] {
        let mut labels = json!({"host": name});
        if let Some(zone) = zone {
            labels["topology.kubernetes.io/zone"] = zone.into();
        }
        let node: Node =
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap();
        snapshot.set_node(Arc::new(node));
    }
    snapshot
}

fn on(hosts: &[&str]) -> Option<k8s_openapi::api::core::v1::NodeSelector> {
    let expression = json!({"key": "host", "operator": "In", "values": hosts});
    Some(serde_json::from_value(json!({"nodeSelectorTerms": [{"matchExpressions": [expression]}]})).unwrap())
}

fn gi(size: i64) -> apimachinery::Quantity {
    format!("{size}Gi").parse().unwrap()
}

fn of_class(class: &str) -> Kind {
    Kind { class: class.into(), ..Kind::default() }
}

fn claim(class: &str, size: i64) -> Claim {
    Claim {
        uid: format!("uid-{class}-{size}").into(),
        version: 7,
        kind: of_class(class),
        size: gi(size),
        ..Claim::default()
    }
}

fn free(class: &str, size: i64, hosts: &[&str]) -> Volume {
    let nodes = on(hosts);
    Volume { version: 3, kind: of_class(class), size: gi(size), nodes, available: true, ..Volume::default() }
}

/// Class `wait` has a provisioner, `zoned` one for zone 2, `static` none; claims of all three wait for their pod.
fn around(claims: &[(&str, Claim)], volumes: &[(&str, Volume)]) -> Snapshot {
    let mut snapshot = nodes();
    let all = &mut Arc::make_mut(&mut snapshot.around).volumes;
    let class =
        |provisioner: &str| Class { waits: true, provisioner: provisioner.into(), ..Class::default() };
    all.classes.insert("wait".into(), class("local"));
    all.classes.insert("static".into(), class("kubernetes.io/no-provisioner"));
    let zones =
        json!([{"matchLabelExpressions": [{"key": "topology.kubernetes.io/zone", "values": ["2", "3"]}]}]);
    let topologies = serde_json::from_value::<Vec<_>>(zones).unwrap().into();
    all.classes.insert("zoned".into(), Class { topologies, ..class("local") });
    all.classes.insert("now".into(), Class { provisioner: "local".into(), ..Class::default() });
    let key = |name: &str| format!("d/{name}").into();
    all.claims = claims.iter().map(|(name, claim)| (key(name), claim.clone())).collect();
    all.volumes = volumes.iter().map(|(name, volume)| ((*name).into(), volume.clone())).collect();
    snapshot
}

fn pod(claims: &[&str]) -> Pod {
    let volumes: Vec<Value> = claims
        .iter()
        .map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}))
        .collect();
    serde_json::from_value(json!({
        "metadata": {"namespace": "d", "name": "p", "uid": "p"}, "spec": {"containers": [], "volumes": volumes}}))
    .unwrap()
}

/// The nodes that a plugin lets the pod go to, or why there is none.
fn verdict(plugin: &dyn Plugin, pod: &Pod, snapshot: &Snapshot) -> String {
    let check = match plugin.filter(pod, snapshot) {
        Filter::Skip => return "skip".into(),
        Filter::Reject(rejection) => return rejection.reasons.join(", "),
        Filter::Check(check) | Filter::Among(_, check) => check,
    };
    let (mut allowed, mut why) = (String::new(), String::new());
    for info in snapshot.nodes() {
        match check(info) {
            Ok(()) => allowed.push_str(&info.node.name),
            Err(rejection) => why = rejection.reasons.join(", "),
        }
    }
    if allowed.is_empty() { why } else { allowed }
}

fn planned(pod: &Pod, snapshot: &Snapshot, node: &str) -> Vec<String> {
    let steps = plan(pod, &snapshot.around.volumes, &snapshot.node(node).unwrap().node);
    steps.iter().map(|step| format!("{} {:?} {:?}", step.claim, step.choice, step.action)).collect()
}

#[test]
fn bound_claims_decide_about_nodes() {
    let bound = |volume: &str| Claim { volume: Some(volume.into()), bound: true, ..claim("now", 1) };
    let begun = Claim { bound: false, ..bound("pv") };
    let lost = Claim { lost: true, ..bound("gone") };
    let going = Claim { deleting: true, ..bound("pv") };
    let claims = [
        ("bound", bound("pv")),
        ("gone", bound("gone")),
        ("begun", begun),
        ("lost", lost),
        ("going", going),
        ("new", claim("now", 1)),
    ];
    let snapshot = around(&claims, &[("pv", free("now", 1, &["b"]))]);
    let check = |name: &str, expected: &str| {
        assert_eq!(verdict(&VolumeBinding, &pod(&[name]), &snapshot), expected);
    };
    check("bound", "b");
    check("gone", "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)");
    check("begun", "pod has unbound immediate PersistentVolumeClaims");
    check("new", "pod has unbound immediate PersistentVolumeClaims");
    check("none", "persistentvolumeclaim \"none\" not found");
    check("going", "persistentvolumeclaim \"going\" is being deleted");
    check("lost", "persistentvolumeclaim \"lost\" bound to non-existent persistentvolume \"gone\"");
    assert_eq!(verdict(&VolumeBinding, &pod(&[]), &snapshot), "skip");
    let far = around(&[("bound", bound("pv"))], &[("pv", free("now", 1, &["z"]))]);
    assert_eq!(
        verdict(&VolumeBinding, &pod(&["bound"]), &far),
        "node(s) didn't match PersistentVolume's node affinity"
    );
}

#[test]
fn an_ephemeral_claim_must_be_the_pods_own() {
    let own: Pod = serde_json::from_value(json!({
        "metadata": {"namespace": "d", "name": "p", "uid": "u"},
        "spec": {"containers": [], "volumes": [{"name": "v", "ephemeral": {}}]}}))
    .unwrap();
    let check = |claims: &[(&str, Claim)], expected: &str| {
        assert_eq!(verdict(&VolumeBinding, &own, &around(claims, &[])), expected);
    };
    check(&[], "waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-v\"");
    check(&[("p-v", claim("wait", 1))], "PVC d/p-v was not created for pod d/p (pod is not owner)");
    check(&[("p-v", Claim { controller: Some("u".into()), ..claim("wait", 1) })], "abcd");
}

#[test]
fn waiting_claims_find_the_smallest_volume_of_the_node() {
    let foreign = ClaimRef { key: "d/other".into(), uid: "x".into() };
    let volumes = [
        ("big", free("static", 9, &["a", "b"])),
        ("small", free("static", 5, &["b"])),
        ("tiny", free("static", 1, &["c"])),
        ("taken", Volume { claim: Some(foreign), ..free("static", 5, &["c"]) }),
        ("spent", Volume { available: false, ..free("static", 5, &["c"]) }),
        ("going", Volume { deleting: true, ..free("static", 5, &["c"]) }),
        ("other", free("now", 5, &["c"])),
    ];
    let snapshot = around(&[("one", claim("static", 2)), ("two", claim("static", 4))], &volumes);
    assert_eq!(verdict(&VolumeBinding, &pod(&["one"]), &snapshot), "ab");
    assert_eq!(planned(&pod(&["one"]), &snapshot, "b"), ["d/one Volume(\"small\") Write(3)"]);
    assert_eq!(planned(&pod(&["one"]), &snapshot, "a"), ["d/one Volume(\"big\") Write(3)"]);
    // Two claims of one pod do not get one volume, and the smaller claim chooses first.
    assert_eq!(verdict(&VolumeBinding, &pod(&["two", "one"]), &snapshot), "b");
    assert_eq!(
        planned(&pod(&["two", "one"]), &snapshot, "b"),
        ["d/one Volume(\"small\") Write(3)", "d/two Volume(\"big\") Write(3)"]
    );
    let huge = around(&[("huge", claim("static", 50))], &volumes);
    assert_eq!(
        verdict(&VolumeBinding, &pod(&["huge"]), &huge),
        "node(s) didn't find available persistent volumes to bind"
    );
}

#[test]
fn what_nothing_fits_is_made_for_the_node() {
    let chosen = Claim { selected_node: Some("c".into()), ..claim("wait", 1) };
    let claims = [("new", claim("wait", 1)), ("chosen", chosen), ("zoned", claim("zoned", 1))];
    let snapshot = around(&claims, &[]);
    assert_eq!(verdict(&VolumeBinding, &pod(&["new"]), &snapshot), "abcd");
    assert_eq!(planned(&pod(&["new"]), &snapshot, "b"), ["d/new Node(\"b\") Write(7)"]);
    assert_eq!(verdict(&VolumeBinding, &pod(&["chosen"]), &snapshot), "c");
    assert_eq!(planned(&pod(&["chosen"]), &snapshot, "c"), ["d/chosen Node(\"c\") Nothing"]);
    assert_eq!(verdict(&VolumeBinding, &pod(&["zoned"]), &snapshot), "c");
}

#[test]
fn what_was_chosen_for_one_pod_holds_for_others() {
    let claims = [("shared", claim("wait", 1)), ("one", claim("static", 1)), ("two", claim("static", 1))];
    let mut snapshot = around(&claims, &[("pv", free("static", 1, &["a", "b"]))]);
    let volumes = &mut Arc::make_mut(&mut snapshot.around).volumes;
    volumes.assume("first", [("d/shared".into(), Choice::Node("b".into()))]);
    volumes.assume("first", [("d/one".into(), Choice::Volume("pv".into()))]);
    assert_eq!(verdict(&VolumeBinding, &pod(&["shared"]), &snapshot), "b");
    assert_eq!(planned(&pod(&["shared"]), &snapshot, "b"), ["d/shared Node(\"b\") Nothing"]);
    assert_eq!(verdict(&VolumeBinding, &pod(&["one"]), &snapshot), "ab");
    assert_eq!(
        verdict(&VolumeBinding, &pod(&["two"]), &snapshot),
        "node(s) didn't find available persistent volumes to bind"
    );
    let volumes = &mut Arc::make_mut(&mut snapshot.around).volumes;
    assert!(volumes.forget("first"));
    assert_eq!(verdict(&VolumeBinding, &pod(&["two"]), &snapshot), "ab");
}

#[test]
fn progress_is_told_from_what_the_watches_show() {
    let mut snapshot = around(&[("new", claim("wait", 1))], &[("pv", free("wait", 1, &["b"]))]);
    let step = |action| Step {
        claim: "d/new".into(),
        uid: "uid-wait-1".into(),
        choice: Choice::Node("b".into()),
        action,
    };
    let of = |snapshot: &Snapshot, action, node: &str| {
        let node = snapshot.node(node).map(|info| info.node.clone());
        progress(&[step(action)], &snapshot.around.volumes, node.as_deref())
    };
    let failed = |why: &str| Progress::Failed(why.to_owned());
    assert_eq!(of(&snapshot, Action::Written(8), "b"), Progress::Waits, "not seen yet");
    assert_eq!(
        of(&snapshot, Action::Written(7), "b"),
        failed("selectedNode annotation reset for PVC \"new\"")
    );
    assert_eq!(of(&snapshot, Action::Written(7), "z"), failed("node not found"));
    let mut change = |change: fn(&mut Claim)| {
        let volumes = &mut Arc::make_mut(&mut snapshot.around).volumes;
        change(volumes.claims.get_mut("d/new").unwrap());
        snapshot.clone()
    };
    let selected = change(|claim| claim.selected_node = Some("b".into()));
    assert_eq!(of(&selected, Action::Written(7), "b"), Progress::Waits);
    let bound = change(|claim| (claim.volume, claim.bound) = (Some("pv".into()), true));
    assert_eq!(of(&bound, Action::Written(7), "b"), Progress::Bound);
    assert_eq!(
        of(&bound, Action::Written(7), "a"),
        failed("pv \"pv\" node affinity doesn't match node \"a\": no matching NodeSelectorTerms")
    );
}

#[test]
fn a_pod_goes_to_its_volumes_zone() {
    let bound = Claim { volume: Some("pv".into()), bound: true, ..claim("now", 1) };
    let labels = [("topology.kubernetes.io/zone".to_owned(), "2__3".to_owned())].into();
    let volume = Volume { labels, ..Volume::default() };
    let snapshot = around(&[("bound", bound)], &[("pv", volume)]);
    assert_eq!(verdict(&VolumeZone, &pod(&["bound"]), &snapshot), "cd");
}

#[test]
fn a_claim_of_one_pod_is_not_given_to_a_second() {
    let single = Claim { modes: AccessModes::ONE_POD, ..claim("now", 1) };
    let mut snapshot = around(&[("single", single)], &[]);
    assert_eq!(verdict(&VolumeRestrictions, &pod(&["single"]), &snapshot), "abcd");
    let user = Arc::new(Pod { uid: "user".into(), ..pod(&["single"]).on("b") });
    snapshot.change("b", |info| info.add(user.clone()));
    assert_eq!(
        verdict(&VolumeRestrictions, &pod(&["single"]), &snapshot),
        "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
    );
    assert!(VolumeRestrictions.may_help(Event::PodGone(&user), &pod(&["single"])));
    assert!(!VolumeRestrictions.may_help(Event::PodGone(&user), &pod(&["other"])));
}

//! What becomes of claims and volumes.

use serde_json::{Value, json};

use super::claim::View;
use super::*;

fn claim(change: Value) -> PersistentVolumeClaim {
    let mut claim = json!({
        "metadata": {"name": "data", "namespace": "default", "uid": "c1"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}}},
    });
    patch(&mut claim, &change);
    serde_json::from_value(claim).unwrap()
}

fn volume(name: &str, change: Value) -> Arc<PersistentVolume> {
    let mut volume = json!({
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "capacity": {"storage": "2Gi"}},
        "status": {"phase": "Available"},
    });
    patch(&mut volume, &change);
    Arc::new(serde_json::from_value(volume).unwrap())
}

fn patch(value: &mut Value, change: &Value) {
    match change {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| patch(&mut value[name.as_str()], field));
        }
        other => *value = other.clone(),
    }
}

fn shown(step: &claim::Step) -> String {
    match step {
        claim::Step::Wait(told) => format!("wait {}", told.as_ref().map_or("", |told| told.reason)),
        claim::Step::Provision(provisioner) => format!("provision {provisioner}"),
        claim::Step::Bind(volume) => format!("bind {}", volume.metadata.name),
        claim::Step::Reschedule => "reschedule".to_owned(),
        claim::Step::Lose(told) => format!("lose {}", told.reason),
    }
}

fn decided(claim: &PersistentVolumeClaim, view: &View<'_>) -> String {
    shown(&claim::decide(claim, view))
}

#[test]
fn a_claim_gets_the_smallest_free_volume_that_fits() {
    let taken = json!({"spec": {"claimRef": {"namespace": "default", "name": "other", "uid": "c2"}}});
    let volumes = [
        volume("small", json!({"spec": {"capacity": {"storage": "500Mi"}}})),
        volume("large", json!({"spec": {"capacity": {"storage": "10Gi"}}})),
        volume(
            "taken",
            json!({"spec": {"capacity": {"storage": "1Gi"}, "claimRef": taken["spec"]["claimRef"]}}),
        ),
        volume("block", json!({"spec": {"capacity": {"storage": "1Gi"}, "volumeMode": "Block"}})),
        volume("many", json!({"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadOnlyMany"]}})),
        volume(
            "released",
            json!({"spec": {"capacity": {"storage": "1Gi"}}, "status": {"phase": "Released"}}),
        ),
        volume(
            "going",
            json!({"spec": {"capacity": {"storage": "1Gi"}},
            "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        ),
        volume("b", json!({"metadata": {"labels": {"disk": "fast"}}})),
        volume("a", json!({})),
    ];
    let check = |change: Value, expected: &str| {
        assert_eq!(decided(&claim(change), &View { volumes: &volumes, ..View::default() }), expected);
    };
    check(json!({}), "bind a");
    check(json!({"spec": {"selector": {"matchLabels": {"disk": "fast"}}}}), "bind b");
    check(json!({"spec": {"resources": {"requests": {"storage": "5Gi"}}}}), "bind large");
    check(json!({"spec": {"volumeMode": "Block"}}), "bind block");
    check(json!({"spec": {"resources": {"requests": {"storage": "50Gi"}}}}), "wait FailedBinding");
    let own = json!({"namespace": "default", "name": "data"});
    let mut with_own = volumes.to_vec();
    with_own.push(volume("own", json!({"spec": {"capacity": {"storage": "90Gi"}, "claimRef": own}})));
    assert_eq!(decided(&claim(json!({})), &View { volumes: &with_own, ..View::default() }), "bind own");
}

#[test]
fn a_claim_of_a_class_waits_for_its_pod_or_its_provisioner() {
    let class = |mode: &str, provisioner: &str| -> StorageClass {
        serde_json::from_value(json!({"provisioner": provisioner, "volumeBindingMode": mode})).unwrap()
    };
    let check = |change: Value, class: Option<StorageClass>, expected: &str| {
        let mut claim = claim(change);
        claim.spec.storage_class_name = Some("local".to_owned());
        let free = [volume("free", json!({"spec": {"storageClassName": "local"}}))];
        let none = [];
        let volumes: &[Arc<PersistentVolume>] =
            if claim.metadata.annotations.contains_key("free") { &free } else { &none };
        assert_eq!(decided(&claim, &View { volumes, class: class.as_ref(), ..View::default() }), expected);
    };
    let later = "WaitForFirstConsumer";
    let free = json!({"metadata": {"annotations": {"free": ""}}});
    let chosen = json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "w1"}}});
    check(json!({}), None, "wait ProvisioningFailed");
    check(json!({}), Some(class("Immediate", "local-path")), "provision local-path");
    check(json!({}), Some(class("Immediate", "kubernetes.io/no-provisioner")), "wait ProvisioningFailed");
    check(json!({}), Some(class(later, "local-path")), "wait WaitForFirstConsumer");
    check(free.clone(), Some(class(later, "local-path")), "wait WaitForFirstConsumer");
    let free_annotation = free.clone();
    check(free, Some(class("Immediate", "local-path")), "bind free");
    check(chosen.clone(), Some(class(later, "local-path")), "provision local-path");
    // Any free volume might be out of the chosen node's reach: only the scheduler takes one.
    let mut both = chosen;
    patch(&mut both, &free_annotation);
    check(both, Some(class(later, "local-path")), "provision local-path");
}

#[test]
fn a_claim_says_which_pods_hold_it_up_and_is_scheduled_anew_when_its_node_goes() {
    let class: StorageClass = serde_json::from_value(
        json!({"provisioner": "local-path", "volumeBindingMode": "WaitForFirstConsumer"}),
    )
    .unwrap();
    let told = |pods: &[&str]| {
        let pods: Vec<String> = pods.iter().map(|pod| (*pod).to_owned()).collect();
        let view = View { class: Some(&class), pods: &pods, ..View::default() };
        match claim::decide(&claim(json!({"spec": {"storageClassName": "local"}})), &view) {
            claim::Step::Wait(Some(told)) => format!("{}: {}", told.reason, told.message),
            other => shown(&other),
        }
    };
    assert_eq!(told(&["web-0"]), "WaitForPodScheduled: waiting for pod web-0 to be scheduled");
    assert_eq!(told(&["a", "b"]), "WaitForPodScheduled: waiting for pods a,b to be scheduled");
    let chosen = json!({"metadata": {"annotations": {SELECTED_NODE: "w1"}}});
    let view = View { class: Some(&class), node_is_gone: true, ..View::default() };
    assert_eq!(decided(&claim(chosen), &view), "reschedule");
}

#[test]
fn a_claim_that_names_its_volume_gets_that_or_none() {
    let named = json!({"spec": {"volumeName": "v"}});
    let other = json!({"spec": {"claimRef": {"namespace": "default", "name": "data", "uid": "another"}}});
    let check = |change: &Value, volume: Option<Arc<PersistentVolume>>, expected: &str| {
        assert_eq!(
            decided(&claim(change.clone()), &View { named: volume.as_ref(), ..View::default() }),
            expected
        );
    };
    check(&named, None, "wait ");
    check(&named, Some(volume("v", json!({}))), "bind v");
    check(&named, Some(volume("v", other.clone())), "wait FailedBinding");
    check(
        &named,
        Some(volume("v", json!({"spec": {"capacity": {"storage": "1Mi"}}}))),
        "wait VolumeMismatch",
    );
    let mut complete = named;
    patch(&mut complete, &json!({"metadata": {"annotations": {COMPLETE: "yes"}}}));
    check(&complete, None, "lose ClaimLost");
    check(&complete, Some(volume("v", other)), "lose ClaimMisbound");
    check(&complete, Some(volume("v", json!({"spec": {"capacity": {"storage": "1Mi"}}}))), "bind v");
    check(&json!({"metadata": {"annotations": {COMPLETE: "yes"}}}), None, "lose ClaimLost");
}

#[test]
fn a_volume_follows_its_claim_and_is_reclaimed_by_its_policy() {
    use volume::Step;
    let reference = json!({"namespace": "default", "name": "data", "uid": "c1"});
    let of = |change: Value| {
        let mut base = json!({"spec": {"claimRef": reference}, "status": {"phase": "Bound"}});
        patch(&mut base, &change);
        volume("v", base)
    };
    let bound = claim(json!({"spec": {"volumeName": "v"}}));
    let elsewhere = claim(json!({"spec": {"volumeName": "w"}}));
    let check = |volume: Arc<PersistentVolume>, claim: Option<&PersistentVolumeClaim>, expected: Step| {
        assert_eq!(volume::decide(&volume, claim), expected);
    };
    check(volume("v", json!({"status": {"phase": ""}})), None, Step::Phase("Available"));
    check(of(json!({"spec": {"claimRef": {"uid": ""}}})), None, Step::Phase("Available"));
    check(of(json!({})), Some(&claim(json!({}))), Step::WakeClaim);
    check(of(json!({})), Some(&bound), Step::Phase("Bound"));
    check(of(json!({})), Some(&elsewhere), Step::Unbind);
    check(of(json!({})), None, Step::Phase("Released"));
    let released = |policy: &str| json!({"spec": {"persistentVolumeReclaimPolicy": policy}, "status": {"phase": "Released"}});
    check(of(released("Retain")), None, Step::Leave);
    let why = "Error getting deleter volume plugin for volume \"v\": no deletable volume plugin matched";
    check(of(released("Delete")), None, Step::Fail(why.to_owned()));
    let mut made = released("Delete");
    patch(
        &mut made,
        &json!({"metadata": {"annotations": {"pv.kubernetes.io/provisioned-by": "local-path"}}}),
    );
    check(of(made.clone()), None, Step::Leave);
    patch(&mut made, &json!({"status": {"phase": "Bound"}}));
    check(of(made), Some(&elsewhere), Step::Phase("Released"));
}

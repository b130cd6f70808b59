//! Rollouts, step by step.

use controller_runtime::objects::find;
use expect_test::{Expect, expect};
use jiff::Timestamp;

use super::*;

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}})
}

fn deployment(replicas: i32, change: Value) -> Deployment {
    let mut object = json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "d", "generation": 2},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template("v2")}});
    for (path, value) in change.as_object().unwrap() {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut at = &mut object;
        for part in parent.split('/').skip(1) {
            at = &mut at[part];
        }
        at[name] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

/// A set of an image: `spec/available`, created in the order of images, with its number as revision.
fn set(image: &str, replicas: i32, available: i32, desired: i32, maximum: i32) -> Set {
    let number = image.trim_start_matches('v');
    let object = json!({
        "metadata": {"name": format!("web-{image}"), "uid": image, "generation": 1,
            "creationTimestamp": format!("2026-01-01T00:0{number}:00Z"),
            "annotations": {annotations::REVISION: number, annotations::DESIRED: desired.to_string(),
                annotations::MAXIMUM: maximum.to_string()}},
        "spec": {"replicas": replicas, "template": template(image)},
        "status": {"replicas": replicas, "readyReplicas": available, "availableReplicas": available,
            "observedGeneration": 1}});
    Set::new(Arc::new(serde_json::from_value(object).unwrap()), usize::try_from(replicas).unwrap())
}

fn step(deployment: &Deployment, sets: Vec<Set>) -> Plan {
    plan(&View { deployment, now: now() }, sets)
}

fn check(deployment: &Deployment, sets: Vec<Set>, expected: Expect) {
    let plan = step(deployment, sets);
    let mut lines = String::new();
    if let Some(new) = &plan.create {
        lines += &format!("create {} revision {}\n", new.replicas, new.annotations[annotations::REVISION]);
    }
    for set in &plan.sets {
        let before = set.object.spec.replicas;
        if set.replicas != before {
            lines += &format!("{}: {before} → {}\n", set.object.metadata.name, set.replicas);
        }
    }
    for set in &plan.delete {
        lines += &format!("delete {}\n", set.metadata.name);
    }
    expected.assert_eq(&lines);
}

#[test]
fn a_rollout_goes_up_by_surge_and_down_by_unavailability() {
    let ten = deployment(10, json!({}));
    check(
        &ten,
        vec![],
        expect![[r#"
        create 10 revision 1
    "#]],
    );
    check(
        &ten,
        vec![set("v1", 10, 10, 10, 13)],
        expect![[r#"
        create 3 revision 2
    "#]],
    );
    let both = |old: (i32, i32), new: (i32, i32)| {
        vec![set("v1", old.0, old.1, 10, 13), set("v2", new.0, new.1, 10, 13)]
    };
    check(
        &ten,
        both((10, 10), (3, 0)),
        expect![[r#"
        web-v1: 10 → 8
    "#]],
    );
    check(
        &ten,
        both((8, 8), (3, 0)),
        expect![[r#"
        web-v2: 3 → 5
    "#]],
    );
    check(
        &ten,
        both((8, 8), (5, 3)),
        expect![[r#"
        web-v1: 8 → 5
    "#]],
    );
    check(&ten, both((0, 0), (10, 9)), expect![[""]]);
    check(
        &ten,
        both((3, 0), (10, 8)),
        expect![[r#"
        web-v1: 3 → 0
    "#]],
    );
}

#[test]
fn unhealthy_old_pods_go_first() {
    let ten = deployment(10, json!({}));
    let sets = vec![set("v0", 4, 1, 10, 13), set("v1", 6, 6, 10, 13), set("v2", 3, 3, 10, 13)];
    check(
        &ten,
        sets,
        expect![[r#"
        web-v0: 4 → 0
        web-v1: 6 → 5
    "#]],
    );
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let three = deployment(3, json!({"/spec/strategy/type": "Recreate"}));
    check(
        &three,
        vec![set("v1", 3, 3, 3, 3)],
        expect![[r#"
        web-v1: 3 → 0
    "#]],
    );
    let mut ending = set("v1", 0, 0, 3, 3);
    ending.unfinished_pods = 1;
    check(&three, vec![ending], expect![[""]]);
    check(
        &three,
        vec![set("v1", 0, 0, 3, 3)],
        expect![[r#"
        create 3 revision 2
    "#]],
    );
    check(
        &three,
        vec![set("v1", 0, 0, 3, 3), set("v2", 1, 1, 3, 3)],
        expect![[r#"
        web-v2: 1 → 3
    "#]],
    );
}

#[test]
fn scaling_during_a_rollout_is_shared_by_size() {
    // 15 of at most 15 become 45: v1 10 → 30, v2 5 → 15.
    let change = json!({"/spec/strategy/rollingUpdate": {"maxSurge": 0, "maxUnavailable": 3}});
    check(
        &deployment(45, change),
        vec![set("v1", 10, 10, 15, 15), set("v2", 5, 5, 15, 15)],
        expect![[r#"
        web-v1: 10 → 30
        web-v2: 5 → 15
    "#]],
    );
    let change = json!({"/spec/strategy/rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}});
    check(
        &deployment(5, change),
        vec![set("v1", 8, 8, 10, 13), set("v2", 5, 3, 10, 13)],
        expect![[r#"
        web-v1: 8 → 5
        web-v2: 5 → 3
    "#]],
    );
    check(
        &deployment(0, json!({})),
        vec![set("v1", 8, 8, 10, 13), set("v2", 5, 3, 10, 13)],
        expect![[r#"
        web-v1: 8 → 0
        web-v2: 5 → 0
    "#]],
    );
    check(
        &deployment(4, json!({})),
        vec![set("v2", 3, 3, 3, 4)],
        expect![[r#"
        web-v2: 3 → 4
    "#]],
    );
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let paused = deployment(5, json!({"/spec/paused": true}));
    check(
        &paused,
        vec![set("v1", 3, 3, 3, 4)],
        expect![[r#"
        web-v1: 3 → 5
    "#]],
    );
    let plan = step(&paused, vec![set("v1", 5, 5, 5, 7)]);
    assert!(plan.create.is_none());
    assert_eq!(find(&plan.status.conditions, "Progressing").unwrap().reason, "DeploymentPaused");
}

#[test]
fn rolling_back_gives_the_old_set_the_next_revision_and_remembers_its_own() {
    let back = deployment(
        3,
        json!({"/spec/template": template("v1"),
        "/metadata/annotations": {annotations::REVISION: "2", "note": "x"}}),
    );
    let plan = step(&back, vec![set("v1", 0, 0, 3, 4), set("v2", 3, 3, 3, 4)]);
    let set = &plan.sets[0];
    assert_eq!(set.annotations[annotations::REVISION], "3");
    assert_eq!(set.annotations[annotations::HISTORY], "1");
    assert_eq!(set.annotations["note"], "x");
    assert_eq!(plan.revision.as_deref(), Some("3"));
    assert_eq!(set.replicas, 1);
}

#[test]
fn old_sets_beyond_the_history_limit_go_once_the_rollout_is_complete() {
    let two = deployment(2, json!({"/spec/revisionHistoryLimit": 1, "/spec/template": template("v4")}));
    let old = || vec![set("v1", 0, 0, 2, 3), set("v2", 0, 0, 2, 3), set("v3", 0, 0, 2, 3)];
    let with = |new: Set| old().into_iter().chain([new]).collect::<Vec<_>>();
    check(&two, with(set("v4", 2, 1, 2, 3)), expect![[""]]);
    check(
        &two,
        with(set("v4", 2, 2, 2, 3)),
        expect![[r#"
        delete web-v1
        delete web-v2
    "#]],
    );
}

#[test]
fn tells_progress_completion_and_the_missed_deadline() {
    let progress = |deployment: &Deployment, sets: Vec<Set>| {
        let plan = step(deployment, sets);
        let condition = find(&plan.status.conditions, "Progressing").unwrap().clone();
        (condition.status, condition.reason, condition.message, plan.look_again.map(|after| after.as_secs()))
    };
    let old = |reason: &str, updated: &str| json!([{"type": "Progressing", "status": "True", "reason": reason, "lastUpdateTime": updated}]);
    let one = deployment(1, json!({}));
    let (status, reason, message, _) = progress(&one, vec![]);
    assert_eq!((&*status, &*reason), ("True", "NewReplicaSetCreated"));
    assert!(message.starts_with("Created new replica set \"web-"), "{message}");

    let (_, reason, message, again) = progress(&one, vec![set("v2", 1, 0, 1, 2)]);
    assert_eq!(reason, "ReplicaSetUpdated");
    assert_eq!(message, "ReplicaSet \"web-v2\" is progressing.");
    assert_eq!(again, Some(601));

    let (_, reason, message, again) = progress(&one, vec![set("v2", 1, 1, 1, 2)]);
    assert_eq!(reason, "NewReplicaSetAvailable");
    assert_eq!(message, "ReplicaSet \"web-v2\" has successfully progressed.");
    assert_eq!(again, None);

    let stuck = |updated: &str| {
        deployment(
            1,
            json!({"/status": {"conditions": old("ReplicaSetUpdated", updated), "replicas": 1,
            "updatedReplicas": 1}}),
        )
    };
    let (_, reason, _, again) = progress(&stuck("2026-01-01T00:55:00Z"), vec![set("v2", 1, 0, 1, 2)]);
    assert_eq!((&*reason, again), ("ReplicaSetUpdated", Some(301)));
    let (status, reason, message, again) =
        progress(&stuck("2026-01-01T00:50:00Z"), vec![set("v2", 1, 0, 1, 2)]);
    assert_eq!((&*status, &*reason, again), ("False", "ProgressDeadlineExceeded", None));
    assert_eq!(message, "ReplicaSet \"web-v2\" has timed out progressing.");
}

#[test]
fn the_status_counts_over_all_sets_and_says_whether_enough_is_available() {
    let ten = deployment(10, json!({}));
    let status = step(&ten, vec![set("v1", 6, 5, 10, 13), set("v2", 5, 2, 10, 13)]).status;
    assert_eq!((status.replicas, status.updated_replicas, status.available_replicas), (11, 5, 7));
    assert_eq!(find(&status.conditions, "Available").unwrap().status, "False");
    let status = step(&ten, vec![set("v1", 6, 6, 10, 13), set("v2", 5, 2, 10, 13)]).status;
    assert_eq!(find(&status.conditions, "Available").unwrap().reason, "MinimumReplicasAvailable");
    assert_eq!(step(&ten, vec![]).status.unavailable_replicas, 0);
}

#[test]
fn a_new_replica_set_carries_the_hash_in_labels_and_selector() {
    let plan = step(&deployment(1, json!({})), vec![]);
    let new = plan.create.unwrap();
    let object = new.object("default", &controller_reference(&deployment(1, json!({}))));
    assert_eq!(object["metadata"]["name"], format!("web-{}", new.hash));
    for path in ["/metadata/labels", "/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        assert_eq!(
            *object.pointer(path).unwrap(),
            json!({"app": "web", "pod-template-hash": new.hash}),
            "{path}"
        );
    }
    assert_eq!(object["metadata"]["ownerReferences"][0]["blockOwnerDeletion"], true);
}

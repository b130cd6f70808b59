use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::{
    observed::{ObservedContainer, Sandbox, State},
    plan::Health,
};

fn trace(name: &str, state: State, exit_code: i32) -> ObservedContainer {
    let at = |second| Timestamp::from_second(second).ok();
    ObservedContainer {
        id: format!("id-{name}"),
        name: name.into(),
        sandbox_id: "s".into(),
        state,
        created_at: 1,
        started_at: at(100),
        finished_at: at(200).filter(|_| state == State::Exited),
        exit_code,
        reason: String::new(),
        message: String::new(),
        image: "docker.io/library/busybox:latest".into(),
        image_ref: "sha256:abc".into(),
        hash: String::new(),
        restart_count: 0,
        log_path: String::new(),
        message_file: None,
        message_policy: String::new(),
        user: None,
        resources: None,
    }
}

/// Prints phase, conditions and states of a pod with these traces.
fn check(
    policy: &str,
    init: &[&str],
    traces: Vec<ObservedContainer>,
    stage: Stage,
    deleting: bool,
    expected: Expect,
) {
    let list = |names: &[&str]| {
        names.iter().map(|name| json!({"name": name, "image": "busybox"})).collect::<Vec<_>>()
    };
    let mut metadata = json!({"name": "p", "namespace": "default", "uid": "u"});
    if deleting {
        metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    let pod: Pod = serde_json::from_value(json!({
        "metadata": metadata,
        "spec": {"restartPolicy": policy, "initContainers": list(init), "containers": list(&["a", "b"])},
    }))
    .unwrap();
    let health = traces
        .iter()
        .map(|trace| (trace.id.clone(), Health { started: true, ready: true, failed: None }))
        .collect();
    let sandbox =
        Sandbox { id: "s".into(), ready: true, attempt: 0, created_at: 0, ips: vec!["10.0.0.9".into()] };
    let observed = Observed { sandboxes: vec![sandbox], containers: traces };
    let status = compute(&View {
        pod: &pod,
        last: &PodStatus::default(),
        observed: &observed,
        health: &health,
        waiting: &BTreeMap::from([(
            "b".to_owned(),
            Waiting { reason: "CrashLoopBackOff".into(), message: "back-off".into() },
        )]),
        runtime_name: "containerd",
        host_ips: &["192.168.1.10".into()],
        stage,
        verdict: None,
        resizing: &Resizing::default(),
        now: Timestamp::from_second(1000).unwrap(),
    });
    let mut text = vec![format!("{} {}", status.phase.unwrap(), status.pod_ip.unwrap_or_default())];
    for condition in status.conditions.unwrap() {
        let mut line = format!("{}={}", condition.type_, condition.status);
        for more in [condition.reason, condition.message].into_iter().flatten() {
            line.push_str(&format!(" {more}"));
        }
        text.push(line);
    }
    let all = status.init_container_statuses.into_iter().chain(status.container_statuses);
    for status in all.flatten() {
        let state = status.state.unwrap();
        let word = match (state.waiting, state.running, state.terminated) {
            (Some(waiting), _, _) => format!("waiting {}", waiting.reason.unwrap()),
            (_, Some(_), _) => "running".to_owned(),
            (_, _, Some(ended)) => format!("terminated {} {}", ended.exit_code, ended.reason.unwrap()),
            _ => "nothing".to_owned(),
        };
        text.push(format!(
            "{}: {word} ready={} restarts={}",
            status.name, status.ready, status.restart_count
        ));
    }
    expected.assert_eq(&text.join("\n"));
}

#[test]
fn running_and_ready() {
    let traces = vec![trace("a", State::Running, 0), trace("b", State::Running, 0)];
    check(
        "Always",
        &[],
        traces,
        Stage::Running,
        false,
        expect![[r#"
        Running 10.0.0.9
        PodReadyToStartContainers=True
        Initialized=True
        Ready=True
        ContainersReady=True
        PodScheduled=True
        a: running ready=true restarts=0
        b: running ready=true restarts=0"#]],
    );
}

#[test]
fn nothing_started_yet() {
    check(
        "Always",
        &["i"],
        vec![],
        Stage::Running,
        false,
        expect![[r#"
        Pending 10.0.0.9
        PodReadyToStartContainers=True
        Initialized=False ContainersNotInitialized containers with incomplete status: [i]
        Ready=False ContainersNotReady containers with unready status: [a b]
        ContainersReady=False ContainersNotReady containers with unready status: [a b]
        PodScheduled=True
        i: waiting PodInitializing ready=false restarts=0
        a: waiting PodInitializing ready=false restarts=0
        b: waiting CrashLoopBackOff ready=false restarts=0"#]],
    );
}

#[test]
fn a_crashing_container_shows_why_it_waits() {
    let traces = vec![trace("a", State::Running, 0), trace("b", State::Exited, 1)];
    check(
        "Always",
        &[],
        traces,
        Stage::Running,
        false,
        expect![[r#"
        Running 10.0.0.9
        PodReadyToStartContainers=True
        Initialized=True
        Ready=False ContainersNotReady containers with unready status: [b]
        ContainersReady=False ContainersNotReady containers with unready status: [b]
        PodScheduled=True
        a: running ready=true restarts=0
        b: waiting CrashLoopBackOff ready=false restarts=0"#]],
    );
}

#[test]
fn done_for_good() {
    let traces = vec![trace("a", State::Exited, 0), trace("b", State::Exited, 0)];
    check(
        "Never",
        &[],
        traces.clone(),
        Stage::Running,
        false,
        expect![[r#"
        Succeeded 10.0.0.9
        PodReadyToStartContainers=True
        Initialized=True PodCompleted
        Ready=False PodCompleted
        ContainersReady=False PodCompleted
        PodScheduled=True
        a: terminated 0 Completed ready=false restarts=0
        b: terminated 0 Completed ready=false restarts=0"#]],
    );
    let mut failed = traces;
    failed[1].exit_code = 3;
    check(
        "Never",
        &[],
        failed,
        Stage::Running,
        false,
        expect![[r#"
        Failed 10.0.0.9
        PodReadyToStartContainers=True
        Initialized=True
        Ready=False PodFailed
        ContainersReady=False PodFailed
        PodScheduled=True
        a: terminated 0 Completed ready=false restarts=0
        b: terminated 3 Error ready=false restarts=0"#]],
    );
}

#[test]
fn a_failed_init_container_fails_the_pod_only_under_never() {
    let traces = || vec![trace("i", State::Exited, 1)];
    check(
        "Never",
        &["i"],
        traces(),
        Stage::Running,
        false,
        expect![[r#"
        Failed 10.0.0.9
        PodReadyToStartContainers=True
        Initialized=False ContainersNotInitialized containers with incomplete status: [i]
        Ready=False PodFailed
        ContainersReady=False PodFailed
        PodScheduled=True
        i: terminated 1 Error ready=false restarts=0
        a: waiting PodInitializing ready=false restarts=0
        b: waiting CrashLoopBackOff ready=false restarts=0"#]],
    );
    check(
        "OnFailure",
        &["i"],
        traces(),
        Stage::Running,
        false,
        expect![[r#"
        Pending 10.0.0.9
        PodReadyToStartContainers=True
        Initialized=False ContainersNotInitialized containers with incomplete status: [i]
        Ready=False ContainersNotReady containers with unready status: [a b]
        ContainersReady=False ContainersNotReady containers with unready status: [a b]
        PodScheduled=True
        i: terminated 1 Error ready=false restarts=0
        a: waiting PodInitializing ready=false restarts=0
        b: waiting CrashLoopBackOff ready=false restarts=0"#]],
    );
}

#[test]
fn a_deleted_pod_ends_as_its_containers_did() {
    let traces = vec![trace("a", State::Exited, 0), trace("b", State::Exited, 137)];
    check(
        "Always",
        &[],
        traces,
        Stage::Stopped,
        true,
        expect![[r#"
        Failed 10.0.0.9
        PodReadyToStartContainers=True
        Initialized=True
        Ready=False PodFailed
        ContainersReady=False PodFailed
        PodScheduled=True
        a: terminated 0 Completed ready=false restarts=0
        b: terminated 137 Error ready=false restarts=0"#]],
    );
}

#[test]
fn only_the_kubelets_own_conditions_can_be_contradicted() {
    let status = |conditions: &[(&str, &str)]| -> PodStatus {
        let conditions: Vec<_> =
            conditions.iter().map(|(kind, status)| json!({"type": kind, "status": status})).collect();
        serde_json::from_value(json!({ "conditions": conditions })).unwrap()
    };
    let own = status(&[("Ready", "True"), ("PodScheduled", "True")]);
    for (shown, contradicted) in [
        (status(&[("Ready", "True"), ("PodScheduled", "True")]), false),
        (status(&[("Ready", "False"), ("PodScheduled", "True")]), true),
        // Not written yet.
        (status(&[("PodScheduled", "True")]), false),
        (status(&[("Ready", "True"), ("example.com/gate", "False")]), false),
        (PodStatus::default(), false),
    ] {
        assert_eq!(contradicts(&shown, &own), contradicted, "{shown:?}");
    }
}

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;
use crate::observed::Sandbox;

/// A container's trace in the runtime: `name=state[:exit code][#restarts][!probe]`, newest first; `@1` is in the
/// older sandbox.
fn parse_trace(traces: &str, pod: &Pod) -> (Vec<ObservedContainer>, BTreeMap<String, Health>) {
    let mut containers = Vec::new();
    let mut health = BTreeMap::new();
    for (index, trace) in traces.split_whitespace().enumerate() {
        let (name, state) = trace.split_once('=').unwrap();
        let (state, probe) = state.split_once('!').unwrap_or((state, ""));
        let (state, sandbox) = state.split_once('@').unwrap_or((state, "0"));
        let (state, restart_count) = state.split_once('#').unwrap_or((state, "0"));
        let (state, exit_code) = state.split_once(':').unwrap_or((state, "0"));
        let id = format!("{name}-{index}");
        let hash = match pod::container(pod, name) {
            Some((_, container)) if state != "changed" => pod::container_hash(&container),
            _ => "other".to_owned(),
        };
        let failed = match probe {
            "live" => Some(Failed::Liveness),
            "startup" => Some(Failed::Startup),
            _ => None,
        };
        health.insert(id.clone(), Health { started: probe != "starting", ready: probe.is_empty(), failed });
        containers.push(ObservedContainer {
            id,
            name: name.to_owned(),
            sandbox_id: format!("sandbox-{sandbox}"),
            state: match state {
                "created" => State::Created,
                "running" | "changed" => State::Running,
                "exited" => State::Exited,
                "unknown" => State::Unknown,
                other => panic!("{other}"),
            },
            created_at: 100 - i64::try_from(index).unwrap(),
            started_at: None,
            finished_at: Timestamp::from_second(1000).ok(),
            exit_code: exit_code.parse().unwrap(),
            reason: String::new(),
            message: String::new(),
            image: String::new(),
            image_ref: String::new(),
            hash,
            restart_count: restart_count.parse().unwrap(),
            log_path: String::new(),
            message_file: None,
            message_policy: String::new(),
            user: None,
            resources: None,
        });
    }
    (containers, health)
}

/// A pod: `policy init… | container…`; an init container with a `+` is a sidecar.
fn parse_pod(text: &str) -> Pod {
    let (policy, containers) = text.split_once(' ').unwrap();
    let (init, regular) = containers.split_once('|').unwrap_or(("", containers));
    let container = |name: &str| -> Value {
        match name.strip_suffix('+') {
            Some(name) => json!({"name": name, "image": "i", "restartPolicy": "Always"}),
            None => json!({"name": name, "image": "i"}),
        }
    };
    let list = |names: &str| names.split_whitespace().map(container).collect::<Vec<_>>();
    serde_json::from_value(json!({
        "metadata": {"name": "p", "uid": "u"},
        "spec": {"restartPolicy": policy, "initContainers": list(init), "containers": list(regular)},
    }))
    .unwrap()
}

fn check_at(pod: &str, sandboxes: &str, traces: &str, backoff: &Backoff, seconds: i64, expected: Expect) {
    let pod = parse_pod(pod);
    let sandboxes: Vec<Sandbox> = sandboxes
        .split_whitespace()
        .enumerate()
        .map(|(index, state)| Sandbox {
            id: format!("sandbox-{index}"),
            ready: state != "dead",
            attempt: 0,
            created_at: 10 - i64::try_from(index).unwrap(),
            ips: if state == "ready" { vec!["10.0.0.1".into()] } else { vec![] },
        })
        .collect();
    let (containers, health) = parse_trace(traces, &pod);
    let observed = Observed { sandboxes, containers };
    let now = Timestamp::from_second(seconds).unwrap();
    let plan = plan(&View { pod: &pod, observed: &observed, health: &health, backoff, now });
    let mut text = Vec::new();
    if plan.stop_pod {
        text.push("stop pod".to_owned());
    }
    text.extend(plan.kill.iter().map(|kill| format!("kill {}: {}", kill.id, kill.message)));
    text.extend(plan.sandbox.map(|attempt| format!("sandbox {attempt}")));
    text.extend(
        plan.start.iter().map(|start| format!("start {} {:?} #{}", start.name, start.kind, start.restarts)),
    );
    text.extend(plan.waiting.iter().map(|wait| format!("{} waits {}s", wait.name, wait.delay.as_secs())));
    text.extend(plan.wake.map(|wake| format!("wake in {}s", wake.as_secs())));
    expected.assert_eq(&text.join("\n"));
}

fn check(pod: &str, sandboxes: &str, traces: &str, expected: Expect) {
    check_at(pod, sandboxes, traces, &Backoff::new(SignedDuration::from_secs(300)), 1000, expected);
}

#[test]
fn a_new_pod_gets_a_sandbox_and_its_containers() {
    check(
        "Always a b",
        "",
        "",
        expect![[r#"
        sandbox 0
        start a Regular #0
        start b Regular #0"#]],
    );
    check(
        "Always i1 i2|a",
        "",
        "",
        expect![[r#"
        sandbox 0
        start i1 Init #0"#]],
    );
}

#[test]
fn a_running_pod_is_left_alone() {
    check("Always a b", "ready", "a=running b=running", expect![""]);
    check("Always i|a", "ready", "a=running i=exited:0", expect![""]);
    check("Always i|a", "ready", "a=running", expect![""]);
}

#[test]
fn a_dead_sandbox_is_replaced_and_everything_starts_over() {
    check(
        "Always a",
        "dead",
        "a=exited:137",
        expect![[r#"
        sandbox 1
        start a Regular #1"#]],
    );
    check(
        "Always i|a",
        "dead",
        "a=exited:137 i=exited:0",
        expect![[r#"
        sandbox 1
        start i Init #1"#]],
    );
    check(
        "Always a",
        "no-address",
        "",
        expect![[r#"
        stop pod
        sandbox 1
        start a Regular #0"#]],
    );
    check(
        "Always a",
        "ready ready",
        "a=running",
        expect![[r#"
        stop pod
        sandbox 1
        start a Regular #1"#]],
    );
}

#[test]
fn a_pod_that_may_not_run_again_gets_no_second_sandbox() {
    check("Never a", "dead", "a=exited:1", expect!["stop pod"]);
    check("OnFailure a b", "dead", "a=exited:0 b=exited:0", expect!["stop pod"]);
    check(
        "OnFailure a b",
        "dead",
        "a=exited:0 b=exited:1",
        expect![[r#"
        sandbox 1
        start b Regular #1"#]],
    );
}

#[test]
fn after_a_new_sandbox_the_old_ones_containers_do_not_count() {
    check("Always i|a", "ready dead", "a=exited:137@1 i=exited:0@1", expect!["start i Init #1"]);
    check("Always i|a", "ready dead", "i=exited:0 a=exited:137#3@1", expect!["start a Regular #4"]);
}

#[test]
fn restart_policies() {
    for (policy, code, restarted) in [
        ("Always", 0, true),
        ("Always", 1, true),
        ("OnFailure", 0, false),
        ("OnFailure", 1, true),
        ("Never", 0, false),
        ("Never", 1, false),
    ] {
        let pod = format!("{policy} a b");
        let traces = format!("a=exited:{code} b=running");
        let expected = if restarted { expect!["start a Regular #1"] } else { expect![""] };
        check(&pod, "ready", &traces, expected);
    }
}

#[test]
fn a_pod_whose_containers_are_all_done_is_stopped() {
    check("Never a b", "ready", "a=exited:0 b=exited:3", expect!["stop pod"]);
    check("OnFailure a b", "ready", "a=exited:0 b=exited:0", expect!["stop pod"]);
    check("Never s+|a", "ready", "a=exited:0 s=running", expect!["stop pod"]);
}

#[test]
fn init_containers_run_one_after_another() {
    check("Always i1 i2|a", "ready", "i1=running", expect![""]);
    check("Always i1 i2|a", "ready", "i1=exited:0", expect!["start i2 Init #0"]);
    check("Always i1 i2|a", "ready", "i2=exited:0", expect!["start a Regular #0"]);
    check("Always i1 i2|a", "ready", "i2=exited:0 i1=exited:0", expect!["start a Regular #0"]);
    check("Always i1 i2|a", "ready", "i1=exited:1", expect!["start i1 Init #1"]);
    check("Never i1 i2|a", "ready", "i1=exited:1", expect!["stop pod"]);
    check("Always i1|a", "ready", "i1=created", expect!["start i1 Init #1"]);
}

#[test]
fn a_sidecar_must_have_started_before_the_next_container() {
    check("Always s+ i|a", "ready", "s=running!starting", expect![""]);
    check("Always s+ i|a", "ready", "s=running", expect!["start i Init #0"]);
    check("Always s+|a", "ready", "s=running", expect!["start a Regular #0"]);
}

#[test]
fn a_sidecar_is_kept_running() {
    check("Never s+|a", "ready", "a=running s=exited:0", expect!["start s Sidecar #1"]);
    check(
        "Always s+|a",
        "ready",
        "a=running s=running!live",
        expect![["kill s-1: Container s failed liveness probe, will be restarted"]],
    );
}

#[test]
fn failed_probes_kill() {
    check(
        "Always a",
        "ready",
        "a=running!live",
        expect![["kill a-0: Container a failed liveness probe, will be restarted"]],
    );
    check(
        "Always a",
        "ready",
        "a=running!startup",
        expect![["kill a-0: Container a failed startup probe, will be restarted"]],
    );
    check("Never a", "ready", "a=running!live", expect!["kill a-0: Container a failed liveness probe"]);
}

#[test]
fn a_changed_container_is_replaced() {
    check(
        "Never a",
        "ready",
        "a=changed",
        expect!["kill a-0: Container a definition changed, will be restarted"],
    );
}

#[test]
fn a_crashing_container_waits() {
    let mut backoff = Backoff::new(SignedDuration::from_secs(300));
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    backoff.advance("a/i", at(990), at(990));
    check_at(
        "Always a",
        "ready",
        "a=exited:1#2",
        &backoff,
        1004,
        expect![[r#"
        a waits 10s
        wake in 6s"#]],
    );
    check_at("Always a", "ready", "a=exited:1#2", &backoff, 1010, expect!["start a Regular #3"]);
}

/// Plays a container's life on a clock that only this test moves: how long it ran each time, and how long the kubelet
/// then waits before it runs again.
#[test]
fn pauses_grow_until_ten_good_minutes_have_passed() {
    let pod = parse_pod("Always a");
    let sandboxes = vec![Sandbox {
        id: "sandbox-0".into(),
        ready: true,
        attempt: 0,
        created_at: 0,
        ips: vec!["i".into()],
    }];
    let (mut containers, health) = parse_trace("a=exited:1", &pod);
    let mut backoff = Backoff::new(SignedDuration::from_secs(300));
    let mut now = Timestamp::from_second(1_000_000).unwrap();
    let mut waited = Vec::new();
    for ran in [1, 1, 1, 1, 1, 1, 1, 1, 600, 601, 1, 1] {
        now += SignedDuration::from_secs(ran);
        containers[0].finished_at = Some(now);
        let observed = Observed { sandboxes: sandboxes.clone(), containers: containers.clone() };
        let decide = |backoff: &Backoff, now| {
            plan(&View { pod: &pod, observed: &observed, health: &health, backoff, now })
        };
        let pause = decide(&backoff, now).wake.unwrap_or_default();
        waited.push(pause.as_secs());
        now += SignedDuration::try_from(pause).unwrap();
        let then = decide(&backoff, now);
        assert_eq!(then.start.len(), 1, "{then:?}");
        let key = backoff_key(&pod::spec(&pod).containers[0]);
        backoff.advance(&key, containers[0].finished_at.unwrap(), now);
    }
    assert_eq!(waited, [0, 10, 20, 40, 80, 160, 300, 300, 300, 0, 10, 20]);
}

#[test]
fn exit_code_rules_come_before_the_policy() {
    let mut pod = parse_pod("Never a");
    let rule = json!({"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}});
    pod.spec.as_mut().unwrap().containers[0].restart_policy_rules =
        Some(vec![serde_json::from_value(rule).unwrap()]);
    let container = pod.spec.as_ref().unwrap().containers[0].clone();
    assert!(restarts(&pod, &container, 42));
    assert!(!restarts(&pod, &container, 1));
}

use std::sync::Arc;

use expect_test::expect;
use netrules::{Family, Recording};

use super::*;
use crate::endpoints::Slice;
use crate::service::Service;
use crate::state::tests::{service as read_service, slice as read_slice};

fn service(name: &str, protocol: &str, number: u8, node_port: u16) -> (String, Option<Arc<Service>>) {
    read_service(&format!(
        "{{metadata: {{namespace: d, name: {name}}}, spec: {{clusterIP: 10.96.0.{number}, ports: [{{port: 80, protocol: {protocol}, nodePort: {node_port}}}]}}}}"
    ))
}

fn slice(service: &str, protocol: &str, ips: &[String]) -> (String, Option<(String, Arc<Slice>)>) {
    let endpoints: Vec<_> = ips.iter().map(|ip| format!("{{addresses: [{ip}]}}")).collect();
    read_slice(&format!(
        "{{metadata: {{namespace: d, name: {service}, labels: {{kubernetes.io/service-name: {service}}}}}, addressType: IPv4,
          ports: [{{port: 8080, protocol: {protocol}}}], endpoints: [{}]}}",
        endpoints.join(", ")
    ))
}

async fn sync(syncer: &mut Syncer<Recording>, state: &mut State) -> Outcome {
    let changes = state.take_changes();
    let plan = syncer.plan(state, &changes);
    syncer.carry_out(plan).await.unwrap()
}

fn fresh() -> (State, Syncer<Recording>) {
    (State::new(Family::V4, "here"), Syncer::new(Recording::new(Family::V4), Options::default()))
}

/// What the kernel holds must be what a fresh proxy would write.
async fn assert_kernel_is_as_wanted(syncer: &Syncer<Recording>, state: &State) {
    let mut other = Syncer::new(Recording::new(Family::V4), syncer.options().clone());
    let plan = other.plan(state, &Changes::default());
    other.carry_out(plan).await.unwrap();
    pretty_eq(&syncer.kernel().dump(), &other.kernel().dump());
    // And the syncer's own rendering is that of the pure function.
    let whole = Recording::new(Family::V4);
    whole.restore(&rules::rules(state, syncer.options()).render()).await.unwrap();
    for jump in rules::jumps(syncer.options()) {
        whole.ensure_rule(jump.table, jump.chain, &jump.rule, jump.position).await.unwrap();
    }
    pretty_eq(&syncer.kernel().dump(), &whole.dump());
}

fn pretty_eq(left: &str, right: &str) {
    if left != right {
        let differing: Vec<_> = left.lines().zip(right.lines()).filter(|(l, r)| l != r).take(5).collect();
        panic!(
            "{} and {} lines; first differences: {differing:#?}",
            left.lines().count(),
            right.lines().count()
        );
    }
}

#[tokio::test]
async fn an_endpoint_change_writes_only_the_chains_it_touches() {
    let (mut state, mut syncer) = fresh();
    for number in 1..5 {
        state.apply(service(&format!("s{number}"), "TCP", number, 0));
        state.apply_named(slice(&format!("s{number}"), "TCP", &[format!("172.16.1.{number}")]));
    }
    assert!(sync(&mut syncer, &mut state).await.full);
    state.apply_named(slice("s2", "TCP", &["172.16.1.2".into(), "172.16.9.9".into()]));
    let outcome = sync(&mut syncer, &mut state).await;
    assert!(!outcome.full);
    assert_eq!(outcome.written, Written { filter: 0, nat: 4 });
    let input = syncer.kernel().held().inputs.last().unwrap().clone();
    expect![[r#"
        *nat
        :KUBE-SEP-POQKYHMNFY3NS6L4 - [0:0]
        :KUBE-SVC-TLUS47AOUEW3XVQ3 - [0:0]
        -A KUBE-SEP-POQKYHMNFY3NS6L4 -m comment --comment "d/s2" -s 172.16.9.9/32 -j KUBE-MARK-MASQ
        -A KUBE-SEP-POQKYHMNFY3NS6L4 -m comment --comment "d/s2" -p tcp -m tcp -j DNAT --to-destination 172.16.9.9:8080
        -A KUBE-SVC-TLUS47AOUEW3XVQ3 -m comment --comment "d/s2 -> 172.16.1.2:8080" -m statistic --mode random --probability 0.5000000000 -j KUBE-SEP-XNUCE54KXJTVSYSW
        -A KUBE-SVC-TLUS47AOUEW3XVQ3 -m comment --comment "d/s2 -> 172.16.9.9:8080" -j KUBE-SEP-POQKYHMNFY3NS6L4
        COMMIT
    "#]].assert_eq(&input);
    assert_kernel_is_as_wanted(&syncer, &state).await;
}

#[tokio::test]
async fn ports_that_keep_to_this_node_without_endpoints_here_are_counted() {
    let (mut state, mut syncer) = fresh();
    let local = |name: &str, number: u8, policy: &str| {
        read_service(&format!(
            "{{metadata: {{namespace: d, name: {name}}}, spec: {{clusterIP: 10.96.0.{number}, {policy}: Local, type: NodePort, ports: [{{port: 80, nodePort: {}}}]}}}}",
            30_000 + u16::from(number)
        ))
    };
    state.apply(local("inside", 1, "internalTrafficPolicy"));
    state.apply(local("outside", 2, "externalTrafficPolicy"));
    state.apply(local("nobody", 3, "internalTrafficPolicy"));
    for name in ["inside", "outside"] {
        state.apply_named(slice(name, "TCP", &["172.16.1.1".into()]));
    }
    sync(&mut syncer, &mut state).await;
    assert_eq!(syncer.without_local(), WithoutLocal { internal: 1, external: 1 });
    state.apply_service("d/outside", None);
    sync(&mut syncer, &mut state).await;
    assert_eq!(syncer.without_local(), WithoutLocal { internal: 1, external: 0 });
}

#[tokio::test]
async fn nothing_changed_writes_nothing() {
    let (mut state, mut syncer) = fresh();
    sync(&mut syncer, &mut state).await;
    state.apply_named(slice("no-service", "TCP", &["172.16.1.1".into()]));
    let outcome = sync(&mut syncer, &mut state).await;
    assert_eq!(outcome, Outcome::default());
    assert_eq!(syncer.kernel().held().inputs.len(), 1);
}

/// Any series of changes, synced one by one, leads to what a fresh proxy would write at once.
#[tokio::test]
async fn partial_syncs_arrive_where_a_full_one_does() {
    let (mut state, mut syncer) = fresh();
    let mut dice = testkit::Dice::new(7);
    for step in 0..300 {
        let number = u8::try_from(dice.roll(6)).unwrap() + 1;
        let name = format!("s{number}");
        let protocol = if number % 2 == 0 { "TCP" } else { "UDP" };
        match dice.roll(5) {
            0 => state.apply_service(&format!("d/{name}"), None),
            1 => state.apply(service(&name, protocol, number, 30000 + u16::from(number))),
            2 => state.apply(service(&name, protocol, number, 0)),
            _ => {
                let ips: Vec<_> =
                    (0..dice.roll(4)).map(|ip| format!("172.16.{number}.{}", ip + dice.roll(3))).collect();
                state.apply_named(slice(&name, protocol, &ips));
            }
        }
        if step % 3 != 2 {
            sync(&mut syncer, &mut state).await;
        }
    }
    sync(&mut syncer, &mut state).await;
    assert_kernel_is_as_wanted(&syncer, &state).await;
    let full =
        syncer.kernel().held().inputs.iter().filter(|input| input.contains("KUBE-MARK-MASQ -j MARK")).count();
    assert_eq!(full, 1, "only the first sync writes everything");
}

#[tokio::test]
async fn after_a_failure_everything_is_written_again() {
    let (mut state, mut syncer) = fresh();
    sync(&mut syncer, &mut state).await;
    state.apply(service("web", "TCP", 1, 0));
    syncer.kernel().held().fail_next = Some("resource temporarily unavailable".into());
    let changes = state.take_changes();
    let plan = syncer.plan(&state, &changes);
    syncer.carry_out(plan).await.unwrap_err();
    assert!(syncer.needs_full());
    assert!(sync(&mut syncer, &mut state).await.full);
    assert_kernel_is_as_wanted(&syncer, &state).await;
}

#[tokio::test]
async fn a_flush_is_noticed_and_repaired_and_strangers_chains_of_the_past_go() {
    let (mut state, mut syncer) = fresh();
    syncer
        .kernel()
        .restore(
            "*nat\n:KUBE-SEP-OLD - [0:0]\n:KUBE-SVC-OLD - [0:0]\n-A KUBE-SVC-OLD -j KUBE-SEP-OLD\nCOMMIT\n",
        )
        .await
        .unwrap();
    state.apply(service("web", "TCP", 1, 0));
    sync(&mut syncer, &mut state).await;
    assert_kernel_is_as_wanted(&syncer, &state).await;
    assert!(!syncer.was_flushed().await.unwrap());
    syncer.kernel().flush();
    assert!(syncer.was_flushed().await.unwrap());
    syncer.distrust();
    assert!(sync(&mut syncer, &mut state).await.full);
    assert_kernel_is_as_wanted(&syncer, &state).await;
}

#[tokio::test]
async fn udp_flows_to_endpoints_that_left_are_stale() {
    let (mut state, mut syncer) = fresh();
    state.apply(service("dns", "UDP", 1, 30053));
    sync(&mut syncer, &mut state).await;
    state.apply_named(slice("dns", "UDP", &["172.16.1.1".into()]));
    let first = sync(&mut syncer, &mut state).await.stale;
    expect![[r#"
        [
            [
                "-D",
                "-p",
                "udp",
                "--orig-dst",
                "10.96.0.1",
            ],
            [
                "-D",
                "-p",
                "udp",
                "--dport",
                "30053",
            ],
        ]
    "#]]
    .assert_debug_eq(&first.arguments());
    state.apply_named(slice("dns", "UDP", &["172.16.1.2".into()]));
    let second = sync(&mut syncer, &mut state).await.stale;
    expect![[r#"
        [
            [
                "-D",
                "-p",
                "udp",
                "--orig-dst",
                "10.96.0.1",
                "--dst-nat",
                "172.16.1.1",
            ],
            [
                "-D",
                "-p",
                "udp",
                "--dport",
                "30053",
                "--dst-nat",
                "172.16.1.1",
            ],
        ]
    "#]]
    .assert_debug_eq(&second.arguments());
}

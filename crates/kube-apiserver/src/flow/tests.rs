use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use serde_json::json;

use super::*;

fn schema(name: &str, user: &str, level: &str) -> Schema {
    Schema::read(&json!({
        "metadata": {"name": name, "uid": format!("uid-{name}")},
        "spec": {
            "matchingPrecedence": 10, "priorityLevelConfiguration": {"name": level},
            "distinguisherMethod": {"type": "ByNamespace"},
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": user}}],
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}],
            }],
        },
    }))
    .unwrap()
}

fn level(name: &str, shares: u32, response: serde_json::Value) -> Level {
    Level::read(&json!({
        "metadata": {"name": name, "uid": format!("uid-{name}")},
        "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": shares, "limitResponse": response}},
    }))
    .unwrap()
}

/// A server of ten seats with one level of five and queues of two.
fn flows() -> Flows {
    let flows = Flows::new(10);
    let queues = json!({"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 2}});
    flows.configure(
        vec![schema("jane", "jane", "small"), schema("lost", "joe", "missing")],
        vec![level("small", 5, queues)],
    );
    flows
}

fn enter<'a>(
    flows: &'a Flows,
    user: &'a str,
) -> Pin<Box<impl Future<Output = Result<Permit, TurnedAway>> + use<'a>>> {
    let request = Request { user, is_resource: true, namespace: "n", verb: "get", ..Request::default() };
    Box::pin(flows.enter(request, false, Duration::from_secs(1), || Work::ONE, Details::default))
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_seats_in_turn_and_are_turned_away_when_the_queue_is_full() {
    let flows = flows();
    let mut permits = Vec::new();
    for _ in 0..5 {
        permits.push(enter(&flows, "jane").await.unwrap());
    }
    assert_eq!(permits[0].member().schema_uid.as_ref().unwrap(), "uid-jane");
    assert_eq!(permits[0].member().level_uid.as_ref().unwrap(), "uid-small");
    let (mut first, mut second) = (enter(&flows, "jane"), enter(&flows, "jane"));
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    let away = enter(&flows, "jane").await.unwrap_err();
    assert_eq!((away.retry_after, away.member.unwrap().schema.name.as_str()), (1, "jane"));
    permits.pop();
    let Poll::Ready(Ok(permit)) = poll(first.as_mut()) else { panic!("the first one's turn") };
    assert!(poll(second.as_mut()).is_pending());
    // One whose client goes away makes room in the queue; one that has waited too long goes.
    drop(second);
    let waited = enter(&flows, "jane").await.unwrap_err();
    assert_eq!(waited.member.unwrap().schema.name, "jane");
    drop(permit);
    drop(permits);
    let table = flows.dump("dump_priority_levels", false).unwrap();
    let row: Vec<&str> =
        table.lines().find(|line| line.starts_with("small")).unwrap().split_whitespace().collect();
    assert_eq!(row.join(" "), "small, 0, true, false, 0, 0, 6, 1, 1, 1");
    let mut metrics = String::new();
    flows.write_metrics(&mut metrics);
    for line in [
        "apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"jane\",priority_level=\"small\"} 6",
        "apiserver_flowcontrol_rejected_requests_total{flow_schema=\"jane\",priority_level=\"small\",reason=\"queue-full\"} 1",
        "apiserver_flowcontrol_rejected_requests_total{flow_schema=\"jane\",priority_level=\"small\",reason=\"time-out\"} 1",
        "apiserver_flowcontrol_rejected_requests_total{flow_schema=\"jane\",priority_level=\"small\",reason=\"cancelled\"} 1",
        "apiserver_flowcontrol_current_inqueue_requests{flow_schema=\"jane\",priority_level=\"small\"} 0",
        "apiserver_flowcontrol_current_executing_seats{flow_schema=\"jane\",priority_level=\"small\"} 0",
        "apiserver_flowcontrol_nominal_limit_seats{priority_level=\"small\"} 5",
    ] {
        assert!(metrics.contains(&format!("{line}\n")), "{line}\n{metrics}");
    }
    for series in [
        "demand_seats_count{priority_level=",
        "priority_level_seat_utilization_count{phase=\"executing\",priority_level=",
        "priority_level_request_utilization_count{phase=\"waiting\",priority_level=",
        "current_r{priority_level=",
        "dispatch_r{priority_level=",
        "latest_s{priority_level=",
    ] {
        assert!(
            metrics.contains(&format!("apiserver_flowcontrol_{series}\"small\"}} ")),
            "{series}\n{metrics}"
        );
    }
}

#[tokio::test]
async fn the_watchers_that_changes_concern_are_counted() {
    let flows = flows();
    let request =
        Request { user: "jane", is_resource: true, namespace: "n", verb: "create", ..Request::default() };
    let work = || Work::change(7);
    drop(flows.enter(request, false, Duration::from_secs(1), work, Details::default).await.unwrap());
    let mut metrics = String::new();
    flows.write_metrics(&mut metrics);
    for line in [
        "bucket{flow_schema=\"jane\",priority_level=\"small\",le=\"1\"} 0",
        "sum{flow_schema=\"jane\",priority_level=\"small\"} 7",
    ] {
        assert!(
            metrics.contains(&format!("apiserver_flowcontrol_watch_count_samples_{line}\n")),
            "{metrics}"
        );
    }
}

#[tokio::test]
async fn whoever_waits_is_shown_with_what_is_asked() {
    let flows = flows();
    let mut permits = Vec::new();
    for _ in 0..5 {
        permits.push(enter(&flows, "jane").await.unwrap());
    }
    let mut waits = enter(&flows, "jane");
    assert!(poll(waits.as_mut()).is_pending());
    let table = flows.dump("dump_requests", false).unwrap();
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().take(5).collect();
    assert_eq!(row.join(" "), "small, jane, 0, 0, n,");
    assert!(flows.dump("dump_queues", false).unwrap().contains("small,"), "queues in use are shown");
}

#[tokio::test]
async fn a_schema_without_its_level_and_a_user_without_groups_fall_to_the_last() {
    let flows = flows();
    assert_eq!(enter(&flows, "joe").await.unwrap().member().schema.name, "catch-all");
    assert_eq!(enter(&flows, "").await.unwrap().member().schema.name, "catch-all");
}

#[tokio::test]
async fn a_changed_level_keeps_those_that_wait_and_gives_them_its_new_seats() {
    let flows = flows();
    let mut permits = Vec::new();
    for _ in 0..5 {
        permits.push(enter(&flows, "jane").await.unwrap());
    }
    let mut waits = pin!(enter(&flows, "jane"));
    assert!(poll(waits.as_mut()).is_pending());
    let reject = json!({"type": "Reject"});
    flows.configure(vec![schema("jane", "jane", "small")], vec![level("small", 20, reject)]);
    assert!(poll(waits.as_mut()).is_ready());
}

#[tokio::test]
async fn plain_limits_turn_away_at_once_but_never_the_masters() {
    let limits = Limits::new(1, 0);
    let held = limits.enter(false, false).unwrap();
    assert_eq!(limits.enter(false, false).err().unwrap().retry_after, 1);
    assert!(limits.enter(true, false).is_ok() && limits.enter(false, true).is_ok());
    drop(held);
    assert!(limits.enter(false, false).is_ok());
}

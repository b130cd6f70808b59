//! The life of jobs.

use std::time::Duration;

use controller_runtime::objects::is_true;

use super::decision::*;
use super::*;

fn job(spec: Value, status: Value) -> Job {
    let mut object = json!({"metadata": {"name": "j", "namespace": "a", "uid": "j"},
        "spec": {"parallelism": 1, "completions": 1, "backoffLimit": 2, "template": {"spec": {"restartPolicy": "Never"}}},
        "status": status});
    for (name, value) in spec.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

/// `name:state[:index[:failures]]`, state as `run`, `up` (ready), `ok`, `bad`, `go` (on its way out); `'` at the end: no finalizer.
fn pod(text: &str) -> Arc<Pod> {
    let (text, tracked) = text.strip_suffix('\'').map_or((text, true), |text| (text, false));
    let parts: Vec<&str> = text.split(':').collect();
    let phase = match parts[1] {
        "ok" => "Succeeded",
        "bad" => "Failed",
        _ => "Running",
    };
    let mut pod = json!({"metadata": {"name": parts[0], "namespace": "a", "uid": parts[0], "annotations": {},
            "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"phase": phase, "containerStatuses": [{"state": {}}]}});
    if tracked {
        pod["metadata"]["finalizers"] = json!([FINALIZER]);
    }
    if parts[1] == "up" {
        pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    }
    if parts[1] == "go" {
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:59:58Z".into();
    }
    if phase != "Running" {
        pod["status"]["containerStatuses"][0]["state"] =
            json!({"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:59:57Z"}});
    }
    for (part, name) in parts[2..].iter().zip([INDEX, INDEX_FAILURES]) {
        pod["metadata"]["annotations"][name] = (*part).into();
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn step(job: &Job, pods: &[&str]) -> Decision {
    let pods: Vec<Arc<Pod>> = pods.iter().map(|text| pod(text)).collect();
    let now = "2026-01-01T01:00:00Z".parse().unwrap();
    decide(&View { job, pods: &pods, may_act: true, failures: Failures::default(), now })
}

fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
    let mut names: Vec<&str> = pods.iter().map(|pod| &*pod.metadata.name).collect();
    names.sort_unstable();
    names
}

#[test]
fn starts_as_many_as_are_still_needed() {
    for (spec, status, pods, expected) in [
        (json!({}), json!({}), &[][..], 1),
        (json!({"parallelism": 3, "completions": 10}), json!({}), &[], 3),
        (json!({"parallelism": 3, "completions": 10}), json!({"succeeded": 8}), &[], 2),
        (json!({"parallelism": 3, "completions": 10}), json!({}), &["a:run"], 2),
        (json!({"parallelism": 3, "completions": 2}), json!({}), &["a:ok", "b:run"], 0),
        (json!({"parallelism": 3, "completions": null}), json!({}), &[], 3),
        (json!({"parallelism": 3, "completions": null}), json!({}), &["a:ok", "b:run"], 0),
        (json!({"parallelism": 0}), json!({}), &[], 0),
        (json!({"suspend": true}), json!({}), &[], 0),
    ] {
        assert_eq!(step(&job(spec.clone(), status), pods).create.len(), expected, "{spec} {pods:?}");
    }
}

#[test]
fn a_pod_is_counted_once_its_finalizer_is_gone() {
    let two = json!({"parallelism": 2, "completions": 2});
    let first = step(&job(two.clone(), json!({})), &["a:ok", "b:run"]);
    assert_eq!(first.status.uncounted_terminated_pods.succeeded, ["a"]);
    assert_eq!((first.status.succeeded, names(&first.release)), (0, vec!["a"]));
    let seen = json!({"uncountedTerminatedPods": {"succeeded": ["a"]}});
    let second = step(&job(two.clone(), seen.clone()), &["a:ok", "b:run"]);
    assert_eq!((second.status.succeeded, names(&second.release)), (0, vec!["a"]), "still there, tried again");
    let third = step(&job(two.clone(), seen.clone()), &["a:ok'", "b:run"]);
    assert_eq!((third.status.succeeded, third.release.len()), (1, 0));
    assert!(third.status.uncounted_terminated_pods.succeeded.is_empty());
    assert_eq!(step(&job(two, seen), &["b:run"]).status.succeeded, 1, "a pod that is gone was counted too");
}

#[test]
fn completes_when_all_are_counted() {
    let deciding = step(&job(json!({}), json!({})), &["a:ok"]);
    assert!(is_true(&deciding.status.conditions, "SuccessCriteriaMet"));
    assert!(!is_true(&deciding.status.conditions, "Complete"));
    let status = json!({"uncountedTerminatedPods": {"succeeded": ["a"]}, "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": "SuccessCriteriaMet", "status": "True", "reason": "CompletionsReached"}]});
    let done = step(&job(json!({}), status), &["a:ok'"]);
    assert!(is_true(&done.status.conditions, "Complete"));
    assert_eq!((done.status.succeeded, done.status.active), (1, 0));
    assert!(done.status.completion_time.is_some());
    assert_eq!(done.events[0].1, "Completed");
}

#[test]
fn waits_longer_after_each_failure_and_fails_beyond_the_limit() {
    let once = step(&job(json!({}), json!({})), &["a:bad"]);
    assert_eq!((once.create.len(), once.look_again), (0, Some(Duration::from_secs(7))));
    assert_eq!(once.failures.count, 1);
    let failed = step(&job(json!({}), json!({"failed": 2})), &["a:bad", "b:run"]);
    assert_eq!(names(&failed.delete), ["b"]);
    assert!(is_true(&failed.status.conditions, "FailureTarget"));
    assert!(!is_true(&failed.status.conditions, "Failed"), "not before the last pod is gone");
    let conditions = json!([{"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded",
        "message": "Job has reached the specified backoff limit"}]);
    let last = step(&job(json!({}), json!({"failed": 3, "conditions": conditions})), &["b:bad'"]);
    assert!(is_true(&last.status.conditions, "Failed"));
    assert_eq!(last.events[0].1, "BackoffLimitExceeded");
}

#[test]
fn a_pod_on_its_way_out_has_failed_unless_replaced_only_afterwards() {
    let status = json!({"startTime": "2026-01-01T00:00:00Z"});
    assert_eq!(
        step(&job(json!({}), status.clone()), &["a:go"]).status.uncounted_terminated_pods.failed,
        ["a"]
    );
    let after = step(&job(json!({"podReplacementPolicy": "Failed"}), status), &["a:go"]);
    assert!(after.status.uncounted_terminated_pods.failed.is_empty());
    assert_eq!((after.create.len(), after.status.terminating), (0, Some(1)));
}

#[test]
fn the_deadline_ends_the_job() {
    let spec = json!({"activeDeadlineSeconds": 100});
    let early = step(&job(spec.clone(), json!({"startTime": "2026-01-01T00:59:00Z"})), &["a:run"]);
    assert_eq!(early.look_again, Some(Duration::from_secs(40)));
    let late = step(&job(spec, json!({"startTime": "2026-01-01T00:58:20Z"})), &["a:run"]);
    assert_eq!(late.status.conditions[0].reason, "DeadlineExceeded");
    assert_eq!(names(&late.delete), ["a"]);
}

#[test]
fn indexes_run_lowest_first_each_once() {
    let spec = json!({"parallelism": 3, "completions": 5, "completionMode": "Indexed"});
    let created =
        |decision: &Decision| -> Vec<i32> { decision.create.iter().filter_map(|new| new.index).collect() };
    assert_eq!(created(&step(&job(spec.clone(), json!({})), &[])), [0, 1, 2]);
    let next = step(&job(spec.clone(), json!({"completedIndexes": "0"})), &["a:ok:1", "b:run:2", "c:run:2"]);
    assert_eq!(created(&next), [3, 4]);
    assert_eq!(next.status.completed_indexes, "0,1");
    assert_eq!(next.status.succeeded, 2);
    assert_eq!(names(&next.delete).len(), 1, "two pods of one index");
    assert_eq!(names(&next.release), ["a"]);
    let all = step(&job(spec, json!({"completedIndexes": "0-3"})), &["a:ok:4"]);
    assert!(is_true(&all.status.conditions, "Complete"));
}

#[test]
fn an_index_fails_by_itself() {
    let spec = json!({"parallelism": 2, "completions": 2, "completionMode": "Indexed", "backoffLimit": i32::MAX,
        "backoffLimitPerIndex": 1});
    let first = step(&job(spec.clone(), json!({})), &["a:bad:0:0", "b:run:1:0"]);
    assert_eq!(first.release.len(), 0, "kept until its replacement has the count");
    assert_eq!(first.look_again, Some(Duration::from_secs(7)));
    let replaced = step(&job(spec.clone(), json!({})), &["a:bad:0:0", "c:run:0:1", "b:run:1:0"]);
    assert_eq!(names(&replaced.release), ["a"]);
    let failed = step(&job(spec.clone(), json!({"failed": 1})), &["c:bad:0:1", "b:run:1:0"]);
    assert_eq!(failed.status.failed_indexes.as_deref(), Some("0"));
    assert!(failed.status.conditions.is_empty() && failed.create.is_empty(), "the other index goes on");
    let over = step(&job(spec, json!({"failed": 2, "failedIndexes": "0"})), &["b:ok:1:0"]);
    assert_eq!(over.status.conditions[0].reason, "FailedIndexes");
}

#[test]
fn suspending_removes_pods_and_resuming_starts_the_clock_anew() {
    let suspended =
        step(&job(json!({"suspend": true}), json!({"startTime": "2026-01-01T00:00:00Z"})), &["a:run"]);
    assert_eq!(names(&suspended.delete), ["a"]);
    assert_eq!(suspended.events[0].1, "Suspended");
    assert!(suspended.status.start_time.is_none(), "it has not begun");
    let status = json!({"conditions": [{"type": "Suspended", "status": "True", "reason": "JobSuspended"}]});
    let resumed = step(&job(json!({}), status), &[]);
    assert_eq!((resumed.create.len(), &*resumed.events[0].1), (1, "Resumed"));
    assert!(resumed.status.start_time.is_some());
}

#[test]
fn a_status_is_one_that_the_server_takes() {
    let ready = |decision: &Decision| (decision.status.active, decision.status.ready);
    let two = json!({"parallelism": 2, "completions": 5});
    assert_eq!(ready(&step(&job(two.clone(), json!({})), &["a:up", "b:run"])), (2, Some(1)));
    let target = json!({"conditions": [{"type": "FailureTarget", "status": "True"}]});
    assert_eq!(
        ready(&step(&job(two, target.clone()), &["a:up", "b:run"])),
        (0, Some(0)),
        "no more are ready"
    );

    let never = step(&job(json!({"suspend": true}), target), &[]);
    assert!(is_true(&never.status.conditions, "Failed") && never.status.start_time.is_some());

    let spec =
        json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 0});
    let indexes = |status: Value, pods: &[&str]| {
        let decision = step(&job(spec.clone(), status), pods);
        (decision.status.completed_indexes, decision.status.failed_indexes.unwrap())
    };
    let told = |completed: &str, failed: &str| (completed.to_owned(), failed.to_owned());
    assert_eq!(indexes(json!({}), &["a:bad:2"]), told("", ""), "not of an index that there is no more");
    assert_eq!(indexes(json!({"completedIndexes": "0"}), &["a:bad:0"]), told("0", ""));
    assert_eq!(indexes(json!({"failedIndexes": "0"}), &["a:ok:0"]), told("", "0"));
}

#[test]
fn an_ended_job_only_lets_its_pods_go() {
    let status = json!({"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1});
    let ended = step(&job(json!({"completions": 5}), status), &["a:ok"]);
    assert_eq!((ended.create.len(), names(&ended.release)), (0, vec!["a"]));
}

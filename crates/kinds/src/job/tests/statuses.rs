//! What the status of a job may say.

use super::*;

/// What is said of a status, of a job with this spec, that was that before.
fn status(spec: Value, before: Value, after: Value) -> String {
    let mut old = stored(spec);
    old["status"] = before;
    let mut new = old.clone();
    new["status"] = after;
    found(|errors| Job.validate_status_update(&new, &old, errors))
}

const START: &str = "2026-01-01T00:00:00Z";

/// A status with these conditions true, that has begun and, where complete, ended.
fn ended(conditions: &[&str], more: Value) -> Value {
    let conditions: Vec<Value> =
        conditions.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
    let mut status = json!({"startTime": START, "conditions": conditions});
    if status["conditions"].to_string().contains("Complete") {
        status["completionTime"] = json!(START);
    }
    merge(&mut status, more);
    status
}

#[test]
fn a_status_counts_what_there_is() {
    let check = |after: Value| status(json!({}), json!({}), after).replace("status.", "");
    let negative = "Invalid value: -1: must be greater than or equal to 0";
    for (after, expected) in [
        (json!({"active": 1, "ready": 1, "terminating": 1}), String::new()),
        (json!({"active": -1}), format!("active: {negative}")),
        (
            json!({"succeeded": -1}),
            format!(
                "succeeded: {negative}\nsucceeded: Invalid value: -1: cannot decrease the succeeded counter"
            ),
        ),
        (
            json!({"failed": -1}),
            format!("failed: {negative}\nfailed: Invalid value: -1: cannot decrease the failed counter"),
        ),
        (json!({"ready": -1}), format!("ready: {negative}")),
        (json!({"terminating": -1}), format!("terminating: {negative}")),
        (
            json!({"active": 1, "ready": 2}),
            "ready: Invalid value: 2: cannot set more ready pods than active".to_owned(),
        ),
        (
            json!({"uncountedTerminatedPods": {"succeeded": ["a", "", "a"], "failed": ["", "a", "b"]}}),
            "uncountedTerminatedPods.succeeded[1]: Invalid value: \"\": must not be empty\n\
            uncountedTerminatedPods.succeeded[2]: Duplicate value: \"a\"\n\
            uncountedTerminatedPods.failed[0]: Invalid value: \"\": must not be empty\n\
            uncountedTerminatedPods.failed[1]: Duplicate value: \"a\""
                .to_owned(),
        ),
    ] {
        assert_eq!(check(after.clone()), expected, "{after}");
    }
    let kept = json!({"active": 0, "ready": 2});
    assert_eq!(status(json!({}), kept.clone(), kept), "", "what was so before is left alone");
}

#[test]
fn the_end_of_a_job_is_whole() {
    let check = |conditions: &[&str], more: Value| {
        status(json!({}), json!({"startTime": START}), ended(conditions, more))
            .replace("status.", "")
            .replace("conditions: Invalid value: ", "")
    };
    let both = ["Complete", "SuccessCriteriaMet"];
    let broken = ["Failed", "FailureTarget"];
    for (told, expected) in [
        (check(&both, json!({})), ""),
        (check(&broken, json!({})), ""),
        (check(&["FailureTarget"], json!({"active": 1})), ""),
        (check(&["SuccessCriteriaMet"], json!({"active": 1})), ""),
        (
            check(&["Complete", "SuccessCriteriaMet", "Failed", "FailureTarget"], json!({})),
            "cannot set Complete=True and Failed=true conditions\n\
            cannot set Complete=True and FailureTarget=true conditions\n\
            cannot set SuccessCriteriaMet=True and Failed=true conditions\n\
            cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
        ),
        (
            check(&["Complete"], json!({})),
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
        (
            check(&["Failed"], json!({})),
            "cannot set Failed=True condition without the FailureTarget=true condition",
        ),
        (
            check(&both, json!({"completionTime": null})),
            "completionTime: Required value: completionTime is required for Complete jobs",
        ),
        (
            check(&broken, json!({"completionTime": START})),
            "completionTime: Invalid value: \"2026-01-01T00:00:00Z\": cannot set completionTime when there is no Complete=True condition",
        ),
        (
            check(&both, json!({"completionTime": "2025-12-31T23:59:59Z"})),
            "completionTime: Invalid value: \"2025-12-31T23:59:59Z\": must be equal to or after `startTime`",
        ),
        (
            check(
                &both,
                json!({"active": 1, "terminating": 1, "uncountedTerminatedPods": {"failed": ["a"]}}),
            ),
            "active: Invalid value: 1: active>0 is invalid for finished job\n\
            uncountedTerminatedPods: Invalid value: {\"failed\":[\"a\"]}: must be empty for finished job\n\
            terminating: Invalid value: 1: terminating>0 is invalid for finished job",
        ),
    ] {
        assert_eq!(told, expected);
    }
    assert_eq!(
        status(json!({}), json!({}), ended(&broken, json!({"startTime": null}))),
        "status.startTime: Required value: startTime is required for finished job"
    );
    let policy = json!({"completionMode": "Indexed", "completions": 1, "successPolicy": {"rules": [{"succeededCount": 1}]}});
    assert_eq!(
        status(policy, json!({"startTime": START}), ended(&["Complete"], json!({}))),
        "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition\n\
        status.conditions: Invalid value: cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
    );
    let odd = ended(
        &["Complete", "Failed"],
        json!({"active": 1, "terminating": 1, "startTime": null,
        "completionTime": null, "uncountedTerminatedPods": {"failed": ["a"]}}),
    );
    assert_eq!(status(json!({}), odd.clone(), odd), "", "what was so before is left alone");
}

#[test]
fn the_indexes_of_a_status_are_those_of_the_job() {
    let check = |spec: Value, after: Value| status(spec, json!({}), after).replace("status.", "");
    let indexed = json!({"completionMode": "Indexed", "completions": 5, "backoffLimitPerIndex": 1});
    let plain = json!({"completionMode": "Indexed", "completions": 5});
    for (spec, after, expected) in [
        (&indexed, json!({"completedIndexes": "0,2-3", "failedIndexes": "1,4"}), ""),
        (&indexed, json!({"completedIndexes": "0", "failedIndexes": ""}), ""),
        (
            &indexed,
            json!({"completedIndexes": "5", "failedIndexes": "a"}),
            "completedIndexes: Invalid value: \"5\": error parsing completedIndexes: too large index: \"5\"\n\
            failedIndexes: Invalid value: \"a\": error parsing failedIndexes: cannot convert string to integer for index: \"a\"",
        ),
        (
            &indexed,
            json!({"completedIndexes": "0-2", "failedIndexes": "2"}),
            "failedIndexes: Invalid value: \"2\": failedIndexes and completedIndexes overlap at index: 2",
        ),
        (
            &plain,
            json!({"failedIndexes": ""}),
            "failedIndexes: Invalid value: \"\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
        ),
        (
            &json!({}),
            json!({"completedIndexes": "0"}),
            "completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode",
        ),
    ] {
        assert_eq!(check(spec.clone(), after.clone()), expected, "{after}");
    }
    let odd = json!({"completedIndexes": "0-9", "failedIndexes": "2"});
    assert_eq!(status(plain, odd.clone(), odd), "", "what was so before is left alone");
}

#[test]
fn what_a_status_said_is_not_taken_back() {
    let later = "2026-01-01T00:00:01Z";
    let (complete, failed) = (
        ended(&["Complete", "SuccessCriteriaMet"], json!({})),
        ended(&["Failed", "FailureTarget"], json!({})),
    );
    let elastic = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3});
    let fixed = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 2});
    let begun = json!({"startTime": START});
    let without = |kinds: &[&str], mut status: Value| {
        status["conditions"]
            .as_array_mut()
            .unwrap()
            .retain(|condition| !kinds.contains(&condition["type"].as_str().unwrap()));
        status
    };
    let mut moved = complete.clone();
    moved["completionTime"] = json!(later);
    let mut unended = without(&["Complete"], complete.clone());
    unended["completionTime"] = Value::Null;
    for (spec, before, after, expected) in [
        (
            &json!({}),
            &failed,
            json!({"startTime": START}),
            "conditions: Invalid value: cannot disable the terminal Failed=True condition\n\
            conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
        ),
        (
            &json!({}),
            &complete,
            unended,
            "conditions: Invalid value: cannot disable the terminal Complete=True condition",
        ),
        (
            &json!({}),
            &ended(&["SuccessCriteriaMet"], json!({})),
            ended(&[], json!({})),
            "conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
        ),
        (
            &json!({}),
            &ended(&["Complete"], json!({})),
            complete.clone(),
            "conditions: Invalid value: cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
        ),
        (
            &json!({}),
            &json!({"failed": 2, "succeeded": 2}),
            json!({"failed": 1, "succeeded": 1}),
            "failed: Invalid value: 1: cannot decrease the failed counter\n\
            succeeded: Invalid value: 1: cannot decrease the succeeded counter",
        ),
        (&elastic, &json!({"succeeded": 2}), json!({"succeeded": 1}), ""),
        (
            &fixed,
            &json!({"succeeded": 2}),
            json!({"succeeded": 1}),
            "succeeded: Invalid value: 1: cannot decrease the succeeded counter",
        ),
        (
            &json!({}),
            &complete,
            moved,
            "completionTime: Invalid value: \"2026-01-01T00:00:01Z\": field is immutable",
        ),
        (
            &json!({}),
            &begun,
            json!({"startTime": later}),
            "startTime: Required value: startTime cannot be removed for unsuspended job",
        ),
        (
            &json!({}),
            &begun,
            json!({}),
            "startTime: Required value: startTime cannot be removed for unsuspended job",
        ),
        (&json!({"suspend": true}), &begun, json!({}), ""),
        (&json!({}), &json!({}), begun.clone(), ""),
        (&json!({}), &begun, json!({"startTime": "2026-01-01T01:00:00+01:00"}), ""),
    ] {
        assert_eq!(
            status(spec.clone(), before.clone(), after.clone()).replace("status.", ""),
            expected,
            "{before} {after}"
        );
    }
}

//! Validation of the status of a job, which other controllers than the server's own may write too.
//!
//! Most rules are asked only of what changes, so that a status that broke one before can still be mended.

use jiff::Timestamp;
use serde_json::Value;

use super::indexes;
use crate::workload::{STATUS, validate_counts};
use strategy::field::{Errors, IMMUTABLE};
use strategy::read::{Read, same};

/// Whether a condition is there and true.
pub(super) fn is_true(status: &Value, kind: &str) -> bool {
    let is = |condition: &Value| condition.text("type") == kind && condition.text("status") == "True";
    status.items("conditions").iter().any(is)
}

/// The conditions that rules are about.
#[derive(Clone, Copy)]
struct Ends {
    complete: bool,
    failed: bool,
    failure_target: bool,
    success_met: bool,
}

impl Ends {
    fn of(status: &Value) -> Ends {
        Ends {
            complete: is_true(status, "Complete"),
            failed: is_true(status, "Failed"),
            failure_target: is_true(status, "FailureTarget"),
            success_met: is_true(status, "SuccessCriteriaMet"),
        }
    }

    fn finished(self) -> bool {
        self.complete || self.failed
    }
}

/// Validates the status of a job, and what became of the one before.
pub(super) fn validate(new: &Value, old: &Value, errors: &mut Errors) {
    let (status, before) = (&new["status"], &old["status"]);
    validate_counts(status, &["active", "succeeded", "failed", "ready", "terminating"], &STATUS, errors);
    validate_uncounted(&status["uncountedTerminatedPods"], errors);
    let (now, was) = (Ends::of(status), Ends::of(before));
    validate_end(status, before, now, was, errors);
    validate_rest(status, before, now, was, errors);
    validate_indexes(new, before, errors);
    let count = |key: &str| status.int(key).unwrap_or(0);
    let changed = |key: &str| !same(&status[key], &before[key]);
    if (now.finished() != was.finished() || changed("terminating"))
        && now.finished()
        && count("terminating") > 0
    {
        let why = "terminating>0 is invalid for finished job";
        errors.invalid(&STATUS.child("terminating"), count("terminating"), why);
    }
    if (changed("ready") || changed("active")) && status.has("ready") && count("ready") > count("active") {
        let why = "cannot set more ready pods than active";
        errors.invalid(&STATUS.child("ready"), count("ready"), why);
    }
    validate_success(new, now, errors);
    validate_change(new, old, now, was, errors);
}

fn validate_uncounted(uncounted: &Value, errors: &mut Errors) {
    let path = STATUS.child("uncountedTerminatedPods");
    let mut seen: Vec<&Value> = Vec::new();
    for list in ["succeeded", "failed"] {
        for (index, uid) in uncounted.items(list).iter().enumerate() {
            let list_path = path.child(list);
            let path = list_path.index(index);
            if uid == "" {
                errors.invalid(&path, "", "must not be empty");
            } else if seen.contains(&uid) {
                errors.duplicate(&path, uid.clone());
            } else {
                seen.push(uid);
            }
        }
    }
}

fn conflict(what: &str, errors: &mut Errors) {
    errors.invalid_unshown(&STATUS.child("conditions"), what);
}

fn moment(status: &Value, key: &str) -> Option<Timestamp> {
    status.text(key).parse().ok()
}

/// Whether a time is another than before.
fn moved(status: &Value, before: &Value, key: &str) -> bool {
    status.has(key) != before.has(key) || moment(status, key) != moment(before, key)
}

/// What goes with the end of a job, and when it was.
fn validate_end(status: &Value, before: &Value, now: Ends, was: Ends, errors: &mut Errors) {
    let completed = now.complete != was.complete;
    if (completed || now.failed != was.failed) && now.complete && now.failed {
        conflict("cannot set Complete=True and Failed=true conditions", errors);
    }
    if (completed || now.failure_target != was.failure_target) && now.complete && now.failure_target {
        conflict("cannot set Complete=True and FailureTarget=true conditions", errors);
    }
    let (path, time) = (STATUS.child("completionTime"), &status["completionTime"]);
    if completed || moved(status, before, "completionTime") {
        if !time.is_null() && !now.complete {
            let why = "cannot set completionTime when there is no Complete=True condition";
            errors.invalid(&path, time.clone(), why);
        }
        if time.is_null() && now.complete {
            errors.required(&path, "completionTime is required for Complete jobs");
        }
    }
    if (moved(status, before, "startTime") || moved(status, before, "completionTime"))
        && let (Some(start), Some(end)) = (moment(status, "startTime"), moment(status, "completionTime"))
        && end < start
    {
        errors.invalid(&path, time.clone(), "must be equal to or after `startTime`");
    }
    if (now.failed != was.failed || now.failure_target != was.failure_target)
        && now.failed
        && !now.failure_target
    {
        conflict("cannot set Failed=True condition without the FailureTarget=true condition", errors);
    }
    if (completed || now.success_met != was.success_met) && now.complete && !now.success_met {
        conflict("cannot set Complete=True condition without the SuccessCriteriaMet=true condition", errors);
    }
}

/// What must not be left when a job has ended.
fn validate_rest(status: &Value, before: &Value, now: Ends, was: Ends, errors: &mut Errors) {
    let is_asked = |changed: bool| now.finished() && (changed || !was.finished());
    let active = status.int("active").unwrap_or(0);
    if is_asked(active != before.int("active").unwrap_or(0)) && active > 0 {
        errors.invalid(&STATUS.child("active"), active, "active>0 is invalid for finished job");
    }
    if is_asked(moved(status, before, "startTime")) && !status.has("startTime") {
        errors.required(&STATUS.child("startTime"), "startTime is required for finished job");
    }
    let uncounted = &status["uncountedTerminatedPods"];
    let is_left = ["failed", "succeeded"].iter().any(|list| !uncounted.items(list).is_empty());
    if is_asked(!same(uncounted, &before["uncountedTerminatedPods"])) && is_left {
        let why = "must be empty for finished job";
        errors.invalid(&STATUS.child("uncountedTerminatedPods"), uncounted.clone(), why);
    }
}

fn validate_indexes(job: &Value, before: &Value, errors: &mut Errors) {
    let (spec, status) = (&job["spec"], &job["status"]);
    let (completed, failed) = (status.text("completedIndexes"), status.text("failedIndexes"));
    let completed_changed = completed != before.text("completedIndexes");
    let failed_changed = status["failedIndexes"] != before["failedIndexes"];
    let (completed_path, failed_path) = (STATUS.child("completedIndexes"), STATUS.child("failedIndexes"));
    let (completions, has_limit) = (spec.int("completions"), spec.has("backoffLimitPerIndex"));
    if let Some(completions) = completions {
        if completed_changed && let Err(why) = indexes::count(completed, completions) {
            errors.invalid(&completed_path, completed, format!("error parsing completedIndexes: {why}"));
        }
        if failed_changed
            && has_limit
            && let Err(why) = indexes::count(failed, completions)
        {
            errors.invalid(&failed_path, failed, format!("error parsing failedIndexes: {why}"));
        }
    }
    if completed_changed && !completed.is_empty() && spec.text("completionMode") != "Indexed" {
        let why = "cannot set non-empty completedIndexes when non-indexed completion mode";
        errors.invalid(&completed_path, completed, why);
    }
    if failed_changed && !has_limit && status.has("failedIndexes") {
        let why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        errors.invalid(&failed_path, failed, why);
    }
    if (completed_changed || failed_changed)
        && let Some(index) = indexes::overlap(completed, failed, completions.unwrap_or(0))
    {
        let why = format!("failedIndexes and completedIndexes overlap at index: {index}");
        errors.invalid(&failed_path, failed, why);
    }
}

fn validate_success(job: &Value, now: Ends, errors: &mut Errors) {
    if now.success_met && now.failed {
        conflict("cannot set SuccessCriteriaMet=True and Failed=true conditions", errors);
    }
    if now.success_met && now.failure_target {
        conflict("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions", errors);
    }
    if job["spec"].has("successPolicy") && !now.success_met && now.complete {
        conflict(
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
            errors,
        );
    }
}

/// What may not be taken back.
fn validate_change(new: &Value, old: &Value, now: Ends, was: Ends, errors: &mut Errors) {
    let (spec, status, before) = (&new["spec"], &new["status"], &old["status"]);
    for (kind, is, was) in [
        ("Failed", now.failed, was.failed),
        ("Complete", now.complete, was.complete),
        ("FailureTarget", now.failure_target, was.failure_target),
    ] {
        if was && !is {
            conflict(&format!("cannot disable the terminal {kind}=True condition"), errors);
        }
    }
    // Indexed jobs that grow and shrink with their parallelism forget what was beyond.
    let may_forget = spec.text("completionMode") == "Indexed" && spec["completions"] == spec["parallelism"];
    for key in ["failed", "succeeded"] {
        let (count, earlier) = (status.int(key).unwrap_or(0), before.int(key).unwrap_or(0));
        if count < earlier && (key == "failed" || !may_forget) {
            let why = format!("cannot decrease the {key} counter");
            errors.invalid(&STATUS.child(key), count, why);
        }
    }
    let end = "completionTime";
    if status.has(end) && before.has(end) && moved(status, before, end) {
        errors.invalid(&STATUS.child(end), status[end].clone(), IMMUTABLE);
    }
    if before.has("startTime") && moved(status, before, "startTime") && spec.flag("suspend") != Some(true) {
        let why = "startTime cannot be removed for unsuspended job";
        errors.required(&STATUS.child("startTime"), why);
    }
    if was.success_met && !now.success_met {
        conflict("cannot disable the SuccessCriteriaMet=True condition", errors);
    }
    if was.complete && !was.success_met && now.success_met {
        conflict("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions", errors);
    }
}

//! `kubectl describe job|cronjob`.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::{annotations, controlled_by, labels, line, name, or_none, pod_template, selector, text, time};

/// Writes a job's description.
pub fn job(out: &mut String, job: &Value) {
    let (spec, status) = (&job["spec"], &job["status"]);
    name(out, job);
    if spec["selector"].is_object() {
        line!(out, "Selector:\t{}", selector(&spec["selector"]));
    }
    labels(out, job);
    annotations(out, job);
    controlled_by(out, job);
    line!(out, "Parallelism:\t{}", or_none(&spec["parallelism"]));
    line!(
        out,
        "Completions:\t{}",
        match spec["completions"].as_i64() {
            Some(completions) => completions.to_string(),
            None => "<unset>".into(),
        }
    );
    if !spec["completionMode"].is_null() {
        line!(out, "Completion Mode:\t{}", text(&spec["completionMode"]));
    }
    if !spec["suspend"].is_null() {
        line!(out, "Suspend:\t{}", spec["suspend"]);
    }
    if !spec["backoffLimit"].is_null() {
        line!(out, "Backoff Limit:\t{}", spec["backoffLimit"]);
    }
    for (title, field) in [("Start Time", "startTime"), ("Completed At", "completionTime")] {
        if !status[field].is_null() {
            line!(out, "{title}:\t{}", time(&status[field]));
        }
    }
    let instant = |field: &str| status[field].as_str().and_then(apimachinery::time::parse);
    if let (Some(start), Some(end)) = (instant("startTime"), instant("completionTime")) {
        line!(out, "Duration:\t{}", apimachinery::time::human_duration(end.as_second() - start.as_second()));
    }
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64() {
        line!(out, "Active Deadline Seconds:\t{seconds}s");
    }
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    let ready = match status["ready"].as_i64() {
        Some(ready) => format!("{} Active ({ready} Ready)", count("active")),
        None => format!("{} Active", count("active")),
    };
    line!(out, "Pods Statuses:\t{ready} / {} Succeeded / {} Failed", count("succeeded"), count("failed"));
    if spec["completionMode"] == "Indexed" {
        line!(out, "Completed Indexes:\t{}", or_none(&status["completedIndexes"]));
    }
    pod_template(out, &spec["template"]);
}

/// Writes a cron job's description.
pub fn cron_job(out: &mut String, job: &Value) {
    let spec = &job["spec"];
    name(out, job);
    labels(out, job);
    annotations(out, job);
    line!(out, "Schedule:\t{}", text(&spec["schedule"]));
    if !spec["timeZone"].is_null() {
        line!(out, "Time Zone:\t{}", text(&spec["timeZone"]));
    }
    line!(out, "Concurrency Policy:\t{}", text(&spec["concurrencyPolicy"]));
    line!(out, "Suspend:\t{}", if spec["suspend"] == true { "True" } else { "False" });
    let unset = |value: &Value| value.as_i64().map_or("<unset>".to_string(), |number| number.to_string());
    line!(out, "Successful Job History Limit:\t{}", unset(&spec["successfulJobsHistoryLimit"]));
    line!(out, "Failed Job History Limit:\t{}", unset(&spec["failedJobsHistoryLimit"]));
    let seconds = spec["startingDeadlineSeconds"]
        .as_i64()
        .map_or("<unset>".to_string(), |seconds| format!("{seconds}s"));
    line!(out, "Starting Deadline Seconds:\t{seconds}");
    let inner = &spec["jobTemplate"]["spec"];
    if inner["selector"].is_object() {
        line!(out, "Selector:\t{}", selector(&inner["selector"]));
    } else {
        line!(out, "Selector:\t<unset>");
    }
    line!(out, "Parallelism:\t{}", unset(&inner["parallelism"]));
    line!(out, "Completions:\t{}", unset(&inner["completions"]));
    pod_template(out, &inner["template"]);
    match job["status"]["lastScheduleTime"].is_null() {
        true => line!(out, "Last Schedule Time:\t<unset>"),
        false => line!(out, "Last Schedule Time:\t{}", time(&job["status"]["lastScheduleTime"])),
    }
    let active: Vec<String> =
        job.list_at(&["status", "active"]).iter().map(|job| text(&job["name"])).collect();
    line!(out, "Active Jobs:\t{}", if active.is_empty() { "<none>".into() } else { active.join(", ") });
}

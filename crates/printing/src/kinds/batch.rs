//! Jobs and cron jobs.

use apimachinery::{ObjectExt, time};
use jiff::Timestamp;
use serde_json::Value;

use crate::Printer;
use crate::cell::{
    NONE, UNSET, age, containers, is_true, name, number, selector, since, text, text_or, truth,
};
use crate::column::{AGE, NAME, boolean, integer, string, wide};

pub(super) const PRINTERS: &[Printer] = &[
    Printer {
        group: "batch",
        kind: "Job",
        columns: &[
            NAME,
            string("Status"),
            string("Completions"),
            string("Duration"),
            AGE,
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ],
        cells: |job, now| {
            let [names, images] = containers(job.at(&["spec", "template", "spec"]));
            vec![
                name(job),
                status(job).into(),
                completions(job).into(),
                duration(job, now).into(),
                age(job, now),
                names,
                images,
                selector(job.at(&["spec", "selector"])).into(),
            ]
        },
    },
    Printer {
        group: "batch",
        kind: "CronJob",
        columns: &[
            NAME,
            string("Schedule"),
            string("Timezone"),
            boolean("Suspend"),
            integer("Active"),
            string("Last Schedule"),
            AGE,
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ],
        cells: |job, now| {
            let template = job.at(&["spec", "jobTemplate", "spec"]);
            let [names, images] = containers(template.and_then(|spec| spec.at(&["template", "spec"])));
            let last = match job.str_at(&["status", "lastScheduleTime"]) {
                Some(then) => since(Some(then), now),
                None => NONE.to_owned(),
            };
            vec![
                name(job),
                text(job, &["spec", "schedule"]).into(),
                text_or(job, &["spec", "timeZone"], NONE).into(),
                job.bool_at(&["spec", "suspend"]).map_or(UNSET, truth).into(),
                job.list_at(&["status", "active"]).len().into(),
                last.into(),
                age(job, now),
                names,
                images,
                selector(template.and_then(|spec| spec.get("selector"))).into(),
            ]
        },
    },
];

fn status(job: &Value) -> &'static str {
    if is_true(job, "Complete") {
        "Complete"
    } else if is_true(job, "Failed") {
        "Failed"
    } else if job.deletion_timestamp().is_some() {
        "Terminating"
    } else if is_true(job, "Suspended") {
        "Suspended"
    } else if is_true(job, "FailureTarget") {
        "FailureTarget"
    } else if is_true(job, "SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let succeeded = number(job, &["status", "succeeded"]);
    match job.i64_at(&["spec", "completions"]) {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None => match number(job, &["spec", "parallelism"]) {
            parallelism @ 2.. => format!("{succeeded}/1 of {parallelism}"),
            _ => format!("{succeeded}/1"),
        },
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let Some(start) = job.str_at(&["status", "startTime"]).and_then(time::parse) else {
        return String::new();
    };
    let end = job.str_at(&["status", "completionTime"]).and_then(time::parse).unwrap_or(now);
    time::human_duration(end.as_second() - start.as_second())
}

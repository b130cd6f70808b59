//! CronJobs.

use serde_json::Value;

use crate::workload::{SPEC, validate_counts};
use crate::{cron, job};
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, Strategy};

/// The rules of CronJobs.
pub struct CronJob;

impl Strategy for CronJob {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        write::zero(spec, "concurrencyPolicy", "Allow");
        write::missing(spec, "suspend", false);
        write::missing(spec, "successfulJobsHistoryLimit", 3);
        write::missing(spec, "failedJobsHistoryLimit", 1);
        if let Some(template) = write::object(spec, "jobTemplate") {
            job::default_spec(write::ensure(template, "spec"));
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_spec(&object["spec"], errors);
        // Jobs get eleven characters appended to this name, and their names become labels.
        let name = object["metadata"].text("name");
        if name.len() > 52 {
            errors.invalid(&Path::root("metadata.name"), name, "must be no more than 52 characters");
        }
    }

    fn validate_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let mut found = pod_strategy::template::name_warnings(object);
        if object["spec"].text("schedule").contains("TZ") {
            found.push("cannot use TZ or CRON_TZ in spec.schedule, use spec.timeZone instead".to_owned());
        }
        found
    }
}

fn validate_spec(spec: &Value, errors: &mut Errors) {
    let schedule = spec.text("schedule");
    let schedule_path = SPEC.child("schedule");
    if schedule.is_empty() {
        errors.required(&schedule_path, "");
    } else if schedule.contains("TZ") {
        errors.invalid(
            &schedule_path,
            schedule,
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        );
    } else if let Err(message) = cron::validate(schedule) {
        errors.invalid(&schedule_path, schedule, message);
    }
    if spec.has("timeZone") {
        let zone = spec.text("timeZone");
        let path = SPEC.child("timeZone");
        if zone.is_empty() {
            errors.invalid(&path, zone, "timeZone must be nil or non-empty string");
        } else if zone.eq_ignore_ascii_case("Local") {
            errors.invalid(
                &path,
                zone,
                "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            );
        } else if jiff::tz::TimeZone::get(zone).is_err() {
            errors.invalid(&path, zone, format!("unknown time zone {zone}"));
        }
    }
    validate_counts(spec, &["startingDeadlineSeconds"], &SPEC, errors);
    match spec.text("concurrencyPolicy") {
        "Allow" | "Forbid" | "Replace" => {}
        "" => errors.required(&SPEC.child("concurrencyPolicy"), ""),
        other => {
            errors.unsupported(&SPEC.child("concurrencyPolicy"), other, &["Allow", "Forbid", "Replace"]);
        }
    }
    let template_path = SPEC.child("jobTemplate");
    let job_path = template_path.child("spec");
    let job = &spec["jobTemplate"]["spec"];
    if job.has("manualSelector") {
        errors.unsupported(&job_path.child("manualSelector"), job["manualSelector"].clone(), &[]);
    }
    job::validate_spec(job, &job_path, errors);
    validate_counts(spec, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"], &SPEC, errors);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::created;

    fn nightly(schedule: &str) -> Value {
        json!({"metadata": {"name": "n"}, "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": {
            "spec": {"restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "i"}]}}}}}})
    }

    #[test]
    fn schedules_and_zones_are_checked() {
        assert_eq!(created(&CronJob, nightly("0 3 * * *")), "");
        assert_eq!(
            created(&CronJob, nightly("0 3 * *")),
            "spec.schedule: Invalid value: \"0 3 * *\": expected exactly 5 fields, found 4: [0 3 * *]"
        );
        let mut job = nightly("0 3 * * *");
        job["spec"]["timeZone"] = json!("Mars/Olympus");
        assert_eq!(
            created(&CronJob, job),
            "spec.timeZone: Invalid value: \"Mars/Olympus\": unknown time zone Mars/Olympus"
        );
    }
}

//! CronJobs.

use serde_json::Value;

use crate::workload::{SPEC, validate_counts};
use crate::{cron, job};
use pod_strategy::warnings;
use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
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
        validate_spec(&object["spec"], false, errors);
        // Jobs get eleven characters appended to this name, and their names become labels.
        let name = object["metadata"].text("name");
        if name.len() > 52 {
            errors.invalid(&Path::root("metadata.name"), name, "must be no more than 52 characters");
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], old["spec"].text("schedule").contains("TZ"), errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let mut found = pod_strategy::template::name_warnings(object);
        found.extend(template_warnings(object));
        found.extend(zone_warning(object));
        found
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        let mut found = match same(&new["spec"], &old["spec"]) {
            true => Vec::new(),
            false => template_warnings(new),
        };
        found.extend(zone_warning(new));
        found
    }
}

fn template_warnings(object: &Value) -> Vec<String> {
    let template = &object["spec"]["jobTemplate"]["spec"]["template"];
    warnings::template_at(template, "spec.jobTemplate.spec.template")
}

fn zone_warning(object: &Value) -> Option<String> {
    object["spec"].text("schedule").contains("TZ").then(|| {
        "cannot use TZ or CRON_TZ in spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#time-zones for more details".to_owned()
    })
}

/// Validates the spec; where the schedule named a zone before there was a field for it, it still may.
fn validate_spec(spec: &Value, zone_in_schedule: bool, errors: &mut Errors) {
    let schedule = spec.text("schedule");
    let schedule_path = SPEC.child("schedule");
    if schedule.is_empty() {
        errors.required(&schedule_path, "");
    } else if schedule.contains("TZ") && spec.has("timeZone") {
        errors.invalid(
            &schedule_path,
            schedule,
            "cannot use both timeZone field and TZ or CRON_TZ in schedule",
        );
    } else if schedule.contains("TZ") && !zone_in_schedule {
        errors.invalid(
            &schedule_path,
            schedule,
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        );
    } else if let Err(message) = cron::validate(without_zone(schedule)) {
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
    if job.has("selector") {
        let why = "`selector` will be auto-generated";
        errors.invalid(&job_path.child("selector"), job["selector"].clone(), why);
    }
    if job.flag("manualSelector") == Some(true) {
        errors.unsupported(&job_path.child("manualSelector"), true, &["nil", "false"]);
    }
    job::validate_spec(job, &job_path, errors);
    validate_counts(spec, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"], &SPEC, errors);
}

/// A schedule without the zone that it may begin with, as in `TZ=UTC 0 3 * * *`.
fn without_zone(schedule: &str) -> &str {
    match schedule.split_once(' ') {
        Some((zone, rest)) if zone.starts_with("TZ=") || zone.starts_with("CRON_TZ=") => rest,
        _ => schedule,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, updated};

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
        let zoned = nightly("TZ=UTC 0 3 * * *");
        assert_eq!(
            created(&CronJob, zoned.clone()),
            "spec.schedule: Invalid value: \"TZ=UTC 0 3 * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        );
        assert_eq!(updated(&CronJob, zoned.clone(), zoned), "");
        let mut job = nightly("0 3 * * *");
        job["spec"]["jobTemplate"]["spec"]["selector"] = json!({});
        assert!(created(&CronJob, job).ends_with("`selector` will be auto-generated"));
        let mut job = nightly("0 3 * * *");
        job["spec"]["timeZone"] = json!("Mars/Olympus");
        assert_eq!(
            created(&CronJob, job),
            "spec.timeZone: Invalid value: \"Mars/Olympus\": unknown time zone Mars/Olympus"
        );
    }
}

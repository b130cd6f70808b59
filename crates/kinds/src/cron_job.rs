//! CronJobs.

use serde_json::Value;

use crate::workload::{SPEC, validate_counts};
use crate::{cron, job};
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
        validate_spec(&object["spec"], &Value::Null, errors);
        // Jobs get eleven characters appended to this name, and their names become labels.
        let name = object["metadata"].text("name");
        if name.len() > 52 {
            errors.invalid(&Path::root("metadata.name"), name, "must be no more than 52 characters");
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], &old["spec"], errors);
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let mut found = pod_strategy::template::name_warnings(object);
        found.extend(job_warnings(object));
        found
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        let mut found = match same(&new["spec"], &old["spec"]) {
            true => Vec::new(),
            false => job_warnings(new),
        };
        if new["spec"].text("schedule").contains("TZ") {
            // So upstream tells where.
            found.push("cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details".to_owned());
        }
        found
    }
}

fn job_warnings(object: &Value) -> Vec<String> {
    job::spec_warnings(&object["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec")
}

/// Validates the spec; where the schedule named a zone before there was a field for it, it still may. A zone that
/// stays is not looked for again.
fn validate_spec(spec: &Value, before: &Value, errors: &mut Errors) {
    validate_schedule(spec, before.text("schedule").contains("TZ"), errors);
    validate_counts(spec, &["startingDeadlineSeconds"], &SPEC, errors);
    if spec.has("timeZone") && spec["timeZone"] != before["timeZone"] {
        validate_zone(spec.text("timeZone"), errors);
    }
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
    let stored = &before["jobTemplate"]["spec"];
    job::validate_spec(job, Some(stored).filter(|stored| !stored.is_null()), &job_path, errors);
    if job.has("selector") {
        let why = "`selector` will be auto-generated";
        errors.invalid(&job_path.child("selector"), job["selector"].clone(), why);
    }
    if job.flag("manualSelector") == Some(true) {
        errors.unsupported(&job_path.child("manualSelector"), true, &["nil", "false"]);
    }
    validate_counts(spec, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"], &SPEC, errors);
}

fn validate_schedule(spec: &Value, may_name_zone: bool, errors: &mut Errors) {
    let (schedule, path) = (spec.text("schedule"), SPEC.child("schedule"));
    if schedule.is_empty() {
        errors.required(&path, "");
        return;
    }
    if let Err(message) = cron::validate(schedule) {
        errors.invalid(&path, schedule, message);
    }
    let why = match (schedule.contains("TZ"), may_name_zone) {
        (true, true) if spec.has("timeZone") => {
            "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        }
        (true, false) => "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        _ => return,
    };
    errors.invalid(&path, schedule, why);
}

fn validate_zone(zone: &str, errors: &mut Errors) {
    let path = SPEC.child("timeZone");
    if zone.is_empty() {
        errors.invalid(&path, zone, "timeZone must be nil or non-empty string");
        return;
    }
    let unknown = format!("unknown time zone {zone}");
    if !zone.split('/').all(is_of_zone) {
        errors.invalid(&path, zone, unknown);
        return;
    }
    if zone.eq_ignore_ascii_case("Local") {
        errors.invalid(
            &path,
            zone,
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        );
    }
    if zone != "Local" && !cron::is_zone(zone) {
        errors.invalid(&path, zone, unknown);
    }
}

/// Whether a text may be between the slashes of a zone's name.
fn is_of_zone(part: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte);
    (1..=14).contains(&part.len())
        && part.bytes().all(is_known)
        && !part.starts_with('-')
        && !matches!(part, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{agree, created, updated};

    fn nightly(schedule: &str) -> Value {
        json!({"metadata": {"name": "n"}, "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": {
            "spec": {"restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "i"}]}}}}}})
    }

    #[test]
    fn schedules_and_zones_are_checked() {
        let check = |spec: Value| {
            let mut object = nightly("0 3 * * *");
            for (key, value) in spec.as_object().unwrap() {
                object["spec"][key] = value.clone();
            }
            (spec.to_string(), created(&CronJob, object))
        };
        let cases = [
            (json!({}), ""),
            (
                json!({"schedule": "0 3 * *"}),
                "spec.schedule: Invalid value: \"0 3 * *\": expected exactly 5 fields, found 4: [0 3 * *]",
            ),
            (
                json!({"schedule": "TZ=UTC 0 3 * * *", "timeZone": "Etc/UTC"}),
                "spec.schedule: Invalid value: \"TZ=UTC 0 3 * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
            (
                json!({"schedule": "CRON_TZ=Mars/Olympus 0 3 * * *"}),
                "spec.schedule: Invalid value: \"CRON_TZ=Mars/Olympus 0 3 * * *\": provided bad location Mars/Olympus: unknown time zone Mars/Olympus\n\
                spec.schedule: Invalid value: \"CRON_TZ=Mars/Olympus 0 3 * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
            (json!({"timeZone": "Europe/Berlin"}), ""),
            (
                json!({"timeZone": "Mars/Olympus"}),
                "spec.timeZone: Invalid value: \"Mars/Olympus\": unknown time zone Mars/Olympus",
            ),
            (
                json!({"timeZone": "europe/berlin"}),
                "spec.timeZone: Invalid value: \"europe/berlin\": unknown time zone europe/berlin",
            ),
            (
                json!({"timeZone": "../UTC"}),
                "spec.timeZone: Invalid value: \"../UTC\": unknown time zone ../UTC",
            ),
            (
                json!({"timeZone": "Local"}),
                "spec.timeZone: Invalid value: \"Local\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            ),
            (
                json!({"timeZone": "local"}),
                "spec.timeZone: Invalid value: \"local\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones\n\
                spec.timeZone: Invalid value: \"local\": unknown time zone local",
            ),
        ];
        agree(cases.into_iter().map(|(spec, expected)| {
            let (case, told) = check(spec);
            (case, told, expected)
        }));
    }

    #[test]
    fn what_was_said_of_zones_may_stay() {
        let zoned = nightly("TZ=UTC 0 3 * * *");
        assert_eq!(updated(&CronJob, zoned.clone(), zoned.clone()), "");
        let mut both = zoned.clone();
        both["spec"]["timeZone"] = json!("Etc/UTC");
        assert_eq!(
            updated(&CronJob, both, zoned.clone()),
            "spec.schedule: Invalid value: \"TZ=UTC 0 3 * * *\": cannot use both timeZone field and TZ or CRON_TZ in schedule"
        );
        let mut gone = nightly("0 3 * * *");
        gone["spec"]["timeZone"] = json!("Mars/Olympus");
        assert_eq!(updated(&CronJob, gone.clone(), gone.clone()), "");
        assert!(updated(&CronJob, gone, nightly("0 3 * * *")).ends_with("unknown time zone Mars/Olympus"));
        let mut long = nightly("0 3 * * *");
        long["metadata"]["name"] = json!("n".repeat(53));
        assert_eq!(updated(&CronJob, long.clone(), long), "");

        assert_eq!(CronJob.create_warnings(&zoned), [""; 0]);
        assert_eq!(
            CronJob.update_warnings(&zoned, &zoned),
            [
                "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
            ]
        );
        let mut many = nightly("0 3 * * *");
        many["spec"]["jobTemplate"]["spec"]["completionMode"] = json!("Indexed");
        many["spec"]["jobTemplate"]["spec"]["completions"] = json!(100_001);
        many["spec"]["jobTemplate"]["spec"]["parallelism"] = json!(10_001);
        for told in [CronJob.create_warnings(&many), CronJob.update_warnings(&many, &nightly("0 3 * * *"))] {
            assert_eq!(told.len(), 1);
            assert!(told[0].starts_with("spec.jobTemplate.spec: In Indexed Jobs"), "{told:?}");
        }
        assert_eq!(CronJob.update_warnings(&many, &many), [""; 0]);
    }
}

//! What is said of CronJobs.

use serde_json::{Value, json};

use super::{check, check_updates, template};
use crate::strategy;

#[test]
fn cron_jobs() {
    let cron = |spec: Value| {
        let mut template = template();
        template["spec"]["restartPolicy"] = "OnFailure".into();
        let mut full = json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"metadata": {"name": "c"}, "spec": full})
    };
    let mut named = cron(json!({}));
    named["metadata"]["name"] = "c".repeat(52).into();
    let mut longer = cron(json!({}));
    longer["metadata"]["name"] = "c".repeat(53).into();
    let mut wrong = cron(
        json!({"schedule": "", "timeZone": "", "startingDeadlineSeconds": -1, "concurrencyPolicy": "Some",
        "successfulJobsHistoryLimit": -1, "failedJobsHistoryLimit": -1}),
    );
    wrong["spec"]["jobTemplate"]["spec"]["manualSelector"] = true.into();
    wrong["spec"]["jobTemplate"]["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
    wrong["spec"]["jobTemplate"]["spec"]["parallelism"] = json!(-1);
    let mut plain = cron(json!({}));
    plain["spec"]["jobTemplate"]["spec"]["manualSelector"] = false.into();
    check(
        "batch",
        "CronJob",
        &[
            (plain, ""),
            (named, ""),
            (
                longer,
                "metadata.name: Invalid value: \"ccccccccccccccccccccccccccccccccccccccccccccccccccccc\": must be no more than 52 characters",
            ),
            (
                cron(
                    json!({"timeZone": "Etc/UTC", "startingDeadlineSeconds": 0, "concurrencyPolicy": "Replace"}),
                ),
                "",
            ),
            (
                wrong,
                "spec.schedule: Required value\n\
                spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0\n\
                spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string\n\
                spec.concurrencyPolicy: Unsupported value: \"Some\": supported values: \"Allow\", \"Forbid\", \"Replace\"\n\
                spec.jobTemplate.spec.parallelism: Invalid value: -1: must be greater than or equal to 0\n\
                spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated\n\
                spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"\n\
                spec.successfulJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0\n\
                spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                cron(json!({"schedule": "TZ=Etc/UTC * * * * *"})),
                "spec.schedule: Invalid value: \"TZ=Etc/UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
            (
                cron(json!({"schedule": "CRON_TZ=Etc/UTC * * * * *", "timeZone": "LOCAL"})),
                "spec.schedule: Invalid value: \"CRON_TZ=Etc/UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead\n\
                spec.timeZone: Invalid value: \"LOCAL\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones\n\
                spec.timeZone: Invalid value: \"LOCAL\": unknown time zone LOCAL",
            ),
            (
                cron(json!({"schedule": "* * *", "timeZone": "Moon/Base"})),
                "spec.schedule: Invalid value: \"* * *\": expected exactly 5 fields, found 3: [* * *]\n\
                spec.timeZone: Invalid value: \"Moon/Base\": unknown time zone Moon/Base",
            ),
        ],
    );
    let zoned = cron(json!({"schedule": "TZ=Etc/UTC * * * * *"}));
    let mut later = zoned.clone();
    later["spec"]["schedule"] = "TZ=Etc/UTC 1 * * * *".into();
    check_updates(
        "batch",
        "CronJob",
        &[
            (zoned, later.clone(), ""),
            (
                cron(json!({})),
                later,
                "spec.schedule: Invalid value: \"TZ=Etc/UTC 1 * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
        ],
    );
    let mut defaulted = cron(json!({}));
    strategy("batch", "CronJob").default(&mut defaulted);
    for (field, expected) in [
        ("concurrencyPolicy", json!("Allow")),
        ("suspend", json!(false)),
        ("successfulJobsHistoryLimit", json!(3)),
        ("failedJobsHistoryLimit", json!(1)),
    ] {
        assert_eq!(defaulted["spec"][field], expected, "{field}");
    }
}

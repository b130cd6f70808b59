//! Whether a cron job's time has come.

use std::time::Duration;

use controller_runtime::objects::cron_job::CronJob;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::schedule::Schedule;

/// So many missed times are a sign of a wrong clock; upstream's value.
const TOO_MANY: usize = 100;

/// What is to be done about the schedule.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    /// The time for which a job is to be started.
    pub start: Option<Timestamp>,
    /// A time that was missed by too much.
    pub missed: Option<Timestamp>,
    /// Whether many times were missed.
    pub too_many: bool,
    /// When the next time comes.
    pub look_again: Option<Duration>,
}

/// Decides.
pub fn due(cron_job: &CronJob, schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> Due {
    let created = cron_job.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let last = cron_job.status.last_schedule_time.as_ref().map(|time| time.0);
    let deadline = cron_job.spec.starting_deadline_seconds.map(SignedDuration::from_secs);
    let mut earliest = last.unwrap_or(created);
    if let Some(bound) = deadline.and_then(|deadline| now.checked_sub(deadline).ok()) {
        earliest = earliest.max(bound);
    }
    let look_again = schedule.next(now, zone).map(|next| {
        // A moment more, so that the time has come when it is looked at.
        Duration::try_from(next.duration_since(now)).unwrap_or_default() + Duration::from_millis(100)
    });
    let mut due = Due { start: None, missed: None, too_many: false, look_again };
    let Some((time, count)) = schedule.last_between(earliest, now, zone, TOO_MANY) else { return due };
    due.too_many = count > TOO_MANY;
    let too_late = deadline.is_some_and(|deadline| now.duration_since(time) > deadline);
    if too_late {
        due.missed = Some(time);
    } else if last != Some(time) {
        due.start = Some(time);
    }
    due
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(spec: Value, status: Value, now: &str) -> (Option<String>, bool, u64) {
        let mut object = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:30Z"}, "spec": spec, "status": status});
        object["spec"]["schedule"] = "*/5 * * * *".into();
        let cron_job: CronJob = serde_json::from_value(object).unwrap();
        let schedule = Schedule::parse(&cron_job.spec.schedule).unwrap();
        let due = due(&cron_job, &schedule, &TimeZone::UTC, now.parse().unwrap());
        (due.start.map(|time| time.to_string()), due.too_many, due.look_again.unwrap().as_secs())
    }

    #[test]
    fn starts_the_last_time_that_was_missed_once() {
        assert_eq!(told(json!({}), json!({}), "2026-01-01T00:04:00Z"), (None, false, 60));
        let five = Some("2026-01-01T00:05:00Z".to_owned());
        assert_eq!(told(json!({}), json!({}), "2026-01-01T00:05:00Z"), (five, false, 300));
        let last = json!({"lastScheduleTime": "2026-01-01T00:05:00Z"});
        assert_eq!(told(json!({}), last.clone(), "2026-01-01T00:06:00Z"), (None, false, 240));
        let twenty = Some("2026-01-01T00:20:00Z".to_owned());
        assert_eq!(told(json!({}), last.clone(), "2026-01-01T00:22:00Z"), (twenty, false, 180));
        assert_eq!(
            told(json!({"startingDeadlineSeconds": 60}), last.clone(), "2026-01-01T00:22:00Z"),
            (None, false, 180)
        );
        let (start, too_many, _) = told(json!({}), last, "2026-01-03T00:01:00Z");
        assert_eq!((start.as_deref(), too_many), (Some("2026-01-03T00:00:00Z"), true));
    }
}

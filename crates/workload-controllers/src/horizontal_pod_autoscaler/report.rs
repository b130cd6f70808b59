//! What an autoscaler's status and events say of one look at its target.

use controller_runtime::objects::{Condition, find};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

/// The conditions and events of one look, in upstream's words.
#[derive(Debug, Default)]
pub struct Report {
    conditions: Vec<(&'static str, bool, String, String)>,
    /// Warnings to be recorded: reason and message.
    pub warnings: Vec<(String, String)>,
}

impl Report {
    /// Sets a condition; a later word on it counts.
    pub fn set(&mut self, kind: &'static str, status: bool, reason: &str, message: impl Into<String>) {
        self.conditions.retain(|(known, ..)| *known != kind);
        self.conditions.push((kind, status, reason.to_owned(), message.into()));
    }

    /// Adds a warning.
    pub fn warn(&mut self, reason: &str, message: impl Into<String>) {
        self.warnings.push((reason.to_owned(), message.into()));
    }

    /// The conditions as they are now: those of before that nothing was said of stay.
    pub fn conditions(&self, before: &[Condition], now: Timestamp) -> Value {
        let mut conditions = before.to_vec();
        for (kind, status, reason, message) in &self.conditions {
            let status = if *status { "True" } else { "False" };
            let since = find(before, kind)
                .filter(|known| known.status == status)
                .and_then(|known| known.last_transition_time.clone())
                .unwrap_or(Time(now));
            let condition = Condition {
                kind: (*kind).to_owned(),
                status: status.to_owned(),
                last_transition_time: Some(since),
                reason: reason.clone(),
                message: message.clone(),
                ..Condition::default()
            };
            match conditions.iter_mut().find(|known| known.kind == *kind) {
                Some(known) => *known = condition,
                None => conditions.push(condition),
            }
        }
        json!(conditions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_keep_their_time_while_their_status_stays() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut report = Report::default();
        report.set("AbleToScale", true, "SucceededGetScale", "a");
        report.set("AbleToScale", true, "ReadyForNewScale", "b");
        let first = report.conditions(&[], at(10));
        assert_eq!(first.as_array().unwrap().len(), 1);
        assert_eq!(first[0]["reason"], "ReadyForNewScale");
        let before: Vec<Condition> = serde_json::from_value(first).unwrap();
        let mut report = Report::default();
        report.set("AbleToScale", true, "SucceededRescale", "c");
        report.set("ScalingActive", false, "FailedGetResourceMetric", "d");
        let second = report.conditions(&before, at(20));
        assert_eq!(second[0]["lastTransitionTime"], "1970-01-01T00:00:10Z");
        assert_eq!(second[1]["lastTransitionTime"], "1970-01-01T00:00:20Z");
    }
}

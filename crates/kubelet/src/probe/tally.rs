//! What came of a container's probes, under upstream's names.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use super::Purpose;
use crate::{metrics::DEFAULT_BUCKETS, pod::PodRef};

/// What a probe came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The container passed.
    Successful,
    /// It did not.
    Failed,
    /// The probe could not be carried out.
    Unknown,
}

/// What came of the probes of one container for one purpose.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// By [`Found`].
    counts: [u64; 3],
    /// How long those took that say how long the container takes, by the first bound that holds them.
    times: [u64; DEFAULT_BUCKETS.len() + 1],
    seconds: f64,
}

impl Tally {
    /// Takes in a probe.
    pub fn add(&mut self, found: Found, took: Duration) {
        self.counts[found as usize] += 1;
        // As upstream: one that failed may have waited for its time-out.
        if found != Found::Failed {
            let took = took.as_secs_f64();
            let bucket = DEFAULT_BUCKETS.iter().position(|bound| took <= *bound);
            self.times[bucket.unwrap_or(DEFAULT_BUCKETS.len())] += 1;
            self.seconds += took;
        }
    }
}

/// The tallies of a pod, by container and purpose. They go with the pod.
pub type Tallies = BTreeMap<(String, Purpose), Tally>;

/// The names and helps of both metrics.
pub const HEADS: [(&str, &str, &str); 2] = [
    (
        "prober_probe_total",
        "Cumulative number of a liveness, readiness or startup probe for a container by result.",
        "counter",
    ),
    ("prober_probe_duration_seconds", "Duration in seconds for a probe response.", "histogram"),
];

/// Writes how often a pod's probes found what.
pub fn write_counts(text: &mut String, pod: &PodRef, tallies: &Tallies) {
    let PodRef { namespace, name, uid } = pod;
    for ((container, purpose), tally) in tallies {
        let purpose = purpose.as_str();
        for (result, count) in ["successful", "failed", "unknown"].into_iter().zip(tally.counts) {
            if count > 0 {
                let _ = writeln!(
                    text,
                    "prober_probe_total{{container=\"{container}\",namespace=\"{namespace}\",pod=\"{name}\",pod_uid=\"{uid}\",probe_type=\"{purpose}\",result=\"{result}\"}} {count}"
                );
            }
        }
    }
}

/// Writes how long a pod's probes took.
pub fn write_times(text: &mut String, pod: &PodRef, tallies: &Tallies) {
    let PodRef { namespace, name, .. } = pod;
    for ((container, purpose), tally) in tallies {
        let total: u64 = tally.times.iter().sum();
        if total == 0 {
            continue;
        }
        let metric = HEADS[1].0;
        let labels = format!(
            "container=\"{container}\",namespace=\"{namespace}\",pod=\"{name}\",probe_type=\"{}\"",
            purpose.as_str()
        );
        let mut so_far = 0;
        for (bound, count) in DEFAULT_BUCKETS.iter().zip(tally.times) {
            so_far += count;
            let _ = writeln!(text, "{metric}_bucket{{{labels},le=\"{bound}\"}} {so_far}");
        }
        let _ = writeln!(text, "{metric}_bucket{{{labels},le=\"+Inf\"}} {total}");
        let _ = writeln!(text, "{metric}_sum{{{labels}}} {}", tally.seconds);
        let _ = writeln!(text, "{metric}_count{{{labels}}} {total}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_told_by_result_and_their_times_by_bound() {
        let mut tally = Tally::default();
        tally.add(Found::Successful, Duration::from_millis(7));
        tally.add(Found::Successful, Duration::from_secs(11));
        tally.add(Found::Failed, Duration::from_millis(1));
        let tallies = Tallies::from([(("web".to_owned(), Purpose::Liveness), tally)]);
        let pod = PodRef { namespace: "d".into(), name: "p".into(), uid: "u".into() };
        let mut text = String::new();
        write_counts(&mut text, &pod, &tallies);
        write_times(&mut text, &pod, &tallies);
        let common = "container=\"web\",namespace=\"d\",pod=\"p\",";
        for line in [
            format!(
                "prober_probe_total{{{common}pod_uid=\"u\",probe_type=\"Liveness\",result=\"successful\"}} 2"
            ),
            format!(
                "prober_probe_total{{{common}pod_uid=\"u\",probe_type=\"Liveness\",result=\"failed\"}} 1"
            ),
            format!("prober_probe_duration_seconds_bucket{{{common}probe_type=\"Liveness\",le=\"0.005\"}} 0"),
            format!("prober_probe_duration_seconds_bucket{{{common}probe_type=\"Liveness\",le=\"10\"}} 1"),
            format!("prober_probe_duration_seconds_bucket{{{common}probe_type=\"Liveness\",le=\"+Inf\"}} 2"),
            format!("prober_probe_duration_seconds_count{{{common}probe_type=\"Liveness\"}} 2"),
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
        assert!(!text.contains("unknown"), "{text}");
    }
}

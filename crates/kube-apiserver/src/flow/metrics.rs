//! The metrics of priority and fairness, under upstream's names.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use flow_control::Reason;
use flow_control::queues::{Progress, Used};
use flow_control::stats::{Counts, Histogram};

use super::Flows;
use super::lane::Member;

/// A number of a schema.
type Number = fn(&Counts) -> i64;

const GAUGES: [(&str, &str, Number); 4] = [
    (
        "current_executing_requests",
        "Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and Fairness subsystem",
        |counts| counts.executing.load(Relaxed),
    ),
    (
        "current_executing_seats",
        "Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage otherwise) requests in the API Priority and Fairness subsystem",
        |counts| counts.executing_seats.load(Relaxed),
    ),
    (
        "current_inqueue_requests",
        "Number of requests currently pending in queues of the API Priority and Fairness subsystem",
        |counts| counts.waiting.load(Relaxed),
    ),
    (
        "current_inqueue_seats",
        "Number of seats currently pending in queues of the API Priority and Fairness subsystem",
        |counts| counts.waiting_seats.load(Relaxed),
    ),
];

impl Flows {
    /// Writes all metrics.
    pub fn write_metrics(&self, out: &mut String) {
        let config = self.config.load();
        let used: Vec<(&Arc<Member>, String)> = config
            .members
            .iter()
            .filter(|member| {
                member.counts.dispatched.load(Relaxed) > 0
                    || member.counts.refused.iter().any(|count| count.load(Relaxed) > 0)
            })
            .map(|member| {
                let (schema, level) = (&member.schema.name, &member.schema.level);
                (member, format!("flow_schema=\"{schema}\",priority_level=\"{level}\""))
            })
            .collect();
        head(
            out,
            "dispatched_requests_total",
            "counter",
            "Number of requests executed by API Priority and Fairness subsystem",
        );
        for (member, labels) in &used {
            let count = member.counts.dispatched.load(Relaxed);
            let _ = writeln!(out, "{PREFIX}dispatched_requests_total{{{labels}}} {count}");
        }
        head(
            out,
            "rejected_requests_total",
            "counter",
            "Number of requests rejected by API Priority and Fairness subsystem",
        );
        for (member, labels) in &used {
            for reason in Reason::ALL {
                let count = member.counts.refused[reason as usize].load(Relaxed);
                if count > 0 {
                    let reason = reason.name();
                    let _ = writeln!(
                        out,
                        "{PREFIX}rejected_requests_total{{{labels},reason=\"{reason}\"}} {count}"
                    );
                }
            }
        }
        for (name, help, number) in GAUGES {
            head(out, name, "gauge", help);
            for (member, labels) in &used {
                let _ = writeln!(out, "{PREFIX}{name}{{{labels}}} {}", number(&member.counts));
            }
        }
        histograms(out, &used);
        self.write_seats(out);
        self.write_progress(out);
        self.write_use(out);
    }

    /// The seats of each level.
    fn write_seats(&self, out: &mut String) {
        let config = self.config.load();
        let levels: Vec<(&String, [f64; 9], u64)> = config
            .lanes
            .iter()
            .map(|(name, lane)| {
                let state = lane.state();
                let (bounds, observed) = (state.bounds, state.observed);
                let numbers = [
                    f64::from(bounds.nominal),
                    f64::from(bounds.lowest),
                    f64::from(bounds.highest),
                    f64::from(state.queues.seat_limit()),
                    observed.highest,
                    observed.average,
                    observed.deviation,
                    observed.smoothed,
                    state.target,
                ];
                (name, numbers, state.queues.unaccommodated)
            })
            .collect();
        for (place, (name, help)) in [
            ("nominal_limit_seats", "Nominal number of execution seats configured for each priority level"),
            (
                "lower_limit_seats",
                "Configured lower bound on number of execution seats available to each priority level",
            ),
            (
                "upper_limit_seats",
                "Configured upper bound on number of execution seats available to each priority level",
            ),
            (
                "current_limit_seats",
                "current derived number of execution seats available to each priority level",
            ),
            ("demand_seats_high_watermark", "High watermark, over last adjustment period, of demand_seats"),
            ("demand_seats_average", "Time-weighted average, over last adjustment period, of demand_seats"),
            (
                "demand_seats_stdev",
                "Time-weighted standard deviation, over last adjustment period, of demand_seats",
            ),
            ("demand_seats_smoothed", "Smoothed seat demands"),
            ("target_seats", "Seat allocation targets"),
        ]
        .into_iter()
        .enumerate()
        {
            head(out, name, "gauge", help);
            for (level, numbers, _) in &levels {
                let _ = writeln!(out, "{PREFIX}{name}{{priority_level=\"{level}\"}} {}", numbers[place]);
            }
        }
        head(
            out,
            "seat_fair_frac",
            "gauge",
            "Fair fraction of server's concurrency to allocate to each priority level that can use it",
        );
        let _ = writeln!(out, "{PREFIX}seat_fair_frac {}", *self.fraction.lock());
        let name = "request_dispatch_no_accommodation_total";
        head(
            out,
            name,
            "counter",
            "Number of times a dispatch attempt resulted in a non accommodation due to lack of available seats",
        );
        for (level, _, count) in levels.iter().filter(|(_, _, count)| *count > 0) {
            let _ = writeln!(out, "{PREFIX}{name}{{priority_level=\"{level}\"}} {count}");
        }
    }
}

/// A number of the progress of a level.
type OfProgress = fn(&Progress) -> f64;

/// The least and the most of a number over the queues of a level in which somebody waits.
type OverQueues = fn(&Progress) -> Option<(f64, f64)>;

impl Flows {
    /// How far the fair queuing of each level has come.
    fn write_progress(&self, out: &mut String) {
        let config = self.config.load();
        let levels: Vec<(&String, Progress)> = config
            .lanes
            .iter()
            .filter_map(|(name, lane)| {
                let state = lane.state();
                state.has_queues().then(|| (name, state.queues.progress()))
            })
            .collect();
        let numbers: [(&str, &str, OfProgress); 3] = [
            ("current_r", "R(time of last change)", |progress| progress.changed),
            ("dispatch_r", "R(time of last dispatch)", |progress| progress.dispatched),
            ("latest_s", "S(most recently dispatched request)", |progress| progress.latest),
        ];
        for (name, help, number) in numbers {
            head(out, name, "gauge", help);
            for (level, progress) in &levels {
                let _ = writeln!(out, "{PREFIX}{name}{{priority_level=\"{level}\"}} {}", number(progress));
            }
        }
        let bounds: [(&str, &str, OverQueues); 2] = [
            (
                "next_s_bounds",
                "min and max, over queues, of S(oldest waiting request in queue)",
                |progress| progress.next,
            ),
            (
                "next_discounted_s_bounds",
                "min and max, over queues, of S(oldest waiting request in queue) - estimated work in progress",
                |progress| progress.discounted,
            ),
        ];
        for (name, help, bounds) in bounds {
            head(out, name, "gauge", help);
            for (level, progress) in &levels {
                let Some((least, most)) = bounds(progress) else { continue };
                for (bound, value) in [("min", least), ("max", most)] {
                    let _ = writeln!(
                        out,
                        "{PREFIX}{name}{{bound=\"{bound}\",priority_level=\"{level}\"}} {value}"
                    );
                }
            }
        }
    }

    /// How much of each level was used for how long.
    fn write_use(&self, out: &mut String) {
        let config = self.config.load();
        let now = self.now();
        for (name, help, parts) in USES {
            head(out, name, "histogram", help);
            for (level, lane) in &config.lanes {
                let state = lane.state();
                for (phase, write) in parts {
                    let labels = format!("{phase}priority_level=\"{level}\"");
                    write(&state.queues.used, now, out, &format!("{PREFIX}{name}"), &labels);
                }
            }
        }
    }
}

/// What writes a part of what was used of a level until now, under a name with labels.
type OfUse = fn(&Used, Duration, &mut String, &str, &str);

/// The parts of a metric, each with the label of its phase, where it has one.
type Parts = &'static [(&'static str, OfUse)];

const EXECUTING: &str = "phase=\"executing\",";

/// What is told of the use of levels: name, help, parts.
const USES: [(&str, &str, Parts); 3] = [
    (
        "demand_seats",
        "Observations, at the end of every nanosecond, of (the number of seats each priority level could use) / (nominal number of seats for that level)",
        &[("", |used, now, out, name, labels| used.wanted.write(now, out, name, labels))],
    ),
    (
        "priority_level_seat_utilization",
        "Observations, at the end of every nanosecond, of utilization of seats for any stage of execution (but only initial stage for WATCHes)",
        &[(EXECUTING, |used, now, out, name, labels| used.taken.write(now, out, name, labels))],
    ),
    (
        "priority_level_request_utilization",
        "Observations, at the end of every nanosecond, of number of requests (as a fraction of the relevant limit) waiting or in any stage of execution (but only initial stage for WATCHes)",
        &[
            ("phase=\"waiting\",", |used, now, out, name, labels| used.waiting.write(now, out, name, labels)),
            (EXECUTING, |used, now, out, name, labels| used.executing.write(now, out, name, labels)),
        ],
    ),
];

const PREFIX: &str = "apiserver_flowcontrol_";

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}");
}

fn histograms(out: &mut String, used: &[(&Arc<Member>, String)]) {
    fn write<const N: usize>(out: &mut String, name: &str, labels: &str, histogram: &Histogram<N>) {
        histogram.write(out, &format!("{PREFIX}{name}"), labels);
    }
    head(
        out,
        "request_wait_duration_seconds",
        "histogram",
        "Length of time a request spent waiting in its queue",
    );
    for (member, labels) in used {
        let name = "request_wait_duration_seconds";
        write(out, name, &format!("execute=\"true\",{labels}"), &member.counts.waited);
        write(out, name, &format!("execute=\"false\",{labels}"), &member.counts.waited_in_vain);
    }
    head(
        out,
        "request_execution_seconds",
        "histogram",
        "Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API Priority and Fairness subsystem",
    );
    for (member, labels) in used {
        let name = "request_execution_seconds";
        write(out, name, &format!("{labels},type=\"regular\""), &member.counts.ran);
        write(out, name, &format!("{labels},type=\"watch\""), &member.counts.began);
    }
    head(
        out,
        "request_queue_length_after_enqueue",
        "histogram",
        "Length of queue in the API Priority and Fairness subsystem, as seen by each request after it is enqueued",
    );
    for (member, labels) in used {
        write(out, "request_queue_length_after_enqueue", labels, &member.counts.lengths);
    }
    head(
        out,
        "watch_count_samples",
        "histogram",
        "count of watchers for mutating requests in API Priority and Fairness",
    );
    for (member, labels) in used {
        write(out, "watch_count_samples", labels, &member.counts.watchers);
    }
    head(
        out,
        "work_estimated_seats",
        "histogram",
        "Number of estimated seats (maximum of initial and final seats) associated with requests in API Priority and Fairness",
    );
    for (member, labels) in used {
        write(out, "work_estimated_seats", labels, &member.counts.seats);
    }
}

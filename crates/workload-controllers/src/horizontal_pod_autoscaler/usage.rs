//! How many pods what is used asks for: the ratio of use to target, with care for pods of which nothing is known.

use apimachinery::Quantity;
use jiff::{SignedDuration, Timestamp};

/// How starting pods are told from others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Starting {
    /// For so long after its start a pod's processor use may be that of starting
    /// (`--horizontal-pod-autoscaler-cpu-initialization-period`).
    pub initialization: SignedDuration,
    /// A pod that was last unready so soon after its start was never ready
    /// (`--horizontal-pod-autoscaler-initial-readiness-delay`).
    pub initial_readiness: SignedDuration,
}

/// What a metric should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Percent of what is requested.
    Utilization(i64),
    /// Thousandths of the unit, for each pod.
    AverageValue(i64),
}

/// By how far use may be off the target without anything being done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Above the target, as a fraction.
    pub up: f64,
    /// Below the target, as a fraction.
    pub down: f64,
}

impl Tolerance {
    fn takes(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// What a metric says of one pod.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Thousandths of the unit.
    pub milli: i64,
    /// When.
    pub at: Timestamp,
    /// Between what a rate was taken.
    pub window: SignedDuration,
}

/// Whether a pod is ready, and since when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Readiness {
    /// The condition's status.
    pub ready: bool,
    /// When it last changed.
    pub since: Timestamp,
}

/// One pod that the target's selector takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// Being deleted or failed: as good as gone.
    pub gone: bool,
    /// Not started yet.
    pub pending: bool,
    /// Its start.
    pub started: Option<Timestamp>,
    /// Its condition `Ready`.
    pub readiness: Option<Readiness>,
    /// What it uses, where it was measured.
    pub measured: Option<Measured>,
    /// What it requests, in thousandths; or why that is not known.
    pub requested: Result<i64, String>,
}

impl Pod {
    /// Whether its use says nothing of the load: it starts, or is not ready for some.
    fn is_starting(&self, measured: Measured, starting: Starting, now: Timestamp) -> bool {
        let (Some(started), Some(readiness)) = (self.started, self.readiness) else { return true };
        if started + starting.initialization > now {
            !readiness.ready || measured.at < readiness.since + measured.window
        } else {
            !readiness.ready && started + starting.initial_readiness > readiness.since
        }
    }
}

/// What one metric proposes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proposal {
    /// How many pods.
    pub replicas: i32,
    /// Percent of what is requested, for that kind of target.
    pub utilization: Option<i64>,
    /// What a pod uses on average, in thousandths.
    pub average: i64,
}

impl Proposal {
    /// The average as it is shown.
    pub fn average_value(&self) -> String {
        Quantity::from_milli(self.average).to_string()
    }
}

/// What counts of one pod.
#[derive(Clone, Copy)]
struct Counted {
    used: i64,
    requested: i64,
}

/// The ratio of what is used to what should be.
fn ratio(counted: &[Counted], target: Target) -> Option<(f64, Proposal)> {
    if counted.is_empty() {
        return None;
    }
    let used: i64 = counted.iter().map(|pod| pod.used).sum();
    let average = used / i64::try_from(counted.len()).unwrap_or(i64::MAX);
    let (ratio, utilization) = match target {
        Target::Utilization(target) => {
            let requested: i64 = counted.iter().map(|pod| pod.requested).sum();
            if requested == 0 {
                return None;
            }
            let utilization = used.saturating_mul(100) / requested;
            (as_f64(utilization) / as_f64(target.max(1)), Some(utilization))
        }
        Target::AverageValue(target) => (as_f64(average) / as_f64(target.max(1)), None),
    };
    Some((ratio, Proposal { replicas: 0, utilization, average }))
}

#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn as_f64(value: i64) -> f64 {
    value as f64
}

/// Rounds up, within what a count can be.
#[expect(clippy::cast_possible_truncation, reason = "saturates")]
fn scaled(ratio: f64, pods: usize) -> i32 {
    (ratio * as_f64(i64::try_from(pods).unwrap_or(i64::MAX))).ceil() as i32
}

/// Proposes a number of pods, as upstream does. `starting` is for processor use, of which starting pods have more
/// than later.
pub fn propose(
    pods: &[Pod],
    target: Target,
    current: i32,
    starting: Option<Starting>,
    tolerance: Tolerance,
    now: Timestamp,
) -> Result<Proposal, String> {
    if pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".to_owned());
    }
    let by_request = matches!(target, Target::Utilization(_));
    let (mut counted, mut unready, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for pod in pods.iter().filter(|pod| !pod.gone) {
        let requested = match (&pod.requested, by_request) {
            (Ok(requested), _) => *requested,
            (Err(_), false) => 0,
            (Err(error), true) => return Err(error.clone()),
        };
        let entry = Counted { used: pod.measured.map_or(0, |measured| measured.milli), requested };
        match pod.measured {
            _ if pod.pending => unready.push(entry),
            None => missing.push(entry),
            Some(measured) if starting.is_some_and(|starting| pod.is_starting(measured, starting, now)) => {
                unready.push(entry);
            }
            Some(_) => counted.push(entry),
        }
    }
    let none = || "did not receive metrics for targeted pods (pods might be unready)".to_owned();
    let (first, mut proposal) = ratio(&counted, target).ok_or_else(none)?;
    let ready = counted.len();
    let grows_with_unready = !unready.is_empty() && first > 1.0;
    if !grows_with_unready && missing.is_empty() {
        proposal.replicas = if tolerance.takes(first) { current } else { scaled(first, ready) };
        return Ok(proposal);
    }
    // Of what is not known, the careful is taken: full use when it is to be fewer, no use when it is to be more.
    for pod in missing {
        if first < 1.0 {
            let used = match target {
                Target::Utilization(target) => pod.requested.saturating_mul(target.max(100)) / 100,
                Target::AverageValue(target) => target,
            };
            counted.push(Counted { used, ..pod });
        } else if first > 1.0 {
            counted.push(Counted { used: 0, ..pod });
        }
    }
    if grows_with_unready {
        counted.extend(unready.iter().map(|pod| Counted { used: 0, ..*pod }));
    }
    let (second, _) = ratio(&counted, target).ok_or_else(none)?;
    let turned = (first < 1.0 && second > 1.0) || (first > 1.0 && second < 1.0);
    proposal.replicas = current;
    if tolerance.takes(second) || turned {
        return Ok(proposal);
    }
    let replicas = scaled(second, counted.len());
    // A guess must not go the other way.
    let backwards = (second < 1.0 && replicas > current) || (second > 1.0 && replicas < current);
    if !backwards {
        proposal.replicas = replicas;
    }
    Ok(proposal)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-01T01:00:00Z";
    const STARTING: Starting = Starting {
        initialization: SignedDuration::from_secs(300),
        initial_readiness: SignedDuration::from_secs(30),
    };
    const TENTH: Tolerance = Tolerance { up: 0.1, down: 0.1 };

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    /// A pod that has long been ready and requests a whole processor.
    fn pod(milli: i64) -> Pod {
        let started = now() - SignedDuration::from_hours(1);
        Pod {
            gone: false,
            pending: false,
            started: Some(started),
            readiness: Some(Readiness { ready: true, since: started }),
            measured: Some(Measured { milli, at: now(), window: SignedDuration::from_secs(15) }),
            requested: Ok(1000),
        }
    }

    fn unmeasured() -> Pod {
        Pod { measured: None, ..pod(0) }
    }

    /// Became ready a moment ago, after its last measurement began.
    fn starting(milli: i64) -> Pod {
        let started = now() - SignedDuration::from_secs(20);
        let readiness = Some(Readiness { ready: true, since: now() - SignedDuration::from_secs(5) });
        Pod { started: Some(started), readiness, ..pod(milli) }
    }

    fn check(pods: &[Pod], target: Target) -> i32 {
        let current = i32::try_from(pods.len()).unwrap();
        propose(pods, target, current, Some(STARTING), TENTH, now()).unwrap().replicas
    }

    #[test]
    fn pods_follow_the_ratio_of_use_to_target() {
        let half = Target::Utilization(50);
        assert_eq!(check(&[pod(1000), pod(1000)], half), 4);
        assert_eq!(check(&[pod(500), pod(500)], half), 2);
        assert_eq!(check(&[pod(100), pod(150), pod(110), pod(90)], half), 1);
        assert_eq!(check(&[pod(540), pod(550)], half), 2, "within a tenth");
        assert_eq!(check(&[pod(560), pod(570)], half), 3, "beyond it");
        assert_eq!(check(&[pod(800), pod(400)], Target::AverageValue(300)), 4);
    }

    #[test]
    fn what_is_not_known_holds_back() {
        let half = Target::Utilization(50);
        assert_eq!(check(&[pod(1000), unmeasured()], half), 2, "with no use of the second the ratio is one");
        assert_eq!(check(&[pod(1000), pod(1000), pod(1000), unmeasured()], half), 6);
        assert_eq!(check(&[pod(10), unmeasured()], half), 2, "with full use of the second it is to be more");
        assert_eq!(check(&[pod(10), pod(10), pod(10), pod(10), unmeasured()], half), 2);
    }

    #[test]
    fn the_use_of_starting_does_not_count() {
        let half = Target::Utilization(50);
        assert_eq!(check(&[pod(500), starting(5000)], half), 2);
        assert_eq!(check(&[pod(1000), starting(5000)], half), 2);
        assert_eq!(check(&[pod(500), Pod { pending: true, ..unmeasured() }], half), 2);
        assert_eq!(check(&[pod(100), Pod { pending: true, ..unmeasured() }], half), 1, "of the ready ones");
        let never_ready = Readiness { ready: false, since: now() - SignedDuration::from_secs(3590) };
        assert_eq!(check(&[pod(500), Pod { readiness: Some(never_ready), ..pod(5000) }], half), 2);
        assert_eq!(check(&[pod(1000), Pod { gone: true, ..pod(1000) }], half), 2);
    }

    #[test]
    fn nothing_is_proposed_without_measurements_or_requests() {
        let ask = |pods: &[Pod], target| propose(pods, target, 1, Some(STARTING), TENTH, now());
        let half = Target::Utilization(50);
        assert_eq!(
            ask(&[unmeasured()], half).unwrap_err(),
            "did not receive metrics for targeted pods (pods might be unready)"
        );
        assert_eq!(
            ask(&[], half).unwrap_err(),
            "no pods returned by selector while calculating replica count"
        );
        let bare = Pod { requested: Err("missing request for cpu in container a of Pod p".into()), ..pod(5) };
        assert_eq!(
            ask(std::slice::from_ref(&bare), half).unwrap_err(),
            "missing request for cpu in container a of Pod p"
        );
        let proposal = ask(&[bare], Target::AverageValue(5)).unwrap();
        assert_eq!(
            (proposal.replicas, proposal.utilization, proposal.average_value()),
            (1, None, "5m".to_owned())
        );
    }
}

//! Which thresholds are met, for how long they have been, and what the node's conditions say of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use apimachinery::Quantity;

use super::threshold::{Resource, Rules, Signal, Threshold};

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// What is left.
    pub available: u64,
    /// All of it.
    pub capacity: u64,
}

/// What was measured, by signal; what could not be is missing.
pub type Observations = BTreeMap<Signal, Observation>;

/// What the node runs short of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Memory.
    pub memory: bool,
    /// Disk or inodes.
    pub disk: bool,
    /// Processes.
    pub pids: bool,
}

impl Pressure {
    /// The names of the conditions that are true.
    pub fn conditions(&self) -> Vec<&'static str> {
        let all = [(self.memory, "MemoryPressure"), (self.disk, "DiskPressure"), (self.pids, "PIDPressure")];
        all.into_iter().filter_map(|(is, name)| is.then_some(name)).collect()
    }
}

/// What follows from one look.
#[derive(Debug, PartialEq)]
pub struct Finding<'a> {
    /// The node's conditions.
    pub pressure: Pressure,
    /// The thresholds that pods must go for now, the weightiest first.
    pub due: Vec<&'a Threshold>,
}

/// What is remembered from look to look. Thresholds are known by their place among the rules.
#[derive(Debug, Default)]
pub struct Tracker {
    first_met: BTreeMap<usize, Instant>,
    acting: BTreeSet<usize>,
    /// When each condition was last found true: memory, disk, processes.
    pressed: [Option<Instant>; 3],
}

impl Tracker {
    /// Takes in what was measured.
    pub fn look<'a>(&mut self, rules: &'a Rules, observations: &Observations, now: Instant) -> Finding<'a> {
        let mut due = Vec::new();
        let mut acting = BTreeSet::new();
        for (place, threshold) in rules.thresholds.iter().enumerate() {
            // One that pods were evicted for is left only with something to spare, where the rules ask for it.
            let is_met = observations
                .get(&threshold.signal)
                .is_some_and(|observed| is_met(threshold, *observed, self.acting.contains(&place)));
            if !is_met {
                self.first_met.remove(&place);
                continue;
            }
            self.pressed[condition(threshold.signal)] = Some(now);
            let since = *self.first_met.entry(place).or_insert(now);
            if now.duration_since(since) >= threshold.grace {
                acting.insert(place);
                due.push(threshold);
            }
        }
        self.acting = acting;
        // Short of memory, the kernel would kill next: that goes first, the rest in the order of the rules.
        due.sort_by_key(|threshold| threshold.signal.resource() != Resource::Memory);
        let [memory, disk, pids] =
            self.pressed.map(|last| last.is_some_and(|last| is_recent(last, now, rules.transition)));
        Finding { pressure: Pressure { memory, disk, pids }, due }
    }
}

fn is_recent(last: Instant, now: Instant, window: Duration) -> bool {
    now == last || now.duration_since(last) < window
}

fn condition(signal: Signal) -> usize {
    match signal.resource() {
        Resource::Memory => 0,
        Resource::EphemeralStorage | Resource::Inodes => 1,
        Resource::Pids => 2,
    }
}

/// Whether less is left than the threshold asks for.
pub fn is_met(threshold: &Threshold, observed: Observation, with_reclaim: bool) -> bool {
    let format = threshold.signal.format();
    let mut least = threshold.least.of(observed.capacity, format);
    if let Some(reclaim) = threshold.reclaim.filter(|_| with_reclaim) {
        least = least + reclaim.of(observed.capacity, format);
    }
    quantity(observed.available, threshold.signal) < least
}

/// A measured amount in its signal's notation.
pub fn quantity(amount: u64, signal: Signal) -> Quantity {
    Quantity::from_value(i64::try_from(amount).unwrap_or(i64::MAX), signal.format())
}

#[cfg(test)]
mod tests {
    use super::{super::threshold::Given, *};

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// Looks every so many seconds; what each finds, in words.
    fn check(given: Given, looks: &[(u64, Signal, u64)], expected: &[&str]) {
        let rules = given.rules().unwrap();
        let (mut tracker, start) = (Tracker::default(), Instant::now());
        let seen = looks.iter().map(|(second, signal, available)| {
            let observed = Observation { available: *available, capacity: 1000 };
            let observations = Observations::from([(*signal, observed)]);
            let finding = tracker.look(&rules, &observations, start + Duration::from_secs(*second));
            let due = finding.due.iter().map(|threshold| if threshold.is_hard() { "hard" } else { "soft" });
            format!("{} {}", finding.pressure.conditions().join(","), due.collect::<Vec<_>>().join(","))
        });
        assert_eq!(seen.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_hard_threshold_acts_at_once_and_the_condition_outlasts_it() {
        let given = Given {
            hard: map(&[("nodefs.available", "10%")]),
            transition: Some(Duration::from_secs(30)),
            ..Given::default()
        };
        let disk = Signal::Nodefs;
        check(
            given,
            &[(0, disk, 100), (10, disk, 99), (20, disk, 100), (39, disk, 500), (40, disk, 500)],
            &[" ", "DiskPressure hard", "DiskPressure ", "DiskPressure ", " "],
        );
    }

    #[test]
    fn a_soft_threshold_is_borne_for_its_grace() {
        let given = Given {
            hard: map(&[("memory.available", "1")]),
            soft: map(&[("pid.available", "100")]),
            soft_grace: map(&[("pid.available", "20s")]),
            transition: Some(Duration::from_secs(1)),
            ..Given::default()
        };
        let pids = Signal::Pids;
        check(
            given,
            &[(0, pids, 50), (19, pids, 50), (20, pids, 50), (30, pids, 100), (40, pids, 50)],
            &["PIDPressure ", "PIDPressure ", "PIDPressure soft", " ", "PIDPressure "],
        );
    }

    #[test]
    fn what_pods_were_evicted_for_is_left_with_something_to_spare() {
        let given = Given {
            hard: map(&[("imagefs.inodesFree", "100")]),
            reclaim: map(&[("imagefs.inodesFree", "5%")]),
            transition: Some(Duration::from_secs(1)),
            ..Given::default()
        };
        let files = Signal::ImagefsInodes;
        check(
            given,
            &[(0, files, 120), (10, files, 99), (20, files, 149), (30, files, 150), (40, files, 120)],
            &[" ", "DiskPressure hard", "DiskPressure hard", " ", " "],
        );
    }

    #[test]
    fn memory_goes_first() {
        let rules = Given {
            hard: map(&[("memory.available", "100"), ("imagefs.available", "100")]),
            ..Given::default()
        };
        let rules = rules.rules().unwrap();
        let short = Observation { available: 1, capacity: 1000 };
        let observations = Observations::from([(Signal::Imagefs, short), (Signal::AllocatableMemory, short)]);
        let mut tracker = Tracker::default();
        let finding = tracker.look(&rules, &observations, Instant::now());
        let due: Vec<Signal> = finding.due.iter().map(|threshold| threshold.signal).collect();
        assert_eq!(due, [Signal::AllocatableMemory, Signal::Imagefs]);
    }
}

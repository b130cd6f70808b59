//! From what the metrics ask for to what is done: stabilisation, rates of change, least and most.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// What is remembered at most of one autoscaler; windows and periods are of an hour at most.
const REMEMBERED: usize = 512;

/// Which of several policies counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// The one that changes most.
    Max,
    /// The one that changes least.
    Min,
    /// None: no change in this direction.
    Disabled,
}

/// How much may change in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many pods.
    Pods(i32),
    /// So many percent of what was there when the period began.
    Percent(i32),
}

/// A limit of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How much.
    pub amount: Amount,
    /// In what time.
    pub period: SignedDuration,
}

/// The rules of one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Direction {
    /// How long recommendations are looked back on.
    pub window: Option<SignedDuration>,
    /// Which policy counts.
    pub select: Select,
    /// The limits.
    pub policies: Vec<Policy>,
}

/// `spec.behavior`.
#[derive(Debug, Clone, PartialEq)]
pub struct Behavior {
    /// Towards more pods.
    pub up: Direction,
    /// Towards fewer.
    pub down: Direction,
}

impl Direction {
    /// What holds towards more pods where nothing is said.
    pub fn up() -> Self {
        let policy = |amount| Policy { amount, period: SignedDuration::from_secs(15) };
        Self {
            window: Some(SignedDuration::ZERO),
            select: Select::Max,
            policies: vec![policy(Amount::Pods(4)), policy(Amount::Percent(100))],
        }
    }

    /// What holds towards fewer pods where nothing is said.
    pub fn down() -> Self {
        let policy = Policy { amount: Amount::Percent(100), period: SignedDuration::from_secs(15) };
        Self { window: None, select: Select::Max, policies: vec![policy] }
    }
}

/// What was recommended and done before.
#[derive(Debug, Clone, Default)]
pub struct History {
    recommendations: VecDeque<(Timestamp, i32)>,
    /// Pods added and, below zero, taken away.
    changes: VecDeque<(Timestamp, i32)>,
}

impl History {
    /// What is there when nothing is remembered counts as recommended: a new process takes nothing away at once.
    pub fn begin(&mut self, current: i32, now: Timestamp) {
        if self.recommendations.is_empty() {
            push(&mut self.recommendations, now, current);
        }
    }

    /// Notes a change that was made.
    pub fn changed(&mut self, now: Timestamp, by: i32) {
        push(&mut self.changes, now, by);
    }

    /// Pods added and taken away in the time before now.
    fn changes_since(&self, since: Timestamp) -> (i32, i32) {
        let recent = self.changes.iter().filter(|(at, _)| *at > since).map(|(_, by)| *by);
        recent
            .fold((0, 0), |(added, taken), by| if by > 0 { (added + by, taken) } else { (added, taken - by) })
    }
}

fn push(list: &mut VecDeque<(Timestamp, i32)>, now: Timestamp, value: i32) {
    while list.len() >= REMEMBERED
        || list.front().is_some_and(|(at, _)| *at + SignedDuration::from_hours(1) < now)
    {
        list.pop_front();
    }
    list.push_back((now, value));
}

/// A condition that the rules give rise to: reason and message.
pub type Because = (&'static str, &'static str);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// How many pods there should be.
    pub replicas: i32,
    /// Why `AbleToScale` is true.
    pub able: Because,
    /// Whether `ScalingLimited` is true.
    pub limited: bool,
    /// Why it is, or is not.
    pub limit: Because,
}

const TOO_FEW: Because =
    ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const TOO_MANY: Because =
    ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FAST_UP: Because =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const TOO_FAST_DOWN: Because =
    ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");
const IN_RANGE: Because = ("DesiredWithinRange", "the desired count is within the acceptable range");
const READY: Because = ("ReadyForNewScale", "recommended size matches current size");
const STABLE_DOWN: Because = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const STABLE_UP: Because = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);

/// Decides from what the metrics ask for. The recommendation is noted in the history. For so long as `calm` a higher
/// recommendation holds against a lower one, where the behaviour says nothing else.
pub fn decide(
    current: i32,
    recommended: i32,
    (least, most): (i32, i32),
    (behavior, calm): (Option<&Behavior>, SignedDuration),
    history: &mut History,
    now: Timestamp,
) -> Decision {
    let (stable, able) = match behavior {
        None => stabilise_simply(recommended, calm, history, now),
        Some(behavior) => stabilise(current, recommended, (behavior, calm), history, now),
    };
    push(&mut history.recommendations, now, recommended);
    let (replicas, limit) = match behavior {
        None => limit_simply(current, stable, least, most),
        Some(behavior) => limit_by_rules(current, stable, (least, most), behavior, history, now),
    };
    Decision { replicas, able, limited: replicas != stable, limit }
}

fn recent(history: &History, window: SignedDuration, now: Timestamp) -> impl Iterator<Item = i32> {
    history.recommendations.iter().filter(move |(at, _)| *at > now - window).map(|(_, replicas)| *replicas)
}

fn stabilise_simply(
    recommended: i32,
    calm: SignedDuration,
    history: &History,
    now: Timestamp,
) -> (i32, Because) {
    let highest = recent(history, calm, now).fold(recommended, i32::max);
    (highest, if highest == recommended { READY } else { STABLE_DOWN })
}

fn stabilise(
    current: i32,
    recommended: i32,
    (behavior, calm): (&Behavior, SignedDuration),
    history: &History,
    now: Timestamp,
) -> (i32, Because) {
    let up = behavior.up.window.unwrap_or(SignedDuration::ZERO);
    let down = behavior.down.window.unwrap_or(calm);
    let lowest = recent(history, up, now).fold(recommended, i32::min);
    let highest = recent(history, down, now).fold(recommended, i32::max);
    // Between the two the present number stays.
    let stable = current.max(lowest).min(highest.max(lowest));
    let because = match stable == recommended {
        true => READY,
        false if recommended >= current => STABLE_UP,
        false => STABLE_DOWN,
    };
    (stable, because)
}

fn limit_simply(current: i32, wanted: i32, least: i32, most: i32) -> (i32, Because) {
    let fastest = current.saturating_mul(2).max(4);
    if wanted < least {
        (least, TOO_FEW)
    } else if wanted > most.min(fastest) {
        if most > fastest { (fastest, TOO_FAST_UP) } else { (most, TOO_MANY) }
    } else {
        (wanted, IN_RANGE)
    }
}

fn limit_by_rules(
    current: i32,
    wanted: i32,
    (least, most): (i32, i32),
    behavior: &Behavior,
    history: &History,
    now: Timestamp,
) -> (i32, Because) {
    if wanted > current {
        let fastest = furthest_up(current, &behavior.up, history, now).max(current);
        let (bound, because) = if most > fastest { (fastest, TOO_FAST_UP) } else { (most, TOO_MANY) };
        if wanted > bound {
            return (bound, because);
        }
    } else if wanted < current {
        let fastest = furthest_down(current, &behavior.down, history, now).min(current);
        let (bound, because) = if least < fastest { (fastest, TOO_FAST_DOWN) } else { (least, TOO_FEW) };
        if wanted < bound {
            return (bound, because);
        }
    }
    (wanted, IN_RANGE)
}

/// How many there were when a policy's period began.
fn at_start(current: i32, policy: &Policy, history: &History, now: Timestamp) -> i32 {
    let (added, taken) = history.changes_since(now - policy.period);
    current - added + taken
}

fn furthest_up(current: i32, direction: &Direction, history: &History, now: Timestamp) -> i32 {
    let reach = direction.policies.iter().map(|policy| {
        let start = at_start(current, policy, history, now);
        match policy.amount {
            Amount::Pods(pods) => start.saturating_add(pods),
            Amount::Percent(percent) => percent_of(start, 100 + i64::from(percent), Round::Up),
        }
    });
    match direction.select {
        Select::Disabled => current,
        Select::Min => reach.min().unwrap_or(current),
        Select::Max => reach.max().unwrap_or(current),
    }
}

fn furthest_down(current: i32, direction: &Direction, history: &History, now: Timestamp) -> i32 {
    let reach = direction.policies.iter().map(|policy| {
        let start = at_start(current, policy, history, now);
        match policy.amount {
            Amount::Pods(pods) => start.saturating_sub(pods),
            Amount::Percent(percent) => percent_of(start, 100 - i64::from(percent), Round::Down),
        }
    });
    match direction.select {
        Select::Disabled => current,
        Select::Min => reach.max().unwrap_or(current),
        Select::Max => reach.min().unwrap_or(current),
    }
}

enum Round {
    Up,
    Down,
}

fn percent_of(count: i32, percent: i64, round: Round) -> i32 {
    let hundredths = i64::from(count) * percent;
    let whole = match round {
        Round::Up => hundredths.div_euclid(100) + i64::from(hundredths.rem_euclid(100) != 0),
        Round::Down => hundredths / 100,
    };
    i32::try_from(whole).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: SignedDuration = SignedDuration::from_secs(300);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn plain(
        current: i32,
        recommended: i32,
        history: &mut History,
        second: i64,
    ) -> (i32, &'static str, &'static str) {
        let decision = decide(current, recommended, (1, 10), (None, CALM), history, at(second));
        assert_eq!(decision.limited, decision.limit != IN_RANGE);
        (decision.replicas, decision.able.0, decision.limit.0)
    }

    #[test]
    fn down_waits_for_the_highest_of_five_minutes() {
        let mut history = History::default();
        assert_eq!(plain(3, 5, &mut history, 0), (5, "ReadyForNewScale", "DesiredWithinRange"));
        assert_eq!(plain(5, 2, &mut history, 100), (5, "ScaleDownStabilized", "DesiredWithinRange"));
        assert_eq!(plain(5, 1, &mut history, 299), (5, "ScaleDownStabilized", "DesiredWithinRange"));
        assert_eq!(plain(5, 1, &mut history, 301), (2, "ScaleDownStabilized", "DesiredWithinRange"));
        assert_eq!(plain(2, 1, &mut history, 700), (1, "ReadyForNewScale", "DesiredWithinRange"));
    }

    #[test]
    fn least_most_and_doubling_are_limits() {
        let check = |current, recommended| plain(current, recommended, &mut History::default(), 0);
        assert_eq!(check(1, 100), (4, "ReadyForNewScale", "ScaleUpLimit"));
        assert_eq!(check(3, 100), (6, "ReadyForNewScale", "ScaleUpLimit"));
        assert_eq!(check(5, 100), (10, "ReadyForNewScale", "TooManyReplicas"));
        assert_eq!(check(2, 0), (1, "ReadyForNewScale", "TooFewReplicas"));
    }

    fn ruled(
        current: i32,
        recommended: i32,
        behavior: &Behavior,
        history: &mut History,
        second: i64,
    ) -> (i32, &'static str) {
        let decision = decide(current, recommended, (1, 100), (Some(behavior), CALM), history, at(second));
        (decision.replicas, decision.limit.0)
    }

    #[test]
    fn policies_limit_what_changes_in_their_period() {
        let minute = |amount| Policy { amount, period: SignedDuration::from_secs(60) };
        let mut behavior = Behavior {
            up: Direction {
                policies: vec![minute(Amount::Pods(3)), minute(Amount::Percent(50))],
                ..Direction::up()
            },
            down: Direction {
                window: Some(SignedDuration::ZERO),
                select: Select::Min,
                policies: vec![minute(Amount::Pods(2)), minute(Amount::Percent(50))],
            },
        };
        let mut history = History::default();
        assert_eq!(
            ruled(10, 50, &behavior, &mut history, 0),
            (15, "ScaleUpLimit"),
            "half of ten is the most"
        );
        history.changed(at(0), 5);
        assert_eq!(
            ruled(15, 50, &behavior, &mut history, 30),
            (15, "ScaleUpLimit"),
            "used up for this minute"
        );
        assert_eq!(ruled(15, 50, &behavior, &mut history, 61), (23, "ScaleUpLimit"), "7.5 rounded up");
        behavior.up.select = Select::Min;
        assert_eq!(ruled(15, 50, &behavior, &mut history, 61), (18, "ScaleUpLimit"));
        behavior.up.select = Select::Disabled;
        assert_eq!(ruled(15, 50, &behavior, &mut history, 61), (15, "ScaleUpLimit"));
        assert_eq!(ruled(15, 4, &behavior, &mut history, 200), (13, "ScaleDownLimit"), "two are the least");
        history.changed(at(200), -1);
        assert_eq!(ruled(14, 4, &behavior, &mut history, 210), (13, "ScaleDownLimit"));
        behavior.down.select = Select::Disabled;
        assert_eq!(ruled(14, 4, &behavior, &mut history, 210), (14, "ScaleDownLimit"));
    }

    #[test]
    fn windows_hold_back_both_ways() {
        let window = |seconds| Some(SignedDuration::from_secs(seconds));
        let behavior = Behavior {
            up: Direction { window: window(60), ..Direction::up() },
            down: Direction { window: window(60), ..Direction::down() },
        };
        let mut history = History::default();
        let able = |current, recommended, history: &mut History, second| {
            let decision =
                decide(current, recommended, (1, 100), (Some(&behavior), CALM), history, at(second));
            (decision.replicas, decision.able.0)
        };
        assert_eq!(able(5, 5, &mut history, 0), (5, "ReadyForNewScale"));
        assert_eq!(able(5, 8, &mut history, 30), (5, "ScaleUpStabilized"));
        assert_eq!(able(5, 8, &mut history, 61), (8, "ReadyForNewScale"));
        assert_eq!(able(8, 3, &mut history, 70), (8, "ScaleDownStabilized"));
        assert_eq!(able(8, 3, &mut history, 122), (3, "ReadyForNewScale"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut history = History::default();
        for second in 0..10_000 {
            push(&mut history.recommendations, at(second / 10), 1);
        }
        assert_eq!(history.recommendations.len(), REMEMBERED);
        push(&mut history.recommendations, at(100_000), 1);
        assert_eq!(history.recommendations.len(), 1);
    }
}

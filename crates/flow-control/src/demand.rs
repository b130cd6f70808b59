//! How many seats a level would use if it could: averaged over a period, and smoothed over several.

use std::time::Duration;

/// How slowly the smoothed demand falls, as upstream: to a half in five minutes of ten-second periods.
const DECAY: f64 = 0.977;

/// The demand of a level since the last period began.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    since: Duration,
    last: Duration,
    now: f64,
    highest: f64,
    /// The integrals of the demand and of its square.
    sum: f64,
    squares: f64,
    smoothed: f64,
}

/// What a period showed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Observed {
    /// The highest demand.
    pub highest: f64,
    /// The average.
    pub average: f64,
    /// The standard deviation.
    pub deviation: f64,
    /// What is to be expected: follows rises at once and falls slowly.
    pub smoothed: f64,
}

impl Demand {
    /// Notes that the demand is this from now on.
    pub fn set(&mut self, now: Duration, seats: u32) {
        self.advance(now);
        self.now = f64::from(seats);
        self.highest = self.highest.max(self.now);
    }

    fn advance(&mut self, now: Duration) {
        let lasted = now.saturating_sub(self.last).as_secs_f64();
        self.sum += lasted * self.now;
        self.squares += lasted * self.now * self.now;
        self.last = self.last.max(now);
    }

    /// Ends the period and begins another.
    pub fn period(&mut self, now: Duration) -> Observed {
        self.advance(now);
        let lasted = now.saturating_sub(self.since).as_secs_f64();
        let (average, deviation) = if lasted > 0.0 {
            let average = self.sum / lasted;
            (average, (self.squares / lasted - average * average).max(0.0).sqrt())
        } else {
            (self.now, 0.0)
        };
        let envelope = average + deviation;
        self.smoothed = envelope.max(DECAY * self.smoothed + (1.0 - DECAY) * envelope);
        let observed = Observed { highest: self.highest, average, deviation, smoothed: self.smoothed };
        (self.since, self.highest, self.sum, self.squares) = (now, self.now, 0.0, 0.0);
        observed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_follows_rises_at_once_and_falls_slowly() {
        let mut demand = Demand::default();
        let second = Duration::from_secs;
        demand.set(second(0), 10);
        demand.set(second(5), 20);
        let first = demand.period(second(10));
        assert_eq!((first.highest, first.average, first.deviation), (20.0, 15.0, 5.0));
        assert_eq!(first.smoothed, 20.0);
        demand.set(second(10), 0);
        let second_period = demand.period(second(20));
        assert_eq!((second_period.highest, second_period.average), (20.0, 0.0));
        assert!((second_period.smoothed - 19.54).abs() < 1e-9, "{second_period:?}");
        assert_eq!(demand.period(second(30)).highest, 0.0);
    }
}

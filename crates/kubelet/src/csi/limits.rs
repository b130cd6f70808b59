//! How many volumes a node takes, asked again and again of drivers that want that (`nodeAllocatableUpdatePeriodSeconds`).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The least time between two questions, which validation asks for too.
const LEAST: Duration = Duration::from_secs(10);

/// When drivers were last asked.
#[derive(Debug, Default)]
pub struct Limits(BTreeMap<String, Instant>);

impl Limits {
    /// Notes that a driver has just said how many.
    pub fn asked(&mut self, driver: &str, now: Instant) {
        self.0.insert(driver.to_owned(), now);
    }

    /// Forgets the drivers that are not there.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|driver, _| is_there(driver));
    }

    /// When each driver with a period is to be asked next.
    fn times(&self, period: impl Fn(&str) -> Option<Duration>) -> impl Iterator<Item = (&str, Instant)> {
        self.0
            .iter()
            .filter_map(move |(driver, asked)| Some((driver.as_str(), *asked + period(driver)?.max(LEAST))))
    }

    /// The drivers to ask now, and when the next is to be asked.
    pub fn due(
        &self,
        period: impl Fn(&str) -> Option<Duration>,
        now: Instant,
    ) -> (Vec<String>, Option<Instant>) {
        let (due, later): (Vec<_>, Vec<_>) = self.times(period).partition(|(_, time)| *time <= now);
        let due = due.into_iter().map(|(driver, _)| driver.to_owned()).collect();
        (due, later.into_iter().map(|(_, time)| time).min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn drivers_are_asked_when_their_period_is_over() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut limits = Limits::default();
        for driver in ["often", "rarely", "never", "gone"] {
            limits.asked(driver, now);
        }
        limits.keep(|driver| driver != "gone");
        let period = |driver: &str| match driver {
            "often" => Some(Duration::from_secs(1)),
            "rarely" | "gone" => Some(Duration::from_secs(60)),
            _ => None,
        };
        assert_eq!(limits.due(period, now), (vec![], Some(at(10))));
        assert_eq!(limits.due(period, at(10)), (vec!["often".to_owned()], Some(at(60))));
        limits.asked("often", at(10));
        assert_eq!(limits.due(period, at(10)), (vec![], Some(at(20))));
        assert_eq!(limits.due(period, at(60)).0.len(), 2);
    }
}

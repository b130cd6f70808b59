//! How the server's seats are shared among levels: by their shares at first, then by what each asks for.

use crate::Level;
use crate::demand::Observed;

/// The bounds of a level's seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// What it has while none lends.
    pub nominal: u32,
    /// What it keeps when it lends all that it may.
    pub lowest: u32,
    /// What it has at most with what others lend.
    pub highest: u32,
}

/// Shares out the server's seats.
pub fn bounds(total: u32, levels: &[&Level]) -> Vec<Bounds> {
    let shares: f64 = levels.iter().map(|level| f64::from(level.shares)).sum();
    let percent = |seats: u32, percent: u32| (f64::from(seats) * f64::from(percent) / 100.0).round() as u32;
    levels
        .iter()
        .map(|level| {
            let nominal = if shares > 0.0 {
                (f64::from(total) * f64::from(level.shares) / shares).ceil() as u32
            } else {
                0
            };
            let borrowed = level.borrowing.map_or(total, |limit| percent(nominal, limit));
            Bounds {
                nominal,
                lowest: nominal - percent(nominal, level.lendable).min(nominal),
                highest: nominal.saturating_add(borrowed),
            }
        })
        .collect()
}

/// A level when seats are shared out anew.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Its bounds.
    pub bounds: Bounds,
    /// What it asked for in the last period.
    pub observed: Observed,
    /// Whether its requests never wait.
    pub exempt: bool,
}

/// What a level gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grant {
    /// Its seats.
    pub seats: u32,
    /// What it would have liked.
    pub target: f64,
}

/// Shares out seats by demand: each level gets the same fraction of what it asks for, within its bounds. Gives that
/// fraction too.
pub fn grant(claims: &[Claim]) -> (Vec<Grant>, f64) {
    let total: f64 = claims.iter().map(|claim| f64::from(claim.bounds.nominal)).sum();
    // What an exempt level uses is used whether others have seats or not.
    let used: f64 = claims.iter().filter(|claim| claim.exempt).map(Claim::least).sum();
    let left = (total - used).max(0.0);
    let limited = || claims.iter().filter(|claim| !claim.exempt);
    let lowest: f64 = limited().map(|claim| f64::from(claim.bounds.lowest)).sum();
    let least: f64 = limited().map(Claim::least).sum();
    let floor = |claim: &Claim| if left >= least { claim.least() } else { f64::from(claim.bounds.lowest) };
    let target = |claim: &Claim| if left >= least { claim.target() } else { claim.least() };
    let fraction = if left <= lowest {
        0.0
    } else {
        let sum = |fraction: f64| {
            limited().map(|claim| claim.at(fraction * target(claim), floor(claim))).sum::<f64>()
        };
        fraction_of(left, sum)
    };
    let grants = claims
        .iter()
        .map(|claim| {
            let seats =
                if claim.exempt { claim.least() } else { claim.at(fraction * target(claim), floor(claim)) };
            Grant { seats: (seats.round() as u32).max(1), target: claim.target() }
        })
        .collect();
    (grants, fraction)
}

impl Claim {
    /// What it must have: what it used at its peak up to its own seats, or what it may not lend.
    fn least(&self) -> f64 {
        let (lowest, nominal) = (f64::from(self.bounds.lowest), f64::from(self.bounds.nominal));
        if self.exempt {
            lowest.max(self.observed.highest)
        } else {
            lowest.max(nominal.min(self.observed.highest))
        }
    }

    fn target(&self) -> f64 {
        self.least().max(self.observed.smoothed)
    }

    fn at(&self, wanted: f64, floor: f64) -> f64 {
        wanted.max(floor).min(f64::from(self.bounds.highest)).max(f64::from(self.bounds.lowest))
    }
}

/// The fraction at which a rising sum reaches what there is.
fn fraction_of(there_is: f64, sum: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while sum(high) < there_is && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        if sum(middle) < there_is {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn level(name: &str, shares: u32, lendable: u32, borrowing: Option<u32>) -> Level {
        Level::read(&json!({
            "metadata": {"name": name},
            "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": shares, "lendablePercent": lendable,
                "borrowingLimitPercent": borrowing, "limitResponse": {"type": "Reject"}}},
        }))
        .unwrap()
    }

    #[test]
    fn the_default_levels_have_upstreams_seats() {
        let levels: Vec<Level> =
            crate::bootstrap::levels().iter().filter_map(|made| Level::read(&made.object)).collect();
        let bounds = bounds(600, &levels.iter().collect::<Vec<_>>());
        let seats: Vec<String> = levels
            .iter()
            .zip(bounds)
            .map(|(level, bounds)| format!("{} {} {}", level.name, bounds.nominal, bounds.lowest))
            .collect();
        assert_eq!(
            seats,
            [
                "exempt 0 0",
                "catch-all 13 13",
                "system 74 50",
                "node-high 98 73",
                "leader-election 25 25",
                "workload-high 98 49",
                "workload-low 245 24",
                "global-default 49 24",
            ]
        );
    }

    #[test]
    fn what_is_idle_is_lent_to_what_is_busy_within_its_limit() {
        let levels = [level("busy", 50, 0, None), level("idle", 50, 80, None), level("shy", 50, 0, Some(10))];
        let bounds = bounds(300, &levels.iter().collect::<Vec<_>>());
        let demand =
            |seats: f64| Observed { highest: seats, average: seats, deviation: 0.0, smoothed: seats };
        let claim =
            |index: usize, seats| Claim { bounds: bounds[index], observed: demand(seats), exempt: false };
        let seats = |demands: [f64; 3]| -> Vec<u32> {
            let claims: Vec<Claim> =
                demands.iter().enumerate().map(|(index, seats)| claim(index, *seats)).collect();
            grant(&claims).0.iter().map(|grant| grant.seats).collect()
        };
        assert_eq!(seats([100.0, 100.0, 100.0]), [100, 100, 100]);
        assert_eq!(seats([1000.0, 0.0, 0.0]), [180, 20, 100]);
        assert_eq!(seats([1000.0, 0.0, 1000.0]), [170, 20, 110]);
        // The owner takes back what it lent as soon as it asks.
        assert_eq!(seats([1000.0, 100.0, 0.0]), [100, 100, 100]);
        assert_eq!(grant(&[]).0, []);
    }

    #[test]
    fn what_the_exempt_use_is_not_there_for_others() {
        let observed = |seats| Observed { highest: seats, average: seats, deviation: 0.0, smoothed: seats };
        let of = |nominal, lowest| Bounds { nominal, lowest, highest: 1000 };
        let claims = [
            Claim { bounds: of(0, 0), observed: observed(60.0), exempt: true },
            Claim { bounds: of(100, 50), observed: observed(500.0), exempt: false },
            Claim { bounds: of(100, 50), observed: observed(0.0), exempt: false },
        ];
        let (grants, _) = grant(&claims);
        let seats: Vec<u32> = grants.iter().map(|grant| grant.seats).collect();
        assert_eq!(seats, [60, 90, 50]);
    }
}

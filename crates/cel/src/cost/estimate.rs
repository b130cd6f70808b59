//! Ranges of costs and of sizes, which grow up to where numbers end and never over.

use std::ops::Add;

/// The least and the most that something costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// At least.
    pub min: u64,
    /// At most.
    pub max: u64,
}

/// The least and the most letters, items or entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// At least.
    pub min: u64,
    /// At most.
    pub max: u64,
}

impl Cost {
    /// Always as much.
    pub fn fixed(units: u64) -> Self {
        Self { min: units, max: units }
    }

    /// One or the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// One for each of the other.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        Self { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }
}

impl Size {
    /// As many as there may be.
    pub const UNKNOWN: Self = Self { min: 0, max: u64::MAX };

    /// Always as many.
    pub fn exactly(count: u64) -> Self {
        Self { min: count, max: count }
    }

    /// One or the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    /// One for each of the other.
    #[must_use]
    pub fn by(self, other: Self) -> Self {
        Self { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    /// A cost for each.
    pub fn times(self, each: Cost) -> Cost {
        Cost { min: self.min.saturating_mul(each.min), max: self.max.saturating_mul(each.max) }
    }

    /// A part of a unit for each, rounded up.
    pub fn at(self, units: f64) -> Cost {
        // Casts of floats end at the greatest number.
        let cost = |count: u64| (count as f64 * units).ceil() as u64;
        Cost { min: cost(self.min), max: cost(self.max) }
    }
}

//! Numbers that look random and are the same in every run.

/// A small generator (xorshift), for objects and texts of which something should always hold: a run that fails fails again.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Throws from a seed; the same seed gives the same throws.
    ///
    /// # Panics
    /// With a seed of zero, from which nothing but zeros comes.
    pub fn new(seed: u64) -> Self {
        assert_ne!(seed, 0, "zero gives zeros only");
        Self(seed)
    }

    /// A number below `sides`, of which there is one at least.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    /// One of these, of which there is one at least.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_are_the_same_each_time_and_every_side_comes_up() {
        let mut dice = Dice::new(0x2545_F491_4F6C_DD1D);
        let mut again = dice.clone();
        let mut seen = [0; 6];
        for _ in 0..600 {
            let side = dice.roll(6);
            assert_eq!(side, again.roll(6));
            seen[side] += 1;
        }
        assert!(seen.iter().all(|count| *count > 60), "{seen:?}");
        assert_eq!(Dice::new(1).pick(&["only"]), &"only");
    }
}

//! Choices: from a generator of numbers, or from the bytes of an input.

/// Where choices come from.
#[derive(Debug)]
pub struct Dice<'a> {
    state: u64,
    /// Read first, one byte a choice, so that a mutation of the input is a mutation of what is made of it.
    bytes: &'a [u8],
}

impl<'a> Dice<'a> {
    /// Choices of a generator alone.
    pub fn new(seed: u64) -> Dice<'static> {
        Dice { state: seed | 1, bytes: &[] }
    }

    /// Choices that an input makes, and a generator when it has no more.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { state: 0x9E37_79B9_7F4A_7C15, bytes }
    }

    /// A number below `sides`, which is not 0.
    pub fn roll(&mut self, sides: usize) -> usize {
        if let Some((first, rest)) = self.bytes.split_first() {
            self.bytes = rest;
            return usize::from(*first) % sides;
        }
        self.number() as usize % sides
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// One of several; there must be one.
    pub fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.roll(of.len())]
    }
}

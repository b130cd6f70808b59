//! Choices that the bytes of an input make.

/// What is still to be chosen by.
#[derive(Debug)]
pub struct Choices<'a> {
    /// One byte a choice, so that a change of the input is a change of what is made of it.
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    /// Those of an input; when it has no more, the first of everything is chosen.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// A number below `sides`, which is not 0.
    pub fn number(&mut self, sides: usize) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        usize::from(*first) % sides
    }

    /// One of several; there must be one.
    pub fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.number(of.len())]
    }

    /// Whether the input has more.
    pub fn are_left(&self) -> bool {
        !self.bytes.is_empty()
    }
}

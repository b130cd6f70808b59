//! Who of those that change objects is asked a second time, because others changed the object after them.

use std::collections::HashSet;

/// One request's way through the changing webhooks, or policies; at most two rounds.
#[derive(Debug, Default)]
pub struct Reinvocation {
    second: bool,
    /// Were asked, and want to know of changes after them.
    asked: HashSet<String>,
    /// Are asked in the second round.
    again: HashSet<String>,
    needed: bool,
}

impl Reinvocation {
    /// Whether it is this one's turn: in the second round only if something changed after it.
    pub fn is_asked(&self, id: &str) -> bool {
        !self.second || self.again.contains(id)
    }

    /// Notes an answer.
    pub fn answered(&mut self, id: &str, reinvoked: bool, changed: bool) {
        if changed {
            self.changed();
            self.needed = true;
        }
        if reinvoked {
            self.asked.insert(id.to_owned());
        }
    }

    /// Whether a second round is needed at all.
    pub fn is_needed(&self) -> bool {
        self.needed && !self.second
    }

    /// Begins the second round; `changed` says whether the built-in plugins changed the object again.
    pub fn again(&mut self, changed: bool) {
        self.second = true;
        if changed {
            self.changed();
        }
    }

    fn changed(&mut self) {
        self.again.extend(self.asked.drain());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_before_a_change_are_asked_again() {
        let mut round = Reinvocation::default();
        round.answered("first", true, false);
        round.answered("second", false, false);
        assert!(!round.is_needed());
        round.answered("third", true, true);
        assert!(round.is_needed() && round.is_asked("second"));
        round.again(false);
        let asked = |round: &Reinvocation| ["first", "second", "third"].map(|id| round.is_asked(id));
        assert_eq!(asked(&round), [true, false, false]);
        assert!(!round.is_needed(), "two rounds and no more");
    }

    #[test]
    fn plugins_that_change_the_object_again_make_all_be_asked_again() {
        let mut round = Reinvocation::default();
        round.answered("first", true, true);
        round.again(true);
        assert!(round.is_asked("first"));
    }
}

//! Answers of others, remembered for a while and never more than so many.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Longer questions are not worth remembering their answers: a stranger could fill the memory with them.
const LONGEST: usize = 10_000;

/// Answers by their questions.
pub struct Remembered<Q, A> {
    most: usize,
    known: Mutex<HashMap<Q, (Instant, A)>>,
}

impl<Q: Hash + Eq + AsRef<[u8]>, A: Clone> Remembered<Q, A> {
    /// Remembers at most so many.
    pub fn at_most(most: usize) -> Self {
        Self { most, known: Mutex::default() }
    }

    /// The answer, where it is known and young enough.
    pub fn answer<B: Hash + Eq + ?Sized>(&self, question: &B) -> Option<A>
    where
        Q: Borrow<B>,
    {
        let known = self.known.lock();
        let (until, answer) = known.get(question)?;
        (*until > Instant::now()).then(|| answer.clone())
    }

    /// Remembers an answer for that long; zero is not at all.
    pub fn remember(&self, question: Q, answer: &A, life: Duration) {
        if life.is_zero() || question.as_ref().len() > LONGEST {
            return;
        }
        let now = Instant::now();
        let mut known = self.known.lock();
        if known.len() >= self.most {
            known.retain(|_, (until, _)| *until > now);
        }
        if known.len() >= self.most {
            // All are young: whichever goes is asked for again.
            known.clear();
        }
        known.insert(question, (now + life, answer.clone()));
    }
}

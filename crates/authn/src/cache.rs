//! A bounded cache whose entries live for one to two periods, without a scan or a list to keep in order.

use std::collections::HashMap;
use std::hash::Hash;

use jiff::Timestamp;

/// Two generations: lookups read both, inserts go to the young one. When the young one is a period old or full it
/// becomes the old one and the old one is dropped, so at most twice `capacity` entries are held.
pub(crate) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    turned: Timestamp,
    period: i64,
    capacity: usize,
}

impl<K: Eq + Hash, V: Clone> Generations<K, V> {
    /// An empty cache; `period` in seconds.
    pub fn new(period: i64, capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), turned: Timestamp::UNIX_EPOCH, period, capacity }
    }

    /// The value, if it was put in at most two periods ago. Reading does not lengthen its life.
    pub fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let age = now.as_second() - self.turned.as_second();
        match age {
            _ if age < self.period => self.young.get(key).or_else(|| self.old.get(key)),
            _ if age < 2 * self.period => self.young.get(key),
            _ => None,
        }
        .cloned()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// Puts a value in.
    pub fn insert(&mut self, key: K, value: V, now: Timestamp) {
        let age = now.as_second() - self.turned.as_second();
        if age >= self.period || self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
            if age >= 2 * self.period {
                self.old.clear();
            }
            self.turned = now;
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn entries_end_after_two_periods_at_most() {
        let mut cache = Generations::new(5, 10);
        cache.insert("a", 1, at(100));
        assert_eq!(cache.get(&"a", at(104)), Some(1));
        assert_eq!(cache.get(&"a", at(109)), Some(1));
        assert_eq!(cache.get(&"a", at(110)), None);
        cache.insert("b", 2, at(107));
        assert_eq!((cache.get(&"a", at(108)), cache.get(&"a", at(112))), (Some(1), None));
        cache.insert("c", 3, at(130));
        assert_eq!(cache.get(&"b", at(130)), None);
    }

    #[test]
    fn size_is_bounded() {
        let mut cache = Generations::new(5, 10);
        for number in 0..1000 {
            cache.insert(number, (), at(100));
            assert!(cache.young.len() + cache.old.len() <= 20);
        }
        assert_eq!(cache.get(&999, at(100)), Some(()));
    }
}

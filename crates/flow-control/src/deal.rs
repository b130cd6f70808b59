//! Shuffle sharding: a flow's hand of queues, so that a heavy flow shares few queues with any other flow.

/// The largest hand: more would need more bits than a hash has.
pub const LARGEST_HAND: usize = 32;

/// Deals hands of queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dealer {
    deck: u32,
    hand: u32,
}

impl Dealer {
    /// Deals hands of this size out of so many queues.
    pub fn new(deck: u32, hand: u32) -> Self {
        let deck = deck.max(1);
        Self { deck, hand: hand.clamp(1, deck).min(LARGEST_HAND as u32) }
    }

    #[cfg(test)]
    pub(crate) const fn raw(deck: u32, hand: u32) -> Self {
        Self { deck, hand }
    }

    /// How many queues there are.
    pub fn queues(self) -> u32 {
        self.deck
    }

    /// The queues of a flow, all different, in ascending order; the rest of the array is not used.
    pub fn deal(self, mut hash: u64) -> ([u32; LARGEST_HAND], usize) {
        let mut hand = [0; LARGEST_HAND];
        for held in 0..self.hand as usize {
            let left = u64::from(self.deck) - held as u64;
            let mut card = (hash % left) as u32;
            hash /= left;
            // The card counts among those not held yet.
            let mut place = 0;
            while place < held && card >= hand[place] {
                card += 1;
                place += 1;
            }
            hand.copy_within(place..held, place + 1);
            hand[place] = card;
        }
        (hand, self.hand as usize)
    }

    /// How many bits of a hash it takes to deal every hand.
    pub fn entropy_bits(deck: u32, hand: u32) -> u32 {
        let bits: f64 = (0..hand.min(deck)).map(|held| f64::from(deck - held).log2()).sum();
        bits.ceil() as u32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_hand_of_a_small_deck_is_dealt_equally_often() {
        let dealer = Dealer::new(5, 2);
        let mut seen = std::collections::HashMap::new();
        for hash in 0..20 {
            let (hand, size) = dealer.deal(hash);
            *seen.entry(hand[..size].to_vec()).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 10);
        assert!(seen.values().all(|count| *count == 2), "{seen:?}");
    }

    #[test]
    fn a_hand_holds_no_queue_twice() {
        for (deck, size) in [(1, 1), (8, 8), (64, 6), (128, 6), (512, 4), (3, 9)] {
            for seed in 0..200_u64 {
                let (hand, dealt) = Dealer::new(deck, size).deal(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                let hand: HashSet<u32> = hand[..dealt].iter().copied().collect();
                assert_eq!(hand.len(), dealt);
                assert!(hand.iter().all(|queue| *queue < deck));
            }
        }
    }

    #[test]
    fn bits_are_counted_as_upstream_does() {
        for (deck, hand, bits) in [(64, 6, 36), (128, 6, 42), (512, 4, 36), (64, 8, 48), (1024, 6, 60)] {
            assert_eq!(Dealer::entropy_bits(deck, hand), bits, "{deck} {hand}");
        }
    }
}

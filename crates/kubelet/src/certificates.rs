//! The node's certificates: asked for, kept and renewed while the kubelet runs.
//!
//! Both the one it shows to the API server and the one it serves with are renewed at a random point between 70 and 90 %
//! of their life, as upstream's are, so that nodes that joined together do not ask together.

mod client;
mod request;
mod serving;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use client::{Source, ensure, keep as keep_client, show};
pub(crate) use serving::{Names, keep as keep_serving};
pub(crate) use store::Store;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pki::Described;

/// The shares of a certificate's life between which it is renewed.
const EARLIEST: f64 = 0.7;
const LATEST: f64 = 0.9;
/// A machine's clock jumps when it wakes from sleep or finds its time server: no wait is longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The pauses between tries to have a certificate renewed.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(128);

/// When a certificate is to be renewed; `share` is between 0 and 1.
fn deadline(certificate: &Described, share: f64) -> Timestamp {
    let life = (certificate.not_after.as_second() - certificate.not_before.as_second()).max(0);
    let part = EARLIEST + (LATEST - EARLIEST) * share;
    // A life in seconds fits into 53 bits by far.
    let after = SignedDuration::from_secs((life as f64 * part) as i64);
    certificate.not_before.saturating_add(after).unwrap_or(certificate.not_after)
}

/// How long to wait for a moment, at most as long as clocks are trusted.
fn wait(until: Timestamp, now: Timestamp) -> Duration {
    let left = until.duration_since(now);
    Duration::try_from(left).unwrap_or(Duration::ZERO).min(LONGEST_WAIT)
}

/// The pause after one that did not help.
fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod decisions {
    use super::*;

    fn certificate(not_before: &str, not_after: &str) -> Described {
        Described {
            common_name: "system:node:n1".into(),
            organizations: vec!["system:nodes".into()],
            dns_names: Vec::new(),
            addresses: Vec::new(),
            usage: pki::Usage::Client,
            issuer: "kubernetes".into(),
            not_before: not_before.parse().unwrap(),
            not_after: not_after.parse().unwrap(),
        }
    }

    #[test]
    fn renewal_is_due_between_seventy_and_ninety_percent_of_a_life() {
        let certificate = certificate("2026-01-01T00:00:00Z", "2026-04-11T00:00:00Z");
        for (share, day) in
            [(0.0, "2026-03-12T00:00:00Z"), (0.5, "2026-03-22T00:00:00Z"), (1.0, "2026-04-01T00:00:00Z")]
        {
            let due = deadline(&certificate, share);
            let expected: Timestamp = day.parse().unwrap();
            assert!((due.as_second() - expected.as_second()).abs() <= 1, "{share}: {due}");
        }
    }

    #[test]
    fn a_life_that_ends_before_it_begins_is_over() {
        let certificate = certificate("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z");
        assert_eq!(deadline(&certificate, 1.0), certificate.not_before);
    }

    #[test]
    fn clocks_are_looked_at_again_within_a_minute() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |second: i64| Timestamp::from_second(now.as_second() + second).unwrap();
        assert_eq!(wait(at(10), now), Duration::from_secs(10));
        assert_eq!(wait(at(10_000_000), now), LONGEST_WAIT);
        assert_eq!(wait(at(-10), now), Duration::ZERO);
    }
}

//! Answers of other name servers, kept for a short while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::wire;

/// Replies kept at most; with the two sizes below that bounds the cache at little more than one MiB.
const MOST: usize = 512;
/// Larger replies are not kept.
const LARGEST: usize = 2048;
/// Nor are replies to larger requests.
const LARGEST_REQUEST: usize = 512;
/// Nothing is kept longer, whatever its time to live says (CoreDNS' value in clusters).
const LONGEST: u32 = 30;

/// What a reply depends on: the question in lower case, and what the asker said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Box<[u8]>);

#[derive(Debug)]
struct Entry {
    reply: Box<[u8]>,
    since: Instant,
    lifetime: Duration,
}

/// The replies.
#[derive(Debug, Default)]
pub struct Cache {
    entries: HashMap<Key, Entry>,
}

impl Key {
    /// Makes the key of a request; none for a message without a question, or a large one.
    ///
    /// What follows the question, EDNS with its options, is part of the key as it is.
    pub fn new(request: &[u8]) -> Option<Self> {
        let end = wire::question_end(request).filter(|_| request.len() <= LARGEST_REQUEST)?;
        // Flags that change the answer: recursion desired, checking disabled.
        let flags = [request[2] & 0x01, request[3] & 0x10];
        let mut key = Vec::with_capacity(request.len() - wire::HEADER + flags.len());
        key.extend(flags);
        // Length octets are below any letter; type and class must stay as they are.
        key.extend(request[wire::HEADER..end - 4].iter().map(u8::to_ascii_lowercase));
        key.extend(&request[end - 4..]);
        Some(Key(key.into()))
    }
}

impl Cache {
    /// Keeps a reply if it says for how long it may be kept.
    pub fn insert(&mut self, key: Key, reply: &[u8], now: Instant) {
        let code = wire::response_code(reply);
        if reply.len() > LARGEST || wire::is_truncated(reply) || !matches!(code, 0 | 3) {
            return;
        }
        let mut reply: Box<[u8]> = reply.into();
        let mut lifetime = LONGEST;
        let records = wire::each_ttl(&mut reply, |ttl| {
            lifetime = lifetime.min(ttl);
            ttl
        });
        // A reply without a record says nothing of how long it holds.
        if lifetime == 0 || records.unwrap_or(0) == 0 {
            return;
        }
        if self.entries.len() >= MOST && !self.entries.contains_key(&key) {
            self.make_room(now);
        }
        let lifetime = Duration::from_secs(lifetime.into());
        self.entries.insert(key, Entry { reply, since: now, lifetime });
    }

    /// Returns a reply with the time to live that is left of it.
    pub fn get(&mut self, key: &Key, now: Instant) -> Option<Vec<u8>> {
        let entry = self.entries.get(key)?;
        let age = now.saturating_duration_since(entry.since);
        if age >= entry.lifetime {
            self.entries.remove(key);
            return None;
        }
        let mut reply = entry.reply.to_vec();
        let age = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        wire::each_ttl(&mut reply, |ttl| ttl.saturating_sub(age))?;
        Some(reply)
    }

    /// Returns how many replies are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops what is over; when nothing is, any one, which hashing chooses.
    fn make_room(&mut self, now: Instant) {
        self.entries.retain(|_, entry| now.saturating_duration_since(entry.since) < entry.lifetime);
        if self.entries.len() >= MOST
            && let Some(any) = self.entries.keys().next().cloned()
        {
            self.entries.remove(&any);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: &[u8]) -> Vec<u8> {
        [b"\0\x01\x01\0\0\x01\0\0\0\0\0\0", &[name.len() as u8][..], name, b"\0\0\x01\0\x01"].concat()
    }

    fn reply(name: &[u8], ttl: u8) -> Vec<u8> {
        let mut reply = request(name);
        (reply[2], reply[7]) = (0x81, 1);
        [&reply, &b"\xc0\x0c\0\x01\0\x01\0\0\0"[..], &[ttl], b"\0\x04\x01\x02\x03\x04"].concat()
    }

    fn ttl(reply: &mut [u8]) -> u32 {
        let mut found = 0;
        wire::each_ttl(reply, |ttl| {
            found = ttl;
            ttl
        });
        found
    }

    #[test]
    fn replies_age_and_end() {
        let (mut cache, start) = (Cache::default(), Instant::now());
        let key = Key::new(&request(b"web")).unwrap();
        cache.insert(key.clone(), &reply(b"web", 9), start);
        assert_eq!(Key::new(&request(b"WEB")).unwrap(), key);
        let mut kept = cache.get(&key, start + Duration::from_secs(4)).unwrap();
        assert_eq!(ttl(&mut kept), 5);
        assert!(cache.get(&key, start + Duration::from_secs(9)).is_none());
        assert!(cache.is_empty());
    }

    #[test]
    fn nothing_is_kept_for_long() {
        let (mut cache, start) = (Cache::default(), Instant::now());
        let key = Key::new(&request(b"web")).unwrap();
        cache.insert(key.clone(), &reply(b"web", 200), start);
        assert!(cache.get(&key, start + Duration::from_secs(29)).is_some());
        assert!(cache.get(&key, start + Duration::from_secs(30)).is_none());
    }

    #[test]
    fn failures_and_what_was_cut_short_are_not_kept() {
        let (mut cache, start) = (Cache::default(), Instant::now());
        let key = || Key::new(&request(b"web")).unwrap();
        cache.insert(key(), &reply(b"web", 0), start);
        let mut failure = reply(b"web", 9);
        failure[3] = 2;
        cache.insert(key(), &failure, start);
        let mut cut = reply(b"web", 9);
        cut[2] |= 2;
        cache.insert(key(), &cut, start);
        cache.insert(key(), &reply(b"web", 9)[..30], start);
        assert!(cache.is_empty());
    }

    #[test]
    fn the_cache_stays_small() {
        let (mut cache, start) = (Cache::default(), Instant::now());
        for number in 0..2 * MOST {
            let name = format!("n{number}");
            cache.insert(Key::new(&request(name.as_bytes())).unwrap(), &reply(name.as_bytes(), 30), start);
        }
        assert_eq!(cache.len(), MOST);
    }
}

//! The past events of a resource that a watch can still begin from.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Object;

/// Events younger than this are kept: a client that lost its connection comes back within it.
const KEEP: Duration = Duration::from_secs(75);
/// So many are kept however old they are.
const FEW: usize = 100;
/// No more are kept however young they are.
const MANY: usize = 10_000;
/// No more bytes are kept, beyond the few, however young the events are.
const BYTES: usize = 16 << 20;

/// One change of one object.
#[derive(Debug)]
pub(crate) struct Event {
    /// The new state; of a deletion, the last state under the deletion's revision.
    pub(crate) object: Arc<Object>,
    /// The state before, if there was one.
    pub(crate) before: Option<Arc<Object>>,
    /// The object is gone.
    pub(crate) deleted: bool,
}

impl Event {
    fn size(&self) -> usize {
        self.object.size() + self.before.as_ref().map_or(0, |before| before.size())
    }
}

#[derive(Debug, Default)]
pub(crate) struct Window {
    events: VecDeque<(Instant, Event)>,
    /// Watches from this revision on see everything that came after it.
    floor: i64,
    bytes: usize,
}

impl Window {
    /// An empty window over a cache that was just loaded.
    pub(crate) fn starting_at(revision: i64) -> Self {
        Self { floor: revision, ..Self::default() }
    }

    /// Whether a watch from this revision misses nothing.
    pub(crate) fn covers(&self, revision: i64) -> bool {
        revision >= self.floor
    }

    /// Remembers an event and forgets those that are old or too many.
    pub(crate) fn push(&mut self, event: Event) {
        self.push_at(event, Instant::now());
    }

    fn push_at(&mut self, event: Event, now: Instant) {
        self.bytes += event.size();
        self.events.push_back((now, event));
        while let Some((at, _)) = self.events.front() {
            let length = self.events.len();
            let crowded = length > MANY || self.bytes > BYTES;
            if length <= FEW || !(crowded || now.duration_since(*at) > KEEP) {
                break;
            }
            if let Some((_, event)) = self.events.pop_front() {
                self.floor = event.object.revision();
                self.bytes -= event.size();
            }
        }
    }

    /// The events after a revision, oldest first.
    pub(crate) fn after(&self, revision: i64) -> impl Iterator<Item = &Event> {
        let start = self.events.partition_point(|(_, event)| event.object.revision() <= revision);
        self.events.range(start..).map(|(_, event)| event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventType, Resource};

    fn event(revision: i64) -> Event {
        let resource = Resource::new("configmaps", true, Vec::new());
        let object =
            Object::read(&resource, EventType::Added, "a/b", br#"{"metadata":{}}"#, revision).unwrap();
        Event { object: Arc::new(object), before: None, deleted: false }
    }

    #[test]
    fn keeps_the_few_and_the_young_and_knows_what_it_forgot() {
        let mut window = Window::starting_at(10);
        let start = Instant::now();
        for revision in 11..=150 {
            window.push_at(event(revision), start);
        }
        assert!(window.covers(10) && !window.covers(9));
        assert_eq!(window.after(10).count(), 140);
        assert_eq!(window.after(148).map(|event| event.object.revision()).collect::<Vec<_>>(), [149, 150]);

        window.push_at(event(151), start + KEEP * 2);
        assert_eq!(window.after(0).count(), FEW);
        assert!(!window.covers(50) && window.covers(51));
    }

    #[test]
    fn a_flood_does_not_grow_it_without_bound() {
        let mut window = Window::starting_at(0);
        let start = Instant::now();
        for revision in 1..=(MANY as i64 + 500) {
            window.push_at(event(revision), start);
        }
        assert_eq!(window.after(0).count(), MANY);
        assert!(!window.covers(499) && window.covers(500));
    }
}

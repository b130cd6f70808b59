//! The open watches of a resource, found by what they look at, so that an event touches only those it concerns.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::window::Event;
use super::{Cache, Resource};
use crate::{EventType, Object};

/// How many events a watcher may be behind before it is ended. A client that reads at all stays far below;
/// one that does not would otherwise hold every version of every object in memory.
const BEHIND: usize = 4096;

/// Decides by an object's labels and fields.
pub type Accepts = Box<dyn Fn(&Object) -> bool + Send + Sync>;

/// What a watch looks at.
#[derive(Default)]
pub struct Filter {
    /// Only this namespace; empty means all.
    pub namespace: String,
    /// Only the object of this name.
    pub name: Option<String>,
    /// Only objects whose indexed field has this value.
    pub indexed: Option<String>,
    /// What labels and other fields must be.
    pub accepts: Option<Accepts>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("indexed", &self.indexed)
            .finish_non_exhaustive()
    }
}

impl Filter {
    /// Whether an object passes, apart from the indexed field.
    pub(super) fn takes(&self, object: &Object) -> bool {
        (self.namespace.is_empty() || self.namespace == object.namespace())
            && self.name.as_deref().is_none_or(|name| name == object.name())
            && self.accepts.as_ref().is_none_or(|accepts| accepts(object))
    }

    fn takes_all_of(&self, resource: &Resource, object: &Object) -> bool {
        let indexed = match (&self.indexed, resource.indexed) {
            (Some(value), Some(field)) => object.field(resource, field) == value,
            _ => true,
        };
        indexed && self.takes(object)
    }
}

/// One event as one watcher sees it.
#[derive(Debug, Clone)]
pub struct WatchEvent {
    /// What happened, seen through the watcher's selectors.
    pub event: EventType,
    /// The object, resourceVersion of the event included.
    pub object: Arc<Object>,
}

/// What an event is to a watcher, if anything.
pub(super) fn seen(resource: &Resource, filter: &Filter, event: &Event) -> Option<WatchEvent> {
    let was = event.before.as_deref().is_some_and(|before| filter.takes_all_of(resource, before));
    let is = !event.deleted && filter.takes_all_of(resource, &event.object);
    let (kind, object) = match (was, is) {
        (false, false) => return None,
        (false, true) => (EventType::Added, event.object.clone()),
        (true, true) => (EventType::Modified, event.object.clone()),
        (true, false) if event.deleted => (EventType::Deleted, event.object.clone()),
        // It went out of sight: the last state in sight is what the watcher is told of.
        (true, false) => {
            let before = event.before.as_ref()?;
            (EventType::Deleted, before.ended(resource, event.object.revision()))
        }
    };
    Some(WatchEvent { event: kind, object })
}

/// Where a watcher is kept: by the narrowest thing it looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Interest {
    All,
    Namespace(Box<str>),
    Key(Box<str>),
    Indexed(Box<str>),
}

struct Watcher {
    id: u64,
    /// Its client knows everything up to here: it may have been served by a server that is further.
    after: i64,
    filter: Filter,
    events: mpsc::Sender<WatchEvent>,
}

#[derive(Default)]
pub(super) struct Watchers {
    next: u64,
    count: usize,
    all: Vec<Watcher>,
    narrow: HashMap<Interest, Vec<Watcher>>,
}

impl Watchers {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn add(
        &mut self,
        cache: &Arc<Cache>,
        filter: Filter,
        after: i64,
        first: Vec<WatchEvent>,
    ) -> Watch {
        let interest = match (&filter.indexed, &filter.name) {
            (Some(value), _) => Interest::Indexed(value.as_str().into()),
            (None, Some(name)) if !cache.resource.namespaced => Interest::Key(name.as_str().into()),
            (None, Some(name)) if !filter.namespace.is_empty() => {
                Interest::Key(format!("{}/{name}", filter.namespace).into())
            }
            _ if !filter.namespace.is_empty() => Interest::Namespace(filter.namespace.as_str().into()),
            _ => Interest::All,
        };
        let (sender, events) = mpsc::channel(BEHIND);
        self.next += 1;
        self.count += 1;
        let id = self.next;
        let watcher = Watcher { id, after, filter, events: sender };
        match &interest {
            Interest::All => self.all.push(watcher),
            narrow => self.narrow.entry(narrow.clone()).or_default().push(watcher),
        }
        Watch { first: first.into_iter(), events, cache: cache.clone(), interest, id }
    }

    pub(super) fn remove(&mut self, interest: &Interest, id: u64) {
        let list = match interest {
            Interest::All => &mut self.all,
            narrow => match self.narrow.get_mut(narrow) {
                Some(list) => list,
                None => return,
            },
        };
        let before = list.len();
        list.retain(|watcher| watcher.id != id);
        self.count -= before - list.len();
        if list.is_empty() && *interest != Interest::All {
            self.narrow.remove(interest);
        }
    }

    /// Hands an event to every watcher that it concerns. A watcher that is too far behind is ended: its
    /// client begins again from the last revision it saw.
    ///
    /// Returns how many were ended so.
    pub(super) fn send(&mut self, resource: &Resource, event: &Event) -> u64 {
        if self.count == 0 {
            return 0;
        }
        let mut ended = 0;
        let mut lost = send_to(&mut self.all, resource, event, &mut ended);
        if !self.narrow.is_empty() {
            let object = &event.object;
            let mut interests = vec![Interest::Key(object.key().into())];
            if resource.namespaced {
                interests.push(Interest::Namespace(object.namespace().into()));
            }
            if let Some(field) = resource.indexed {
                let now = object.field(resource, field);
                interests.push(Interest::Indexed(now.into()));
                if let Some(before) = event.before.as_deref().map(|before| before.field(resource, field))
                    && before != now
                {
                    interests.push(Interest::Indexed(before.into()));
                }
            }
            for interest in interests {
                if let Some(list) = self.narrow.get_mut(&interest) {
                    lost += send_to(list, resource, event, &mut ended);
                    if list.is_empty() {
                        self.narrow.remove(&interest);
                    }
                }
            }
        }
        self.count -= lost;
        ended
    }
}

fn send_to(list: &mut Vec<Watcher>, resource: &Resource, event: &Event, ended: &mut u64) -> usize {
    let before = list.len();
    list.retain(|watcher| {
        if event.object.revision() <= watcher.after {
            return true;
        }
        let Some(seen) = seen(resource, &watcher.filter, event) else { return true };
        match watcher.events.try_send(seen) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                *ended += 1;
                tracing::warn!(resource = resource.prefix, filter = ?watcher.filter, "ending a watcher that does not read");
                false
            }
        }
    });
    before - list.len()
}

/// An open watch: first what it begins with, then events as they happen, until the server ends it.
#[derive(Debug)]
pub struct Watch {
    first: std::vec::IntoIter<WatchEvent>,
    events: mpsc::Receiver<WatchEvent>,
    cache: Arc<Cache>,
    interest: Interest,
    id: u64,
}

impl Watch {
    /// The next event of those that the watch begins with.
    pub fn next_first(&mut self) -> Option<WatchEvent> {
        self.first.next()
    }

    /// How many of those are left.
    pub fn first_left(&self) -> usize {
        self.first.len()
    }

    /// Waits for the next event, those of the beginning first; `None` when the watch has been ended.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        match self.first.next() {
            Some(event) => Some(event),
            None => self.events.recv().await,
        }
    }

    /// The next event if one is there.
    pub fn try_next(&mut self) -> Option<WatchEvent> {
        self.first.next().or_else(|| self.events.try_recv().ok())
    }

    /// Whether the watch has been ended and nothing is left of it.
    pub fn has_ended(&self) -> bool {
        self.first.len() == 0 && self.events.is_closed() && self.events.is_empty()
    }

    /// Polls for the next event, for use in a body.
    pub fn poll_next(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<WatchEvent>> {
        match self.first.next() {
            Some(event) => std::task::Poll::Ready(Some(event)),
            None => self.events.poll_recv(context),
        }
    }

    /// The resource that is watched.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.cache.forget(&self.interest, self.id);
    }
}

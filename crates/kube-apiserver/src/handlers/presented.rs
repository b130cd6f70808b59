//! The events of a watch with their objects in the version of the request.
//!
//! Where a webhook converts them, each watch waits for its own conversions: events are taken from the cache's queue in
//! order and converted many at a time while the next ones queue up there. The cache waits for nobody, and a watch whose
//! webhook cannot keep up is ended as any slow one.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use apimachinery::Status;
use storage::{EventType, Object, Watch, WatchEvent};

use crate::convert;
use crate::registry::Entry;

/// How many objects are converted in one call.
const MANY: usize = 100;

type Converting = Pin<Box<dyn Future<Output = Result<Vec<WatchEvent>, Status>> + Send>>;

/// Events in the version of the request.
pub struct Presented {
    watch: Watch,
    /// The version, where objects have to be converted to it.
    entry: Option<Arc<Entry>>,
    ready: VecDeque<WatchEvent>,
    converting: Option<Converting>,
    /// Why there are no more events.
    pub failure: Option<Status>,
}

impl Presented {
    /// The events of a watch; those of the objects that there were at its beginning are converted at once.
    pub async fn new(watch: Watch, entry: &Arc<Entry>) -> Result<Self, Status> {
        let mut presented =
            Self { watch, entry: None, ready: VecDeque::new(), converting: None, failure: None };
        if entry.conversion().is_none() {
            return Ok(presented);
        }
        loop {
            let watch = &mut presented.watch;
            let first: Vec<WatchEvent> = std::iter::from_fn(|| watch.next_first()).take(MANY).collect();
            if first.is_empty() {
                break;
            }
            presented.ready.extend(convert(entry.clone(), first).await?);
        }
        presented.entry = Some(entry.clone());
        Ok(presented)
    }

    /// The next of the objects that there were at the beginning.
    pub fn next_first(&mut self) -> Option<WatchEvent> {
        if self.entry.is_some() { self.ready.pop_front() } else { self.watch.next_first() }
    }

    /// Whether there are more of these.
    pub fn has_first(&self) -> bool {
        if self.entry.is_some() { !self.ready.is_empty() } else { self.watch.first_left() > 0 }
    }

    /// The next event, where there is one already.
    pub fn try_next(&mut self) -> Option<WatchEvent> {
        if self.entry.is_some() { self.ready.pop_front() } else { self.watch.try_next() }
    }

    /// Whether events were taken that are not converted yet.
    pub fn is_behind(&self) -> bool {
        self.converting.is_some()
    }

    /// The next event; none when the watch has ended.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        let Some(entry) = &self.entry else { return self.watch.poll_next(context) };
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            if let Some(converting) = &mut self.converting {
                let converted = ready!(converting.as_mut().poll(context));
                self.converting = None;
                match converted {
                    Ok(events) => self.ready.extend(events),
                    Err(status) => {
                        self.failure = Some(status);
                        return Poll::Ready(None);
                    }
                }
                continue;
            }
            let Some(first) = ready!(self.watch.poll_next(context)) else { return Poll::Ready(None) };
            let mut events = vec![first];
            while events.len() < MANY
                && let Some(event) = self.watch.try_next()
            {
                events.push(event);
            }
            self.converting = Some(Box::pin(convert(entry.clone(), events)));
        }
    }
}

async fn convert(entry: Arc<Entry>, events: Vec<WatchEvent>) -> Result<Vec<WatchEvent>, Status> {
    let (kinds, objects): (Vec<EventType>, Vec<Arc<Object>>) =
        events.into_iter().map(|event| (event.event, event.object)).unzip();
    let objects = convert::present_all(&entry, objects).await?;
    Ok(kinds.into_iter().zip(objects).map(|(event, object)| WatchEvent { event, object }).collect())
}

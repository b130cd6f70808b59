//! Events about objects, as `kubectl describe` shows them: repeats are counted, not written again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{Runtime, cause::whole};

/// Events waiting to be written; more are dropped, because an event must never hold up what it tells of.
const WAITING: usize = 512;
/// Distinct events remembered for counting (upstream's LRU of 4096).
const REMEMBERED: usize = 4096;
/// How long a repeat is counted on the first event (upstream's aggregation interval).
const COUNTED_FOR: Duration = Duration::from_secs(600);

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// As it should be.
    Normal,
    /// Something a person should know.
    Warning,
}

#[derive(Debug, Clone)]
struct Occurrence {
    about: ObjectReference,
    kind: Kind,
    reason: String,
    message: String,
    at: Timestamp,
}

/// Writes events in the background. Cloning it is cheap.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Occurrence>,
}

impl Recorder {
    /// Starts a recorder that names `component` (and `host`, for a component of one node) as the source.
    pub fn start(runtime: &Runtime, client: Client, component: &str, host: Option<&str>) -> Self {
        let (queue, occurrences) = mpsc::channel(WAITING);
        let source = EventSource { component: Some(component.into()), host: host.map(str::to_owned) };
        let shutdown = runtime.shutdown();
        let writer = Writer { client, source, seen: HashMap::new() };
        runtime.spawn("event recorder", async move {
            tokio::select! {
                () = writer.run(occurrences) => {}
                () = shutdown.cancelled() => {}
            }
            anyhow::Ok(())
        });
        Self { queue }
    }

    /// A recorder that writes nothing, for tests of what records.
    pub fn silent() -> Self {
        Self { queue: mpsc::channel(1).0 }
    }

    /// Records that something happened to an object. Never waits.
    pub fn record(&self, about: ObjectReference, kind: Kind, reason: &str, message: impl Into<String>) {
        let occurrence =
            Occurrence { about, kind, reason: reason.into(), message: message.into(), at: Timestamp::now() };
        if let Err(mpsc::error::TrySendError::Full(dropped)) = self.queue.try_send(occurrence) {
            tracing::warn!(
                reason = dropped.reason,
                message = dropped.message,
                "event dropped: too many waiting"
            );
        }
    }
}

type Key = (String, String, String, Kind, String, String);

struct Writer {
    client: Client,
    source: EventSource,
    seen: HashMap<Key, (String, i32, Instant)>,
}

impl Writer {
    async fn run(mut self, mut occurrences: mpsc::Receiver<Occurrence>) {
        while let Some(occurrence) = occurrences.recv().await {
            if let Err(error) = self.write(&occurrence).await {
                tracing::debug!(error = %whole(&error), reason = occurrence.reason, "cannot write an event");
            }
        }
        // Every recorder is gone: nothing more can come, which is no reason to stop the process.
        std::future::pending::<()>().await;
    }

    async fn write(&mut self, occurrence: &Occurrence) -> Result<(), kube::Error> {
        let about = &occurrence.about;
        let namespace =
            about.namespace.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "default".into());
        let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let key: Key = (
            namespace.clone(),
            about.uid.clone().unwrap_or_default(),
            about.field_path.clone().unwrap_or_default() + about.name.as_deref().unwrap_or(""),
            occurrence.kind,
            occurrence.reason.clone(),
            occurrence.message.clone(),
        );
        if let Some((name, count, since)) = self.seen.get_mut(&key)
            && since.elapsed() < COUNTED_FOR
        {
            let patch = json!({"count": *count + 1, "lastTimestamp": Time(occurrence.at)});
            match events.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Ok(_) => {
                    *count += 1;
                    return Ok(());
                }
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let name =
            format!("{}.{:x}", about.name.as_deref().unwrap_or("object"), occurrence.at.as_nanosecond());
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            involved_object: about.clone(),
            type_: Some(if occurrence.kind == Kind::Normal { "Normal" } else { "Warning" }.into()),
            reason: Some(occurrence.reason.clone()),
            message: Some(occurrence.message.chars().take(1024).collect()),
            first_timestamp: Some(Time(occurrence.at)),
            last_timestamp: Some(Time(occurrence.at)),
            count: Some(1),
            source: Some(self.source.clone()),
            reporting_component: self.source.component.clone(),
            reporting_instance: self.source.host.clone(),
            ..Event::default()
        };
        events.create(&PostParams::default(), &event).await?;
        if self.seen.len() >= REMEMBERED {
            self.seen.retain(|_, (_, _, since)| since.elapsed() < COUNTED_FOR);
            if self.seen.len() >= REMEMBERED {
                self.seen.clear();
            }
        }
        self.seen.insert(key, (name, 1, Instant::now()));
        Ok(())
    }
}

//! Events sent to a service, as lists.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use webhooks::Client;

use crate::auditor::Sinks;
use crate::batch::{Batching, Mode, Task, Write};

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a batch is sent again, each time after a longer pause.
const ATTEMPTS: u32 = 5;

/// A service that takes events.
pub struct WebhookSink {
    client: Client,
    /// `--audit-webhook-initial-backoff`
    pause: Duration,
}

impl WebhookSink {
    /// Sends events to a place.
    pub fn new(client: Client, pause: Duration) -> Arc<Self> {
        Arc::new(Self { client, pause })
    }

    /// Adds the service to the sinks; where events are gathered, the task that sends them is given back.
    pub fn add_to(self: Arc<Self>, sinks: &mut Sinks, mode: Mode, batching: Batching) -> Option<Task> {
        sinks.add(self, mode, batching)
    }

    async fn send(&self, events: Vec<Bytes>) {
        let count = events.len();
        let body = list(&events);
        let mut pause = self.pause;
        for attempt in 1..=ATTEMPTS {
            match self.client.post("", body.clone(), PATIENCE).await {
                Ok(_) => return,
                Err(error) if attempt < ATTEMPTS && error.may_pass() => {
                    tracing::debug!(%error, "cannot send audit events, trying again in {pause:?}");
                    tokio::time::sleep(pause).await;
                    pause = pause * 3 / 2;
                }
                Err(error) => {
                    tracing::error!(%error, count, "audit events are lost: the webhook does not take them");
                    return;
                }
            }
        }
    }
}

/// An `EventList`.
fn list(events: &[Bytes]) -> Bytes {
    let size = events.iter().map(|event| event.len() + 1).sum::<usize>();
    let mut body = Vec::with_capacity(size + 80);
    body.extend_from_slice(br#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":["#);
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event);
    }
    body.extend_from_slice(b"]}");
    body.into()
}

impl Write for WebhookSink {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn write_now(&self, event: &Bytes) {
        // The thread is held until the service has the event, as who asks for this mode wants it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            tokio::task::block_in_place(|| runtime.block_on(self.send(vec![event.clone()])));
        }
    }

    fn write(&self, events: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.send(events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_list_of_events() {
        let events = [Bytes::from_static(b"{\"a\":1}"), Bytes::from_static(b"{\"b\":2}")];
        let list: serde_json::Value = serde_json::from_slice(&list(&events)).unwrap();
        assert_eq!(list["kind"], "EventList");
        assert_eq!(list["items"], serde_json::json!([{"a": 1}, {"b": 2}]));
    }
}

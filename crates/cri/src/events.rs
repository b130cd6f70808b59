//! What happened to containers, as the runtime tells it without being asked.

use containerd_client::{
    events::{TaskDelete, TaskExit, TaskOom, TaskStart},
    services::v1::{SubscribeRequest, events_client::EventsClient},
    types::Envelope,
};
use futures::{StreamExt, stream::BoxStream};
use prost::Message;
use tonic::transport::Channel;

use crate::{Error, v1};

/// A change of one container or sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The container, or the sandbox, that changed.
    pub container_id: String,
    /// How it changed.
    pub change: ContainerChange,
}

/// How a container changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerChange {
    /// It was created.
    Created,
    /// Its process runs.
    Started,
    /// Its process ended.
    Stopped,
    /// It was removed.
    Deleted,
    /// The kernel killed one of its processes for want of memory.
    OutOfMemory,
}

/// Turns the runtime's own event stream (CRI) into events.
pub(crate) fn from_cri(
    stream: tonic::Streaming<v1::ContainerEventResponse>,
) -> BoxStream<'static, Result<Event, Error>> {
    stream
        .map(|message| {
            let message = message?;
            let change = match message.container_event_type() {
                v1::ContainerEventType::ContainerCreatedEvent => ContainerChange::Created,
                v1::ContainerEventType::ContainerStartedEvent => ContainerChange::Started,
                v1::ContainerEventType::ContainerStoppedEvent => ContainerChange::Stopped,
                v1::ContainerEventType::ContainerDeletedEvent => ContainerChange::Deleted,
            };
            Ok(Event { container_id: message.container_id, change })
        })
        .boxed()
}

/// Subscribes to containerd's task events, for containerd without CRI events (before 1.7).
///
/// The event may arrive before the CRI part of containerd has taken it in: who reads it asks again until the status
/// agrees.
pub(crate) async fn from_tasks(channel: Channel) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
    let request = SubscribeRequest { filters: vec!["namespace==k8s.io,topic~=^/tasks/".to_owned()] };
    let stream = EventsClient::new(channel).subscribe(request).await?.into_inner();
    Ok(stream
        .filter_map(|envelope| async move {
            match envelope {
                Ok(envelope) => task_event(&envelope).map(Ok),
                Err(status) => Some(Err(Error::from(status))),
            }
        })
        .boxed())
}

fn task_event(envelope: &Envelope) -> Option<Event> {
    Event::of_task(&envelope.topic, envelope.event.as_ref()?.value.as_slice())
}

impl Event {
    /// Reads an event of containerd's tasks; none of what is no news about a container.
    pub fn of_task(topic: &str, body: &[u8]) -> Option<Self> {
        let (container_id, change) = match topic {
            "/tasks/start" => (TaskStart::decode(body).ok()?.container_id, ContainerChange::Started),
            "/tasks/exit" => {
                let exit = TaskExit::decode(body).ok()?;
                // An exec's end carries the exec's own id; it is no news about the container.
                if exit.id != exit.container_id && !exit.id.is_empty() {
                    return None;
                }
                (exit.container_id, ContainerChange::Stopped)
            }
            "/tasks/delete" => {
                let delete = TaskDelete::decode(body).ok()?;
                if !delete.id.is_empty() && delete.id != delete.container_id {
                    return None;
                }
                (delete.container_id, ContainerChange::Stopped)
            }
            "/tasks/oom" => (TaskOom::decode(body).ok()?.container_id, ContainerChange::OutOfMemory),
            _ => return None,
        };
        Some(Self { container_id, change })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(topic: &str, event: &impl Message) -> Envelope {
        Envelope {
            topic: topic.to_owned(),
            namespace: "k8s.io".to_owned(),
            event: Some(prost_types::Any { type_url: String::new(), value: event.encode_to_vec() }),
            timestamp: None,
        }
    }

    #[test]
    fn the_end_of_an_exec_is_no_container_event() {
        let exec = TaskExit { container_id: "c".into(), id: "e".into(), ..Default::default() };
        assert_eq!(task_event(&envelope("/tasks/exit", &exec)), None);
        let init = TaskExit { container_id: "c".into(), id: "c".into(), ..Default::default() };
        assert_eq!(
            task_event(&envelope("/tasks/exit", &init)),
            Some(Event { container_id: "c".into(), change: ContainerChange::Stopped })
        );
    }

    #[test]
    fn garbage_is_passed_over() {
        let mut garbage = envelope("/tasks/start", &TaskStart::default());
        garbage.event.as_mut().unwrap().value = vec![0xff, 0xff];
        assert_eq!(task_event(&garbage), None);
        garbage.event = None;
        assert_eq!(task_event(&garbage), None);
    }
}

//! What is known of one request, from its head to its answer.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use apimachinery::{ObjectExt as _, User};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::auditor::Auditor;
use crate::event::{AuthenticationMetadata, Event, Level, ObjectReference, Stage};
use crate::policy::{About, Verdict};

/// How much of the name of a client's program is kept.
const LONGEST_AGENT: usize = 1024;

tokio::task_local! {
    static CURRENT: Arc<Record>;
}

/// What is known of a request from its head.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The id that the client is told.
    pub audit_id: String,
    /// Path and query.
    pub uri: String,
    /// Path.
    pub path: String,
    /// The verb.
    pub verb: String,
    /// Where it comes from: proxies' words first, the connection last.
    pub source_ips: Vec<String>,
    /// The client's program.
    pub user_agent: String,
    /// What it is about, where it is for a resource.
    pub object: Option<ObjectReference>,
}

/// How a request was answered.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    /// The code.
    pub code: u16,
    /// The answer as a tree: read only where it is needed.
    pub object: Option<Value>,
}

#[derive(Default)]
struct State {
    verdict: Option<Verdict>,
    user: Value,
    impersonated: Option<Value>,
    constraint: &'static str,
    annotations: BTreeMap<String, String>,
    object: Option<ObjectReference>,
    sent: Option<Box<RawValue>>,
}

/// What is written down of one request.
pub struct Record {
    auditor: Arc<Auditor>,
    head: Head,
    received: Timestamp,
    state: Mutex<State>,
}

impl Record {
    pub(crate) fn new(auditor: Arc<Auditor>, mut head: Head, received: Timestamp) -> Self {
        if head.user_agent.len() > LONGEST_AGENT {
            let end = head.user_agent.floor_char_boundary(LONGEST_AGENT);
            head.user_agent.truncate(end);
            head.user_agent.push_str("...TRUNCATED");
        }
        let state = Mutex::new(State { object: head.object.take(), ..State::default() });
        Self { auditor, head, received, state }
    }

    /// Runs what handles the request, so that it may add to the record.
    pub async fn scope<F: Future>(self: &Arc<Self>, handle: F) -> F::Output {
        CURRENT.scope(self.clone(), handle).await
    }

    /// Takes who asks, which says how much is written down, and writes that the request has come.
    pub fn received(&self, user: User<'_>, whole: Value) {
        {
            let mut state = self.state.lock();
            let object = state.object.as_ref();
            let of = |get: fn(&ObjectReference) -> &String| object.map_or("", |object| get(object).as_str());
            let verdict = self.auditor.policy.decide(&About {
                user,
                verb: &self.head.verb,
                is_resource: object.is_some(),
                group: of(|object| &object.api_group),
                resource: of(|object| &object.resource),
                subresource: of(|object| &object.subresource),
                namespace: of(|object| &object.namespace),
                name: of(|object| &object.name),
                path: &self.head.path,
            });
            self.auditor.decided(verdict.level);
            state.verdict = Some(verdict);
            state.user = whole;
        }
        self.write(Stage::RequestReceived, None);
    }

    /// Takes as whom the request acts, and the verb that lets it where that is for some requests only.
    pub fn impersonates(&self, whole: Value, constraint: &'static str) {
        let mut state = self.state.lock();
        state.impersonated = Some(whole);
        state.constraint = constraint;
    }

    /// How much is written down; nothing while nobody is known.
    pub fn level(&self) -> Level {
        self.state.lock().verdict.as_ref().map_or(Level::None, |verdict| verdict.level)
    }

    fn annotate(&self, key: &str, value: impl FnOnce() -> String) {
        let mut state = self.state.lock();
        if state.verdict.as_ref().is_none_or(|verdict| verdict.level < Level::Metadata) {
            return;
        }
        match state.annotations.get(key) {
            None => {
                state.annotations.insert(key.to_owned(), value());
            }
            // The first one counts, as upstream.
            Some(old) => tracing::debug!(key, old, "an audit annotation is there already"),
        }
    }

    fn sent(&self, object: &Value) {
        let mut state = self.state.lock();
        let Some(verdict) = &state.verdict else { return };
        let (level, bare) = (verdict.level, verdict.omit_managed_fields);
        if level < Level::Metadata {
            return;
        }
        if let Some(reference) = &mut state.object {
            let fill = |field: &mut String, value: &str| {
                if field.is_empty() {
                    value.clone_into(field);
                }
            };
            fill(&mut reference.name, object.name());
            fill(&mut reference.uid, object.uid());
            fill(&mut reference.resource_version, object.resource_version());
        }
        if level >= Level::Request {
            state.sent = raw(object, bare);
        }
    }

    /// Writes that a request of nobody who is known was refused.
    pub fn unauthenticated(&self, attempted: &str) {
        {
            let mut state = self.state.lock();
            let object = state.object.clone().unwrap_or_default();
            let verdict = self.auditor.policy.decide(&About {
                verb: &self.head.verb,
                is_resource: state.object.is_some(),
                group: &object.api_group,
                resource: &object.resource,
                subresource: &object.subresource,
                namespace: &object.namespace,
                name: &object.name,
                path: &self.head.path,
                ..About::default()
            });
            self.auditor.decided(verdict.level);
            state.verdict = Some(verdict);
            state.user = json!({});
        }
        let message = match attempted {
            "" => "Authentication failed, no credentials provided".to_owned(),
            attempted => format!("Authentication failed, attempted: {attempted}"),
        };
        let status = json!({"metadata": {}, "status": "Failure", "message": message, "code": 401});
        self.write(Stage::ResponseStarted, Some((status, None)));
        // This is all that is said of it.
        self.state.lock().verdict = None;
    }

    /// Writes how the request was answered: that it is, or that an answer that goes on for long has begun.
    pub fn answered(&self, stage: Stage, answered: Answered) {
        let (level, bare) = match &self.state.lock().verdict {
            Some(verdict) => (verdict.level, verdict.omit_managed_fields),
            None => return,
        };
        if level == Level::None {
            return;
        }
        let status = match &answered.object {
            Some(object) if object["kind"] == "Status" && object["apiVersion"] == "v1" => {
                let mut status = json!({"metadata": {}});
                for field in ["status", "message", "reason", "details"] {
                    if let Some(value) = object.get(field) {
                        status[field] = value.clone();
                    }
                }
                status["code"] = answered.code.into();
                status
            }
            _ => json!({"metadata": {}, "code": answered.code}),
        };
        let object = match (level, stage) {
            (Level::RequestResponse, Stage::ResponseComplete) => {
                answered.object.as_ref().and_then(|object| raw(object, bare))
            }
            _ => None,
        };
        self.write(stage, Some((status, object)));
    }

    /// Writes that the handler of the request broke.
    pub fn panicked(&self) {
        let status = json!({
            "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
            "message": "APIServer panic'd: see the server's log",
        });
        self.write(Stage::Panic, Some((status, None)));
    }

    fn write(&self, stage: Stage, answer: Option<(Value, Option<Box<RawValue>>)>) {
        let state = self.state.lock();
        let Some(verdict) = &state.verdict else { return };
        if verdict.level == Level::None || verdict.omit_stages.contains(&stage) {
            return;
        }
        let now = Timestamp::now();
        let head = &self.head;
        let (status, object) = match &answer {
            Some((status, object)) => (Some(status), object.as_deref()),
            None => (None, None),
        };
        let event = Event {
            level: verdict.level,
            audit_id: &head.audit_id,
            stage,
            request_uri: &head.uri,
            verb: &head.verb,
            user: &state.user,
            impersonated_user: state.impersonated.as_ref(),
            authentication_metadata: (!state.constraint.is_empty())
                .then_some(AuthenticationMetadata { impersonation_constraint: state.constraint }),
            source_ips: &head.source_ips,
            user_agent: &head.user_agent,
            object_ref: state.object.as_ref(),
            response_status: status,
            request_object: state.sent.as_deref().filter(|_| stage != Stage::RequestReceived),
            response_object: object,
            request_received_timestamp: micros(self.received),
            stage_timestamp: micros(now),
            annotations: &state.annotations,
        };
        match serde_json::to_vec(&event) {
            Ok(bytes) => self.auditor.send(bytes.into()),
            Err(error) => tracing::error!(%error, "cannot write an audit event"),
        }
    }
}

/// `metav1.MicroTime`.
fn micros(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// An object's text, without what its managers own where that is not wanted.
fn raw(object: &Value, bare: bool) -> Option<Box<RawValue>> {
    if !bare {
        return serde_json::value::to_raw_value(object).ok();
    }
    let mut object = object.clone();
    object.remove_at(&["metadata", "managedFields"]);
    if let Some(items) = object.get_mut("items").and_then(Value::as_array_mut) {
        for item in items {
            item.remove_at(&["metadata", "managedFields"]);
        }
    }
    serde_json::value::to_raw_value(&object).ok()
}

/// The record of the request that is being handled, where somebody audits.
pub fn current() -> Option<Arc<Record>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Whether something is written down of the request that is being handled.
pub fn is_on() -> bool {
    CURRENT.try_with(|record| record.level() != Level::None).unwrap_or(false)
}

/// Adds an annotation to the events of the request that is being handled; of several of a key the first counts.
pub fn annotate(key: &str, value: impl Into<String>) {
    let _ = CURRENT.try_with(|record| record.annotate(key, || value.into()));
}

/// Takes the object that the request sends, where one is wanted.
pub fn request_object(object: &Value) {
    let _ = CURRENT.try_with(|record| record.sent(object));
}

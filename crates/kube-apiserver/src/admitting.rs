//! One request's way through admission: the chain, then the webhooks; first those that change, later those that judge.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admission::expressions::{Scene, kind};
use admission::hooks::{Hook, Reinvocation};
use admission::review::{self, Asker, Check, Step};
use admission::rules::Served;
use admission::{Attributes, Operation, View as _};
use apimachinery::Status;
use authn::UserInfo;
use bytes::Bytes;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::http::Query;
use crate::metrics::Metrics;
use crate::metrics::admission::{Called, Outcome};
use crate::registry::Entry;
use crate::server::Server;
use crate::webhook_admission::Callable;

/// Who asks, and by which options.
pub struct Request<'a> {
    /// Who.
    pub user: &'a UserInfo,
    /// What the options are written in.
    pub query: &'a Query<'a>,
    /// The options of a deletion.
    pub deletion: Option<&'a Value>,
    /// What is done.
    pub operation: Operation,
    /// What is told of how long it takes.
    pub metrics: &'a Metrics,
}

impl Asker for Request<'_> {
    fn annotate(&self, key: &str, value: &str) {
        audit::annotate(key, value);
    }

    fn ran(&self, place: usize, step: Step, took: Duration, refused: bool) {
        self.metrics.plugin_ran(place, step, self.operation, took, refused);
    }

    fn checked(&self, check: Check<'_>, took: Duration) {
        self.metrics.policy_checked(check, took);
    }

    fn user_info(&self) -> Value {
        json!(self.user)
    }

    fn options(&self) -> Value {
        let kind = match self.operation {
            Operation::Create => "CreateOptions",
            Operation::Update => "UpdateOptions",
            Operation::Delete => "DeleteOptions",
            Operation::Connect => return Value::Null,
        };
        let mut options = match self.deletion {
            Some(deletion) if deletion.is_object() => deletion.clone(),
            _ => json!({}),
        };
        options["kind"] = kind.into();
        options["apiVersion"] = "meta.k8s.io/v1".into();
        if self.query.all("dryRun").any(|value| value == "All") {
            options["dryRun"] = json!(["All"]);
        }
        for key in ["fieldManager", "fieldValidation"] {
            if let Some(text) = self.query.get(key).filter(|text| !text.is_empty()) {
                options[key] = text.into();
            }
        }
        options
    }
}

/// One request on its way.
pub struct Admitting<'a> {
    /// The server.
    pub server: &'a Server,
    /// The resource.
    pub entry: &'a Arc<Entry>,
    /// The request.
    pub attributes: Attributes<'a>,
    /// Who asks.
    pub request: Request<'a>,
    /// Takes what the client is told besides, also when it is refused.
    pub warn: &'a (dyn Fn(Vec<String>) + Sync),
}

/// Why a webhook gave no answer that counts.
struct Failure(String);

/// The round, and the place among all webhooks.
type Place = (usize, usize);

/// Under which key the audit event has what one webhook did in one round.
fn key(kind: &str, (round, index): Place) -> String {
    format!("{kind}.webhook.admission.k8s.io/round_{round}_index_{index}")
}

/// Notes whether a webhook has changed the object.
fn note_change(callable: &Callable, place: Place, mutated: bool) {
    if audit::is_on() {
        let Hook { configuration, name, .. } = &callable.hook;
        let change = json!({"configuration": configuration, "webhook": name, "mutated": mutated});
        audit::annotate(&key("mutation", place), change.to_string());
    }
}

/// Notes how, where the event has what requests send: a patch tells as much.
fn note_patch(callable: &Callable, place: Place, patch: &[u8]) {
    let is_wanted = audit::current().is_some_and(|record| record.level() >= audit::Level::Request);
    if is_wanted && let Ok(patch) = serde_json::from_slice::<Value>(patch) {
        let Hook { configuration, name, .. } = &callable.hook;
        let change = json!({"configuration": configuration, "webhook": name, "patch": patch, "patchType": "JSONPatch"});
        audit::annotate(&key("patch", place), change.to_string());
    }
}

impl Admitting<'_> {
    /// Lets the built-in plugins change the object.
    pub fn change(&self, object: &mut Value, old: Option<&Value>) -> Result<(), Status> {
        let warnings =
            self.server.admission.admit(&self.attributes, object, old, &self.server.view(), &self.request)?;
        (self.warn)(warnings);
        Ok(())
    }

    /// Lets the built-in plugins judge the object.
    pub fn judge(&self, object: &Value, old: Option<&Value>) -> Result<(), Status> {
        let chain = &self.server.admission;
        let warnings = chain.validate(&self.attributes, object, old, &self.server.view(), &self.request)?;
        (self.warn)(warnings);
        Ok(())
    }

    /// Lets all change the object: the plugins, then the webhooks, and again those that others' changes concern.
    pub async fn change_by_all(&self, object: &mut Value, old: Option<&Value>) -> Result<(), Status> {
        let begun = Instant::now();
        let changed = self.change_in_rounds(object, old).await;
        self.stepped(Step::Admit, begun.elapsed(), changed.is_err());
        changed
    }

    async fn change_in_rounds(&self, object: &mut Value, old: Option<&Value>) -> Result<(), Status> {
        self.change(object, old)?;
        let mut round = Reinvocation::default();
        self.ask_changing(&mut round, 0, object, old).await?;
        if round.is_needed() {
            let before = object.clone();
            self.change(object, old)?;
            round.again(*object != before);
            self.ask_changing(&mut round, 1, object, old).await?;
        }
        Ok(())
    }

    /// Lets all judge the object.
    pub async fn judge_by_all(&self, object: &Value, old: Option<&Value>) -> Result<(), Status> {
        let begun = Instant::now();
        let judged = self.judge_by_each(object, old).await;
        self.stepped(Step::Validate, begun.elapsed(), judged.is_err());
        judged
    }

    fn stepped(&self, step: Step, took: Duration, refused: bool) {
        self.server.metrics.stepped(step, self.request.operation, took, refused);
    }

    async fn judge_by_each(&self, object: &Value, old: Option<&Value>) -> Result<(), Status> {
        self.judge(object, old)?;
        if let Some(images) = &self.server.webhooks.images {
            images.judge(&self.attributes, object).await?;
        }
        let callables = self.server.webhooks.validating.load_full();
        let mut asked = Vec::new();
        for (index, callable) in callables.iter().enumerate() {
            let Some((told, told_old, served)) = self.select(callable, object, old)? else { continue };
            asked.push(async move {
                match self.ask(callable, served.as_ref(), told, told_old, false).await {
                    Ok(answer) if answer.allowed => Ok(()),
                    Ok(answer) => Err(review::refusal(&callable.hook.name, answer.result.as_ref())),
                    Err(failure) => self.fail(callable, failure, "validating", (0, index)),
                }
            });
        }
        // All are asked at once; the first refusal in their order is told.
        join_all(asked).await.into_iter().collect()
    }

    async fn ask_changing(
        &self,
        round: &mut Reinvocation,
        number: usize,
        object: &mut Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        let callables = self.server.webhooks.mutating.load_full();
        for (index, callable) in callables.iter().enumerate() {
            let hook = &callable.hook;
            if !round.is_asked(&hook.id) {
                continue;
            }
            let Some((told, told_old, served)) = self.select(callable, object, old)? else { continue };
            let answer = match self.ask(callable, served.as_ref(), told.clone(), told_old, true).await {
                Ok(answer) => answer,
                Err(failure) => {
                    note_change(callable, (number, index), false);
                    self.fail(callable, failure, "mutation", (number, index))?;
                    continue;
                }
            };
            if !answer.allowed {
                note_change(callable, (number, index), false);
                return Err(review::refusal(&hook.name, answer.result.as_ref()));
            }
            let mut changed = false;
            if let Some(patch) = answer.patch {
                note_patch(callable, (number, index), &patch);
                let new = self.patched(&hook.name, served.as_ref(), told, &patch)?;
                changed = new != *object;
                *object = new;
            }
            note_change(callable, (number, index), changed);
            round.answered(&hook.id, hook.reinvoked, changed);
        }
        Ok(())
    }

    /// What a webhook is told, where it is to be asked: the objects, and under which other version.
    fn select(
        &self,
        callable: &Callable,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<Option<(Value, Value, Option<Served>)>, Status> {
        let view = self.server.view();
        let Some(served) = callable.hook.rule(&self.attributes, &view) else { return Ok(None) };
        let told = view.told(&self.attributes, served.as_ref(), object)?;
        let told_old = old.map(|old| view.told(&self.attributes, served.as_ref(), old)).transpose()?;
        let scene = Scene::new(&self.attributes, &told, told_old.as_deref(), &view, &self.request);
        if !callable.hook.chooses(&scene)? {
            return Ok(None);
        }
        drop(scene);
        let told_old = told_old.map_or(Value::Null, Cow::into_owned);
        Ok(Some((told.into_owned(), told_old, served)))
    }

    async fn ask(
        &self,
        callable: &Callable,
        served: Option<&Served>,
        object: Value,
        old: Value,
        mutating: bool,
    ) -> Result<review::Answer, Failure> {
        let begun = Instant::now();
        let answer = self.call(callable, served, object, old, mutating).await;
        let outcome = match &answer {
            Ok(answer) if answer.allowed => Outcome::Allowed,
            Ok(answer) => {
                Outcome::Refused(review::refusal(&callable.hook.name, answer.result.as_ref()).code.into())
            }
            Err(_) => Outcome::Failed { closed: callable.hook.fails_closed },
        };
        self.server.metrics.webhook_called(Called {
            name: &callable.hook.name,
            step: if mutating { Step::Admit } else { Step::Validate },
            operation: self.request.operation,
            outcome,
            took: begun.elapsed(),
        });
        answer
    }

    async fn call(
        &self,
        callable: &Callable,
        served: Option<&Served>,
        object: Value,
        old: Value,
        mutating: bool,
    ) -> Result<review::Answer, Failure> {
        let hook = &callable.hook;
        let client = match &callable.client {
            Ok(client) => client,
            Err(why) => return Err(Failure(format!("could not get REST client: {why}"))),
        };
        let uid = uuid::Uuid::new_v4().to_string();
        // The kind is that of what was sent, not of what it is told as.
        let sent_as = self.kind(&object);
        let request = review::request(&self.attributes, &self.request, sent_as, served);
        let question = review::question(request, &uid, object, old, &hook.review_version);
        let body = serde_json::to_vec(&question).map_err(|error| Failure(error.to_string()))?;
        let query = format!("timeout={}s", hook.timeout.as_secs());
        let answer = client.post(&query, Bytes::from(body), hook.timeout).await;
        let answer = answer.map_err(|error| Failure(format!("failed to call webhook: {error}")))?;
        let answer = review::answer(&answer, &uid, &hook.review_version, mutating)
            .map_err(|why| Failure(format!("received invalid webhook response: {why}")))?;
        (self.warn)(answer.warnings.clone());
        for (key, value) in &answer.audit_annotations {
            self.request.annotate(&format!("{}/{key}", hook.name), value);
        }
        Ok(answer)
    }

    fn kind<'k>(&'k self, object: &'k Value) -> (&'k str, &'k str, &'k str) {
        let row = &self.entry.row;
        // Of a resource's own objects it is the request's, in whichever version they are told.
        match *self.attributes.kind == *row.kind && self.attributes.operation != Operation::Connect {
            true => (&row.group, &row.version, &row.kind),
            false => kind(&self.attributes, object),
        }
    }

    /// What comes of a call that failed, of a kind of webhooks and in a place among them.
    fn fail(
        &self,
        callable: &Callable,
        Failure(why): Failure,
        kind: &str,
        place: Place,
    ) -> Result<(), Status> {
        let name = &callable.hook.name;
        let failed = format!("failed calling webhook {name:?}: {why}");
        if callable.hook.fails_closed {
            tracing::warn!("{failed}, failing closed");
            return Err(Status::internal(failed));
        }
        tracing::warn!("{failed}, failing open");
        self.request.annotate(&key(&format!("failed-open.{kind}"), place), name);
        Ok(())
    }

    /// Applies a webhook's patch to the object that it was told, and reads the result as if a client had sent it.
    fn patched(
        &self,
        name: &str,
        served: Option<&Served>,
        mut object: Value,
        patch: &[u8],
    ) -> Result<Value, Status> {
        if !object.is_object() {
            return Err(Status::internal(format!(
                "admission webhook {name:?} attempted to modify the object, which is not supported for this operation"
            )));
        }
        let patch: Value = serde_json::from_slice(patch).map_err(Status::internal)?;
        patch::json_patch(&mut object, &patch).map_err(Status::internal)?;
        self.server.view().taken(&self.attributes, served, object)
    }
}

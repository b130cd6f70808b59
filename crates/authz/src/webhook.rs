//! A service that is asked what a request may do: when it is asked, what it is sent, and what its answer means.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use apimachinery::labels;
use cel::types::{Place, Record, Type};
use cel::{Budget, Environment, Program};
use serde_json::{Value, json};

use crate::Attributes;
use crate::rbac::{Decision, Reason};

/// What a match condition may cost: upstream's limit for a run.
const BUDGET: u64 = 1_000_000;

/// An expression over `request`, the spec of a `SubjectAccessReview` of v1.
pub struct Condition {
    text: String,
    program: Program,
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Condition {
    /// Compiles an expression.
    pub fn new(text: &str) -> Result<Self, String> {
        let environment = Environment::new().with("request", spec_type());
        match Program::check(text, &environment) {
            Ok(checked) if matches!(checked.output, Type::Bool | Type::Dyn) => {
                Ok(Self { text: text.to_owned(), program: checked.program })
            }
            Ok(_) => Err("must evaluate to bool".to_owned()),
            Err(error) => Err(format!("compilation failed: {error}")),
        }
    }

    fn holds(&self, request: &Value) -> Result<bool, String> {
        let names = [("request", cel::Value::of(request, None))];
        match self.program.run(&names, &Budget::new(BUDGET)) {
            Ok(cel::Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(format!("cel evaluation error: expression '{}' must evaluate to bool", self.text)),
            Err(error) => {
                Err(format!("cel evaluation error: expression '{}' resulted in error: {error}", self.text))
            }
        }
    }
}

/// The spec of a `SubjectAccessReview`.
fn spec_type() -> Type<'static> {
    let texts = |names: &[&'static str]| -> Vec<(&'static str, Place<'static>)> {
        names.iter().map(|name| (*name, Place::of(Type::String))).collect()
    };
    let strings = || Place::of(Type::list(Type::String));
    let record = |name, fields| Place::of(Record::of(name, fields));
    let requirement = |name| {
        let mut fields = texts(&["key", "operator"]);
        fields.push(("values", strings()));
        Record::of(name, fields)
    };
    let selector = |name, of| {
        let requirements = Place::of(Type::list(requirement(of)));
        record(name, vec![("rawSelector", Place::of(Type::String)), ("requirements", requirements)])
    };
    let mut resource = texts(&["namespace", "verb", "group", "version", "resource", "subresource", "name"]);
    resource.push((
        "fieldSelector",
        selector("kubernetes.FieldSelectorAttributes", "kubernetes.FieldRequirement"),
    ));
    resource.push((
        "labelSelector",
        selector("kubernetes.LabelSelectorAttributes", "kubernetes.LabelRequirement"),
    ));
    let mut spec = texts(&["user", "uid"]);
    spec.push(("groups", strings()));
    spec.push(("extra", Place::of(Type::map(Type::String, Type::list(Type::String)))));
    spec.push(("resourceAttributes", record("kubernetes.ResourceAttributes", resource)));
    let path = texts(&["path", "verb"]);
    spec.push(("nonResourceAttributes", record("kubernetes.NonResourceAttributes", path)));
    Record::of("kubernetes.SubjectAccessReviewSpec", spec)
}

/// What a webhook answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The request may pass.
    pub allowed: bool,
    /// The request may not, whatever others say.
    pub denied: bool,
    /// Why.
    pub reason: String,
}

impl Answer {
    /// Reads an answered `SubjectAccessReview`.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let review: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let status = &review["status"];
        let flag = |name: &str| status[name].as_bool().unwrap_or_default();
        let (allowed, denied) = (flag("allowed"), flag("denied"));
        if allowed && denied {
            return Err("webhook subject access review returned both allow and deny response".to_owned());
        }
        Ok(Self { allowed, denied, reason: status["reason"].as_str().unwrap_or_default().to_owned() })
    }
}

/// The asking, which is somebody else's work: answers are remembered there.
pub trait Remote: Send + Sync {
    /// Sends a question.
    fn ask(&self, question: Vec<u8>) -> Pin<Box<dyn Future<Output = Result<Answer, String>> + Send + '_>>;

    /// The same for those who cannot wait otherwise than by holding their thread.
    fn ask_blocking(&self, question: Vec<u8>) -> Result<Answer, String>;
}

/// A webhook among the authorisers.
pub struct Webhook {
    version: String,
    deny_on_failure: bool,
    conditions: Vec<Condition>,
    pub(crate) remote: Arc<dyn Remote>,
}

/// What comes before asking.
pub(crate) enum Look {
    Decided(Decision),
    Ask(Vec<u8>),
}

impl Webhook {
    /// A webhook that is sent reviews of this version.
    pub fn new(
        version: String,
        deny_on_failure: bool,
        conditions: Vec<Condition>,
        remote: Arc<dyn Remote>,
    ) -> Self {
        Self { version, deny_on_failure, conditions, remote }
    }

    pub(crate) fn look(&self, attributes: &Attributes<'_>) -> Look {
        if !self.conditions.is_empty() {
            let request = request(attributes);
            let mut failed = None;
            for condition in &self.conditions {
                match condition.holds(&request) {
                    Ok(true) => {}
                    Ok(false) => return Look::Decided(Decision::NoOpinion("".into())),
                    Err(why) => failed = Some(why),
                }
            }
            if let Some(why) = failed {
                return Look::Decided(self.failed(why));
            }
        }
        Look::Ask(question(attributes, &self.version))
    }

    pub(crate) fn decision(&self, answer: Result<Answer, String>) -> Decision {
        match answer {
            Ok(Answer { allowed: true, reason, .. }) => Decision::Allow(reason.into()),
            Ok(Answer { denied: true, reason, .. }) => Decision::Deny(reason.into()),
            Ok(Answer { reason, .. }) => Decision::NoOpinion(reason.into()),
            Err(why) => self.failed(why),
        }
    }

    fn failed(&self, why: String) -> Decision {
        match self.deny_on_failure {
            true => Decision::Deny(Reason::Failed(why.into())),
            false => Decision::NoOpinion(Reason::Failed(why.into())),
        }
    }
}

/// The review that is sent.
fn question(attributes: &Attributes<'_>, version: &str) -> Vec<u8> {
    let groups = if version == "v1beta1" { "group" } else { "groups" };
    let mut spec = json!({});
    set(&mut spec, "user", attributes.user.name);
    set(&mut spec, "uid", attributes.uid);
    if !attributes.user.groups.is_empty() {
        spec[groups] = json!(attributes.user.groups);
    }
    if let Some(extra) = attributes.extra.filter(|extra| !extra.is_empty()) {
        spec["extra"] = json!(extra);
    }
    if attributes.is_resource {
        let mut resource = json!({});
        for (field, value) in resource_fields(attributes) {
            set(&mut resource, field, value);
        }
        selectors(attributes, &mut resource);
        spec["resourceAttributes"] = resource;
    } else {
        let mut path = json!({});
        set(&mut path, "path", attributes.path);
        set(&mut path, "verb", attributes.verb);
        spec["nonResourceAttributes"] = path;
    }
    let review = json!({
        "kind": "SubjectAccessReview", "apiVersion": format!("authorization.k8s.io/{version}"),
        "metadata": {"creationTimestamp": null}, "spec": spec, "status": {"allowed": false},
    });
    review.to_string().into_bytes()
}

fn resource_fields<'a>(attributes: &Attributes<'a>) -> [(&'static str, &'a str); 7] {
    [
        ("namespace", attributes.namespace),
        ("verb", attributes.verb),
        ("group", attributes.group),
        ("version", attributes.version),
        ("resource", attributes.resource),
        ("subresource", attributes.subresource),
        ("name", attributes.name),
    ]
}

fn set(object: &mut Value, field: &str, value: &str) {
    if !value.is_empty() {
        object[field] = value.into();
    }
}

fn selectors(attributes: &Attributes<'_>, resource: &mut Value) {
    if let Some(selector) = attributes.field_selector.filter(|selector| !selector.is_everything()) {
        let requirements = selector.requirements.iter().map(|requirement| {
            let operator = if requirement.equal { "In" } else { "NotIn" };
            json!({"key": requirement.field, "operator": operator, "values": [requirement.value]})
        });
        resource["fieldSelector"] = json!({"requirements": requirements.collect::<Vec<_>>()});
    }
    if let Some(selector) = attributes.label_selector.filter(|selector| !selector.requirements.is_empty()) {
        let requirements = selector.requirements.iter().filter_map(|requirement| {
            use labels::Operator::*;
            let operator = match requirement.operator {
                In | Equals => "In",
                NotIn | NotEquals => "NotIn",
                Exists => "Exists",
                DoesNotExist => "DoesNotExist",
                GreaterThan | LessThan => return None,
            };
            let mut made = json!({"key": requirement.key, "operator": operator});
            if !requirement.values.is_empty() {
                made["values"] = json!(requirement.values);
            }
            Some(made)
        });
        let requirements: Vec<Value> = requirements.collect();
        if !requirements.is_empty() {
            resource["labelSelector"] = json!({"requirements": requirements});
        }
    }
}

/// What conditions see: every field is there, except what is not asked about.
fn request(attributes: &Attributes<'_>) -> Value {
    let mut request = json!({
        "user": attributes.user.name, "groups": attributes.user.groups, "uid": attributes.uid,
        "extra": attributes.extra.map_or_else(|| json!({}), |extra| json!(extra)),
    });
    if attributes.is_resource {
        let mut resource = json!({});
        for (field, value) in resource_fields(attributes) {
            resource[field] = value.into();
        }
        selectors(attributes, &mut resource);
        request["resourceAttributes"] = resource;
    } else {
        request["nonResourceAttributes"] = json!({"path": attributes.path, "verb": attributes.verb});
    }
    request
}

#[cfg(test)]
mod tests;

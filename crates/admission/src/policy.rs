//! Policies in CEL and their bindings: what they say, compiled once, and which requests they are about.

mod mutating;
mod mutation;
mod params;
mod validating;
mod variables;

use std::collections::HashMap;
use std::sync::Arc;

use apimachinery::ObjectExt;
use apimachinery::status::Status;
use cel::Program;
use parking_lot::Mutex;
use serde_json::Value;
use strategy::read::Read;

pub use self::mutating::MutatingAdmissionPolicy;
pub use self::validating::ValidatingAdmissionPolicy;
use crate::attributes::Attributes;
use crate::conditions::Conditions;
use crate::expressions::POLICY_NAMES;
use crate::plugin::View;
use crate::rules::{self, Rule, Served};
use crate::selection::Selectors;

const GROUP: &str = "admissionregistration.k8s.io";
/// What all expressions of a policy may cost for one request, as upstream.
const COST: u64 = 10_000_000;

/// An expression, or why it is none.
#[derive(Debug)]
struct Expression {
    text: String,
    program: Result<Program, String>,
}

impl Expression {
    fn parse(text: &str) -> Self {
        let program = Program::compile(text, &POLICY_NAMES).map_err(|error| error.to_string());
        Self { text: text.to_owned(), program }
    }

    fn optional(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::parse(text))
    }
}

/// `matchConstraints` of a policy, `matchResources` of a binding.
#[derive(Debug)]
struct Matcher {
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    equivalent: bool,
    selectors: Selectors,
}

impl Matcher {
    fn parse(of: &Value) -> Self {
        let rules = |key| of.items(key).iter().map(Rule::parse).collect();
        Self {
            rules: rules("resourceRules"),
            excluded: rules("excludeResourceRules"),
            equivalent: of.text("matchPolicy") != "Exact",
            selectors: Selectors::parse(of),
        }
    }

    /// Under which version the request is meant; `Some(None)` is its own.
    fn rule(&self, attributes: &Attributes, view: &dyn View) -> Option<Option<Served>> {
        let versions = || view.versions(attributes.group, attributes.version, attributes.resource);
        if rules::find(&self.excluded, attributes, self.equivalent, versions).is_some() {
            return None;
        }
        if self.rules.is_empty() {
            return Some(None);
        }
        rules::find(&self.rules, attributes, self.equivalent, versions)
    }

    fn matches(
        &self,
        attributes: &Attributes,
        object: &Value,
        old: Option<&Value>,
        view: &dyn View,
    ) -> Result<Option<Option<Served>>, Status> {
        let Some(served) = self.rule(attributes, view) else { return Ok(None) };
        Ok(self.selectors.choose(attributes, object, old, view)?.then_some(served))
    }
}

/// What an expression is about, in a policy that judges.
#[derive(Debug)]
struct Validation {
    expression: Expression,
    message: String,
    message_expression: Option<Expression>,
    reason: String,
}

/// How a policy changes objects.
#[derive(Debug)]
enum Mutation {
    Apply(Expression),
    Patch(Expression),
}

/// A policy of either kind.
#[derive(Debug)]
struct Policy {
    name: String,
    matcher: Matcher,
    conditions: Conditions,
    variables: Vec<(String, Expression)>,
    validations: Vec<Validation>,
    audit_annotations: Vec<(String, Expression)>,
    mutations: Vec<Mutation>,
    /// `apiVersion` and `kind` of its parameters.
    param_kind: Option<(String, String)>,
    fails_closed: bool,
    reinvoked: bool,
}

impl Policy {
    fn parse(policy: &Value) -> Self {
        let spec = &policy["spec"];
        let fails_closed = spec.text("failurePolicy") != "Ignore";
        let validation = |validation: &Value| Validation {
            expression: Expression::parse(validation.text("expression")),
            message: validation.text("message").trim().to_owned(),
            message_expression: Expression::optional(validation.text("messageExpression")),
            reason: validation.text("reason").to_owned(),
        };
        let mutation = |mutation: &Value| match mutation.text("patchType") {
            "JSONPatch" => Mutation::Patch(Expression::parse(mutation["jsonPatch"].text("expression"))),
            _ => Mutation::Apply(Expression::parse(mutation["applyConfiguration"].text("expression"))),
        };
        let named = |list: &str, name: &str, expression: &str| -> Vec<(String, Expression)> {
            let items = spec.items(list).iter();
            items.map(|item| (item.text(name).to_owned(), Expression::parse(item.text(expression)))).collect()
        };
        let kind = &spec["paramKind"];
        Self {
            name: policy.name().to_owned(),
            matcher: Matcher::parse(&spec["matchConstraints"]),
            conditions: Conditions::parse(spec.items("matchConditions"), fails_closed),
            variables: named("variables", "name", "expression"),
            validations: spec.items("validations").iter().map(validation).collect(),
            audit_annotations: named("auditAnnotations", "key", "valueExpression"),
            mutations: spec.items("mutations").iter().map(mutation).collect(),
            param_kind: kind
                .is_object()
                .then(|| (kind.text("apiVersion").to_owned(), kind.text("kind").to_owned())),
            fails_closed,
            reinvoked: spec.text("reinvocationPolicy") == "IfNeeded",
        }
    }
}

/// Where a policy holds, with which parameters, and what comes of it.
#[derive(Debug)]
struct Binding {
    name: String,
    policy: String,
    matcher: Option<Matcher>,
    /// `paramRef`.
    params: Option<Value>,
    actions: Vec<String>,
}

impl Binding {
    /// Whether a failure comes to this: `Deny`, `Warn`, `Audit`.
    fn has(&self, action: &str) -> bool {
        self.actions.iter().any(|own| own == action)
    }

    fn parse(binding: &Value) -> Self {
        let spec = &binding["spec"];
        let given = |key: &str| Some(&spec[key]).filter(|value| value.is_object());
        Self {
            name: binding.name().to_owned(),
            policy: spec.text("policyName").to_owned(),
            matcher: given("matchResources").map(Matcher::parse),
            params: given("paramRef").cloned(),
            actions: spec
                .items("validationActions")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// What was read of objects, each version of each once.
#[derive(Debug)]
struct Known<T>(Mutex<HashMap<String, (String, Arc<T>)>>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Known<T> {
    /// All objects of a resource, read; those that are gone are forgotten.
    fn all(&self, view: &dyn View, resource: &str, read: impl Fn(&Value) -> T) -> Vec<Arc<T>> {
        let mut objects = view.list(GROUP, resource, "");
        if objects.is_empty() {
            return Vec::new();
        }
        objects.sort_by(|a, b| a.name().cmp(b.name()));
        let mut known = self.0.lock();
        if known.len() > objects.len() {
            known.retain(|name, _| objects.iter().any(|object| object.name() == name));
        }
        let mut all = Vec::with_capacity(objects.len());
        for object in &objects {
            // Names may be used again; no two objects share a version.
            let version = format!("{}/{}", object.uid(), object.resource_version());
            match known.get(object.name()) {
                Some((of, known)) if *of == version => all.push(known.clone()),
                _ => {
                    let fresh = Arc::new(read(object));
                    known.insert(object.name().to_owned(), (version, fresh.clone()));
                    all.push(fresh);
                }
            }
        }
        all
    }
}

/// The policies of one kind and their bindings.
#[derive(Debug, Default)]
struct Policies {
    policies: Known<Policy>,
    bindings: Known<Binding>,
}

impl Policies {
    /// The policies that a request is about, each with its bindings; policies without a binding do nothing.
    fn about(
        &self,
        mutating: bool,
        attributes: &Attributes,
        view: &dyn View,
    ) -> Vec<(Arc<Policy>, Vec<Arc<Binding>>)> {
        if rules::is_exempt(attributes) || is_review(attributes) {
            return Vec::new();
        }
        let (policies, bindings) = match mutating {
            true => ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"),
            false => ("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
        };
        let policies = self.policies.all(view, policies, Policy::parse);
        if policies.is_empty() {
            return Vec::new();
        }
        let bindings = self.bindings.all(view, bindings, Binding::parse);
        let about = |policy: Arc<Policy>| {
            let own: Vec<Arc<Binding>> =
                bindings.iter().filter(|binding| binding.policy == policy.name).cloned().collect();
            let concerned = !own.is_empty() && policy.matcher.rule(attributes, view).is_some();
            concerned.then_some((policy, own))
        };
        policies.into_iter().filter_map(about).collect()
    }
}

/// Questions about users are no objects, and no policy is asked about them.
fn is_review(attributes: &Attributes) -> bool {
    matches!(attributes.group, "authentication.k8s.io" | "authorization.k8s.io")
}

#[cfg(test)]
mod tests;

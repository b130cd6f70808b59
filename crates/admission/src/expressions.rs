//! What expressions of webhooks and policies see of a request.

mod authorizer;

use std::cell::OnceCell;
use std::rc::Rc;

use cel::{Budget, Error, Program, Value as Cel};
use serde_json::Value;

use self::authorizer::{Authorizer, ResourceCheck};
use crate::attributes::Attributes;
use crate::plugin::View;
use crate::review::{self, Asker};

/// The names that expressions may use.
pub const NAMES: [&str; 5] = ["object", "oldObject", "request", "authorizer", "authorizer.requestResource"];
/// The names that expressions of policies may use besides.
pub const POLICY_NAMES: [&str; 8] = [
    "object",
    "oldObject",
    "request",
    "authorizer",
    "authorizer.requestResource",
    "params",
    "namespaceObject",
    "variables",
];

/// One request with its objects, as expressions see it.
pub struct Scene<'a> {
    /// The request.
    pub attributes: &'a Attributes<'a>,
    /// The object as it would be, or null.
    pub object: &'a Value,
    /// The object as it is.
    pub old: Option<&'a Value>,
    /// The cluster.
    pub view: &'a dyn View,
    /// Who asks, and how.
    pub asker: &'a dyn Asker,
    request: OnceCell<Value>,
}

const NULL: &Value = &Value::Null;
/// What one evaluation may cost, as upstream, however much all of them may cost together.
const CALL: u64 = 1_000_000;
/// What is said when all of them together cost more than they may.
pub(crate) const SPENT: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

impl<'a> Scene<'a> {
    /// A request and its objects in the version in which they are told.
    pub fn new(
        attributes: &'a Attributes<'a>,
        object: &'a Value,
        old: Option<&'a Value>,
        view: &'a dyn View,
        asker: &'a dyn Asker,
    ) -> Self {
        Self { attributes, object, old, view, asker, request: OnceCell::new() }
    }

    /// `request`, made when the first expression asks for it.
    fn request(&self) -> &Value {
        self.request.get_or_init(|| {
            let kind = kind(self.attributes, self.object);
            let mut request = review::request(self.attributes, self.asker, kind, None);
            request.insert("uid".into(), "".into());
            Value::Object(request)
        })
    }

    /// Evaluates an expression that may use more names than [`NAMES`]; what it costs is taken from the budget.
    pub fn run<'v>(
        &'v self,
        program: &Program,
        more: &[(&str, Cel<'v>)],
        budget: &Budget,
    ) -> Result<Cel<'v>, String> {
        let mut names: Vec<(&str, Cel<'v>)> = Vec::with_capacity(5 + more.len());
        names.push(("object", Cel::of(self.object, None)));
        names.push(("oldObject", Cel::of(self.old.unwrap_or(NULL), None)));
        if program.uses("request") {
            names.push(("request", Cel::of(self.request(), None)));
        }
        if program.uses("authorizer") {
            let access = self.view.access();
            names.push(("authorizer", Cel::Host(Rc::new(Authorizer::of(self.attributes, access.clone())))));
            let check = ResourceCheck::of_request(self.attributes, access);
            names.push(("authorizer.requestResource", Cel::Host(Rc::new(check))));
        }
        names.extend(more.iter().cloned());
        let (before, most) = (budget.left(), budget.left().min(CALL));
        let call = Budget::new(most);
        let outcome = program.run(&names, &call);
        // Variables that were evaluated meanwhile have taken from the budget what they cost.
        let is_enough = budget.spend(most - call.left()).is_ok();
        match outcome {
            Err(Error::Budget) if before <= CALL => Err(SPENT.to_owned()),
            Err(error) => Err(error.to_string()),
            Ok(_) if !is_enough => Err(SPENT.to_owned()),
            Ok(value) => Ok(value),
        }
    }
}

/// Group, version and kind of the object in a request; of a deletion, that of the resource.
pub fn kind<'a>(attributes: &Attributes<'a>, object: &'a Value) -> (&'a str, &'a str, &'a str) {
    match (object["apiVersion"].as_str(), object["kind"].as_str()) {
        (Some(api_version), Some(kind)) if !kind.is_empty() => {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            (group, version, kind)
        }
        _ => (attributes.group, attributes.version, attributes.kind),
    }
}

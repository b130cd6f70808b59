//! Expressions of webhooks and policies: what they may name, and of which types they must be.

use std::borrow::Cow;
use std::rc::Rc;

use cel::types::{Fields, Place, Record, Type};
use cel::{Environment, Program};
use serde_json::Value;
use strategy::field::{Errors, Path};
use strategy::names::qualified_name_errors;
use strategy::read::Read;

/// How many conditions upstream takes.
const MOST_CONDITIONS: usize = 64;

/// What an expression may come to, and how messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// `bool`
    Bool,
    /// `string`
    Text,
    /// `string` or nothing.
    TextOrNull,
    /// A list of `JSONPatch`.
    Patches,
    /// An `Object`.
    Object,
    /// Anything.
    Anything,
}

impl Gives {
    /// As upstream: what may turn out to be of the type is not of it.
    fn takes(self, ty: &Type<'_>) -> bool {
        match (self, ty) {
            (Gives::Anything, _) => true,
            (Gives::Bool, ty) => matches!(ty, Type::Bool),
            (Gives::Text, ty) => matches!(ty, Type::String),
            (Gives::TextOrNull, ty) => matches!(ty, Type::String | Type::Null),
            (Gives::Patches, Type::List(item)) => {
                item.is_dyn() || matches!(&**item, Type::Object(_) | Type::Open(_))
            }
            (Gives::Object, Type::Object(fields)) => fields.name() == "Object",
            (Gives::Patches | Gives::Object, _) => false,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Gives::Bool => "must evaluate to bool",
            Gives::Text => "must evaluate to string",
            Gives::TextOrNull => "must evaluate to one of [string null_type]",
            Gives::Patches => "must evaluate to list(JSONPatch)",
            Gives::Object => "must evaluate to Object",
            Gives::Anything => "",
        }
    }
}

fn text<'t>() -> Place<'t> {
    Place::of(Type::String)
}

fn record<'t>(name: &'static str, fields: &[&'static str]) -> Type<'t> {
    Record::of(name, fields.iter().map(|field| (*field, text())).collect())
}

/// `request`, an AdmissionRequest without its objects.
pub fn request<'t>() -> Type<'t> {
    let kind = || Place::of(record("kubernetes.GroupVersionKind", &["group", "version", "kind"]));
    let resource = || Place::of(record("kubernetes.GroupVersionResource", &["group", "version", "resource"]));
    let texts = || Place::list(text(), u64::MAX);
    let user = vec![
        ("username", text()),
        ("uid", text()),
        ("groups", texts()),
        ("extra", Place::map(texts(), u64::MAX)),
    ];
    let fields = vec![
        ("kind", kind()),
        ("resource", resource()),
        ("subResource", text()),
        ("requestKind", kind()),
        ("requestResource", resource()),
        ("requestSubResource", text()),
        ("name", text()),
        ("namespace", text()),
        ("operation", text()),
        ("userInfo", Place::of(Record::of("kubernetes.UserInfo", user))),
        ("dryRun", Place::of(Type::Bool)),
        ("options", Place::of(Type::Dyn)),
    ];
    Record::of("kubernetes.AdmissionRequest", fields)
}

/// `namespaceObject`: what of a namespace does not change in passing.
fn namespace<'t>() -> Type<'t> {
    let texts = || Place::map(text(), u64::MAX);
    let metadata = vec![
        ("name", text()),
        ("generateName", text()),
        ("namespace", text()),
        ("labels", texts()),
        ("annotations", texts()),
        ("UID", text()),
        ("uid", text()),
        ("creationTimestamp", Place::of(Type::Dyn)),
        ("deletionTimestamp", Place::of(Type::Dyn)),
        ("deletionGracePeriodSeconds", Place::of(Type::Int)),
        ("generation", Place::of(Type::Int)),
        ("resourceVersion", text()),
        ("finalizers", Place::list(text(), u64::MAX)),
    ];
    let spec = vec![("finalizers", Place::list(text(), u64::MAX))];
    let status = vec![("phase", text()), ("conditions", Place::list(Place::of(Type::Dyn), u64::MAX))];
    let fields = vec![
        ("metadata", Place::of(Record::of("kubernetes.NamespaceMetadata", metadata))),
        ("spec", Place::of(Record::of("kubernetes.NamespaceSpec", spec))),
        ("status", Place::of(Record::of("kubernetes.NamespaceStatus", status))),
    ];
    Record::of("kubernetes.Namespace", fields)
}

/// What a request is about. Of the objects nothing is known before there is one.
fn of_requests<'t>() -> Environment<'t> {
    Environment::new().with("object", Type::Dyn).with("oldObject", Type::Dyn).with("request", request())
}

/// What conditions of webhooks may name.
pub fn of_webhooks<'t>() -> Environment<'t> {
    of_requests()
        .with("authorizer", Type::Opaque("kubernetes.authorization.Authorizer"))
        .with("authorizer.requestResource", Type::Opaque("kubernetes.authorization.ResourceCheck"))
}

/// What expressions of a policy may name besides; with parameters where it has some.
pub fn of_policy<'t>(policy: &Value) -> Environment<'t> {
    for_policy(of_webhooks(), policy)
}

/// What the messages of a policy may name: who may do what is not among it.
pub fn of_messages<'t>(policy: &Value) -> Environment<'t> {
    for_policy(of_requests(), policy)
}

fn for_policy<'t>(environment: Environment<'t>, policy: &Value) -> Environment<'t> {
    let environment = environment.with("namespaceObject", namespace());
    match policy["spec"].has("paramKind") {
        true => environment.with("params", Type::Dyn),
        false => environment,
    }
}

/// The variables of a policy, as far as they are declared.
#[derive(Clone, Default)]
pub struct Variables<'t>(Vec<(String, Type<'t>)>);

impl<'t> Fields<'t> for Variables<'t> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("kubernetes.variables")
    }

    fn identity(&self) -> usize {
        self.0.len()
    }

    fn field(&self, name: &str) -> Option<Place<'t>> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, ty)| Place::of(ty.clone()))
    }
}

impl<'t> Variables<'t> {
    /// Adds one, for those after it.
    pub fn declare(&mut self, name: &str, ty: Type<'t>) {
        self.0.push((name.to_owned(), ty));
    }

    /// The environment with them in it.
    pub fn within(&self, environment: &Environment<'t>) -> Environment<'t> {
        environment.clone().with("variables", Type::Object(Rc::new(self.clone())))
    }
}

/// Checks an expression; gives its type where it is one.
pub fn check<'t>(
    expression: &str,
    gives: Gives,
    environment: &Environment<'t>,
    path: &Path,
    errors: &mut Errors,
) -> Option<Type<'t>> {
    if expression.trim().is_empty() {
        errors.required(path, "");
        return None;
    }
    let compiled = compile(expression, gives, environment);
    compiled.map_err(|why| errors.invalid(path, expression, why)).ok()
}

/// The type of an expression, or what is wrong with it.
pub fn compile<'t>(
    expression: &str,
    gives: Gives,
    environment: &Environment<'t>,
) -> Result<Type<'t>, String> {
    match Program::check(expression, environment) {
        Ok(checked) if gives.takes(&checked.output) => Ok(checked.output),
        Ok(_) => Err(gives.words().to_owned()),
        Err(error) => Err(format!("compilation failed: {error}")),
    }
}

/// Checks `matchConditions`.
pub fn check_conditions(
    conditions: &[Value],
    environment: &Environment<'_>,
    path: &Path,
    errors: &mut Errors,
) {
    if conditions.len() > MOST_CONDITIONS {
        errors.too_many(path, conditions.len(), MOST_CONDITIONS);
    }
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        let expression = condition.text("expression").trim();
        check(expression, Gives::Bool, environment, &path.child("expression"), errors);
        let name = condition.text("name");
        if name.is_empty() {
            errors.required(&path.child("name"), "");
            continue;
        }
        errors.invalid_each(&path.child("name"), &Value::from(name), qualified_name_errors(name));
        if conditions[..index].iter().any(|other| other.text("name") == name) {
            errors.duplicate(&path.child("name"), name);
        }
    }
}

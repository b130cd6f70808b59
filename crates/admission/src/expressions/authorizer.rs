//! `authorizer` in expressions: questions about what users may do.

use std::rc::Rc;
use std::sync::Arc;

use apimachinery::{fields, labels};
use cel::{Budget, Error, Host, Value};

use crate::attributes::{Attributes, Operation};
use crate::plugin::{Access, Judgement, MayDo};

/// What a question costs, as upstream.
const COST: u64 = 350_000;

/// A user about whom questions are asked.
#[derive(Clone)]
struct Subject {
    name: Rc<str>,
    groups: Rc<[String]>,
    access: Arc<dyn MayDo>,
}

/// `authorizer`, `authorizer.serviceAccount(…)`.
pub(super) struct Authorizer(Subject);

/// `authorizer.path(…)`.
struct PathCheck(Subject, String);

/// `authorizer.group(…)`.
struct GroupCheck(Subject, String);

/// `authorizer.group(…).resource(…)…`.
#[derive(Clone)]
pub(super) struct ResourceCheck {
    subject: Subject,
    group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    field_selector: Option<Rc<fields::Selector>>,
    label_selector: Option<Rc<labels::Selector>>,
}

/// What comes of a check.
struct Decision(Judgement);

impl Authorizer {
    pub(super) fn of(attributes: &Attributes, access: Arc<dyn MayDo>) -> Self {
        Self(Subject { name: attributes.user.name.into(), groups: attributes.user.groups.into(), access })
    }
}

impl ResourceCheck {
    /// A check of the resource that is asked for.
    pub(super) fn of_request(attributes: &Attributes, access: Arc<dyn MayDo>) -> Self {
        let Authorizer(subject) = Authorizer::of(attributes, access);
        // A new object has no name that could be permitted.
        let name = if attributes.operation == Operation::Create { "" } else { attributes.name };
        Self {
            subject,
            group: attributes.group.to_owned(),
            resource: attributes.resource.to_owned(),
            subresource: attributes.subresource.to_owned(),
            namespace: attributes.namespace.to_owned(),
            name: name.to_owned(),
            field_selector: None,
            label_selector: None,
        }
    }
}

fn host<'v>(host: impl Host<'v> + 'static) -> Result<Value<'v>, Error> {
    Ok(Value::Host(Rc::new(host)))
}

fn no_such_overload<'v>() -> Result<Value<'v>, Error> {
    Err(Error::fault("no such overload"))
}

fn check<'v>(subject: &Subject, access: &Access, budget: &Budget) -> Result<Value<'v>, Error> {
    budget.spend(COST)?;
    let user = apimachinery::User { name: &subject.name, groups: &subject.groups };
    host(Decision(subject.access.may(&user, access)))
}

impl<'v> Host<'v> for Authorizer {
    fn type_name(&self) -> &'static str {
        "kubernetes.authorization.Authorizer"
    }

    fn call(&self, name: &str, arguments: &[Value<'v>], _: &Budget) -> Result<Value<'v>, Error> {
        match (name, arguments) {
            ("path", [Value::String(path)]) if path.is_empty() => Err(Error::fault("path must not be empty")),
            ("path", [Value::String(path)]) => host(PathCheck(self.0.clone(), path.to_string())),
            ("group", [Value::String(group)]) => host(GroupCheck(self.0.clone(), group.to_string())),
            ("serviceAccount", [Value::String(namespace), Value::String(name)]) => {
                let groups = [
                    "system:serviceaccounts".to_owned(),
                    format!("system:serviceaccounts:{namespace}"),
                    "system:authenticated".to_owned(),
                ];
                host(Authorizer(Subject {
                    name: format!("system:serviceaccount:{namespace}:{name}").into(),
                    groups: groups.into(),
                    access: self.0.access.clone(),
                }))
            }
            _ => no_such_overload(),
        }
    }
}

impl<'v> Host<'v> for PathCheck {
    fn type_name(&self) -> &'static str {
        "kubernetes.authorization.PathCheck"
    }

    fn call(&self, name: &str, arguments: &[Value<'v>], budget: &Budget) -> Result<Value<'v>, Error> {
        match (name, arguments) {
            ("check", [Value::String(verb)]) => {
                check(&self.0, &Access { verb, path: Some(&self.1), ..Access::default() }, budget)
            }
            _ => no_such_overload(),
        }
    }
}

impl<'v> Host<'v> for GroupCheck {
    fn type_name(&self) -> &'static str {
        "kubernetes.authorization.GroupCheck"
    }

    fn call(&self, name: &str, arguments: &[Value<'v>], _: &Budget) -> Result<Value<'v>, Error> {
        match (name, arguments) {
            ("resource", [Value::String(resource)]) => host(ResourceCheck {
                subject: self.0.clone(),
                group: self.1.clone(),
                resource: resource.to_string(),
                subresource: String::new(),
                namespace: String::new(),
                name: String::new(),
                field_selector: None,
                label_selector: None,
            }),
            _ => no_such_overload(),
        }
    }
}

impl<'v> Host<'v> for ResourceCheck {
    fn type_name(&self) -> &'static str {
        "kubernetes.authorization.ResourceCheck"
    }

    fn call(&self, name: &str, arguments: &[Value<'v>], budget: &Budget) -> Result<Value<'v>, Error> {
        let [Value::String(text)] = arguments else { return no_such_overload() };
        let mut next = self.clone();
        match name {
            "subresource" => next.subresource = text.to_string(),
            "namespace" => next.namespace = text.to_string(),
            "name" => next.name = text.to_string(),
            // What cannot be understood is left out, which asks for more, not for less.
            "fieldSelector" => next.field_selector = fields::parse(text).ok().map(Rc::new),
            "labelSelector" => next.label_selector = labels::parse(text).ok().map(Rc::new),
            "check" => {
                let access = Access {
                    verb: text,
                    group: &self.group,
                    resource: &self.resource,
                    subresource: &self.subresource,
                    namespace: &self.namespace,
                    name: &self.name,
                    field_selector: self.field_selector.as_deref(),
                    label_selector: self.label_selector.as_deref(),
                    path: None,
                };
                return check(&self.subject, &access, budget);
            }
            _ => return no_such_overload(),
        }
        host(next)
    }
}

impl<'v> Host<'v> for Decision {
    fn type_name(&self) -> &'static str {
        "kubernetes.authorization.Decision"
    }

    fn call(&self, name: &str, arguments: &[Value<'v>], _: &Budget) -> Result<Value<'v>, Error> {
        match (name, arguments) {
            ("allowed", []) => Ok(Value::Bool(self.0.allowed)),
            ("errored", []) => Ok(Value::Bool(self.0.failure.is_some())),
            ("reason", []) => Ok(Value::text(self.0.reason.clone())),
            ("error", []) => Ok(Value::text(self.0.failure.clone().unwrap_or_default())),
            _ => no_such_overload(),
        }
    }
}

#[cfg(test)]
mod tests {
    use cel::Program;

    use super::*;

    /// Lets pods of node w1 and team a be listed.
    struct Narrow;

    impl MayDo for Narrow {
        fn may(&self, _: &apimachinery::User, access: &Access) -> Judgement {
            let node = access.field_selector.and_then(|selector| selector.exact("spec.nodeName"));
            let team = access.label_selector.is_some_and(|selector| {
                selector.requirements.iter().any(|one| one.key == "team" && one.values == ["a"])
            });
            let allowed = access.verb == "list" && node == Some("w1") && team;
            let failure = (access.verb == "break").then(|| "webhook down".to_owned());
            let reason = if allowed { "of node w1" } else { "" };
            Judgement { allowed, reason: reason.to_owned(), failure }
        }
    }

    fn holds(text: &str) -> bool {
        let subject = Subject { name: "jane".into(), groups: Rc::from([]), access: Arc::new(Narrow) };
        let names = [("authorizer", Value::Host(Rc::new(Authorizer(subject))))];
        let program = Program::compile(text, &crate::expressions::NAMES).unwrap();
        matches!(program.run(&names, &Budget::new(10_000_000)), Ok(Value::Bool(true)))
    }

    #[test]
    fn a_decision_says_why() {
        let list = "authorizer.group('').resource('pods').fieldSelector('spec.nodeName=w1').labelSelector('team in (a)').check('list')";
        assert!(holds(&format!(
            "{list}.reason() == 'of node w1' && !{list}.errored() && {list}.error() == ''"
        )));
        let broken = "authorizer.group('').resource('pods').check('break')";
        assert!(holds(&format!(
            "{broken}.errored() && {broken}.error() == 'webhook down' && {broken}.reason() == ''"
        )));
    }

    #[test]
    fn selectors_reach_the_authorisers() {
        let check = |selectors: &str, expected: bool| {
            let text = format!("authorizer.group('').resource('pods'){selectors}.check('list').allowed()");
            assert_eq!(holds(&text), expected, "{selectors}");
        };
        let team = ".labelSelector('team in (a)')";
        check(&format!(".fieldSelector('spec.nodeName=w1'){team}"), true);
        check(&format!(".fieldSelector('spec.nodeName=w2'){team}"), false);
        check(&format!(".fieldSelector('nonsense'){team}"), false);
        check(".fieldSelector('spec.nodeName=w1')", false);
    }
}

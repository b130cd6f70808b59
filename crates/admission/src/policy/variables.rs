//! What expressions of a policy see: the request, its parameters and namespace, and variables that are evaluated when
//! they are first used.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use cel::{Budget, Error, Host, Value as Cel};
use serde_json::Value;

use super::{Expression, Policy};
use crate::expressions::{SPENT, Scene};

/// One evaluation of a policy: one request, one parameter.
pub(super) struct Stage<'v> {
    scene: &'v Scene<'v>,
    params: Option<&'v Value>,
    namespace: Option<&'v Value>,
    variables: Rc<Variables<'v>>,
}

struct Variables<'v> {
    policy: &'v Policy,
    scene: &'v Scene<'v>,
    given: [(&'static str, Cel<'v>); 2],
    values: RefCell<HashMap<String, Result<Cel<'v>, Error>>>,
    /// What all expressions may cost together. Variables take from it, not from what uses them.
    budget: Budget,
}

const NULL: &Value = &Value::Null;

impl<'v> Stage<'v> {
    pub(super) fn new(
        policy: &'v Policy,
        scene: &'v Scene<'v>,
        params: Option<&'v Value>,
        namespace: Option<&'v Value>,
        cost: u64,
    ) -> Self {
        let given = [
            ("params", Cel::of(params.unwrap_or(NULL), None)),
            ("namespaceObject", Cel::of(namespace.unwrap_or(NULL), None)),
        ];
        let variables = Rc::new(Variables {
            policy,
            scene,
            given,
            values: RefCell::default(),
            budget: Budget::new(cost),
        });
        Self { scene, params, namespace, variables }
    }

    /// Evaluates an expression; its failure is in upstream's words.
    pub(super) fn run(&self, expression: &'v Expression) -> Result<Cel<'v>, String> {
        let failed = |why: &str| format!("expression '{}' resulted in error: {why}", expression.text);
        let program =
            expression.program.as_ref().map_err(|why| failed(&format!("compilation failed: {why}")))?;
        let more = [
            ("params", Cel::of(self.params.unwrap_or(NULL), None)),
            ("namespaceObject", Cel::of(self.namespace.unwrap_or(NULL), None)),
            ("variables", Cel::Host(Rc::new(Handle(self.variables.clone())))),
        ];
        self.scene.run(program, &more, &self.variables.budget).map_err(|why| match why.as_str() {
            SPENT => why,
            why => failed(why),
        })
    }
}

/// Gives `variables` to an expression that is itself a variable.
struct Handle<'v>(Rc<Variables<'v>>);

impl<'v> Variables<'v> {
    fn value(self: &Rc<Self>, name: &str) -> Option<Result<Cel<'v>, Error>> {
        if let Some(known) = self.values.borrow().get(name) {
            return Some(known.clone());
        }
        let (_, expression) = self.policy.variables.iter().find(|(own, _)| own == name)?;
        // A variable may use those before it; one that uses itself ends here.
        let circle = Err(Error::fault(format!("composited variable {name:?} uses itself")));
        self.values.borrow_mut().insert(name.to_owned(), circle);
        let value = match &expression.program {
            Err(why) => Err(Error::fault(format!("composited variable {name:?} fails to compile: {why}"))),
            Ok(program) => {
                let [params, namespace] = self.given.clone();
                let more = [params, namespace, ("variables", Cel::Host(Rc::new(Handle(self.clone()))))];
                self.scene.run(program, &more, &self.budget).map_err(|why| {
                    Error::fault(format!("composited variable {name:?} fails to evaluate: {why}"))
                })
            }
        };
        self.values.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    }
}

impl<'v> Host<'v> for Handle<'v> {
    fn type_name(&self) -> &'static str {
        "kubernetes.variables"
    }

    fn field(&self, name: &str, _: &Budget) -> Option<Result<Cel<'v>, Error>> {
        self.0.value(name)
    }
}

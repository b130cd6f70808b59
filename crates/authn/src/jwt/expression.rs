//! Expressions over a token's `claims` or over the `user` that they make.

use std::fmt;

use cel::types::{Place, Record, Type};
use cel::{Budget, Environment, Program, Value};
use serde_json::Value as Json;

/// What one expression may cost: upstream's limit for a run.
const BUDGET: u64 = 1_000_000;

/// An expression over one name.
pub(super) struct Expression {
    text: String,
    over: &'static str,
    program: Program,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    /// Whether something holds.
    Bool,
    /// A text.
    Text,
    /// A text or several.
    Texts,
}

impl Gives {
    fn takes(self, ty: &Type<'_>) -> bool {
        match (self, ty) {
            (_, Type::Dyn) | (Self::Bool, Type::Bool) | (Self::Text | Self::Texts, Type::String) => true,
            (Self::Texts, Type::List(item)) => matches!(**item, Type::String | Type::Dyn),
            (Self::Texts, Type::Null) => true,
            _ => false,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Bool => "must evaluate to bool",
            Self::Text => "must evaluate to one of [string any]",
            Self::Texts => "must evaluate to one of [any string list]",
        }
    }
}

/// What an expression may name: `claims` or `user`.
fn environment(over: &'static str) -> Environment<'static> {
    if over == "claims" {
        return Environment::new().with(over, Type::map(Type::String, Type::Dyn));
    }
    let strings = || Type::list(Type::String);
    let user = vec![
        ("username", Place::of(Type::String)),
        ("uid", Place::of(Type::String)),
        ("groups", Place::of(strings())),
        ("extra", Place::of(Type::map(Type::String, strings()))),
    ];
    Environment::new().with(over, Record::of("kubernetes.UserInfo", user))
}

impl Expression {
    /// An expression over `claims` or `user`.
    pub(super) fn new(text: &str, over: &'static str, gives: Gives) -> Result<Self, String> {
        let checked = Program::check(text, &environment(over))
            .map_err(|error| format!("compilation failed: {error}"))?;
        match gives.takes(&checked.output) {
            true => Ok(Self { text: text.to_owned(), over, program: checked.program }),
            false => Err(gives.words().to_owned()),
        }
    }

    /// Whether it selects a field of what it is over.
    pub(super) fn selects(&self, field: &str) -> bool {
        self.program.selects(self.over, field)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What it gives.
    pub(super) fn run<'v>(&self, value: &'v Json) -> Result<Value<'v>, String> {
        let names = [(self.over, Value::of(value, None))];
        self.program
            .run(&names, &Budget::new(BUDGET))
            .map_err(|error| format!("expression '{}' resulted in error: {error}", self.text))
    }

    /// Whether it holds.
    pub(super) fn holds(&self, value: &Json) -> Result<bool, String> {
        match self.run(value)? {
            Value::Bool(holds) => Ok(holds),
            _ => Err("validation expression must return a boolean".to_owned()),
        }
    }

    /// A text for what it is called.
    pub(super) fn string(&self, value: &Json, called: &str) -> Result<String, String> {
        match self.run(value)? {
            Value::String(text) => Ok(text.into_owned()),
            _ => Err(format!("{called} claim expression must return a string")),
        }
    }
}

/// The texts of a text or of a list of them; empty ones are passed over, as is nothing.
pub(super) fn strings(found: Value<'_>) -> Result<Vec<String>, String> {
    let wrong = || "expression must return a string or a list of strings".to_owned();
    let found = match found {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text.into_owned()],
        Value::List(list) => list
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.into_owned()),
                _ => Err(wrong()),
            })
            .collect::<Result<_, _>>()?,
        _ => return Err(wrong()),
    };
    Ok(found.into_iter().filter(|text| !text.is_empty()).collect())
}

//! The Common Expression Language (cel-spec) with the libraries that Kubernetes adds.
//!
//! [`Program::check`] parses an expression, finds the types of its parts in an [`Environment`] and estimates what it may
//! cost; [`Program::compile`] only looks at what it names. [`Program::run`] evaluates it over JSON values, which are read
//! where they are, under a [`Budget`]. Everything is a pure function, and nothing that is written in an expression makes
//! it panic, recurse deeply or take much memory.

mod ast;
mod check;
mod cost;
mod declarations;
mod eval;
mod functions;
mod issues;
mod lexer;
mod literals;
mod parser;
pub mod types;
mod value;

use ast::Expr;

pub use check::Environment;
pub use cost::Cost;
pub use eval::{Budget, Error};
pub use functions::escape;
pub use functions::semver::Version;
pub use issues::CompileError;
pub use parser::is_word;
pub use value::{Host, List, Map, Message, Scalar, Typed, Value};

use issues::Issue;

/// An expression that can be evaluated any number of times.
#[derive(Clone, Debug)]
pub struct Program {
    expr: Expr,
}

/// An expression whose types are known.
#[derive(Debug)]
pub struct Checked<'t> {
    /// The expression.
    pub program: Program,
    /// What it gives.
    pub output: types::Type<'t>,
    /// What it may cost.
    pub cost: Cost,
}

impl Program {
    /// Parses an expression that may use these names, of whatever types.
    pub fn compile(text: &str, names: &[&str]) -> Result<Self, CompileError> {
        let parsed = parser::parse(text).map_err(|issue| CompileError::new(text, vec![issue]))?;
        let mut unknown = Vec::new();
        let mut say = |expr: &Expr, name: &str| {
            let at = parsed.places[expr.id as usize] as usize;
            unknown.push(Issue::new(at, format!("undeclared reference to '{name}' (in container '')")));
        };
        parsed.expr.free_names(&mut Vec::new(), &mut |expr, name| {
            if !names.contains(&name) && !functions::is_name(name) {
                say(expr, name);
            }
        });
        parsed.expr.calls(&mut |expr, name, on, count| {
            let space = on.and_then(parser::dotted).filter(|space| declarations::is_space(space));
            let is_known = match &space {
                Some(space) if !names.contains(&space.as_str()) => {
                    declarations::is_known(&format!("{space}.{name}"), false, count)
                }
                _ => false,
            };
            if !is_known && !declarations::is_known(name, on.is_some(), count) {
                say(expr, name);
            }
        });
        if unknown.is_empty() {
            Ok(Self { expr: parsed.expr })
        } else {
            Err(CompileError::new(text, unknown))
        }
    }

    /// Parses an expression, finds its types and estimates its cost.
    pub fn check<'t>(text: &str, environment: &Environment<'t>) -> Result<Checked<'t>, CompileError> {
        let refused = |issues: Vec<Issue>| CompileError::new(text, issues);
        let parsed = parser::parse(text).map_err(|issue| refused(vec![issue]))?;
        let typing = check::check(&parsed, environment).map_err(refused)?;
        let faults = literals::faults(&parsed);
        if !faults.is_empty() {
            return Err(refused(faults));
        }
        let cost = cost::estimate(&parsed.expr, &typing, environment);
        let output = typing.types[parsed.expr.id as usize].clone();
        Ok(Checked { program: Self { expr: parsed.expr }, output, cost })
    }

    /// Whether the expression uses a name.
    pub fn uses(&self, wanted: &str) -> bool {
        let mut found = false;
        self.expr.free_names(&mut Vec::new(), &mut |_, name| found |= name == wanted);
        found
    }

    /// Whether the expression selects a field of a name: `name.field`, `name.?field`, `has(name.field)`.
    pub fn selects(&self, name: &str, field: &str) -> bool {
        self.expr.selects(name, field)
    }

    /// Evaluates the expression.
    pub fn run<'v>(&self, names: &[(&str, Value<'v>)], budget: &Budget) -> Result<Value<'v>, Error> {
        eval::run(&self.expr, names, budget)
    }
}

#[cfg(test)]
mod tests;

//! The Common Expression Language (cel-spec) with the libraries that Kubernetes adds.
//!
//! [`Program::compile`] parses an expression and checks what it names; [`Program::run`] evaluates it over JSON values,
//! which are read where they are, under a [`Budget`]. Everything is a pure function. Types are not checked beforehand:
//! what does not fit is an error of the run, in upstream's words.

mod ast;
mod eval;
mod functions;
mod lexer;
mod parser;
mod value;

use std::fmt;

use ast::Expr;

pub use eval::{Budget, Error};
pub use value::{List, Map, Scalar, Typed, Value};

/// An expression that can be evaluated any number of times.
#[derive(Clone, Debug)]
pub struct Program {
    expr: Expr,
}

/// Where a text is no expression, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    line: usize,
    column: usize,
    why: String,
}

impl SyntaxError {
    fn new(text: &str, at: usize, why: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1);
        Self { line: 1 + before.matches('\n').count(), column, why: why.into() }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Syntax error: {}:{}: {}", self.line, self.column, self.why)
    }
}

impl std::error::Error for SyntaxError {}

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// It is none.
    #[error("{0}")]
    Syntax(#[from] SyntaxError),
    /// It names what there is not.
    #[error("undeclared reference to '{0}' (in container '')")]
    Undeclared(String),
}

impl Program {
    /// Parses an expression that may use these names.
    pub fn compile(text: &str, names: &[&str]) -> Result<Self, CompileError> {
        let expr = parser::parse(text)?;
        let mut unknown = None;
        expr.free_names(&mut Vec::new(), &mut |name| {
            if !names.contains(&name) && !functions::is_name(name) {
                unknown.get_or_insert(name.to_owned());
            }
        });
        expr.calls(&mut |name, on, count| {
            if !functions::is_known(name, on, count) {
                unknown.get_or_insert(name.to_owned());
            }
        });
        match unknown {
            Some(name) => Err(CompileError::Undeclared(name)),
            None => Ok(Self { expr }),
        }
    }

    /// Whether the expression uses a name.
    pub fn uses(&self, wanted: &str) -> bool {
        let mut found = false;
        self.expr.free_names(&mut Vec::new(), &mut |name| found |= name == wanted);
        found
    }

    /// Evaluates the expression.
    pub fn run<'v>(&self, names: &[(&str, Value<'v>)], budget: &Budget) -> Result<Value<'v>, Error> {
        eval::run(&self.expr, names, budget)
    }
}

#[cfg(test)]
mod tests;

//! Literals that functions will refuse: patterns, times and spans of time that are none.

use crate::ast::{Expr, ExprKind, Literal};
use crate::functions;
use crate::issues::Issue;
use crate::parser::Parsed;

/// What is wrong with the literals of an expression.
pub fn faults(parsed: &Parsed) -> Vec<Issue> {
    let mut faults = Vec::new();
    look(&parsed.expr, &parsed.places, &mut faults);
    faults
}

fn look(expr: &Expr, places: &[u32], faults: &mut Vec<Issue>) {
    if let ExprKind::Call { function, target, arguments } = &expr.kind {
        let literal = match (&**function, target, &arguments[..]) {
            ("matches", Some(_), [pattern]) | ("matches", None, [_, pattern]) => Some(pattern),
            ("timestamp" | "duration", None, [text]) => Some(text),
            _ => None,
        };
        if let Some(Expr { id, kind: ExprKind::Literal(Literal::String(text)) }) = literal
            && !functions::takes_literal(function, text)
        {
            let why = format!("invalid {function} argument");
            faults.push(Issue::new(places[*id as usize] as usize, why));
        }
    }
    expr.children().into_iter().for_each(|child| look(child, places, faults));
}

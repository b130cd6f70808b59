//! Macros: calls whose arguments name variables or are not evaluated as they stand.

use super::Parser;
use crate::ast::{Expr, ExprKind, Over, OverKind};
use crate::issues::Issue;

impl Parser<'_> {
    pub(super) fn function(
        &mut self,
        at: usize,
        name: &str,
        mut arguments: Vec<Expr>,
    ) -> Result<Expr, Issue> {
        if name != "has" {
            return self.call(at, name, arguments);
        }
        match (arguments.len(), arguments.pop()) {
            (1, Some(Expr { kind: ExprKind::Field { of, field, optional: false }, .. })) => {
                self.node(at, ExprKind::Has { of, field })
            }
            (1, Some(other)) => {
                let at = self.places[other.id as usize] as usize;
                Err(Issue::new(at, "invalid argument to has() macro"))
            }
            _ => Err(Issue::new(at, "invalid argument to has() macro")),
        }
    }

    pub(super) fn method(
        &mut self,
        at: usize,
        target: Expr,
        name: &str,
        arguments: Vec<Expr>,
    ) -> Result<Expr, Issue> {
        let is_cel = matches!(&target.kind, ExprKind::Name(of) if &**of == "cel");
        let kind = match (name, arguments.len()) {
            ("bind", 3) if is_cel => {
                let why = "cel.bind() variable names must be simple identifiers";
                let (bound, mut rest) = self.names::<1>(arguments, why)?;
                let [bound] = bound;
                let then = rest.pop();
                let (Some(value), Some(then)) = (rest.pop(), then) else { return Err(Issue::new(at, why)) };
                return self.node(at, ExprKind::Bind(bound, Box::new((value, then))));
            }
            ("optMap" | "optFlatMap", 2) => {
                let why = format!("{name}() variable name must be a simple identifier");
                let ([bound], mut rest) = self.names::<1>(arguments, &why)?;
                let Some(then) = rest.pop() else { return Err(Issue::new(at, why)) };
                let kind = ExprKind::IfPresent {
                    of: Box::new(target),
                    name: bound,
                    then: Box::new(then),
                    flat: name == "optFlatMap",
                };
                return self.node(at, kind);
            }
            ("all", 2 | 3) => OverKind::All,
            ("exists", 2 | 3) => OverKind::Exists,
            ("exists_one" | "existsOne", 2 | 3) => OverKind::ExistsOne,
            ("filter", 2) => OverKind::Filter,
            ("map", 2 | 3) | ("transformList", 3 | 4) => OverKind::Map,
            ("transformMap", 3 | 4) => OverKind::TransformMap,
            ("transformMapEntry", 3 | 4) => OverKind::TransformEntries,
            _ => {
                let target = Some(Box::new(target));
                return self.node(at, ExprKind::Call { function: name.into(), target, arguments });
            }
        };
        self.over(at, kind, name, target, arguments)
    }

    fn over(
        &mut self,
        at: usize,
        kind: OverKind,
        macro_name: &str,
        range: Expr,
        arguments: Vec<Expr>,
    ) -> Result<Expr, Issue> {
        // `map(x, f, t)` has one name; what has two names has them before its expressions.
        let two = match kind {
            OverKind::All | OverKind::Exists | OverKind::ExistsOne => arguments.len() == 3,
            OverKind::Filter => false,
            OverKind::Map => macro_name == "transformList",
            OverKind::TransformMap | OverKind::TransformEntries => true,
        };
        const WHY: &str = "argument must be a simple name";
        let (name, second, rest) = if two {
            let ([name, second], rest) = self.names::<2>(arguments, WHY)?;
            (name, Some(second), rest)
        } else {
            let ([name], rest) = self.names::<1>(arguments, WHY)?;
            (name, None, rest)
        };
        let makes = matches!(kind, OverKind::Map | OverKind::TransformMap | OverKind::TransformEntries);
        let count = rest.len();
        let mut rest = rest.into_iter();
        let (condition, result) = match (makes, count) {
            (false, _) => (rest.next(), None),
            (true, 1) => (None, rest.next()),
            (true, _) => (rest.next(), rest.next()),
        };
        self.node(at, ExprKind::Over(Box::new(Over { kind, range, name, second, condition, result })))
    }

    /// Splits names from the arguments behind them.
    fn names<const N: usize>(
        &self,
        arguments: Vec<Expr>,
        why: &str,
    ) -> Result<([Box<str>; N], Vec<Expr>), Issue> {
        let mut names: [Box<str>; N] = std::array::from_fn(|_| "".into());
        let mut rest = arguments.into_iter();
        for own in &mut names {
            match rest.next() {
                Some(Expr { kind: ExprKind::Name(name), .. }) => *own = name,
                Some(other) => return Err(Issue::new(self.places[other.id as usize] as usize, why)),
                None => return Err(self.fault(why)),
            }
        }
        Ok((names, rest.collect()))
    }
}

//! What calls cost.

use super::{Cost, Coster, Known, Size};
use crate::ast::{Expr, ExprKind, Literal};
use crate::declarations::overloads;
use crate::functions;
use crate::parser::dotted;
use crate::types::Type;

/// Of reading a letter.
const LETTER: f64 = 0.1;
/// Of a letter of a pattern: about four make a state.
const PATTERN: f64 = 0.25;
/// Of asking an authorizer.
const CHECK: u64 = 350_000;

impl<'c, 't> Coster<'c, 't> {
    pub(super) fn call(
        &mut self,
        expr: &'c Expr,
        function: &str,
        target: Option<&'c Expr>,
        arguments: &'c [Expr],
    ) -> Known<'t> {
        let space = target
            .and_then(dotted)
            .filter(|space| functions::is_space(space) && !self.scope.iter().any(|(name, _)| name == space));
        let name = space.as_ref().map_or_else(|| function.to_owned(), |space| format!("{space}.{function}"));
        let target = if space.is_some() { None } else { target };
        let on = target.map(|target| self.expr(target));
        let known: Vec<Known<'t>> = arguments.iter().map(|argument| self.expr(argument)).collect();
        let before = on.iter().chain(&known).fold(Cost::default(), |sum, known| sum + known.cost);
        // What it is called on is the first argument where it is called like a function.
        let exprs: Vec<&Expr> = target.into_iter().chain(arguments).collect();
        let all: Vec<&Known<'t>> = on.iter().chain(&known).collect();
        let sizes: Vec<Size> = exprs.iter().zip(&all).map(|(expr, known)| self.size(expr, known)).collect();
        let (cost, size, items) = self.own(expr, &name, &exprs, &all, &sizes);
        Known { cost: before + cost, size, place: None, items }
    }

    /// What the call itself costs, how large its result is, and what is in it.
    fn own(
        &self,
        expr: &Expr,
        name: &str,
        exprs: &[&'c Expr],
        known: &[&Known<'t>],
        sizes: &[Size],
    ) -> (Cost, Option<Size>, Option<Size>) {
        let size = |at: usize| sizes.get(at).copied().unwrap_or(Size::UNKNOWN);
        let one = (Cost::fixed(1), None, None);
        let traversed = |of: Size, result: Option<Size>| (of.at(LETTER), result, None);
        let smaller = || {
            let most = size(0).max.min(size(1).max);
            let cost = Size { min: u64::from(most > 0), max: most }.at(LETTER);
            (cost, None, None)
        };
        let is_text = |at: usize| {
            exprs.get(at).is_some_and(|expr| matches!(self.ty(expr), Type::String | Type::Bytes | Type::Dyn))
        };
        match name {
            "_==_" | "_!=_" => smaller(),
            "_<_" | "_<=_" | "_>_" | "_>=_" if is_text(0) && is_text(1) => smaller(),
            "_+_" => {
                let both = size(0).plus(size(1));
                let forms = overloads(name, false)
                    .filter(|(number, _)| self.typing.overloads[expr.id as usize].contains(number));
                let mut found: Option<(Cost, Option<Size>)> = None;
                for (_, form) in forms {
                    let own = match form.gives {
                        "string" | "bytes" => (both.at(LETTER), Some(both)),
                        "list(A)" => (Cost::fixed(1), Some(both)),
                        _ => (Cost::fixed(1), None),
                    };
                    found = Some(match found {
                        None => own,
                        Some((cost, size)) => (cost.or(own.0), size.or(own.1)),
                    });
                }
                let (cost, size) = found.unwrap_or((Cost::fixed(1), None));
                let items = known.first().and_then(|known| known.items);
                (cost, size, items.zip(known.get(1).and_then(|known| known.items)).map(|(a, b)| a.or(b)))
            }
            "@in" => match exprs.get(1).map(|list| self.ty(list)) {
                Some(Type::Map(_)) => one,
                _ => (size(1).at(1.0), None, None),
            },
            "matches" | "find" | "findAll" => {
                let text = size(0).plus(Size::exactly(1)).at(LETTER);
                let result = (name != "matches").then_some(Size { min: 0, max: size(0).max });
                (text.times(size(1).at(PATTERN)), result, None)
            }
            "contains" if is_text(0) => (size(0).at(LETTER).times(size(1).at(LETTER)), None, None),
            "startsWith" | "endsWith" => traversed(size(1), None),
            "format" | "validate" => traversed(size(0), None),
            "bytes" => {
                traversed(size(0), Some(Size { min: size(0).min, max: size(0).max.saturating_mul(4) }))
            }
            "string" if is_text(0) => {
                traversed(size(0), Some(Size { min: size(0).min / 4, max: size(0).max }))
            }
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => {
                let Some(Type::List(item)) = exprs.first().map(|list| self.ty(list)) else {
                    return traversed(size(0), None);
                };
                let mut each = Cost::fixed(1);
                if matches!(**item, Type::String | Type::Bytes) {
                    each = each + self.items(known[0]).at(LETTER);
                }
                (size(0).times(each), Some(self.items(known[0])), None)
            }
            "sets.contains" | "sets.intersects" => (size(0).by(size(1)).at(1.0) + Cost::fixed(1), None, None),
            "sets.equivalent" => (size(0).by(size(1)).at(2.0) + Cost::fixed(1), None, None),
            "url" | "isURL" | "cidr" | "isCIDR" | "isIP" | "ip.isCanonical" | "quantity" | "isQuantity"
            | "semver" | "isSemver" => traversed(size(0), Some(size(0))),
            "ip" if is_text(0) => traversed(size(0), Some(size(0))),
            "containsIP" | "containsCIDR" if is_text(1) => (Cost::fixed(1) + size(1).at(LETTER), None, None),
            "lowerAscii"
            | "upperAscii"
            | "substring"
            | "trim"
            | "reverse"
            | "strings.quote"
            | "jsonpatch.escapeKey"
            | "base64.encode"
            | "base64.decode" => traversed(size(0), Some(size(0))),
            "replace" => (size(0).at(2.0 * LETTER), Some(replaced(size(0), size(1), size(2))), None),
            "split" => {
                let most = match exprs.get(2).map(|most| &most.kind) {
                    Some(ExprKind::Literal(Literal::Int(most))) => u64::try_from(*most).unwrap_or(u64::MAX),
                    _ => u64::MAX,
                };
                let count = Size { min: 0, max: size(0).max.min(most) };
                (size(0).at(2.0 * LETTER), Some(count), Some(Size { min: 0, max: size(0).max }))
            }
            "join" => {
                let between = if exprs.len() > 1 { size(1) } else { Size::default() };
                let whole = size(0).by(self.items(known[0]).plus(between));
                (whole.at(LETTER), Some(whole), None)
            }
            "check" => (Cost::fixed(CHECK), None, None),
            "or" | "orValue" | "value" => {
                let result = if exprs.len() > 1 { size(0).or(size(1)) } else { size(0) };
                (Cost::fixed(1), Some(result), known.first().and_then(|known| known.items))
            }
            "dyn" | "optional.of" | "optional.ofNonZeroValue" => {
                (Cost::fixed(1), Some(size(0)), known.first().and_then(|known| known.items))
            }
            _ => one,
        }
    }

    fn items(&self, list: &Known<'t>) -> Size {
        let place = list.place.as_ref().and_then(|place| place.inner.as_ref());
        place.map(|place| Size { min: 0, max: place.most }).or(list.items).unwrap_or(Size::UNKNOWN)
    }
}

/// How large a text is in which parts are replaced.
fn replaced(text: Size, old: Size, new: Size) -> Size {
    let max = if old.min == 0 {
        // Between all letters, and around them.
        text.max.saturating_add(1).saturating_mul(new.max).saturating_add(text.max)
    } else if new.max <= old.min {
        text.max
    } else {
        text.max.div_ceil(old.min).saturating_mul(new.max).max(text.max)
    };
    Size { min: 0, max }
}

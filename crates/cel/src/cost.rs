//! What an expression may cost, before it runs: from how much there may be at most of what it looks at.
//!
//! The unit and the rules are upstream's, since definitions are refused by them: one for a step, a tenth for each letter
//! of a text that is read, ten for a list and thirty for a map that is made.

mod calls;
mod estimate;

use std::rc::Rc;

use crate::ast::{Expr, ExprKind, Literal, Over, OverKind};
use crate::check::{Environment, Typing};
use crate::types::{Place, Type};
pub use estimate::{Cost, Size};

/// What is known of the value of an expression.
#[derive(Clone, Default)]
struct Known<'t> {
    cost: Cost,
    /// How large it is, where its parts say so.
    size: Option<Size>,
    /// Which place of the declared values it is.
    place: Option<Place<'t>>,
    /// How large its items are, where it is made of such.
    items: Option<Size>,
}

/// Estimates the cost of an expression.
pub fn estimate<'t>(expr: &Expr, typing: &Typing<'t>, environment: &Environment<'t>) -> Cost {
    Coster { typing, environment, scope: Vec::new() }.expr(expr).cost
}

struct Coster<'c, 't> {
    typing: &'c Typing<'t>,
    environment: &'c Environment<'t>,
    scope: Vec<(&'c str, Known<'t>)>,
}

impl<'c, 't> Coster<'c, 't> {
    fn ty(&self, expr: &Expr) -> &'c Type<'t> {
        &self.typing.types[expr.id as usize]
    }

    /// The size of a value, unbounded where nothing is known.
    fn size(&self, expr: &Expr, known: &Known<'t>) -> Size {
        let of_literal = match &expr.kind {
            ExprKind::Literal(Literal::String(text)) => Some(text.len()),
            ExprKind::Literal(Literal::Bytes(bytes)) => Some(bytes.len()),
            ExprKind::Literal(_) => Some(1),
            ExprKind::List(items) => Some(items.len()),
            ExprKind::Map(entries) => Some(entries.len()),
            _ => None,
        };
        let of_place = || {
            let known_most = known.place.as_ref().map(|place| place.most).filter(|most| *most != u64::MAX);
            known_most.map(|most| Size { min: 0, max: most })
        };
        // Types and what only functions know more of are compared as one.
        let is_one =
            |ty: &Type<'t>| ty.is_scalar() || matches!(ty, Type::Null | Type::Type(_) | Type::Opaque(_));
        let of_type = || is_one(self.ty(expr)).then_some(Size::exactly(1));
        let size = known.size.or(of_literal.map(|count| Size::exactly(count as u64)));
        size.or_else(of_place).or_else(of_type).unwrap_or(Size::UNKNOWN)
    }

    fn costs(&mut self, exprs: &[&'c Expr]) -> Cost {
        exprs.iter().fold(Cost::default(), |sum, expr| sum + self.expr(expr).cost)
    }

    fn expr(&mut self, expr: &'c Expr) -> Known<'t> {
        match &expr.kind {
            ExprKind::Literal(_) => Known::default(),
            ExprKind::Name(name) => {
                let bound = self.scope.iter().rev().find(|(own, _)| *own == &**name);
                let mut known = match bound {
                    Some((_, known)) => known.clone(),
                    None => Known { place: self.environment.find(name).cloned(), ..Known::default() },
                };
                known.cost = Cost::fixed(1);
                known
            }
            ExprKind::Field { of, field, optional } => {
                let known = self.expr(of);
                let is_step = matches!(self.ty(of), Type::Map(_) | Type::Object(_) | Type::Dyn) || *optional;
                let place = known.place.as_ref().and_then(|place| within(place, field));
                let cost = known.cost + Cost::fixed(u64::from(is_step));
                Known { cost, place, ..Known::default() }
            }
            ExprKind::Has { of, .. } => Known { cost: self.expr(of).cost, ..Known::default() },
            ExprKind::Index { of, at, .. } => {
                let (known, at) = (self.expr(of), self.expr(at));
                let place = known.place.as_ref().and_then(|place| place.inner.as_deref().cloned());
                let size = if place.is_none() { known.items } else { None };
                Known { cost: known.cost + at.cost + Cost::fixed(1), size, place, items: None }
            }
            ExprKind::And(left, right) | ExprKind::Or(left, right) => {
                let (left, right) = (self.expr(left).cost, self.expr(right).cost);
                Known { cost: Cost { min: left.min, max: (left + right).max }, ..Known::default() }
            }
            ExprKind::If(parts) => {
                let condition = self.expr(&parts.0);
                let (then, otherwise) = (self.expr(&parts.1), self.expr(&parts.2));
                let size = self.size(&parts.1, &then).or(self.size(&parts.2, &otherwise));
                let cost = condition.cost + then.cost.or(otherwise.cost);
                Known { cost, size: Some(size), ..Known::default() }
            }
            ExprKind::List(items) => {
                let mut cost = Cost::fixed(10);
                let mut largest: Option<Size> = None;
                for (item, _) in items {
                    let known = self.expr(item);
                    cost = cost + known.cost;
                    let size = self.size(item, &known);
                    largest = Some(largest.map_or(size, |largest| largest.or(size)));
                }
                Known { cost, items: Some(largest.unwrap_or_default()), ..Known::default() }
            }
            ExprKind::Map(entries) => {
                let mut cost = Cost::fixed(30);
                let mut largest: Option<Size> = None;
                for (key, value, _) in entries {
                    let known = self.expr(value);
                    cost = cost + self.expr(key).cost + known.cost;
                    let size = self.size(value, &known);
                    largest = Some(largest.map_or(size, |largest| largest.or(size)));
                }
                Known { cost, items: Some(largest.unwrap_or_default()), ..Known::default() }
            }
            ExprKind::Message(_, fields) => {
                let values: Vec<&Expr> = fields.iter().map(|(_, value, _)| value).collect();
                Known { cost: self.costs(&values) + Cost::fixed(40), ..Known::default() }
            }
            ExprKind::Bind(name, parts) => {
                let mut value = self.expr(&parts.0);
                value.size.get_or_insert(self.size(&parts.0, &value));
                let cost = value.cost;
                let mut known = self.within(vec![(name, value)], |coster| coster.expr(&parts.1));
                // Upstream has it as a loop over an empty list, which it counts.
                known.cost = known.cost + cost + Cost::fixed(10);
                known
            }
            ExprKind::IfPresent { of, name, then, .. } => {
                let value = self.expr(of);
                // Whether it is there, the value, and an optional of the result.
                let asked = value.cost + Cost::fixed(1);
                let made = asked + Cost::fixed(1);
                let item = Known { place: value.place.clone(), ..Known::default() };
                let then = self.within(vec![(name, item)], |coster| coster.expr(then));
                let cost = asked + (made + then.cost).or(Cost::fixed(1));
                Known { cost, ..Known::default() }
            }
            ExprKind::Over(over) => self.over(over),
            ExprKind::Call { function, target, arguments } => {
                self.call(expr, function, target.as_deref(), arguments)
            }
        }
    }

    fn within<T>(&mut self, names: Vec<(&'c str, Known<'t>)>, then: impl FnOnce(&mut Self) -> T) -> T {
        let depth = self.scope.len();
        self.scope.extend(names);
        let result = then(self);
        self.scope.truncate(depth);
        result
    }

    /// A macro costs what the operators cost that it stands for.
    fn over(&mut self, over: &'c Over) -> Known<'t> {
        let range = self.expr(&over.range);
        let count = self.size(&over.range, &range);
        let item = Known {
            place: range.place.as_ref().and_then(|place| place.inner.as_deref().cloned()),
            size: range.items,
            ..Known::default()
        };
        let longest_key = range.place.as_ref().map_or(0, |place| place.longest_key);
        let key = Known { place: Some(Place::sized(Type::String, longest_key)), ..Known::default() };
        let is_map = matches!(self.ty(&over.range), Type::Map(_));
        let names = match (&over.second, is_map) {
            (Some(second), true) => vec![(&*over.name, key), (&**second, item.clone())],
            (Some(second), false) => {
                let index = Known { size: Some(Size::exactly(1)), ..Known::default() };
                vec![(&*over.name, index), (&**second, item.clone())]
            }
            (None, true) => vec![(&*over.name, key)],
            (None, false) => vec![(&*over.name, item.clone())],
        };
        let (condition, result, made) = self.within(names, |coster| {
            let condition = over.condition.as_ref().map(|condition| coster.expr(condition).cost);
            let result = over.result.as_ref().map(|result| (coster.expr(result), result));
            let made = result.as_ref().map(|(known, result)| coster.size(result, known));
            (condition, result.map(|(known, _)| known.cost).unwrap_or_default(), made)
        });
        let kept = condition.unwrap_or_default();
        let name = Cost::fixed(1);
        let append = name + Cost::fixed(1) + Cost::fixed(10);
        // What is paid once besides the range, and for each item.
        let (once, each) = match over.kind {
            OverKind::All => (name, Cost::fixed(2) + Cost { min: 1, max: (name + kept).max }),
            OverKind::Exists => (name, Cost::fixed(3) + Cost { min: 1, max: (name + kept).max }),
            OverKind::ExistsOne => (name + Cost::fixed(1), kept + Cost { min: 1, max: 2 }),
            OverKind::Filter => (name + Cost::fixed(10), kept + (append + name).or(name)),
            OverKind::Map if condition.is_some() => {
                (name + Cost::fixed(10), kept + (append + result).or(name))
            }
            OverKind::Map => (name + Cost::fixed(10), append + result),
            OverKind::TransformMap | OverKind::TransformEntries => {
                let insert = name + name + Cost::fixed(1) + result;
                (name + Cost::fixed(30), if condition.is_some() { kept + insert.or(name) } else { insert })
            }
        };
        let cost = range.cost + once + count.times(each);
        match over.kind {
            OverKind::All | OverKind::Exists | OverKind::ExistsOne => {
                Known { cost, size: Some(Size::exactly(1)), ..Known::default() }
            }
            OverKind::Filter => {
                let items =
                    item.place.as_ref().map_or(item.size, |place| Some(Size { min: 0, max: place.most }));
                Known { cost, size: Some(count), place: None, items }
            }
            _ => Known { cost, size: Some(count), place: None, items: made },
        }
    }
}

/// The place of a field.
fn within<'t>(place: &Place<'t>, field: &str) -> Option<Place<'t>> {
    let ty = match &place.ty {
        Type::Optional(inner) => inner,
        ty => ty,
    };
    match ty {
        Type::Object(fields) => fields.field(field),
        Type::Map(_) if place.knows_names => place.inner.as_ref().map(Rc::as_ref).cloned(),
        _ => None,
    }
}

//! Calls: which overloads of a function take what it is given, and what it gives then.

use std::rc::Rc;

use super::Checker;
use crate::ast::Expr;
use crate::declarations::{Overload, overloads, split};
use crate::types::Type;

/// The open types of an overload, by the letter or word that stands for them.
type Letters<'t> = Vec<(&'static str, Type<'t>)>;

impl<'c, 't> Checker<'c, 't> {
    /// Finds what a function gives.
    pub(super) fn call(
        &mut self,
        expr: &'c Expr,
        name: &str,
        on: Option<Type<'t>>,
        arguments: &[Type<'t>],
    ) -> Type<'t> {
        if matches!(name, "math.greatest" | "math.least") && !arguments.is_empty() {
            return self.extreme(expr, name, arguments);
        }
        let mut is_declared = false;
        let mut given: Option<Type<'t>> = None;
        let mut matched = Vec::new();
        for (number, overload) in overloads(name, on.is_some()) {
            is_declared = true;
            let mark = self.bindings.mark();
            match self.tried(&overload, on.as_ref(), arguments) {
                None => self.bindings.back_to(mark),
                Some(result) => {
                    matched.push(number);
                    let result = self.bindings.resolve(&result, false);
                    given = Some(match given {
                        None => result,
                        Some(before) if before.same(&result) => before,
                        Some(_) => Type::Dyn,
                    });
                }
            }
        }
        self.typing.overloads[expr.id as usize] = matched;
        match given {
            Some(given) => given,
            None if is_declared || overloads(name, on.is_none()).next().is_some() => {
                self.no_overload(expr, name, on.as_ref(), arguments)
            }
            None => self.undeclared(expr, name),
        }
    }

    fn no_overload(
        &mut self,
        expr: &'c Expr,
        name: &str,
        on: Option<&Type<'t>>,
        arguments: &[Type<'t>],
    ) -> Type<'t> {
        let shown: Vec<String> = arguments.iter().map(|argument| self.shown(argument)).collect();
        let on = on.map(|on| format!("{}.", self.shown(on))).unwrap_or_default();
        let why = format!("found no matching overload for '{name}' applied to '{on}({})'", shown.join(", "));
        self.complain(expr, why)
    }

    /// What an overload gives, where it takes what it is given.
    fn tried(
        &mut self,
        overload: &Overload,
        on: Option<&Type<'t>>,
        arguments: &[Type<'t>],
    ) -> Option<Type<'t>> {
        if split(overload.takes).count() != arguments.len() {
            return None;
        }
        let mut letters = Letters::new();
        let wanted =
            (!overload.on.is_empty()).then_some(overload.on).into_iter().chain(split(overload.takes));
        for (wanted, found) in wanted.zip(on.into_iter().chain(arguments)) {
            let wanted = self.read(wanted, &mut letters);
            if !self.bindings.assignable(&wanted, found) {
                return None;
            }
        }
        for (letter, ty) in &letters {
            let ty = self.bindings.resolve(ty, false);
            let fits = match *letter {
                "comparable" => {
                    ty.is_scalar() || matches!(ty, Type::String | Type::Bytes | Type::Dyn | Type::Open(_))
                }
                "summable" => is_number(&ty) || matches!(ty, Type::Duration | Type::Dyn | Type::Open(_)),
                "number" | "numeric" => is_number(&ty) || matches!(ty, Type::Dyn | Type::Open(_)),
                _ => true,
            };
            if !fits && !matches!(ty, Type::Wrong) {
                return None;
            }
        }
        Some(self.read(overload.gives, &mut letters))
    }

    /// Reads a type as the declarations write it.
    fn read(&mut self, text: &'static str, letters: &mut Letters<'t>) -> Type<'t> {
        if let Some((outer, rest)) = text.split_once('(') {
            let mut inner = split(rest.strip_suffix(')').unwrap_or(rest));
            let mut next = |checker: &mut Self| match inner.next() {
                Some(text) => checker.read(text, letters),
                None => Type::Dyn,
            };
            let first = next(self);
            return match outer {
                "list" => Type::list(first),
                "optional" => Type::Optional(Rc::new(first)),
                "type" => Type::Type(Rc::new(first)),
                _ => {
                    let second = next(self);
                    Type::map(first, second)
                }
            };
        }
        match text {
            "dyn" => Type::Dyn,
            "null" => Type::Null,
            "bool" => Type::Bool,
            "int" => Type::Int,
            "uint" => Type::Uint,
            "double" => Type::Double,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "timestamp" => Type::Timestamp,
            "duration" => Type::Duration,
            name if name.contains('.') => Type::Opaque(name),
            letter => match letters.iter().find(|(own, _)| *own == letter) {
                Some((_, ty)) => ty.clone(),
                None => {
                    let open = self.bindings.open();
                    letters.push((letter, open.clone()));
                    open
                }
            },
        }
    }

    /// `math.greatest` and `math.least` take numbers, however many, or a list of them.
    fn extreme(&mut self, expr: &'c Expr, name: &str, arguments: &[Type<'t>]) -> Type<'t> {
        let resolved: Vec<Type<'t>> =
            arguments.iter().map(|argument| self.bindings.resolve(argument, true)).collect();
        let items: Vec<Type<'t>> = match &resolved[..] {
            [Type::List(item)] => vec![(**item).clone()],
            _ => resolved,
        };
        if !items.iter().all(|item| is_number(item) || item.is_dyn()) {
            return self.no_overload(expr, name, None, arguments);
        }
        let first = items[0].clone();
        if items.iter().all(|item| item.same(&first)) { first } else { Type::Dyn }
    }
}

fn is_number(ty: &Type<'_>) -> bool {
    matches!(ty, Type::Int | Type::Uint | Type::Double)
}

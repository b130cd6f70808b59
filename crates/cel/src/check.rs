//! Types of expressions: what every part is, whether functions take what they are given.

mod calls;
mod unify;

use std::rc::Rc;

use crate::ast::{Expr, ExprKind, Literal, Over, OverKind};
use crate::functions;
use crate::issues::Issue;
use crate::parser::{Parsed, dotted};
use crate::types::{Fields, Place, Record, Type};
use unify::Bindings;

/// The names that an expression may use, and their types.
#[derive(Clone, Default)]
pub struct Environment<'t> {
    names: Vec<(String, Place<'t>)>,
    makes_objects: bool,
}

impl<'t> Environment<'t> {
    /// No names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a name of a type.
    #[must_use]
    pub fn with(self, name: &str, ty: Type<'t>) -> Self {
        self.with_place(name, Place::of(ty))
    }

    /// Adds a name of whose size something is known.
    #[must_use]
    pub fn with_place(mut self, name: &str, place: Place<'t>) -> Self {
        self.names.push((name.to_owned(), place));
        self
    }

    /// Lets expressions make `Object{…}`, `Object.spec{…}` and `JSONPatch{…}`, as mutating policies do.
    #[must_use]
    pub fn with_objects(mut self) -> Self {
        self.makes_objects = true;
        self
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Place<'t>> {
        self.names.iter().rev().find(|(own, _)| own == name).map(|(_, place)| place)
    }

    /// The type of messages of a name.
    fn message(&self, name: &str) -> Option<Type<'t>> {
        if !self.makes_objects {
            return None;
        }
        if name == "Object" || name.starts_with("Object.") {
            return Some(Type::Object(Rc::new(Anything(name.to_owned()))));
        }
        let text = || Place::of(Type::String);
        let fields =
            vec![("op", text()), ("path", text()), ("from", text()), ("value", Place::of(Type::Dyn))];
        (name == "JSONPatch").then(|| Record::of("JSONPatch", fields))
    }
}

/// `Object` and what is inside: of which fields there are, only the object that is made knows.
struct Anything(String);

impl<'t> Fields<'t> for Anything {
    fn name(&self) -> std::borrow::Cow<'_, str> {
        std::borrow::Cow::Borrowed(&self.0)
    }

    fn identity(&self) -> usize {
        // Names are the types here.
        self.0.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
    }

    fn field(&self, _: &str) -> Option<Place<'t>> {
        Some(Place::of(Type::Dyn))
    }
}

/// What is known of the parts of an expression, by their numbers.
pub struct Typing<'t> {
    /// Types.
    pub types: Vec<Type<'t>>,
    /// The overloads that a call may be.
    pub overloads: Vec<Vec<u16>>,
}

/// Finds the types of an expression.
pub fn check<'t>(parsed: &Parsed, environment: &Environment<'t>) -> Result<Typing<'t>, Vec<Issue>> {
    let count = parsed.places.len();
    let mut checker = Checker {
        environment,
        places: &parsed.places,
        scope: Vec::new(),
        bindings: Bindings::default(),
        typing: Typing { types: vec![Type::Wrong; count], overloads: vec![Vec::new(); count] },
        issues: Vec::new(),
    };
    checker.expr(&parsed.expr);
    if !checker.issues.is_empty() {
        return Err(checker.issues);
    }
    let Checker { mut typing, bindings, .. } = checker;
    for ty in &mut typing.types {
        *ty = bindings.resolve(ty, true);
    }
    Ok(typing)
}

struct Checker<'c, 't> {
    environment: &'c Environment<'t>,
    places: &'c [u32],
    scope: Vec<(&'c str, Type<'t>)>,
    bindings: Bindings<'t>,
    typing: Typing<'t>,
    issues: Vec<Issue>,
}

impl<'c, 't> Checker<'c, 't> {
    fn complain(&mut self, about: &Expr, why: impl Into<String>) -> Type<'t> {
        let at = self.places[about.id as usize] as usize;
        self.issues.push(Issue::new(at, why));
        Type::Wrong
    }

    fn shown(&self, ty: &Type<'t>) -> String {
        self.bindings.resolve(ty, true).to_string()
    }

    fn undeclared(&mut self, about: &Expr, name: &str) -> Type<'t> {
        self.complain(about, format!("undeclared reference to '{name}' (in container '')"))
    }

    fn expr(&mut self, expr: &'c Expr) -> Type<'t> {
        let ty = self.kind(expr);
        self.typing.types[expr.id as usize] = ty.clone();
        ty
    }

    fn kind(&mut self, expr: &'c Expr) -> Type<'t> {
        match &expr.kind {
            ExprKind::Literal(literal) => of_literal(literal),
            ExprKind::Name(name) => match self.name(name) {
                Some(ty) => ty,
                None => self.undeclared(expr, name),
            },
            ExprKind::Field { of, field, optional } => {
                if let Some(name) = dotted(expr)
                    && let Some(ty) = functions::dotted(&name)
                {
                    return Type::Type(Rc::new(ty));
                }
                // A name with dots may be declared as a whole.
                if let Some(name) = dotted(expr)
                    && let Some(place) = self.environment.find(&name)
                {
                    return place.ty.clone();
                }
                let of = self.expr(of);
                let found = self.field(expr, &of, field);
                if *optional { optional_once(found) } else { found }
            }
            ExprKind::Has { of, field } => {
                let of = self.expr(of);
                self.field(expr, &of, field);
                Type::Bool
            }
            ExprKind::Index { of, at, optional } => {
                let arguments = [self.expr(of), self.expr(at)];
                self.call(expr, if *optional { "_[?_]" } else { "_[_]" }, None, &arguments)
            }
            ExprKind::And(left, right) | ExprKind::Or(left, right) => {
                let arguments = [self.expr(left), self.expr(right)];
                let name = if matches!(expr.kind, ExprKind::And(..)) { "_&&_" } else { "_||_" };
                self.call(expr, name, None, &arguments)
            }
            ExprKind::If(parts) => {
                let arguments = [self.expr(&parts.0), self.expr(&parts.1), self.expr(&parts.2)];
                self.call(expr, "_?_:_", None, &arguments)
            }
            ExprKind::List(items) => {
                let mut all: Option<Type<'t>> = None;
                for (item, optional) in items {
                    let found = self.element(item, *optional);
                    all = Some(self.join(item, all, found));
                }
                Type::list(all.unwrap_or_else(|| self.bindings.open()))
            }
            ExprKind::Map(entries) => {
                let (mut keys, mut values) = (None, None);
                for (key, value, optional) in entries {
                    let found = self.expr(key);
                    let found = self.bindings.resolve(&found, false);
                    let is_key = matches!(
                        found,
                        Type::Bool
                            | Type::Int
                            | Type::Uint
                            | Type::String
                            | Type::Dyn
                            | Type::Wrong
                            | Type::Open(_)
                    );
                    if !is_key {
                        let shown = self.shown(&found);
                        self.complain(key, format!("unsupported key type: {shown}"));
                        continue;
                    }
                    keys = Some(self.join(key, keys, found));
                    let found = self.element(value, *optional);
                    values = Some(self.join(value, values, found));
                }
                let mut open = || self.bindings.open();
                let key = keys.unwrap_or_else(&mut open);
                Type::map(key, values.unwrap_or_else(open))
            }
            ExprKind::Message(name, fields) => self.message(expr, name, fields),
            ExprKind::Over(over) => self.over(expr, over),
            ExprKind::Bind(name, parts) => {
                let value = self.expr(&parts.0);
                self.within(&[(name, value)], |checker| checker.expr(&parts.1))
            }
            ExprKind::IfPresent { of, name, then, flat } => {
                let of_type = self.expr(of);
                let inner = match self.bindings.resolve(&of_type, false) {
                    Type::Optional(inner) => (*inner).clone(),
                    ty if ty.is_dyn() => Type::Dyn,
                    other => {
                        let name = if *flat { "optFlatMap" } else { "optMap" };
                        let shown = self.shown(&other);
                        self.complain(
                            expr,
                            format!("found no matching overload for '{name}' applied to '{shown}.()'"),
                        )
                    }
                };
                let made = self.within(&[(name, inner)], |checker| checker.expr(then));
                if *flat { made } else { Type::Optional(Rc::new(made)) }
            }
            ExprKind::Call { function, target, arguments } => {
                // Functions whose names have dots.
                if let Some(space) = target.as_deref().and_then(dotted)
                    && functions::is_space(&space)
                    && self.name(&space).is_none()
                {
                    let types: Vec<Type<'t>> = arguments.iter().map(|argument| self.expr(argument)).collect();
                    return self.call(expr, &format!("{space}.{function}"), None, &types);
                }
                let on = target.as_deref().map(|target| self.expr(target));
                let types: Vec<Type<'t>> = arguments
                    .iter()
                    .map(|argument| match &argument.kind {
                        // What is put into a text may be of many types.
                        ExprKind::List(items) if on.is_some() && &**function == "format" => {
                            items.iter().for_each(|(item, optional)| {
                                self.element(item, *optional);
                            });
                            self.typing.types[argument.id as usize] = Type::list(Type::Dyn);
                            Type::list(Type::Dyn)
                        }
                        _ => self.expr(argument),
                    })
                    .collect();
                self.call(expr, function, on, &types)
            }
        }
    }

    fn name(&self, name: &str) -> Option<Type<'t>> {
        let bound = self.scope.iter().rev().find(|(own, _)| *own == name).map(|(_, ty)| ty.clone());
        bound
            .or_else(|| self.environment.find(name).map(|place| place.ty.clone()))
            .or_else(|| functions::type_of_name(name).map(|ty| Type::Type(Rc::new(ty))))
    }

    fn within<T>(&mut self, names: &[(&'c str, Type<'t>)], then: impl FnOnce(&mut Self) -> T) -> T {
        let depth = self.scope.len();
        self.scope.extend(names.iter().cloned());
        let result = then(self);
        self.scope.truncate(depth);
        result
    }

    fn field(&mut self, expr: &'c Expr, of: &Type<'t>, field: &str) -> Type<'t> {
        match self.bindings.resolve(of, false) {
            Type::Dyn => Type::Dyn,
            Type::Wrong => Type::Wrong,
            Type::Open(number) => {
                self.bindings.bind(number, Type::Dyn);
                Type::Dyn
            }
            Type::Map(inner) => inner.1.clone(),
            Type::Object(fields) => match fields.field(field) {
                Some(place) => place.ty,
                None => self.complain(expr, format!("undefined field '{field}'")),
            },
            Type::Optional(inner) => {
                let found = self.field(expr, &inner, field);
                optional_once(found)
            }
            other => {
                let shown = self.shown(&other);
                self.complain(expr, format!("type '{shown}' does not support field selection"))
            }
        }
    }

    /// An item or a value; one behind `?` is an optional.
    fn element(&mut self, item: &'c Expr, optional: bool) -> Type<'t> {
        let found = self.expr(item);
        if !optional {
            return found;
        }
        match self.bindings.resolve(&found, false) {
            Type::Optional(inner) => (*inner).clone(),
            ty if ty.is_dyn() => Type::Dyn,
            other => {
                let shown = self.shown(&other);
                self.complain(item, format!("expected type 'optional_type({shown})' but found '{shown}'"))
            }
        }
    }

    /// Items of one list, keys and values of one map are of one type.
    fn join(&mut self, about: &Expr, all: Option<Type<'t>>, next: Type<'t>) -> Type<'t> {
        let Some(all) = all else { return next };
        if self.bindings.assignable(&all, &next) {
            // The one that says less holds for both.
            return if self.bindings.resolve(&next, false).is_dyn() { next } else { all };
        }
        let (wanted, found) = (self.shown(&all), self.shown(&next));
        self.complain(about, format!("expected type '{wanted}' but found '{found}'"));
        all
    }

    fn message(&mut self, expr: &'c Expr, name: &str, fields: &'c [(Box<str>, Expr, bool)]) -> Type<'t> {
        let Some(ty) = self.environment.message(name) else { return self.undeclared(expr, name) };
        for (field, value, optional) in fields {
            let found = self.element(value, *optional);
            let Type::Object(declared) = &ty else { continue };
            match declared.field(field) {
                None => {
                    self.complain(expr, format!("undefined field '{field}'"));
                }
                Some(place) => {
                    if !self.bindings.assignable(&place.ty, &found) {
                        let (wanted, found) = (self.shown(&place.ty), self.shown(&found));
                        let why = format!(
                            "expected type of field '{field}' is '{wanted}' but provided type is '{found}'"
                        );
                        self.complain(value, why);
                    }
                }
            }
        }
        ty
    }

    fn over(&mut self, expr: &'c Expr, over: &'c Over) -> Type<'t> {
        let range = self.expr(&over.range);
        let range = self.bindings.resolve(&range, false);
        let (first, second) = match &range {
            Type::List(item) if over.second.is_some() => (Type::Int, (**item).clone()),
            Type::List(item) => ((**item).clone(), Type::Dyn),
            Type::Map(inner) => (inner.0.clone(), inner.1.clone()),
            Type::Open(_) | Type::Dyn | Type::Wrong => (Type::Dyn, Type::Dyn),
            other => {
                let shown = self.shown(other);
                let why = format!(
                    "expression of type '{shown}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.complain(&over.range, why);
                (Type::Wrong, Type::Wrong)
            }
        };
        let mut names = vec![(&*over.name, first.clone())];
        names.extend(over.second.as_deref().map(|name| (name, second)));
        let (condition, result) = self.within(&names, |checker| {
            let condition = over.condition.as_ref().map(|condition| checker.expr(condition));
            (condition, over.result.as_ref().map(|result| checker.expr(result)))
        });
        let made = match over.kind {
            OverKind::All | OverKind::Exists | OverKind::ExistsOne => Type::Bool,
            OverKind::Filter => Type::list(first.clone()),
            OverKind::Map => Type::list(result.clone().unwrap_or(Type::Dyn)),
            OverKind::TransformMap => Type::map(first.clone(), result.clone().unwrap_or(Type::Dyn)),
            OverKind::TransformEntries => match result.map(|result| self.bindings.resolve(&result, false)) {
                Some(entry @ Type::Map(_)) => entry,
                _ => Type::map(Type::Dyn, Type::Dyn),
            },
        };
        // A macro stands for operators whose complaint it makes.
        if let Some(condition) = condition
            && !self.bindings.assignable(&Type::Bool, &condition)
        {
            let condition = self.shown(&condition);
            let (name, applied) = match over.kind {
                OverKind::All => ("_&&_", format!("(bool, {condition})")),
                OverKind::Exists => ("_||_", format!("(bool, {condition})")),
                OverKind::ExistsOne => ("_?_:_", format!("({condition}, int, int)")),
                _ => ("_?_:_", format!("({condition}, {0}, {0})", self.shown(&made))),
            };
            self.complain(expr, format!("found no matching overload for '{name}' applied to '{applied}'"));
        }
        made
    }
}

/// An optional of a type; one of an optional is that optional.
fn optional_once(ty: Type<'_>) -> Type<'_> {
    match ty {
        Type::Optional(_) | Type::Wrong => ty,
        ty => Type::Optional(Rc::new(ty)),
    }
}

fn of_literal<'t>(literal: &Literal) -> Type<'t> {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}

#[cfg(test)]
mod tests;

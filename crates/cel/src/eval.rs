//! Evaluation: a walk over the expression that pays for every step.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use crate::ast::{Expr, ExprKind, Literal, Over, OverKind};
use crate::functions;
use crate::parser;
use crate::value::{List, Map, Message, Value};

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It costs more than it may.
    #[error("operation cancelled: actual cost limit exceeded")]
    Budget,
    /// Something in it does not go.
    #[error("{0}")]
    Fault(String),
}

impl Error {
    /// A fault in these words.
    pub fn fault(words: impl Into<String>) -> Self {
        Error::Fault(words.into())
    }
}

/// What may be spent, in upstream's unit: about one for each step and for each ten octets that are looked at.
#[derive(Debug)]
pub struct Budget(Cell<u64>);

impl Budget {
    /// So much.
    pub fn new(units: u64) -> Self {
        Self(Cell::new(units))
    }

    /// What is left.
    pub fn left(&self) -> u64 {
        self.0.get()
    }

    /// Spends; fails when there is not so much left.
    pub fn spend(&self, units: u64) -> Result<(), Error> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(units));
        if left < units { Err(Error::Budget) } else { Ok(()) }
    }

    /// Spends for so many octets, or for so many numbers.
    pub(crate) fn spend_on(&self, octets: usize) -> Result<(), Error> {
        self.spend(octets.div_ceil(10) as u64)
    }
}

type Outcome<'v> = Result<Value<'v>, Error>;

struct Scope<'r, 'v> {
    names: Vec<(&'r str, Value<'v>)>,
    budget: &'r Budget,
    /// Whether some of the names have dots.
    has_dots: bool,
}

/// Evaluates an expression.
pub fn run<'v>(expr: &Expr, names: &[(&str, Value<'v>)], budget: &Budget) -> Outcome<'v> {
    let has_dots = names.iter().any(|(name, _)| name.contains('.'));
    Scope { names: names.to_vec(), budget, has_dots }.eval(expr)
}

fn no_key(key: &str) -> Error {
    Error::fault(format!("no such key: {key}"))
}

fn no_overload() -> Error {
    Error::fault("no such overload")
}

impl<'r, 'v> Scope<'r, 'v> {
    fn eval(&mut self, expr: &'r Expr) -> Outcome<'v> {
        match &expr.kind {
            ExprKind::Literal(literal) => Ok(of_literal(literal)),
            ExprKind::Name(name) => {
                self.budget.spend(1)?;
                let bound = self.names.iter().rev().find(|(own, _)| *own == &**name);
                match bound {
                    Some((_, value)) => Ok(value.clone()),
                    None => functions::name(name).ok_or_else(|| {
                        Error::fault(format!("undeclared reference to '{name}' (in container '')"))
                    }),
                }
            }
            ExprKind::Field { of, field, optional } => {
                if let Some(value) = functions::value_of_dotted(of, field) {
                    return Ok(value);
                }
                self.budget.spend(1)?;
                if let Some(value) = self.dotted(expr) {
                    return Ok(value);
                }
                match self.eval(of)? {
                    Value::Host(host) => match (host.field(field, self.budget), optional) {
                        (Some(found), false) => found,
                        (Some(found), true) => Ok(optional_of(Some(found?))),
                        (None, true) => Ok(optional_of(None)),
                        (None, false) => Err(no_key(field)),
                    },
                    of => select(&of, field, *optional),
                }
            }
            // The test itself is free.
            ExprKind::Has { of, field } => match self.eval(of)? {
                Value::Map(map) => Ok(Value::Bool(own_field(&map, field).is_some())),
                Value::Message(message) => Ok(Value::Bool(message.field(field).is_some())),
                Value::Host(host) => match host.field(field, self.budget) {
                    Some(Err(error)) => Err(error),
                    found => Ok(Value::Bool(found.is_some())),
                },
                Value::Optional(None) => Ok(Value::Bool(false)),
                Value::Optional(Some(value)) => match &*value {
                    Value::Map(map) => Ok(Value::Bool(own_field(map, field).is_some())),
                    _ => Err(no_overload()),
                },
                _ => Err(no_overload()),
            },
            ExprKind::Index { of, at, optional } => {
                self.budget.spend(1)?;
                let of = self.eval(of)?;
                let at = self.eval(at)?;
                index(&of, &at, *optional)
            }
            ExprKind::And(left, right) => self.both(left, right, false),
            ExprKind::Or(left, right) => self.both(left, right, true),
            ExprKind::If(parts) => match self.eval(&parts.0)? {
                Value::Bool(true) => self.eval(&parts.1),
                Value::Bool(false) => self.eval(&parts.2),
                _ => Err(no_overload()),
            },
            ExprKind::List(items) => self.list(items),
            ExprKind::Map(entries) => self.map(entries),
            ExprKind::Over(over) => self.over(over),
            ExprKind::Bind(name, parts) => {
                let value = self.eval(&parts.0)?;
                self.with(name, value, |scope| scope.eval(&parts.1))
            }
            ExprKind::Message(name, fields) => self.message(name, fields),
            ExprKind::IfPresent { of, name, then, flat } => match self.eval(of)? {
                Value::Optional(None) => Ok(Value::Optional(None)),
                Value::Optional(Some(value)) => {
                    let made = self.with(name, (*value).clone(), |scope| scope.eval(then))?;
                    match (made, flat) {
                        (made @ Value::Optional(_), true) => Ok(made),
                        (_, true) => Err(no_overload()),
                        (made, false) => Ok(Value::Optional(Some(Rc::new(made)))),
                    }
                }
                _ => Err(no_overload()),
            },
            ExprKind::Call { function, target, arguments } => {
                self.call(function, target.as_deref(), arguments)
            }
        }
    }

    /// The value of a name with dots, `authorizer.requestResource`, where there is one.
    fn dotted(&self, expr: &Expr) -> Option<Value<'v>> {
        let name = if self.has_dots { parser::dotted(expr)? } else { return None };
        self.names.iter().rev().find(|(own, _)| *own == name).map(|(_, value)| value.clone())
    }

    fn with<T>(&mut self, name: &'r str, value: Value<'v>, then: impl FnOnce(&mut Self) -> T) -> T {
        self.names.push((name, value));
        let result = then(self);
        self.names.pop();
        result
    }

    /// `&&` and `||`: either side may decide, also when the other fails.
    fn both(&mut self, left: &'r Expr, right: &'r Expr, decisive: bool) -> Outcome<'v> {
        let left = self.eval(left);
        match left {
            Ok(Value::Bool(value)) if value == decisive => return Ok(Value::Bool(decisive)),
            Err(Error::Budget) => return Err(Error::Budget),
            _ => {}
        }
        match (left, self.eval(right)) {
            (_, Ok(Value::Bool(value))) if value == decisive => Ok(Value::Bool(decisive)),
            (Ok(Value::Bool(_)), Ok(Value::Bool(_))) => Ok(Value::Bool(!decisive)),
            (Err(error), _) | (_, Err(error)) => Err(error),
            _ => Err(no_overload()),
        }
    }

    fn list(&mut self, items: &'r [(Expr, bool)]) -> Outcome<'v> {
        self.budget.spend(10)?;
        let mut made = Vec::with_capacity(items.len());
        for (item, optional) in items {
            match (self.eval(item)?, optional) {
                (Value::Optional(value), true) => made.extend(value.map(|value| (*value).clone())),
                (_, true) => return Err(no_overload()),
                (value, false) => made.push(value),
            }
        }
        Ok(Value::list(made))
    }

    fn map(&mut self, entries: &'r [(Expr, Expr, bool)]) -> Outcome<'v> {
        self.budget.spend(30)?;
        let mut made: Vec<(Value<'v>, Value<'v>)> = Vec::with_capacity(entries.len());
        for (key, value, optional) in entries {
            let key = self.eval(key)?;
            if !matches!(key, Value::String(_) | Value::Int(_) | Value::Uint(_) | Value::Bool(_)) {
                return Err(Error::fault(format!("unsupported key type: {}", key.type_name())));
            }
            let value = match (self.eval(value)?, optional) {
                (Value::Optional(None), true) => continue,
                (Value::Optional(Some(value)), true) => (*value).clone(),
                (_, true) => return Err(no_overload()),
                (value, false) => value,
            };
            if made.iter().any(|(own, _)| own.same(&key)) {
                return Err(Error::fault("Failed with repeated key"));
            }
            made.push((key, value));
        }
        Ok(Value::Map(Map::Made(Rc::new(made))))
    }

    fn message(&mut self, name: &str, fields: &'r [(Box<str>, Expr, bool)]) -> Outcome<'v> {
        self.budget.spend(40)?;
        let mut made: Vec<(Box<str>, Value<'v>)> = Vec::with_capacity(fields.len());
        for (field, value, optional) in fields {
            let value = match (self.eval(value)?, optional) {
                (Value::Optional(None), true) => continue,
                (Value::Optional(Some(value)), true) => (*value).clone(),
                (_, true) => return Err(no_overload()),
                (value, false) => value,
            };
            made.push((field.clone(), value));
        }
        Ok(Value::Message(Rc::new(Message { name: name.into(), fields: made })))
    }

    fn over(&mut self, over: &'r Over) -> Outcome<'v> {
        let range = self.eval(&over.range)?;
        // Index or key, and item or value.
        let items: Vec<(Value<'v>, Value<'v>)> = match &range {
            Value::List(list) => {
                list.iter().enumerate().map(|(index, item)| (Value::Int(index as i64), item)).collect()
            }
            Value::Map(map) => map.iter().collect(),
            _ => return Err(no_overload()),
        };
        let is_map = matches!(range, Value::Map(_));
        let (mut held, mut failed) = (0, None);
        let (mut list, mut map) = (Vec::new(), Vec::new());
        for (key, item) in items {
            self.budget.spend(2)?;
            let depth = self.names.len();
            match &over.second {
                Some(second) => {
                    self.names.push((&over.name, key.clone()));
                    self.names.push((second, item.clone()));
                }
                None => self.names.push((&over.name, if is_map { key.clone() } else { item.clone() })),
            }
            let step = self.step(over);
            self.names.truncate(depth);
            let (holds, result) = match step {
                Ok(step) => step,
                Err(error @ Error::Fault(_)) if matches!(over.kind, OverKind::All | OverKind::Exists) => {
                    // What decides may still come.
                    failed.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match over.kind {
                OverKind::All if !holds => return Ok(Value::Bool(false)),
                OverKind::Exists if holds => return Ok(Value::Bool(true)),
                OverKind::All | OverKind::Exists => {}
                OverKind::ExistsOne => held += usize::from(holds),
                OverKind::Filter if holds => list.push(if is_map { key } else { item }),
                OverKind::Map if holds => list.extend(result),
                OverKind::TransformMap if holds => map.extend(result.map(|result| (key, result))),
                OverKind::TransformEntries if holds => {
                    let Some(Value::Map(entry)) = result else { return Err(no_overload()) };
                    for (key, value) in entry.iter() {
                        self.budget.spend(map.len() as u64)?;
                        if map.iter().any(|(own, _): &(Value<'v>, Value<'v>)| own.same(&key)) {
                            let why = format!("insert failed: key {} already exists", functions::shown(&key));
                            return Err(Error::fault(why));
                        }
                        map.push((key, value));
                    }
                }
                OverKind::Filter | OverKind::Map | OverKind::TransformMap | OverKind::TransformEntries => {}
            }
        }
        match (failed, over.kind) {
            (Some(error), _) => Err(error),
            (None, OverKind::All) => Ok(Value::Bool(true)),
            (None, OverKind::Exists) => Ok(Value::Bool(false)),
            (None, OverKind::ExistsOne) => Ok(Value::Bool(held == 1)),
            (None, OverKind::Filter | OverKind::Map) => Ok(Value::list(list)),
            (None, OverKind::TransformMap | OverKind::TransformEntries) => {
                Ok(Value::Map(Map::Made(Rc::new(map))))
            }
        }
    }

    /// Whether the condition of a macro holds, and what it makes.
    fn step(&mut self, over: &'r Over) -> Result<(bool, Option<Value<'v>>), Error> {
        let holds = match &over.condition {
            None => true,
            Some(condition) => match self.eval(condition)? {
                Value::Bool(holds) => holds,
                _ => return Err(no_overload()),
            },
        };
        match (&over.result, holds) {
            (Some(result), true) => Ok((true, Some(self.eval(result)?))),
            _ => Ok((holds, None)),
        }
    }

    fn call(&mut self, function: &'r str, target: Option<&'r Expr>, arguments: &'r [Expr]) -> Outcome<'v> {
        self.budget.spend(1)?;
        // `optional.of(x)`, `ip.isCanonical(x)`, `math.greatest(…)`: functions whose names have a dot.
        if let Some(Expr { kind: ExprKind::Name(space), .. }) = target
            && !self.names.iter().any(|(name, _)| *name == &**space)
            && functions::is_space(space)
        {
            let values =
                arguments.iter().map(|argument| self.eval(argument)).collect::<Result<Vec<_>, _>>()?;
            return functions::of_space(space, function, &values, self.budget);
        }
        let target = target.map(|target| self.eval(target)).transpose()?;
        if let (Some(Value::Optional(value)), [then]) = (&target, arguments)
            && matches!(function, "or" | "orValue")
        {
            return match (value, function) {
                (Some(value), "orValue") => Ok((**value).clone()),
                (Some(_), _) => Ok(Value::Optional(value.clone())),
                (None, _) => self.eval(then),
            };
        }
        let values = arguments.iter().map(|argument| self.eval(argument)).collect::<Result<Vec<_>, _>>()?;
        match target {
            Some(target) => functions::method(&target, function, &values, self.budget),
            None => functions::function(function, &values, self.budget),
        }
    }
}

fn of_literal<'v>(literal: &Literal) -> Value<'v> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(flag) => Value::Bool(*flag),
        Literal::Int(number) => Value::Int(*number),
        Literal::Uint(number) => Value::Uint(*number),
        Literal::Double(number) => Value::Double(*number),
        Literal::String(text) => Value::String(Cow::Owned(text.to_string())),
        Literal::Bytes(bytes) => Value::Bytes((**bytes).into()),
    }
}

/// The field of a map. Names that are no names of the language are written with escapes for what is declared.
fn own_field<'v>(map: &Map<'v>, field: &str) -> Option<Value<'v>> {
    if map.is_object()
        && let Some(name) = unescaped(field)
    {
        return map.field(&name);
    }
    map.field(field)
}

/// A property's name out of its escaped form (KEP-2876): `__dash__` and its like, and words of the language.
fn unescaped(name: &str) -> Option<String> {
    const SIGNS: [(&str, &str); 4] =
        [("__underscores__", "__"), ("__dot__", "."), ("__dash__", "-"), ("__slash__", "/")];
    if !name.contains("__") {
        return None;
    }
    if let Some(word) = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"))
        && parser::is_word(word)
    {
        return Some(word.to_owned());
    }
    let (mut plain, mut rest) = (String::new(), name);
    while let Some(letter) = rest.chars().next() {
        match SIGNS.iter().find(|(escaped, _)| rest.starts_with(escaped)) {
            Some((escaped, sign)) => {
                plain.push_str(sign);
                rest = &rest[escaped.len()..];
            }
            None => {
                plain.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    Some(plain)
}

fn optional_of(value: Option<Value<'_>>) -> Value<'_> {
    Value::Optional(value.map(Rc::new))
}

fn select<'v>(of: &Value<'v>, field: &str, absent_is_none: bool) -> Outcome<'v> {
    match of {
        Value::Map(map) => match (own_field(map, field), absent_is_none) {
            (found, true) => Ok(optional_of(found)),
            (Some(found), false) => Ok(found),
            (None, false) => Err(no_key(field)),
        },
        Value::Message(message) => match (message.field(field), absent_is_none) {
            (found, true) => Ok(optional_of(found.cloned())),
            (Some(found), false) => Ok(found.clone()),
            (None, false) => Err(no_key(field)),
        },
        Value::Optional(None) => Ok(Value::Optional(None)),
        Value::Optional(Some(value)) => match &**value {
            Value::Map(map) => Ok(optional_of(own_field(map, field))),
            _ => Err(no_overload()),
        },
        _ => Err(no_overload()),
    }
}

fn index<'v>(of: &Value<'v>, at: &Value<'v>, absent_is_none: bool) -> Outcome<'v> {
    let found = match of {
        Value::Optional(None) => return Ok(Value::Optional(None)),
        Value::Optional(Some(value)) => return index(value, at, true),
        Value::Map(map) => map.get(at).ok_or_else(|| no_key(&functions::shown(at))),
        Value::List(list) => item(list, at)?,
        _ => return Err(no_overload()),
    };
    match (found, absent_is_none) {
        (found, true) => Ok(optional_of(found.ok())),
        (found, false) => found,
    }
}

fn item<'v>(list: &List<'v>, at: &Value<'v>) -> Result<Outcome<'v>, Error> {
    let position = match at {
        Value::Int(number) => usize::try_from(*number).ok(),
        Value::Uint(number) => usize::try_from(*number).ok(),
        Value::Double(number) if number.fract() == 0.0 && *number >= 0.0 => Some(*number as usize),
        Value::Double(_) => None,
        _ => return Err(no_overload()),
    };
    let found = position.and_then(|position| list.get(position));
    Ok(found.ok_or_else(|| Error::fault(format!("index out of bounds: {}", functions::shown(at)))))
}

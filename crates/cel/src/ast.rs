//! Expressions as they were parsed, with macros in forms of their own.

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A value that was written.
    Literal(Literal),
    /// A name.
    Name(Box<str>),
    /// `of.field`, or `of.?field`.
    Field {
        /// Of what.
        of: Box<Expr>,
        /// Which.
        field: Box<str>,
        /// Whether absence gives an empty optional.
        optional: bool,
    },
    /// `has(of.field)`
    Has {
        /// Of what.
        of: Box<Expr>,
        /// Which.
        field: Box<str>,
    },
    /// `of[at]`, or `of[?at]`.
    Index {
        /// Of what.
        of: Box<Expr>,
        /// Where.
        at: Box<Expr>,
        /// Whether absence gives an empty optional.
        optional: bool,
    },
    /// `function(…)` or `target.function(…)`; operators are functions under their signs.
    Call {
        /// Its name.
        function: Box<str>,
        /// On what.
        target: Option<Box<Expr>>,
        /// With what.
        arguments: Vec<Expr>,
    },
    /// `left && right`
    And(Box<Expr>, Box<Expr>),
    /// `left || right`
    Or(Box<Expr>, Box<Expr>),
    /// `condition ? then : otherwise`
    If(Box<(Expr, Expr, Expr)>),
    /// `[…]`; an item behind `?` is left out when it is an empty optional.
    List(Vec<(Expr, bool)>),
    /// `{…}`; an entry behind `?` is left out when its value is an empty optional.
    Map(Vec<(Expr, Expr, bool)>),
    /// A macro over a list or the keys of a map.
    Over(Box<Over>),
    /// `cel.bind(name, value, then)`
    Bind(Box<str>, Box<(Expr, Expr)>),
}

/// A macro over a list or a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Over {
    /// Which macro.
    pub kind: OverKind,
    /// What it runs over.
    pub range: Expr,
    /// What each item is called; of a map its key.
    pub name: Box<str>,
    /// With two names: the item, of a map its value. The first is then a list's index.
    pub second: Option<Box<str>>,
    /// What decides, where there is one.
    pub condition: Option<Expr>,
    /// What is made of each.
    pub result: Option<Expr>,
}

/// The macros over lists and maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverKind {
    /// `all`
    All,
    /// `exists`
    Exists,
    /// `exists_one`
    ExistsOne,
    /// `filter`
    Filter,
    /// `map`, and `transformList`
    Map,
    /// `transformMap`
    TransformMap,
}

/// A value that was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `1`
    Int(i64),
    /// `1u`
    Uint(u64),
    /// `1.5`
    Double(f64),
    /// `"text"`
    String(Box<str>),
    /// `b"octets"`
    Bytes(Box<[u8]>),
}

impl Expr {
    /// Calls a function with every name that is free in the expression.
    pub fn free_names<'e>(&'e self, bound: &mut Vec<&'e str>, found: &mut dyn FnMut(&'e str)) {
        let mut all = |expressions: &[&'e Expr], bound: &mut Vec<&'e str>| {
            expressions.iter().for_each(|expr| expr.free_names(bound, found));
        };
        match self {
            Expr::Literal(_) => {}
            Expr::Name(name) => {
                if !bound.contains(&&**name) {
                    found(name);
                }
            }
            Expr::Field { of, .. } | Expr::Has { of, .. } => all(&[of], bound),
            Expr::Index { of, at, .. } => all(&[of, at], bound),
            Expr::Call { target, arguments, .. } => {
                let parts: Vec<&Expr> = target.as_deref().into_iter().chain(arguments).collect();
                all(&parts, bound);
            }
            Expr::And(left, right) | Expr::Or(left, right) => all(&[left, right], bound),
            Expr::If(parts) => all(&[&parts.0, &parts.1, &parts.2], bound),
            Expr::List(items) => all(&items.iter().map(|(item, _)| item).collect::<Vec<_>>(), bound),
            Expr::Map(entries) => {
                let parts: Vec<&Expr> = entries.iter().flat_map(|(key, value, _)| [key, value]).collect();
                all(&parts, bound);
            }
            Expr::Over(over) => {
                all(&[&over.range], bound);
                let depth = bound.len();
                bound.push(&over.name);
                bound.extend(over.second.as_deref());
                let parts: Vec<&Expr> = over.condition.iter().chain(&over.result).collect();
                all(&parts, bound);
                bound.truncate(depth);
            }
            Expr::Bind(name, parts) => {
                all(&[&parts.0], bound);
                bound.push(name);
                all(&[&parts.1], bound);
                bound.pop();
            }
        }
    }

    /// Calls a function with the name of every function that is called, and the number of its arguments.
    pub fn calls<'e>(&'e self, found: &mut dyn FnMut(&'e str, bool, usize)) {
        match self {
            Expr::Literal(_) | Expr::Name(_) => {}
            Expr::Field { of, .. } | Expr::Has { of, .. } => of.calls(found),
            Expr::Index { of, at, .. } => [of, at].into_iter().for_each(|part| part.calls(found)),
            Expr::Call { function, target, arguments } => {
                found(function, target.is_some(), arguments.len());
                target.iter().for_each(|part| part.calls(found));
                arguments.iter().for_each(|part| part.calls(found));
            }
            Expr::And(left, right) | Expr::Or(left, right) => {
                [left, right].into_iter().for_each(|part| part.calls(found));
            }
            Expr::If(parts) => [&parts.0, &parts.1, &parts.2].into_iter().for_each(|part| part.calls(found)),
            Expr::List(items) => items.iter().for_each(|(item, _)| item.calls(found)),
            Expr::Map(entries) => entries.iter().for_each(|(key, value, _)| {
                key.calls(found);
                value.calls(found);
            }),
            Expr::Over(over) => {
                over.range.calls(found);
                over.condition.iter().chain(&over.result).for_each(|part| part.calls(found));
            }
            Expr::Bind(_, parts) => {
                parts.0.calls(found);
                parts.1.calls(found);
            }
        }
    }
}

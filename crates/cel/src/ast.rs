//! Expressions as they were parsed, with macros in forms of their own.

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Its number, by which is found what is known of it besides: where it stands, what its type is.
    pub id: u32,
    /// What it is.
    pub kind: ExprKind,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
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
    /// `Type.name{field: …}`; a field behind `?` is left out when its value is an empty optional.
    Message(Box<str>, Vec<(Box<str>, Expr, bool)>),
    /// A macro over a list or the keys of a map.
    Over(Box<Over>),
    /// `cel.bind(name, value, then)`
    Bind(Box<str>, Box<(Expr, Expr)>),
    /// `optional.optMap(name, then)`, or `optFlatMap`, whose result is an optional already.
    IfPresent {
        /// Of what.
        of: Box<Expr>,
        /// What the value in it is called.
        name: Box<str>,
        /// What is made of it.
        then: Box<Expr>,
        /// Whether that is an optional.
        flat: bool,
    },
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
    /// `transformMapEntry`
    TransformEntries,
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
    /// The expressions that this one is made of, in the order in which they are written.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Literal(_) | ExprKind::Name(_) => Vec::new(),
            ExprKind::Field { of, .. } | ExprKind::Has { of, .. } => vec![of],
            ExprKind::Index { of, at, .. } => vec![of, at],
            ExprKind::Call { target, arguments, .. } => {
                target.as_deref().into_iter().chain(arguments).collect()
            }
            ExprKind::And(left, right) | ExprKind::Or(left, right) => vec![left, right],
            ExprKind::If(parts) => vec![&parts.0, &parts.1, &parts.2],
            ExprKind::List(items) => items.iter().map(|(item, _)| item).collect(),
            ExprKind::Map(entries) => entries.iter().flat_map(|(key, value, _)| [key, value]).collect(),
            ExprKind::Message(_, fields) => fields.iter().map(|(_, value, _)| value).collect(),
            ExprKind::Over(over) => {
                [&over.range].into_iter().chain(&over.condition).chain(&over.result).collect()
            }
            ExprKind::Bind(_, parts) => vec![&parts.0, &parts.1],
            ExprKind::IfPresent { of, then, .. } => vec![of, then],
        }
    }

    /// Calls a function with every name that is free in the expression.
    pub fn free_names<'e>(&'e self, bound: &mut Vec<&'e str>, found: &mut dyn FnMut(&'e Expr, &'e str)) {
        let depth = bound.len();
        // What names are bound by this expression, and in how many of its first parts they do not hold yet.
        let outside = match &self.kind {
            ExprKind::Name(name) if !bound.contains(&&**name) => {
                found(self, name);
                0
            }
            ExprKind::Over(_) | ExprKind::Bind(..) | ExprKind::IfPresent { .. } => 1,
            _ => 0,
        };
        for (index, child) in self.children().into_iter().enumerate() {
            if index == outside {
                match &self.kind {
                    ExprKind::Over(over) => {
                        bound.push(&over.name);
                        bound.extend(over.second.as_deref());
                    }
                    ExprKind::Bind(name, _) | ExprKind::IfPresent { name, .. } => bound.push(name),
                    _ => {}
                }
            }
            child.free_names(bound, found);
        }
        bound.truncate(depth);
    }

    /// Whether a field of what is called so is selected anywhere (`name.field`, `name.?field`, `has(name.field)`).
    pub fn selects(&self, name: &str, wanted: &str) -> bool {
        let is_it = match &self.kind {
            ExprKind::Field { of, field, .. } | ExprKind::Has { of, field } => {
                **field == *wanted && matches!(&of.kind, ExprKind::Name(own) if **own == *name)
            }
            _ => false,
        };
        is_it || self.children().into_iter().any(|child| child.selects(name, wanted))
    }

    /// Calls a function with the name of every function that is called, and the number of its arguments.
    pub fn calls<'e>(&'e self, found: &mut dyn FnMut(&'e Expr, &'e str, Option<&'e Expr>, usize)) {
        if let ExprKind::Call { function, target, arguments } = &self.kind {
            found(self, function, target.as_deref(), arguments.len());
        }
        self.children().into_iter().for_each(|child| child.calls(found));
    }
}

//! Types of expressions, and what is declared of the values that they are given.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

/// A type.
#[derive(Clone)]
pub enum Type<'t> {
    /// Anything: what is done with it is found out when it is done.
    Dyn,
    /// `null`
    Null,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `uint`
    Uint,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `google.protobuf.Timestamp`
    Timestamp,
    /// `google.protobuf.Duration`
    Duration,
    /// `list(…)`
    List(Rc<Type<'t>>),
    /// `map(…, …)`
    Map(Rc<(Type<'t>, Type<'t>)>),
    /// `optional_type(…)`
    Optional(Rc<Type<'t>>),
    /// The type of types.
    Type(Rc<Type<'t>>),
    /// An object with declared fields.
    Object(Rc<dyn Fields<'t> + 't>),
    /// A type of which only functions know more.
    Opaque(&'static str),
    /// A type that is not known yet.
    Open(u32),
    /// What has been complained about already.
    Wrong,
}

/// The declared fields of an object.
pub trait Fields<'t> {
    /// The name of the type.
    fn name(&self) -> Cow<'_, str>;
    /// What tells it from other types: the address of what declares it, say.
    fn identity(&self) -> usize;
    /// What is at a field; its name as an expression writes it.
    fn field(&self, name: &str) -> Option<Place<'t>>;
}

/// What is declared of a place in a value: its type, and how much there may be.
#[derive(Clone)]
pub struct Place<'t> {
    /// The type.
    pub ty: Type<'t>,
    /// The most letters, items or entries that there are.
    pub most: u64,
    /// Of a list its items, of a map its values.
    pub inner: Option<Rc<Place<'t>>>,
    /// Of a map how many letters a key has at most, as far as upstream counts them: it does so for devices alone.
    pub longest_key: u64,
    /// Whether what is selected from a map by a name (`map.name`) is known to be one of its values. Upstream takes it for
    /// something of any size but where it is an attribute of a device.
    pub knows_names: bool,
}

impl<'t> Place<'t> {
    /// A place about whose size nothing is known.
    pub fn of(ty: Type<'t>) -> Self {
        Self::sized(ty, u64::MAX)
    }

    /// A place of a type and a size.
    pub fn sized(ty: Type<'t>, most: u64) -> Self {
        Self { ty, most, inner: None, longest_key: 0, knows_names: false }
    }

    /// A list of such places.
    pub fn list(item: Place<'t>, most: u64) -> Self {
        let ty = Type::List(Rc::new(item.ty.clone()));
        Self { inner: Some(Rc::new(item)), ..Self::sized(ty, most) }
    }

    /// A map from text to such places.
    pub fn map(value: Place<'t>, most: u64) -> Self {
        let ty = Type::Map(Rc::new((Type::String, value.ty.clone())));
        Self { inner: Some(Rc::new(value)), ..Self::sized(ty, most) }
    }

    /// The same map with keys of at most so many letters.
    #[must_use]
    pub fn with_keys(self, longest_key: u64) -> Self {
        Self { longest_key, ..self }
    }

    /// The same map, whose values are known by name too.
    #[must_use]
    pub fn with_names(self) -> Self {
        Self { knows_names: true, ..self }
    }
}

/// Fields that are declared one by one.
pub struct Record<'t> {
    name: &'static str,
    fields: Vec<(&'static str, Place<'t>)>,
}

impl<'t> Record<'t> {
    /// A type of this name with these fields.
    pub fn of(name: &'static str, fields: Vec<(&'static str, Place<'t>)>) -> Type<'t> {
        Type::Object(Rc::new(Self { name, fields }))
    }
}

impl<'t> Fields<'t> for Record<'t> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.name)
    }

    fn identity(&self) -> usize {
        self.name.as_ptr() as usize
    }

    fn field(&self, name: &str) -> Option<Place<'t>> {
        self.fields.iter().find(|(own, _)| *own == name).map(|(_, place)| place.clone())
    }
}

impl<'t> Type<'t> {
    /// A list of a type.
    pub fn list(item: Type<'t>) -> Self {
        Type::List(Rc::new(item))
    }

    /// A map between types.
    pub fn map(key: Type<'t>, value: Type<'t>) -> Self {
        Type::Map(Rc::new((key, value)))
    }

    /// Whether it says nothing.
    pub fn is_dyn(&self) -> bool {
        matches!(self, Type::Dyn | Type::Wrong)
    }

    /// Whether its values are all of one size.
    pub fn is_scalar(&self) -> bool {
        use Type::{Bool, Double, Duration, Int, Timestamp, Uint};
        matches!(self, Bool | Double | Duration | Int | Timestamp | Uint)
    }

    /// The types that it is made of.
    pub fn parts(&self) -> Vec<&Type<'t>> {
        match self {
            Type::List(inner) | Type::Optional(inner) | Type::Type(inner) => vec![inner],
            Type::Map(inner) => vec![&inner.0, &inner.1],
            _ => Vec::new(),
        }
    }

    /// Whether two types are the same.
    pub fn same(&self, other: &Type<'t>) -> bool {
        let (parts, others) = (self.parts(), other.parts());
        let alike = match (self, other) {
            (Type::Object(left), Type::Object(right)) => left.identity() == right.identity(),
            (Type::Opaque(left), Type::Opaque(right)) => left == right,
            (Type::Open(left), Type::Open(right)) => left == right,
            (left, right) => std::mem::discriminant(left) == std::mem::discriminant(right),
        };
        alike && parts.into_iter().zip(others).all(|(left, right)| left.same(right))
    }
}

impl fmt::Display for Type<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Type::Dyn | Type::Open(_) => "dyn",
            Type::Null => "null",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Timestamp => "timestamp",
            Type::Duration => "duration",
            Type::List(_) => "list",
            Type::Map(_) => "map",
            Type::Optional(_) => "optional_type",
            Type::Type(_) => "type",
            Type::Object(fields) => return out.write_str(&fields.name()),
            Type::Opaque(name) => name,
            Type::Wrong => "!error!",
        };
        out.write_str(name)?;
        let parts: Vec<String> = self.parts().into_iter().map(ToString::to_string).collect();
        if parts.is_empty() { Ok(()) } else { write!(out, "({})", parts.join(", ")) }
    }
}

impl fmt::Debug for Type<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

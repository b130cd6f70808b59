//! Values: those of JSON are read where they are, others are made.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;
use std::rc::Rc;

use apimachinery::{Quantity, time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::eval::{Budget, Error};
use crate::functions::semver::Version;
use crate::functions::url::Url;

/// Something of whoever evaluates an expression, which the expression may ask: an authorizer, variables that are
/// evaluated when they are first used.
pub trait Host<'v> {
    /// The name of its type.
    fn type_name(&self) -> &'static str;

    /// Calls a function on it.
    fn call(&self, name: &str, arguments: &[Value<'v>], budget: &Budget) -> Result<Value<'v>, Error> {
        let _ = (name, arguments, budget);
        Err(Error::fault("no such overload"))
    }

    /// The value of a field; nothing where there is no such field.
    fn field(&self, name: &str, budget: &Budget) -> Option<Result<Value<'v>, Error>> {
        let _ = (name, budget);
        None
    }
}

/// An object that an expression has made: `Object.spec{replicas: 3}`.
#[derive(Clone)]
pub struct Message<'v> {
    /// The name of its type.
    pub name: Box<str>,
    /// Its fields.
    pub fields: Vec<(Box<str>, Value<'v>)>,
}

impl<'v> Message<'v> {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&Value<'v>> {
        self.fields.iter().find(|(own, _)| &**own == name).map(|(_, value)| value)
    }
}

/// What a schema says of values, so far as it changes what they are in an expression.
pub trait Typed {
    /// What the field of an object, or the value of a map, is.
    fn field(&self, name: &str) -> Option<&dyn Typed>;
    /// What the items of a list are.
    fn items(&self) -> Option<&dyn Typed>;
    /// What a text or a number stands for.
    fn scalar(&self) -> Scalar;
    /// Whether a map has declared fields, whose names are written as names in an expression.
    fn is_object(&self) -> bool;
}

/// What a text or a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// What it looks like.
    Plain,
    /// A number that may have a fraction.
    Double,
    /// A time, in RFC 3339.
    Timestamp,
    /// A day.
    Date,
    /// A span of time, as Go writes it.
    Duration,
    /// Octets in base64.
    Bytes,
}

/// A value.
#[derive(Clone)]
pub enum Value<'v> {
    /// `null`
    Null,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `uint`
    Uint(u64),
    /// `double`
    Double(f64),
    /// `string`
    String(Cow<'v, str>),
    /// `bytes`
    Bytes(Rc<[u8]>),
    /// `google.protobuf.Timestamp`
    Timestamp(Timestamp),
    /// `google.protobuf.Duration`, in nanoseconds.
    Duration(i64),
    /// `list`
    List(List<'v>),
    /// `map`, and objects.
    Map(Map<'v>),
    /// `type`
    Type(&'static str),
    /// `optional_type`
    Optional(Option<Rc<Value<'v>>>),
    /// `kubernetes.Quantity`
    Quantity(Quantity),
    /// `kubernetes.URL`
    Url(Rc<Url>),
    /// `net.IP`
    Ip(IpAddr),
    /// `net.CIDR`
    Cidr(IpNet),
    /// `kubernetes.NamedFormat`
    Format(&'static str),
    /// `kubernetes.Semver`
    Semver(Rc<Version>),
    /// An object that was made.
    Message(Rc<Message<'v>>),
    /// Something of whoever evaluates.
    Host(Rc<dyn Host<'v> + 'v>),
}

/// A list.
#[derive(Clone)]
pub enum List<'v> {
    /// Of JSON.
    Json(&'v [Json], Option<&'v dyn Typed>),
    /// Made by an expression.
    Made(Rc<Vec<Value<'v>>>),
}

/// A map.
#[derive(Clone)]
pub enum Map<'v> {
    /// Of JSON.
    Json(&'v serde_json::Map<String, Json>, Option<&'v dyn Typed>),
    /// Made by an expression.
    Made(Rc<Vec<(Value<'v>, Value<'v>)>>),
}

impl<'v> Value<'v> {
    /// A value of JSON, as a schema understands it.
    pub fn of(json: &'v Json, typed: Option<&'v dyn Typed>) -> Self {
        let scalar = typed.map_or(Scalar::Plain, |typed| typed.scalar());
        match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => match (number.as_i64(), scalar) {
                (_, Scalar::Double) | (None, _) => Value::Double(number.as_f64().unwrap_or_default()),
                (Some(number), _) => Value::Int(number),
            },
            Json::String(text) => Self::of_text(text, scalar),
            Json::Array(items) => Value::List(List::Json(items, typed.and_then(|typed| typed.items()))),
            Json::Object(fields) => Value::Map(Map::Json(fields, typed)),
        }
    }

    fn of_text(text: &'v str, scalar: Scalar) -> Self {
        let special = match scalar {
            Scalar::Plain | Scalar::Double => None,
            Scalar::Timestamp => time::parse(text).map(Value::Timestamp),
            Scalar::Date => time::parse(&format!("{text}T00:00:00Z")).map(Value::Timestamp),
            Scalar::Duration => time::parse_go_duration(text).map(Value::Duration),
            Scalar::Bytes => STANDARD.decode(text).ok().map(|bytes| Value::Bytes(bytes.into())),
        };
        special.unwrap_or(Value::String(Cow::Borrowed(text)))
    }

    /// A list that was made.
    pub fn list(items: Vec<Value<'v>>) -> Self {
        Value::List(List::Made(Rc::new(items)))
    }

    /// A text that was made.
    pub fn text(text: impl Into<String>) -> Self {
        Value::String(Cow::Owned(text.into()))
    }

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null_type",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::Timestamp(_) => "google.protobuf.Timestamp",
            Value::Duration(_) => "google.protobuf.Duration",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Type(_) => "type",
            Value::Optional(_) => "optional_type",
            Value::Quantity(_) => "kubernetes.Quantity",
            Value::Url(_) => "kubernetes.URL",
            Value::Ip(_) => "net.IP",
            Value::Cidr(_) => "net.CIDR",
            Value::Format(_) => "kubernetes.NamedFormat",
            Value::Semver(_) => "kubernetes.Semver",
            Value::Message(_) => "object",
            Value::Host(host) => host.type_name(),
        }
    }

    /// The value as JSON; none where it has no such form.
    pub fn json(&self) -> Option<Json> {
        Some(match self {
            Value::Null | Value::Optional(None) => Json::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Int(number) => (*number).into(),
            Value::Uint(number) => (*number).into(),
            Value::Double(number) => serde_json::Number::from_f64(*number)?.into(),
            Value::String(text) => Json::String(text.to_string()),
            Value::Bytes(bytes) => STANDARD.encode(bytes).into(),
            Value::List(List::Json(items, _)) => Json::Array(items.to_vec()),
            Value::List(list) => Json::Array(list.iter().map(|item| item.json()).collect::<Option<_>>()?),
            Value::Map(Map::Json(fields, _)) => Json::Object((*fields).clone()),
            Value::Map(map) => {
                let entries =
                    map.iter().map(|(key, value)| Some((crate::functions::shown(&key), value.json()?)));
                Json::Object(entries.collect::<Option<_>>()?)
            }
            Value::Message(message) => {
                let fields =
                    message.fields.iter().map(|(name, value)| Some((name.to_string(), value.json()?)));
                Json::Object(fields.collect::<Option<_>>()?)
            }
            Value::Optional(Some(value)) => value.json()?,
            Value::Quantity(quantity) => quantity.to_string().into(),
            Value::Timestamp(_) | Value::Duration(_) | Value::Ip(_) | Value::Cidr(_) => {
                crate::functions::shown(self).into()
            }
            Value::Url(url) => url.text.clone().into(),
            Value::Semver(version) => version.to_string().into(),
            Value::Type(_) | Value::Format(_) | Value::Host(_) => return None,
        })
    }

    /// How much there is of it to look at: the length of a text, a list or a map; 1 of all else.
    pub fn size(&self) -> usize {
        match self {
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(list) => list.len(),
            Value::Map(map) => map.len(),
            _ => 1,
        }
    }

    /// Whether two values are equal; numbers of different types are when they are the same number.
    pub fn same(&self, other: &Value<'_>) -> bool {
        use Value::*;
        match (self, other) {
            (Null, Null) => true,
            (Bool(left), Bool(right)) => left == right,
            (String(left), String(right)) => left == right,
            (Bytes(left), Bytes(right)) => left == right,
            (Type(left), Type(right)) => left == right,
            (Optional(left), Optional(right)) => match (left, right) {
                (Some(left), Some(right)) => left.same(right),
                (left, right) => left.is_none() && right.is_none(),
            },
            (Quantity(left), Quantity(right)) => left.cmp(right) == Ordering::Equal,
            (Url(left), Url(right)) => left.text == right.text,
            (Ip(left), Ip(right)) => left == right,
            (Cidr(left), Cidr(right)) => left == right,
            (Format(left), Format(right)) => left == right,
            (Semver(left), Semver(right)) => left.order(right) == Ordering::Equal,
            (Message(left), Message(right)) => {
                left.name == right.name
                    && left.fields.len() == right.fields.len()
                    && left
                        .fields
                        .iter()
                        .all(|(name, value)| right.field(name).is_some_and(|other| value.same(other)))
            }
            (List(left), List(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right.iter()).all(|(left, right)| left.same(&right))
            }
            (Map(left), Map(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(key, value)| right.get(&key).is_some_and(|other| value.same(&other)))
            }
            (left, right) => left.order(right) == Some(Ordering::Equal),
        }
    }

    /// How two values are ordered, where they are.
    pub fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        use Value::*;
        match (self, other) {
            (Bool(left), Bool(right)) => Some(left.cmp(right)),
            (String(left), String(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
            (Bytes(left), Bytes(right)) => Some(left.cmp(right)),
            (Timestamp(left), Timestamp(right)) => Some(left.cmp(right)),
            (Duration(left), Duration(right)) => Some(left.cmp(right)),
            (Int(left), Int(right)) => Some(left.cmp(right)),
            (Uint(left), Uint(right)) => Some(left.cmp(right)),
            (Int(left), Uint(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
            (Uint(left), Int(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
            (left, right) => left.number()?.partial_cmp(&right.number()?),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Uint(number) => Some(*number as f64),
            Value::Double(number) => Some(*number),
            _ => None,
        }
    }
}

impl<'v> List<'v> {
    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        match self {
            List::Json(items, _) => items.len(),
            List::Made(items) => items.len(),
        }
    }

    /// An item.
    pub fn get(&self, index: usize) -> Option<Value<'v>> {
        match self {
            List::Json(items, typed) => items.get(index).map(|item| Value::of(item, *typed)),
            List::Made(items) => items.get(index).cloned(),
        }
    }

    /// All items.
    pub fn iter(&self) -> impl Iterator<Item = Value<'v>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'v> Map<'v> {
    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        match self {
            Map::Json(fields, _) => fields.len(),
            Map::Made(entries) => entries.len(),
        }
    }

    /// The value at a key.
    pub fn get(&self, key: &Value<'_>) -> Option<Value<'v>> {
        match (self, key) {
            (Map::Json(..), Value::String(name)) => self.field(name),
            (Map::Json(..), _) => None,
            (Map::Made(entries), key) => {
                entries.iter().find(|(own, _)| own.same(key)).map(|(_, value)| value.clone())
            }
        }
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<Value<'v>> {
        match self {
            Map::Json(fields, typed) => {
                let typed = *typed;
                Some(Value::of(fields.get(name)?, typed.and_then(|typed| typed.field(name))))
            }
            Map::Made(_) => self.get(&Value::String(Cow::Borrowed(name))),
        }
    }

    /// Whether its fields are declared.
    pub fn is_object(&self) -> bool {
        matches!(self, Map::Json(_, Some(typed)) if typed.is_object())
    }

    /// All entries.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (Value<'v>, Value<'v>)> + '_> {
        match self {
            Map::Json(fields, typed) => {
                let typed = *typed;
                Box::new(fields.iter().map(move |(name, value)| {
                    let of = typed.and_then(|typed| typed.field(name));
                    (Value::String(Cow::Borrowed(name.as_str())), Value::of(value, of))
                }))
            }
            Map::Made(entries) => Box::new(entries.iter().cloned()),
        }
    }
}

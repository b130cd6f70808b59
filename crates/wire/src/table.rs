//! The table of messages, read once when the first protobuf body comes.

use std::collections::HashMap;
use std::sync::OnceLock;

/// A message of the table.
#[derive(Debug)]
pub(crate) struct Message {
    fields: Vec<Field>,
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    number: u32,
    /// The name in JSON.
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
}

/// What a field holds.
#[derive(Debug)]
pub(crate) enum Type {
    Text,
    Bytes,
    Int,
    Uint,
    Bool,
    Double,
    Time,
    MicroTime,
    Duration,
    Quantity,
    IntOrString,
    /// An object as JSON text.
    Raw,
    /// Any JSON text.
    Json,
    /// A list of texts in a message of its own.
    Texts,
    Schema(SchemaOr),
    Message(&'static str),
    /// A message whose fields are the outer object's in JSON.
    Inline(&'static str),
    List(Box<Type>),
    Map(Box<Type>),
}

/// What may stand in the place of a JSON schema.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SchemaOr {
    Bool,
    List,
    Strings,
}

impl Message {
    /// The field of a number.
    pub(crate) fn field(&self, number: u32) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// All fields.
    #[cfg(test)]
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }
}

/// The message of a name such as `core.v1.Pod`.
pub(crate) fn message(name: &str) -> Option<&'static Message> {
    all().get(name)
}

pub(crate) fn all() -> &'static HashMap<&'static str, Message> {
    static MESSAGES: OnceLock<HashMap<&'static str, Message>> = OnceLock::new();
    MESSAGES.get_or_init(|| include_str!("messages.txt").lines().filter_map(line).collect())
}

fn line(line: &'static str) -> Option<(&'static str, Message)> {
    let (name, fields) = line.split_once('\t')?;
    let fields = fields.split_whitespace().filter_map(field).collect();
    Some((name, Message { fields }))
}

fn field(text: &'static str) -> Option<Field> {
    let (number, rest) = text.split_once(':')?;
    let (name, ty) = rest.split_once(':')?;
    Some(Field { number: number.parse().ok()?, name, ty: read_type(ty)? })
}

fn read_type(text: &'static str) -> Option<Type> {
    let (first, rest) = text.split_at_checked(1)?;
    Some(match first {
        "s" => Type::Text,
        "y" => Type::Bytes,
        "i" => Type::Int,
        "u" => Type::Uint,
        "b" => Type::Bool,
        "d" => Type::Double,
        "T" => Type::Time,
        "U" => Type::MicroTime,
        "D" => Type::Duration,
        "Q" => Type::Quantity,
        "I" => Type::IntOrString,
        "R" | "F" => Type::Raw,
        "J" => Type::Json,
        "L" => Type::Texts,
        "A" => Type::Schema(SchemaOr::Bool),
        "B" => Type::Schema(SchemaOr::List),
        "C" => Type::Schema(SchemaOr::Strings),
        "@" => Type::Message(rest),
        "^" => Type::Inline(rest.strip_prefix('@')?),
        "*" => Type::List(Box::new(read_type(rest)?)),
        "{" => Type::Map(Box::new(read_type(rest)?)),
        _ => return None,
    })
}

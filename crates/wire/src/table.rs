//! The table of messages, read once when protobuf is first spoken.

use std::sync::OnceLock;

/// A message of the table.
#[derive(Debug)]
pub(crate) struct Message {
    fields: Vec<Field>,
    /// What its JSON form has, sorted by name; fields of inline messages lie flat among the others.
    members: Vec<Member>,
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    number: u32,
    /// The name in JSON.
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
}

/// A field as JSON names it.
#[derive(Debug)]
pub(crate) struct Member {
    name: &'static str,
    /// The numbers of the inline messages that it lies in, outermost first.
    pub(crate) outer: Vec<u32>,
    pub(crate) number: u32,
    pub(crate) ty: Type,
}

/// What a field holds.
#[derive(Debug, Clone)]
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
    Message(Id),
    /// A message whose fields are the outer object's in JSON.
    Inline(Id),
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

/// A message's place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(u16);

impl Id {
    /// The message.
    pub(crate) fn message(self) -> &'static Message {
        &table().messages[self.0 as usize]
    }
}

impl Message {
    /// The field of a number.
    pub(crate) fn field(&self, number: u32) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// The field that JSON names.
    pub(crate) fn member(&self, name: &[u8]) -> Option<&Member> {
        let at = self.members.binary_search_by(|member| member.name.as_bytes().cmp(name)).ok()?;
        self.members.get(at)
    }

    /// All fields.
    #[cfg(test)]
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }
}

/// The message of a name such as `core.v1.Pod`.
pub(crate) fn message(name: &str) -> Option<&'static Message> {
    let table = table();
    let at = table.names.binary_search(&name).ok()?;
    table.messages.get(at)
}

#[derive(Debug)]
struct Table {
    /// Sorted, as the file is.
    names: Vec<&'static str>,
    messages: Vec<Message>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let lines = include_str!("messages.txt").lines().filter_map(|line| line.split_once('\t'));
        let (names, texts): (Vec<&str>, Vec<&str>) = lines.unzip();
        let mut messages: Vec<Message> = texts
            .iter()
            .map(|text| {
                let fields = text.split_whitespace().filter_map(|text| field(text, &names)).collect();
                Message { fields, members: Vec::new() }
            })
            .collect();
        for at in 0..messages.len() {
            let mut members = Vec::new();
            flatten(&messages, Id(at as u16), &mut Vec::new(), &mut members);
            members.sort_unstable_by_key(|member| member.name);
            messages[at].members = members;
        }
        Table { names, messages }
    })
}

/// The names of all messages.
#[cfg(test)]
pub(crate) fn names() -> &'static [&'static str] {
    &table().names
}

fn flatten(messages: &[Message], id: Id, outer: &mut Vec<u32>, into: &mut Vec<Member>) {
    for Field { number, name, ty } in &messages[id.0 as usize].fields {
        match ty {
            Type::Inline(inner) => {
                outer.push(*number);
                flatten(messages, *inner, outer, into);
                outer.pop();
            }
            ty => into.push(Member { name, outer: outer.clone(), number: *number, ty: ty.clone() }),
        }
    }
}

fn field(text: &'static str, names: &[&str]) -> Option<Field> {
    let (number, rest) = text.split_once(':')?;
    let (name, ty) = rest.split_once(':')?;
    Some(Field { number: number.parse().ok()?, name, ty: read_type(ty, names)? })
}

fn read_type(text: &str, names: &[&str]) -> Option<Type> {
    let (first, rest) = text.split_at_checked(1)?;
    let id = |name: &str| names.binary_search(&name).ok().map(|at| Id(at as u16));
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
        "@" => Type::Message(id(rest)?),
        "^" => Type::Inline(id(rest.strip_prefix('@')?)?),
        "*" => Type::List(Box::new(read_type(rest, names)?)),
        "{" => Type::Map(Box::new(read_type(rest, names)?)),
        _ => return None,
    })
}

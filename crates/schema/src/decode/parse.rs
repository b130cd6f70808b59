//! JSON text to a value, with the paths of fields that are written twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{DecodeError, FieldValidation, MOST_STRICT_ERRORS, SyntaxError, Warnings, decode_parsed};
use crate::types::Type;

/// A parsed object and what [`decode`](super::decode) could no longer see in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The value; of a field written twice, the last one.
    pub value: Value,
    /// `duplicate field "spec.replicas"`, one for each field written again.
    pub duplicates: Vec<String>,
}

/// Parses JSON text.
pub fn parse(text: &[u8]) -> Result<Parsed, SyntaxError> {
    let mut path = Vec::new();
    let mut duplicates = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let seed = Seed { path: &mut path, duplicates: &mut duplicates };
    let parsed = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match parsed {
        Ok(value) => Ok(Parsed { value, duplicates }),
        Err(error) => Err(SyntaxError::of(text, &error)),
    }
}

impl Parsed {
    /// Decodes under a schema.
    pub fn decode(self, ty: Type<'_>, validation: FieldValidation) -> Result<(Value, Warnings), DecodeError> {
        let Parsed { mut value, duplicates } = self;
        let warnings = decode_parsed(ty, &mut value, duplicates, validation)?;
        Ok((value, warnings))
    }
}

struct Seed<'s> {
    /// Where the parser is; kept as positions in one buffer would not be cheaper, since most objects are flat.
    path: &'s mut Vec<Step>,
    duplicates: &'s mut Vec<String>,
}

enum Step {
    Index(usize),
    /// Pushed with the key only while a value that can hold fields is read.
    Key(String),
}

fn written(path: &[Step], key: &str) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
        }
    }
    if !text.is_empty() {
        text.push('.');
    }
    text.push_str(key);
    text
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        let Seed { path, duplicates } = self;
        path.push(Step::Index(0));
        while let Some(item) =
            access.next_element_seed(Seed { path: &mut *path, duplicates: &mut *duplicates })?
        {
            items.push(item);
            if let Some(Step::Index(index)) = path.last_mut() {
                *index = items.len();
            }
        }
        path.pop();
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let Seed { path, duplicates } = self;
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) && duplicates.len() < MOST_STRICT_ERRORS {
                duplicates.push(format!("duplicate field {:?}", written(path, &key)));
            }
            path.push(Step::Key(key));
            let value = access.next_value_seed(Seed { path: &mut *path, duplicates: &mut *duplicates })?;
            // The key was pushed above and everything pushed after it is popped again.
            if let Some(Step::Key(key)) = path.pop() {
                map.insert(key, value);
            }
        }
        Ok(Value::Object(map))
    }
}

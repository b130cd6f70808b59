//! Decoding: one walk over an object under its schema that checks types, drops nulls and unknown fields, and
//! brings scalars into the form that Go would write.
//!
//! Messages are those of upstream's JSON decoder, because clients and people match on them. Nothing is
//! allocated where nothing is wrong.

use apimachinery::go::{kind_of, misfit};
use serde_json::{Map, Value};

use crate::types::{Element, Field, Kind, Type};

mod base64;
mod parse;
mod scalar;
mod syntax;
mod time;

pub use parse::{Parsed, parse};
pub use syntax::SyntaxError;

/// What to do about unknown and duplicate fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them silently.
    Ignore,
    /// Drop them and warn.
    #[default]
    Warn,
    /// Refuse the object.
    Strict,
}

impl FieldValidation {
    /// Reads the query parameter `fieldValidation`; `None` for a value that is none of the three.
    pub fn from_query(value: &str) -> Option<Self> {
        Some(match value {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            _ => return None,
        })
    }
}

/// Texts for `Warning` headers.
pub type Warnings = Vec<String>;

/// Why an object cannot be decoded. The server prefixes the text with
/// `<Kind> in version "<version>" cannot be handled as a <Kind>: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A value is of the wrong type or form.
    #[error("{}", .0.decoding)]
    Type(Misfit),
    /// Unknown or duplicate fields under strict validation.
    #[error("strict decoding error: {}", .0.join(", "))]
    Strict(Vec<String>),
}

impl DecodeError {
    /// An error of which upstream says the same wherever it finds it.
    pub fn of(text: String) -> Self {
        Self::Type(Misfit { converting: text.clone(), decoding: text })
    }
}

/// What upstream says of a value of the wrong type or form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Where it decodes JSON.
    pub decoding: String,
    /// Where it converts the tree that a strategic merge patch made.
    pub converting: String,
}

/// Upstream's decoder keeps at most this many strict errors.
const MOST_STRICT_ERRORS: usize = 100;

/// Decodes an object in place.
pub fn decode(
    ty: Type<'_>,
    object: &mut Value,
    validation: FieldValidation,
) -> Result<Warnings, DecodeError> {
    decode_parsed(ty, object, Vec::new(), validation)
}

/// Decodes an object in place; `duplicates` are the paths that [`parse`] found twice.
pub fn decode_parsed(
    ty: Type<'_>,
    object: &mut Value,
    duplicates: Vec<String>,
    validation: FieldValidation,
) -> Result<Warnings, DecodeError> {
    let mut walk = Walk { strict: duplicates, collect: validation != FieldValidation::Ignore };
    let root = Path { parent: None, step: Step::Root, strukt: "" };
    match object {
        Value::Object(map) => walk.object(ty, map, &root)?,
        other => return Err(DecodeError::of(misfit(other, ty.go_name()))),
    }
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(walk.strict),
        FieldValidation::Strict if walk.strict.is_empty() => Ok(Vec::new()),
        FieldValidation::Strict => Err(DecodeError::Strict(walk.strict)),
    }
}

/// Where the walk is: a chain through the stack, written out only for a message.
#[derive(Clone, Copy)]
struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
    /// Go's name of the struct that the last field belongs to.
    strukt: &'p str,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Field(&'p str),
    Index(usize),
    Key(&'p str),
}

impl<'p> Path<'p> {
    fn then(&'p self, step: Step<'p>) -> Path<'p> {
        Path { parent: Some(self), step, strukt: self.strukt }
    }

    /// `spec.containers[0].image`
    fn full(&self) -> String {
        let mut text = self.parent.map(Path::full).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Field(name) | Step::Key(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
        text
    }

    /// `spec.containers.image`: Go leaves indexes and map keys out.
    fn fields(&self) -> String {
        let mut text = self.parent.map(Path::fields).unwrap_or_default();
        if let Step::Field(name) = self.step {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(name);
        }
        text
    }

    fn mismatch(&self, found: &str, wanted: &str, converting: String) -> DecodeError {
        let decoding = format!(
            "json: cannot unmarshal {found} into Go struct field {}.{} of type {wanted}",
            self.strukt,
            self.fields()
        );
        DecodeError::Type(Misfit { decoding, converting })
    }
}

struct Walk {
    strict: Vec<String>,
    collect: bool,
}

impl Walk {
    fn object(
        &mut self,
        ty: Type<'_>,
        map: &mut Map<String, Value>,
        at: &Path<'_>,
    ) -> Result<(), DecodeError> {
        let mut failed = None;
        map.retain(|name, value| {
            if failed.is_some() {
                return true;
            }
            let Some(field) = ty.field(name) else {
                self.unknown(at, name);
                return false;
            };
            if value.is_null() {
                return false;
            }
            let path = Path { parent: Some(at), step: Step::Field(name), strukt: ty.struct_name() };
            match self.value(field.element(), field, value, &path) {
                Ok(()) => !(field.omit_zero() && scalar::is_zero(value)),
                Err(error) => {
                    failed = Some(error);
                    true
                }
            }
        });
        failed.map_or(Ok(()), Err)
    }

    fn unknown(&mut self, at: &Path<'_>, name: &str) {
        if self.collect && self.strict.len() < MOST_STRICT_ERRORS {
            self.strict.push(format!("unknown field {:?}", at.then(Step::Field(name)).full()));
        }
    }

    /// Decodes a value that is not a null. `field` is the field that it lies in, however deep.
    fn value(
        &mut self,
        element: Element<'_>,
        field: Field<'_>,
        value: &mut Value,
        at: &Path<'_>,
    ) -> Result<(), DecodeError> {
        match (element.kind(), &mut *value) {
            (Kind::String, Value::String(_))
            | (Kind::Bool, Value::Bool(_))
            | (Kind::Double, Value::Number(_)) => Ok(()),
            (Kind::Object(ty), Value::Object(map)) => self.object(ty, map, at),
            (Kind::Array(inner), Value::Array(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    if item.is_null() {
                        *item = scalar::zero(inner.kind());
                    }
                    self.value(inner, field, item, &at.then(Step::Index(index)))?;
                }
                Ok(())
            }
            (Kind::Map(inner), Value::Object(map)) => {
                for (key, item) in map.iter_mut() {
                    if item.is_null() {
                        *item = scalar::zero(inner.kind());
                    }
                    self.value(inner, field, item, &at.then(Step::Key(key)))?;
                }
                Ok(())
            }
            (Kind::Int32, Value::Number(number))
                if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) =>
            {
                Ok(())
            }
            (Kind::Int64, Value::Number(number)) if number.is_i64() => Ok(()),
            (Kind::RawExtension | Kind::FieldsV1 | Kind::Json, _) => Ok(()),
            (Kind::SchemaOrBool(_), Value::Bool(_)) => Ok(()),
            (
                Kind::SchemaOrBool(ty) | Kind::SchemaOrArray(ty) | Kind::SchemaOrStrings(ty),
                Value::Object(map),
            ) => self.object(ty, map, at),
            (Kind::SchemaOrArray(ty), Value::Array(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    match item {
                        Value::Object(map) => self.object(ty, map, &at.then(Step::Index(index)))?,
                        other => {
                            let own = misfit(other, ty.go_name());
                            return Err(at.mismatch(kind_of(other), ty.go_name(), own));
                        }
                    }
                }
                Ok(())
            }
            (Kind::SchemaOrStrings(_), Value::Array(items)) => {
                match items.iter().find(|item| !item.is_string()) {
                    Some(other) => Err(at.mismatch(kind_of(other), "string", misfit(other, "string"))),
                    None => Ok(()),
                }
            }
            (Kind::SchemaOrBool(_), _) => Err(DecodeError::of("boolean or JSON schema expected".to_owned())),
            (kind, _) => scalar::normalise(kind, field, value, at),
        }
    }
}

#[cfg(test)]
mod tests;

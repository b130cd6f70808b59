//! Views of the schema rows: what a caller asks of a type, a field or an element.

use std::fmt;
use std::sync::Arc;

use crate::generated;
use crate::tables::{
    EMBEDDED, FieldRow, ListType, MapType, MergeRow, OMIT_ZERO, PatchStrategy, REQUIRED, Shape, Tables,
    TypeRow,
};

/// The root of a schema that a resource holds: built in, or shared by a custom resource.
#[derive(Clone)]
pub enum Schema {
    /// A row of the built-in tables.
    BuiltIn(TypeId),
    /// A row of tables made at run time.
    Shared(Arc<Tables>, u16),
}

/// The number of a built-in type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeId(pub u16);

impl Schema {
    /// Gives the view of the root type.
    pub fn ty(&self) -> Type<'_> {
        match self {
            Schema::BuiltIn(id) => id.ty(),
            Schema::Shared(tables, id) => Type { tables, id: *id },
        }
    }
}

impl TypeId {
    /// Gives the view of this built-in type.
    pub fn ty(self) -> Type<'static> {
        Type { tables: &generated::TABLES, id: self.0 }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Schema({})", self.ty().name())
    }
}

/// A named object type.
#[derive(Clone, Copy)]
pub struct Type<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) id: u16,
}

impl<'a> Type<'a> {
    /// Finds a built-in type by its OpenAPI definition name, `io.k8s.api.core.v1.Pod`.
    pub fn named(name: &str) -> Option<Type<'static>> {
        let tables = &generated::TABLES;
        let at = tables.types.binary_search_by(|row| tables.text(row.name).cmp(name)).ok()?;
        Some(Type { tables, id: at as u16 })
    }

    /// Finds the type of lists of this type, which stands in the same tables under the name with `List`.
    pub fn list(self) -> Option<Type<'a>> {
        let tables = self.tables;
        let name = format!("{}List", self.name());
        let at = match self.is_built_in() {
            true => tables.types.binary_search_by(|row| tables.text(row.name).cmp(&name)).ok()?,
            false => tables.types.iter().position(|row| tables.text(row.name) == name)?,
        };
        Some(Type { tables, id: at as u16 })
    }

    /// Says whether the type is one of the built-in ones, not a custom resource's.
    pub fn is_built_in(self) -> bool {
        std::ptr::eq(self.tables, &generated::TABLES)
    }

    /// Lists every built-in type by name.
    pub fn all() -> impl Iterator<Item = Type<'static>> {
        (0..generated::TABLES.types.len()).map(|id| Type { tables: &generated::TABLES, id: id as u16 })
    }

    pub(crate) fn row(self) -> &'a TypeRow {
        &self.tables.types[self.id as usize]
    }

    /// Says the OpenAPI definition name, `io.k8s.api.core.v1.PodSpec`.
    pub fn name(self) -> &'a str {
        self.tables.text(self.row().name)
    }

    /// Says Go's package-qualified name, `v1.PodSpec`.
    pub fn go_name(self) -> &'a str {
        let name = self.name();
        match name.rmatch_indices('.').nth(1) {
            Some((at, _)) => &name[at + 1..],
            None => name,
        }
    }

    /// Says Go's bare struct name, `PodSpec`.
    pub fn struct_name(self) -> &'a str {
        let name = self.name();
        name.rfind('.').map_or(name, |at| &name[at + 1..])
    }

    /// Describes the type in words.
    pub fn description(self) -> &'a str {
        self.tables.type_descriptions.get(self.id as usize).map_or("", |text| self.tables.description(*text))
    }

    pub(crate) fn rows(self) -> &'a [FieldRow] {
        let row = self.row();
        &self.tables.fields[row.first as usize..row.first as usize + row.count as usize]
    }

    /// Lists the fields, sorted by name.
    pub fn fields(self) -> impl ExactSizeIterator<Item = Field<'a>> {
        let first = self.row().first;
        (0..self.row().count).map(move |at| Field { tables: self.tables, id: first + at })
    }

    /// Finds a field by its JSON name.
    pub fn field(self, name: &str) -> Option<Field<'a>> {
        // Decoding asks this of every key, so bytes are compared without looking for character boundaries.
        let (text, wanted) = (self.tables.text.as_bytes(), name.as_bytes());
        let of = |row: &FieldRow| {
            let at = row.name_at as usize;
            text.get(at..at + row.name_len as usize).unwrap_or_default()
        };
        let at = self.rows().binary_search_by(|row| of(row).cmp(wanted)).ok()?;
        Some(Field { tables: self.tables, id: self.row().first + at as u16 })
    }

    /// Says whether the type is declared atomic for server-side apply.
    pub fn map_type(self) -> Option<MapType> {
        self.tables.merges[self.row().merge as usize].map
    }

    /// Names the discriminator and the members (field, discriminator value) of its union, if it is one.
    pub fn union(self) -> Option<(&'a str, impl Iterator<Item = (&'a str, &'a str)>)> {
        let row = self.tables.unions.get((self.row().union as usize).checked_sub(1)?)?;
        let members = self.tables.text(row.members).split(',').filter_map(|pair| pair.split_once('='));
        Some((self.tables.text(row.discriminator), members))
    }
}

impl PartialEq for Type<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && std::ptr::eq(self.tables, other.tables)
    }
}

impl fmt::Debug for Type<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Type({})", self.name())
    }
}

pub(crate) fn field_name<'a>(tables: &'a Tables, row: &FieldRow) -> &'a str {
    let at = row.name_at as usize;
    tables.text.get(at..at + row.name_len as usize).unwrap_or_default()
}

/// A field of a type.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) id: u16,
}

impl<'a> Field<'a> {
    pub(crate) fn row(self) -> &'a FieldRow {
        &self.tables.fields[self.id as usize]
    }

    /// Says the JSON name.
    pub fn name(self) -> &'a str {
        field_name(self.tables, self.row())
    }

    /// Says what the value looks like.
    pub fn kind(self) -> Kind<'a> {
        self.element().kind()
    }

    /// Gives the value's shape as an element.
    pub fn element(self) -> Element<'a> {
        Element { tables: self.tables, shape: self.row().shape }
    }

    /// Says whether the field must be there.
    pub fn required(self) -> bool {
        self.row().flags & REQUIRED != 0
    }

    /// Says whether the zero value means the same as absence.
    pub fn omit_zero(self) -> bool {
        self.row().flags & OMIT_ZERO != 0
    }

    /// Says whether the value is a struct that Go holds by value: its absence means the same as an empty one.
    pub fn embedded(self) -> bool {
        self.row().flags & EMBEDDED != 0
    }

    /// Gives the merge facts.
    pub fn merge(self) -> Merge<'a> {
        Merge { tables: self.tables, row: &self.tables.merges[self.row().merge as usize] }
    }

    /// Gives the declared default as JSON text.
    pub fn default(self) -> Option<&'a str> {
        let at = (self.row().default as usize).checked_sub(1)?;
        self.tables.defaults.get(at).map(|text| self.tables.text(*text))
    }

    /// Lists the allowed values where the string type is an enum; empty otherwise.
    pub fn enum_values(self) -> impl Iterator<Item = &'a str> {
        let values = match (self.row().named as usize).checked_sub(1).and_then(|at| self.tables.enums.get(at))
        {
            Some(row) => self.tables.text(row.values),
            None => "",
        };
        values.split(',').filter(|value| !value.is_empty())
    }

    /// Says Go's named string type, `v1.PullPolicy`, or `string`.
    pub fn go_string(self) -> &'a str {
        match (self.row().named as usize).checked_sub(1).and_then(|at| self.tables.enums.get(at)) {
            Some(row) => self.tables.text(row.go),
            None => "string",
        }
    }

    /// Describes the field in words.
    pub fn description(self) -> &'a str {
        self.tables.field_descriptions.get(self.id as usize).map_or("", |text| self.tables.description(*text))
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Field({})", self.name())
    }
}

/// The value of a field, of a list element or of a map entry.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) shape: u16,
}

/// What a value looks like, with its type or element resolved.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    /// `bool`
    Bool,
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `float64`
    Double,
    /// `string`
    String,
    /// `[]byte`, base64 on the wire.
    Bytes,
    /// RFC 3339 to the second.
    Time,
    /// RFC 3339 to the microsecond.
    MicroTime,
    /// A number with a unit suffix.
    Quantity,
    /// An int32 or a string.
    IntOrString,
    /// Any object, kept as it is.
    RawExtension,
    /// The field set of a managed-fields entry.
    FieldsV1,
    /// Any JSON value.
    Json,
    /// A JSON schema or a bool.
    SchemaOrBool(Type<'a>),
    /// A JSON schema or a list of them.
    SchemaOrArray(Type<'a>),
    /// A JSON schema or a list of strings.
    SchemaOrStrings(Type<'a>),
    /// An object of a named type.
    Object(Type<'a>),
    /// A list.
    Array(Element<'a>),
    /// String keys to values.
    Map(Element<'a>),
}

impl<'a> Element<'a> {
    /// Says whether the schema is one of the built-in ones, not a custom resource's.
    pub fn is_built_in(self) -> bool {
        std::ptr::eq(self.tables, &generated::TABLES)
    }

    /// Says what the value looks like.
    pub fn kind(self) -> Kind<'a> {
        let ty = |id| Type { tables: self.tables, id };
        let element = |shape| Element { tables: self.tables, shape };
        match self.tables.shapes[self.shape as usize] {
            Shape::Bool => Kind::Bool,
            Shape::Int32 => Kind::Int32,
            Shape::Int64 => Kind::Int64,
            Shape::Double => Kind::Double,
            Shape::String => Kind::String,
            Shape::Bytes => Kind::Bytes,
            Shape::Time => Kind::Time,
            Shape::MicroTime => Kind::MicroTime,
            Shape::Quantity => Kind::Quantity,
            Shape::IntOrString => Kind::IntOrString,
            Shape::RawExtension => Kind::RawExtension,
            Shape::FieldsV1 => Kind::FieldsV1,
            Shape::Json => Kind::Json,
            Shape::SchemaOrBool(id) => Kind::SchemaOrBool(ty(id)),
            Shape::SchemaOrArray(id) => Kind::SchemaOrArray(ty(id)),
            Shape::SchemaOrStrings(id) => Kind::SchemaOrStrings(ty(id)),
            Shape::Object(id) => Kind::Object(ty(id)),
            Shape::Array(shape) => Kind::Array(element(shape)),
            Shape::Map(shape) => Kind::Map(element(shape)),
        }
    }

    /// Gives the object type of the value itself, or of its elements where it is a list or a map.
    pub fn object(self) -> Option<Type<'a>> {
        match self.kind() {
            Kind::Object(ty) => Some(ty),
            Kind::Array(element) | Kind::Map(element) => element.object(),
            _ => None,
        }
    }
}

/// The merge facts of a field.
#[derive(Clone, Copy)]
pub struct Merge<'a> {
    tables: &'a Tables,
    row: &'a MergeRow,
}

impl<'a> Merge<'a> {
    /// Says how a list merges in server-side apply.
    pub fn list_type(self) -> Option<ListType> {
        self.row.list
    }

    /// Says how a map or struct merges in server-side apply.
    pub fn map_type(self) -> Option<MapType> {
        self.row.map
    }

    /// Names the keys of a list of type map.
    pub fn map_keys(self) -> impl Iterator<Item = &'a str> {
        self.tables.text(self.row.keys).split(',').filter(|key| !key.is_empty())
    }

    /// Says the strategic-merge strategy.
    pub fn strategy(self) -> Option<PatchStrategy> {
        self.row.strategy
    }

    /// Names the strategic-merge key of a list of objects.
    pub fn key(self) -> Option<&'a str> {
        Some(self.tables.text(self.row.key)).filter(|key| !key.is_empty())
    }
}

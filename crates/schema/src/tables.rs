//! The rows that schemas are stored as: plain numbers and offsets, so that the built-in tables are
//! read-only data without relocations, shared between processes and paged in only where they are used.

use std::borrow::Cow;

/// A piece of [`Tables::text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// Byte offset.
    pub at: u32,
    /// Byte length.
    pub len: u16,
}

/// One named object type.
#[derive(Clone, Copy, Debug)]
pub struct TypeRow {
    /// OpenAPI definition name, `io.k8s.api.core.v1.Pod`.
    pub name: Text,
    /// First of its rows in [`Tables::fields`].
    pub first: u16,
    /// How many fields it has, sorted by name.
    pub count: u16,
    /// Index in [`Tables::merges`] of what holds for the type wherever it is used.
    pub merge: u16,
    /// Index + 1 in [`Tables::unions`]; 0 is none.
    pub union: u16,
}

/// One field of a type.
#[derive(Clone, Copy, Debug)]
pub struct FieldRow {
    /// Byte offset of the name in [`Tables::text`].
    pub name_at: u32,
    /// Byte length of the name.
    pub name_len: u8,
    /// [`REQUIRED`], [`OMIT_ZERO`] and [`EMBEDDED`].
    pub flags: u8,
    /// Index in [`Tables::shapes`].
    pub shape: u16,
    /// Index in [`Tables::merges`]; 0 says nothing.
    pub merge: u16,
    /// Index + 1 in [`Tables::enums`] of the named string type; 0 is a plain string.
    pub named: u16,
    /// Index + 1 in [`Tables::defaults`]; 0 is none.
    pub default: u16,
}

/// The field must be there.
pub const REQUIRED: u8 = 1;
/// The Go field is a plain value with `omitempty`: its zero value is the same as its absence.
pub const OMIT_ZERO: u8 = 2;
/// The Go field is a struct by value: it is always there, if empty.
pub const EMBEDDED: u8 = 4;

/// What a value looks like. Numbers index [`Tables::types`] (objects) and [`Tables::shapes`] (elements).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
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
    /// The field set of a managed-fields entry, kept as it is.
    FieldsV1,
    /// Any JSON value, kept as it is.
    Json,
    /// A JSON schema or a bool.
    SchemaOrBool(u16),
    /// A JSON schema or a list of them.
    SchemaOrArray(u16),
    /// A JSON schema or a list of strings.
    SchemaOrStrings(u16),
    /// An object of a named type.
    Object(u16),
    /// A list of one shape.
    Array(u16),
    /// String keys to one shape.
    Map(u16),
}

/// How lists merge in server-side apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListType {
    /// Replaced as a whole.
    Atomic,
    /// Unique scalars.
    Set,
    /// Objects identified by keys.
    Map,
}

/// How maps and structs merge in server-side apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapType {
    /// Replaced as a whole.
    Atomic,
    /// Key by key.
    Granular,
}

/// The strategic-merge strategy of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchStrategy {
    /// Lists merge by key or as a set.
    Merge,
    /// Lists merge, and a merged element drops the keys that the patch does not name.
    MergeRetainKeys,
    /// An object drops the keys that the patch does not name.
    RetainKeys,
    /// An object is replaced as a whole.
    Replace,
}

/// One distinct combination of merge facts.
#[derive(Clone, Copy, Debug)]
pub struct MergeRow {
    /// `x-kubernetes-list-type`
    pub list: Option<ListType>,
    /// `x-kubernetes-map-type`
    pub map: Option<MapType>,
    /// `x-kubernetes-list-map-keys`, separated by commas.
    pub keys: Text,
    /// `x-kubernetes-patch-strategy`
    pub strategy: Option<PatchStrategy>,
    /// `x-kubernetes-patch-merge-key`
    pub key: Text,
}

/// A named string type of Go's, with its values where it is an enum.
#[derive(Clone, Copy, Debug)]
pub struct EnumRow {
    /// Go's name, `v1.PullPolicy`.
    pub go: Text,
    /// Values separated by commas; empty where any string goes.
    pub values: Text,
}

/// A discriminated union inside a type.
#[derive(Clone, Copy, Debug)]
pub struct UnionRow {
    /// The field that says which member is set.
    pub discriminator: Text,
    /// `field=DiscriminatorValue`, separated by commas.
    pub members: Text,
}

/// A closed set of rows: the built-in kinds, or one custom resource's schema.
#[derive(Debug)]
pub struct Tables {
    /// Every name the rows point into.
    pub text: Cow<'static, str>,
    /// Named object types; the built-in ones are sorted by name.
    pub types: Cow<'static, [TypeRow]>,
    /// The fields of all types, one type after another.
    pub fields: Cow<'static, [FieldRow]>,
    /// Distinct shapes.
    pub shapes: Cow<'static, [Shape]>,
    /// Distinct merge facts; row 0 says nothing.
    pub merges: Cow<'static, [MergeRow]>,
    /// Named string types.
    pub enums: Cow<'static, [EnumRow]>,
    /// Unions.
    pub unions: Cow<'static, [UnionRow]>,
    /// Declared defaults as JSON text.
    pub defaults: Cow<'static, [Text]>,
    /// All descriptions, apart from what decoding reads.
    pub descriptions: Cow<'static, str>,
    /// The description of each type.
    pub type_descriptions: Cow<'static, [Text]>,
    /// The description of each field.
    pub field_descriptions: Cow<'static, [Text]>,
}

impl Tables {
    pub(crate) fn text(&self, text: Text) -> &str {
        let at = text.at as usize;
        self.text.get(at..at + text.len as usize).unwrap_or_default()
    }

    pub(crate) fn description(&self, text: Text) -> &str {
        let at = text.at as usize;
        self.descriptions.get(at..at + text.len as usize).unwrap_or_default()
    }
}

/// Writes a type row; the generated tables call it.
pub(crate) const fn t(at: u32, len: u16, first: u16, count: u16, merge: u16, union: u16) -> TypeRow {
    TypeRow { name: Text { at, len }, first, count, merge, union }
}

/// Writes a field row; the generated tables call it.
pub(crate) const fn f(
    name_at: u32,
    name_len: u8,
    flags: u8,
    shape: u16,
    merge: u16,
    named: u16,
    default: u16,
) -> FieldRow {
    FieldRow { name_at, name_len, flags, shape, merge, named, default }
}

/// Writes a text position; the generated tables call it.
pub(crate) const fn x(at: u32, len: u16) -> Text {
    Text { at, len }
}

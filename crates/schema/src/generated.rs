//! The built-in tables, written by `cargo xtask codegen` from k8s-openapi's types.

use std::borrow::Cow;

use crate::tables::Tables;

#[rustfmt::skip]
mod fields;
#[rustfmt::skip]
pub mod kinds;
#[rustfmt::skip]
mod rows;
#[rustfmt::skip]
mod types;
#[rustfmt::skip]
mod words;

/// The schemas of all built-in kinds.
pub(crate) static TABLES: Tables = Tables {
    text: Cow::Borrowed(include_str!("generated/text.txt")),
    types: Cow::Borrowed(&types::TYPES),
    fields: Cow::Borrowed(&fields::FIELDS),
    shapes: Cow::Borrowed(&rows::SHAPES),
    merges: Cow::Borrowed(&rows::MERGES),
    enums: Cow::Borrowed(&rows::ENUMS),
    unions: Cow::Borrowed(&rows::UNIONS),
    defaults: Cow::Borrowed(&rows::DEFAULTS),
    descriptions: Cow::Borrowed(include_str!("generated/descriptions.txt")),
    type_descriptions: Cow::Borrowed(&words::TYPES),
    field_descriptions: Cow::Borrowed(&words::FIELDS),
};

//! How a value at one place of an object is owned: as a whole, field by field, or item by item.

use schema::{Element, Field, Kind, ListType, MapType, Merge, Type};

/// How a value is owned.
#[derive(Clone, Copy)]
pub enum Place<'s> {
    /// As a whole: a scalar, or a list, map or struct that is declared atomic.
    Leaf,
    /// Field by field.
    Struct(Type<'s>),
    /// Key by key.
    Map(Element<'s>),
    /// Item by item, each known by its keys.
    Keyed(Type<'s>, Merge<'s>),
    /// Item by item, each known by its value.
    Set,
    /// Without a schema: maps key by key, everything else as a whole.
    Deduced,
}

impl<'s> Place<'s> {
    /// The place of a value of a shape, with what its field says about merging.
    pub fn of(element: Element<'s>, merge: Option<Merge<'s>>) -> Self {
        let atomic = merge.and_then(|merge| merge.map_type()) == Some(MapType::Atomic);
        match element.kind() {
            Kind::Object(_) | Kind::Map(_) if atomic => Self::Leaf,
            Kind::Object(ty) => {
                let granular = merge.and_then(|merge| merge.map_type()) == Some(MapType::Granular);
                match ty.map_type() {
                    Some(MapType::Atomic) if !granular => Self::Leaf,
                    _ => Self::Struct(ty),
                }
            }
            Kind::Map(inner) => Self::Map(inner),
            Kind::Array(inner) => match merge.and_then(|merge| Some((merge, merge.list_type()?))) {
                Some((merge, ListType::Map)) => {
                    inner.object().map_or(Self::Leaf, |ty| Self::Keyed(ty, merge))
                }
                Some((_, ListType::Set)) => Self::Set,
                Some((_, ListType::Atomic)) | None => Self::Leaf,
            },
            Kind::Json if !element.is_built_in() => Self::Deduced,
            _ => Self::Leaf,
        }
    }

    /// The place of a field's value.
    pub fn field(field: Field<'s>) -> Self {
        Self::of(field.element(), Some(field.merge()))
    }

    /// The place of the value at a key of a value here, and the field where it is declared.
    pub fn child(self, key: &str) -> (Self, Option<Field<'s>>) {
        match self {
            Self::Struct(ty) => match ty.field(key) {
                Some(field) => (Self::field(field), Some(field)),
                None => (Self::Deduced, None),
            },
            Self::Map(inner) => (Self::of(inner, None), None),
            Self::Leaf | Self::Keyed(..) | Self::Set | Self::Deduced => (Self::Deduced, None),
        }
    }

    /// The place of an item of a list here.
    pub fn item(self) -> Self {
        match self {
            // Items of such lists are owned field by field, whatever their type says elsewhere.
            Self::Keyed(ty, _) => match ty.map_type() {
                Some(MapType::Atomic) => Self::Leaf,
                _ => Self::Struct(ty),
            },
            _ => Self::Leaf,
        }
    }
}

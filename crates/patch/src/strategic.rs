//! Strategic merge patch: merge patch that knows from the schema which lists merge by key.
//!
//! Directives in a patch: `$patch: replace|delete`, `$retainKeys`, `$setElementOrder/<list>`,
//! `$deleteFromPrimitiveList/<list>`.

use schema::{Element, Kind, PatchStrategy, Type};

use crate::PatchError;

mod apply;
mod diff;
mod list;

pub use apply::strategic_merge_patch;
pub use diff::{create_three_way, create_two_way};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";

/// What the schema says about a map in a patch.
#[derive(Clone, Copy)]
enum Node<'a> {
    /// Fields of a type.
    Struct(Type<'a>),
    /// Any keys to one shape.
    Map(Element<'a>),
    /// Nothing is known, as inside raw extensions: maps merge, lists are replaced.
    Open,
}

/// How a field merges, and what is inside.
#[derive(Clone, Copy)]
struct Rules<'a> {
    /// The value's own node, or that of a list's elements.
    inside: Node<'a>,
    strategy: Option<PatchStrategy>,
    key: Option<&'a str>,
}

impl<'a> Node<'a> {
    /// Looks a key up.
    fn rules(self, key: &str) -> Result<Rules<'a>, PatchError> {
        match self {
            Node::Struct(ty) => {
                let field = ty.field(key).ok_or_else(|| {
                    PatchError::Contradiction(format!(
                        "unable to find api field in struct {} for the json field \"{key}\"",
                        ty.struct_name()
                    ))
                })?;
                let merge = field.merge();
                Ok(Rules { inside: inside(field.element()), strategy: merge.strategy(), key: merge.key() })
            }
            Node::Map(element) => Ok(Rules { inside: inside(element), strategy: None, key: None }),
            Node::Open => Ok(Rules { inside: Node::Open, strategy: None, key: None }),
        }
    }
}

fn inside(element: Element<'_>) -> Node<'_> {
    match element.kind() {
        Kind::Object(ty) => Node::Struct(ty),
        Kind::Map(element) => Node::Map(element),
        Kind::Array(element) => inside(element),
        _ => Node::Open,
    }
}

impl Rules<'_> {
    fn merges_lists(&self) -> bool {
        matches!(self.strategy, Some(PatchStrategy::Merge | PatchStrategy::MergeRetainKeys))
    }

    fn retains_keys(&self) -> bool {
        matches!(self.strategy, Some(PatchStrategy::RetainKeys | PatchStrategy::MergeRetainKeys))
    }

    fn replaces(&self) -> bool {
        self.strategy == Some(PatchStrategy::Replace)
    }
}

#[cfg(test)]
mod tests;

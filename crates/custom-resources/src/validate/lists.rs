//! Lists that are sets or maps: nothing in them twice, and which item of before an item is.

use apimachinery::FieldError;
use schema::ListType;
use serde_json::{Map, Value};

use super::Path;
use crate::node::Node;

/// The items of a list as it was, found by what identifies them.
pub struct Before<'n, 'v> {
    node: &'n Node,
    items: &'v [Value],
}

impl<'n, 'v> Before<'n, 'v> {
    /// The list as it was.
    pub fn new(node: &'n Node, old: Option<&'v Value>) -> Self {
        let items = old.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Self { node, items }
    }

    /// What an item was. Items of an atomic list are no one's successors.
    pub fn of(&self, item: &Value) -> Option<&'v Value> {
        match self.node.list {
            Some(ListType::Map) => {
                let key = key(self.node, item);
                self.items.iter().find(|old| self::key(self.node, old) == key)
            }
            Some(ListType::Set) => self.items.iter().find(|old| *old == item),
            Some(ListType::Atomic) | None => None,
        }
    }
}

/// What identifies an item of a map: the values of its keys, with their defaults.
fn key<'v>(node: &'v Node, item: &'v Value) -> Vec<Option<&'v Value>> {
    let default = |name: &str| node.items.as_ref()?.properties.get(name)?.default.as_deref();
    node.keys.iter().map(|name| item.get(&**name).or_else(|| default(name))).collect()
}

/// Names what lists anywhere in a value have twice.
pub fn faults(node: &Node, value: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    match value {
        Value::Array(items) => {
            duplicates(node, items, at, errors);
            let Some(child) = &node.items else { return };
            for (index, item) in items.iter().enumerate() {
                faults(child, item, &Path::Index(at, index), errors);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if let Some(child) = node.child(name) {
                    faults(child, field, &Path::Field(at, name), errors);
                }
            }
        }
        _ => {}
    }
}

/// Names the items that a list has twice.
fn duplicates(node: &Node, items: &[Value], at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = |index: usize| Path::Index(at, index).to_string();
    match node.list {
        Some(ListType::Set) => {
            for (index, item) in items.iter().enumerate() {
                if items[..index].contains(item) {
                    errors.push(FieldError::duplicate(path(index), item.clone()));
                }
            }
        }
        Some(ListType::Map) => {
            let keys: Vec<_> = items.iter().map(|item| key(node, item)).collect();
            for (index, key) in keys.iter().enumerate() {
                if keys[..index].contains(key) {
                    let named = node.keys.iter().zip(key);
                    let shown: Map<String, Value> = named
                        .filter_map(|(name, value)| Some((name.to_string(), (*value)?.clone())))
                        .collect();
                    errors.push(FieldError::duplicate(path(index), Value::Object(shown)));
                }
            }
        }
        Some(ListType::Atomic) | None => {}
    }
}

//! Making strategic merge patches: two-way and, for `kubectl apply`, three-way.

use std::borrow::Cow;

use schema::Type;
use serde_json::{Map, Value};

use super::apply::{Into, merge_maps};
use super::list::{are_maps, no_merge_key, same, sorted};
use super::{DELETE_FROM_LIST, ELEMENT_ORDER, Node, PATCH, RETAIN_KEYS};
use crate::PatchError;

/// Which differences a patch is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Everything,
    /// Only what was added or changed.
    Additions,
    /// Only what was removed.
    Deletions,
}

/// Makes the patch that turns `original` into `modified`.
pub fn create_two_way(ty: Type<'_>, original: &Value, modified: &Value) -> Result<Value, PatchError> {
    let (original, modified) = (as_map(original)?, as_map(modified)?);
    maps(&original, &modified, Node::Struct(ty), Of::Everything, false).map(Value::Object)
}

/// Makes the patch that brings `current` to `modified`, and deletes only what `original` (the last applied
/// configuration) had and `modified` has no more.
pub fn create_three_way(
    ty: Type<'_>,
    original: &Value,
    modified: &Value,
    current: &Value,
) -> Result<Value, PatchError> {
    let (original, modified, current) = (as_map(original)?, as_map(modified)?, as_map(current)?);
    let node = Node::Struct(ty);
    let additions = maps(&current, &modified, node, Of::Additions, false)?;
    let deletions = maps(&original, &modified, node, Of::Deletions, false)?;
    merge_maps(deletions, additions, node, Into::Patch).map(Value::Object)
}

fn as_map(value: &Value) -> Result<Cow<'_, Map<String, Value>>, PatchError> {
    match value {
        Value::Object(map) => Ok(Cow::Borrowed(map)),
        // Nothing was applied before.
        Value::Null => Ok(Cow::Owned(Map::new())),
        _ => Err(PatchError::Malformed("invalid JSON document".to_owned())),
    }
}

fn maps(
    original: &Map<String, Value>,
    modified: &Map<String, Value>,
    node: Node<'_>,
    of: Of,
    retain_keys: bool,
) -> Result<Map<String, Value>, PatchError> {
    let mut patch = Map::new();
    for (key, new) in modified {
        let Some(old) = original.get(key) else {
            if of != Of::Deletions {
                patch.insert(key.clone(), new.clone());
            }
            continue;
        };
        match (old, new) {
            (old, new) if same(old, new) && !new.is_array() => {}
            (Value::Object(old), Value::Object(new)) => {
                let rules = node.rules(key)?;
                if rules.replaces() {
                    if of != Of::Deletions {
                        patch.insert(key.clone(), Value::Object(new.clone()));
                    }
                    continue;
                }
                let inner = maps(old, new, rules.inside, of, rules.retains_keys())?;
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            (Value::Array(old), Value::Array(new)) => lists(key, old, new, node, of, &mut patch)?,
            (_, new) => {
                if of != Of::Deletions {
                    patch.insert(key.clone(), new.clone());
                }
            }
        }
    }
    if of != Of::Additions {
        for key in original.keys().filter(|key| !modified.contains_key(*key)) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    let has_more = || original.keys().any(|key| !modified.contains_key(key));
    if retain_keys && (!patch.is_empty() || has_more()) {
        let keys: Vec<Value> = modified
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, _)| key.as_str().into())
            .collect();
        if !keys.is_empty() {
            patch.insert(RETAIN_KEYS.to_owned(), Value::Array(keys));
        }
    }
    Ok(patch)
}

fn lists(
    name: &str,
    old: &[Value],
    new: &[Value],
    node: Node<'_>,
    of: Of,
    patch: &mut Map<String, Value>,
) -> Result<(), PatchError> {
    let unchanged = old == new;
    let rules = match node.rules(name) {
        Ok(rules) => rules,
        Err(_) if unchanged => return Ok(()),
        Err(error) => return Err(error),
    };
    if !rules.merges_lists() {
        if !unchanged && of != Of::Deletions {
            patch.insert(name.to_owned(), Value::Array(new.to_vec()));
        }
        return Ok(());
    }
    if old.is_empty() {
        if !new.is_empty() && of != Of::Deletions {
            patch.insert(name.to_owned(), Value::Array(new.to_vec()));
        }
        return Ok(());
    }
    let (changes, gone, order) = match (are_maps([old, new])?, rules.key) {
        (None, _) => return Ok(()),
        (Some(false), _) => scalars(old, new, of),
        (Some(true), Some(key)) => elements(old, new, rules.inside, key, rules.retains_keys(), of)?,
        (Some(true), None) => {
            return Err(PatchError::Contradiction("cannot merge lists without merge key".to_owned()));
        }
    };
    let mut put = |prefix: &str, list: Vec<Value>| {
        if !list.is_empty() {
            patch.insert(format!("{prefix}{name}"), Value::Array(list));
        }
    };
    put("", changes);
    put(DELETE_FROM_LIST, gone);
    put(ELEMENT_ORDER, order);
    Ok(())
}

/// What to add, what to delete and, where the order must be said, the order.
type Difference = (Vec<Value>, Vec<Value>, Vec<Value>);

fn scalars(old: &[Value], new: &[Value], of: Of) -> Difference {
    let missing_in = |list: &[Value], from: &[Value]| -> Vec<Value> {
        from.iter().filter(|value| !list.iter().any(|known| same(known, value))).cloned().collect()
    };
    let added = if of == Of::Deletions { Vec::new() } else { missing_in(old, new) };
    let gone = if of == Of::Additions { Vec::new() } else { missing_in(new, old) };
    let ordered = (of != Of::Additions && !gone.is_empty()) || (of != Of::Deletions && old != new);
    (added, gone, if ordered { new.to_vec() } else { Vec::new() })
}

fn elements(
    old: &[Value],
    new: &[Value],
    inside: Node<'_>,
    key: &str,
    retain_keys: bool,
    of: Of,
) -> Result<Difference, PatchError> {
    let mut changes = Vec::new();
    let mut order = Vec::with_capacity(new.len());
    for (at, element) in new.iter().enumerate().filter_map(with_map) {
        let value = element.get(key).ok_or_else(|| no_merge_key(element, key))?;
        order.push(only(key, value));
        match counterpart(new, at, old, key, value).and_then(Value::as_object) {
            Some(was) => {
                let mut change = maps(was, element, inside, of, retain_keys)?;
                if !change.is_empty() {
                    change.insert(key.to_owned(), value.clone());
                    changes.push(Value::Object(change));
                }
            }
            None if of == Of::Deletions => {}
            None => changes.push(Value::Object(element.clone())),
        }
    }
    let mut changes = sorted(changes, new, Some(key));
    let mut kept = Vec::with_capacity(old.len());
    for (at, element) in old.iter().enumerate().filter_map(with_map) {
        let value = element.get(key).ok_or_else(|| no_merge_key(element, key))?;
        if counterpart(old, at, new, key, value).is_some() {
            kept.push(only(key, value));
        } else if of != Of::Additions {
            let mut deletion = Map::new();
            deletion.insert(PATCH.to_owned(), "delete".into());
            deletion.insert(key.to_owned(), value.clone());
            changes.push(Value::Object(deletion));
        }
    }
    let reordered = kept.iter().ne(order.iter().filter(|element| kept.contains(element)));
    let ordered = (of != Of::Deletions && (!changes.is_empty() || reordered))
        || (of != Of::Additions && !changes.is_empty());
    Ok((changes, Vec::new(), if ordered { order } else { Vec::new() }))
}

fn only(key: &str, value: &Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value.clone())]))
}

fn with_map((at, element): (usize, &Value)) -> Option<(usize, &Map<String, Value>)> {
    Some((at, element.as_object()?))
}

/// Finds what an element of one list is compared with in the other. Several elements may have the same merge key
/// (53/UDP and 53/TCP, where only the port counts): the first meets the first, the second the second.
fn counterpart<'a>(
    list: &[Value],
    at: usize,
    other: &'a [Value],
    key: &str,
    value: &Value,
) -> Option<&'a Value> {
    let same_key = |element: &&Value| element.get(key).is_some_and(|found| same(found, value));
    let earlier = list.iter().take(at).filter(same_key).count();
    other.iter().filter(same_key).nth(earlier)
}

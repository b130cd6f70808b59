//! Applying a strategic merge patch, and laying one patch over another.

use schema::Type;
use serde_json::{Map, Value};

use super::list::{are_maps, find, go_map, go_text, in_order, no_merge_key, same, sorted};
use super::{DELETE_FROM_LIST, ELEMENT_ORDER, Node, PATCH, RETAIN_KEYS, Rules};
use crate::PatchError;

/// What a patch is merged into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Into {
    /// An object: directives are carried out, nulls that match nothing are dropped.
    Object,
    /// Another patch: directives and nulls are kept for whoever applies the result.
    Patch,
}

/// Applies a strategic merge patch; after an error the object is half changed and must be thrown away.
pub fn strategic_merge_patch(ty: Type<'_>, object: &mut Value, patch: Value) -> Result<(), PatchError> {
    let Value::Object(patch) = patch else {
        return Err(PatchError::Malformed("invalid JSON document".to_owned()));
    };
    let Value::Object(original) = std::mem::take(object) else {
        return Err(PatchError::Malformed("invalid JSON document".to_owned()));
    };
    *object = Value::Object(merge_maps(original, patch, Node::Struct(ty), Into::Object)?);
    Ok(())
}

/// Merges a patch into a map.
pub(super) fn merge_maps(
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
    node: Node<'_>,
    into: Into,
) -> Result<Map<String, Value>, PatchError> {
    if let Some(directive) = patch.remove(PATCH) {
        return match directive.as_str() {
            Some("replace") => Ok(patch),
            Some("delete") => Ok(Map::new()),
            _ => {
                let shown = go_text(&directive);
                patch.insert(PATCH.to_owned(), directive);
                Err(PatchError::Contradiction(format!(
                    "unknown patch type: {shown} in map: {}",
                    go_map(&patch)
                )))
            }
        };
    }
    retain_keys(&mut original, &mut patch, into)?;
    order_lists(&mut original, &mut patch, node, into)?;

    for (key, value) in patch {
        let deleted_from = key.strip_prefix(DELETE_FROM_LIST);
        if deleted_from.is_some() && into == Into::Patch {
            original.insert(key, value);
            continue;
        }
        let name = deleted_from.unwrap_or(&key);
        if value.is_null() {
            original.remove(name);
            if into == Into::Patch {
                original.insert(key, value);
            }
            continue;
        }
        let Some(old) = original.get_mut(name) else {
            if deleted_from.is_none()
                && let Some(value) = fresh(value, into)
            {
                original.insert(key, value);
            }
            continue;
        };
        match (std::mem::take(old), value) {
            (Value::Object(was), Value::Object(patch)) if deleted_from.is_none() => {
                let rules = node.rules(name)?;
                *old = Value::Object(match rules.replaces() {
                    true => patch,
                    false => merge_maps(was, patch, rules.inside, into)?,
                });
            }
            (Value::Array(was), Value::Array(patch)) => {
                let rules = node.rules(name)?;
                *old = Value::Array(match deleted_from {
                    Some(_) => subtract(was, &patch)?,
                    None => merge_field(was, patch, &rules, into)?,
                });
            }
            (was, _) if deleted_from.is_some() => *old = was,
            (_, value) => {
                *old = fresh(value, into).unwrap_or(Value::Null);
                if old.is_null() {
                    original.remove(name);
                }
            }
        }
    }
    if into == Into::Patch {
        sort_lists(&mut original, node)?;
    }
    Ok(original)
}

/// Gives what a patch value becomes where there was nothing: without nulls and directives, unless it goes
/// into another patch. `None` where the patch deletes it.
fn fresh(value: Value, into: Into) -> Option<Value> {
    if into == Into::Patch {
        return Some(value);
    }
    match value {
        Value::Null => None,
        Value::Object(mut map) => {
            if map.remove(PATCH).is_some_and(|directive| directive == "delete") {
                return None;
            }
            let kept = map
                .into_iter()
                .filter(|(key, _)| {
                    key != RETAIN_KEYS
                        && !key.starts_with(ELEMENT_ORDER)
                        && !key.starts_with(DELETE_FROM_LIST)
                })
                .filter_map(|(key, value)| Some((key, fresh(value, into)?)))
                .collect();
            Some(Value::Object(kept))
        }
        Value::Array(items) => {
            // An element that only says how the list is patched is no element.
            let is_directive = |item: &Value| item.get(PATCH).is_some_and(|directive| directive != "merge");
            let kept = items.into_iter().filter(|item| !is_directive(item));
            Some(Value::Array(kept.filter_map(|item| fresh(item, into)).collect()))
        }
        other => Some(other),
    }
}

/// Carries out `$retainKeys`: keys that are not listed go.
fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    into: Into,
) -> Result<(), PatchError> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    if into == Into::Patch {
        original.insert(RETAIN_KEYS.to_owned(), keys);
        return Ok(());
    }
    let Value::Array(keys) = keys else { return Err(PatchError::retain_keys()) };
    let listed = |name: &str| keys.iter().any(|key| key == name);
    let is_directive = |name: &str| name.starts_with(DELETE_FROM_LIST) || name.starts_with(ELEMENT_ORDER);
    if patch.iter().any(|(name, value)| !value.is_null() && !is_directive(name) && !listed(name)) {
        return Err(PatchError::retain_keys());
    }
    original.retain(|name, _| listed(name));
    Ok(())
}

/// Carries out `$setElementOrder`, together with the lists that it orders.
fn order_lists(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    node: Node<'_>,
    into: Into,
) -> Result<(), PatchError> {
    let directives: Vec<String> =
        patch.keys().filter(|key| key.starts_with(ELEMENT_ORDER)).cloned().collect();
    for directive in directives {
        let Some(order) = patch.remove(&directive) else { continue };
        if into == Into::Patch {
            original.insert(directive, order);
            continue;
        }
        let Value::Array(order) = order else { return Err(PatchError::element_order()) };
        let name = &directive[ELEMENT_ORDER.len()..];
        let rules = node.rules(name)?;
        let was = take_list(original, name)?;
        let change = take_list(patch, name)?;
        check_order(change.as_deref().unwrap_or_default(), &order, rules.key)?;
        let merged = match (was.clone(), change) {
            (None, None) => continue,
            (Some(was), None) => was,
            (None, Some(change)) => match fresh(Value::Array(change), into) {
                Some(Value::Array(added)) => added,
                _ => continue,
            },
            (Some(was), Some(change)) => merge_field(was, change, &rules, into)?,
        };
        let server = was.unwrap_or_default();
        original.insert(name.to_owned(), Value::Array(in_order(merged, &order, &server, rules.key)));
    }
    Ok(())
}

/// Sorts the lists of a patch as its own `$setElementOrder` says, or whoever applies it would refuse it.
fn sort_lists(patch: &mut Map<String, Value>, node: Node<'_>) -> Result<(), PatchError> {
    let directives: Vec<String> =
        patch.keys().filter(|key| key.starts_with(ELEMENT_ORDER)).cloned().collect();
    for directive in directives {
        let name = &directive[ELEMENT_ORDER.len()..];
        let (Some(Value::Array(list)), Some(Value::Array(order))) = (patch.get(name), patch.get(&directive))
        else {
            continue;
        };
        let list = sorted(list.clone(), order, node.rules(name)?.key);
        patch.insert(name.to_owned(), Value::Array(list));
    }
    Ok(())
}

fn take_list(map: &mut Map<String, Value>, name: &str) -> Result<Option<Vec<Value>>, PatchError> {
    match map.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(PatchError::element_order()),
    }
}

/// Checks that the elements of a patched list stand in the order that the patch asks for.
fn check_order(list: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    let mut places = order.iter();
    for element in list.iter().filter(|element| element.get(PATCH).is_none()) {
        let found = places.any(|place| match key {
            Some(key) => match (place.get(key), element.get(key)) {
                (Some(place), Some(element)) => same(place, element),
                _ => false,
            },
            None => same(place, element),
        });
        if !found {
            return Err(PatchError::Contradiction(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                go_text(&Value::Array(list.to_vec())),
                go_text(&Value::Array(order.to_vec())),
            )));
        }
    }
    Ok(())
}

fn subtract(mut was: Vec<Value>, gone: &[Value]) -> Result<Vec<Value>, PatchError> {
    if gone.iter().any(|value| value.is_object() || value.is_array()) {
        return Err(PatchError::primitive_list());
    }
    was.retain(|value| !gone.iter().any(|gone| same(gone, value)));
    Ok(was)
}

/// Merges a list field by its rules.
fn merge_field(
    was: Vec<Value>,
    patch: Vec<Value>,
    rules: &Rules<'_>,
    into: Into,
) -> Result<Vec<Value>, PatchError> {
    if !rules.merges_lists() {
        return Ok(patch);
    }
    match are_maps([&was, &patch])? {
        None => Ok(was),
        Some(false) => {
            let mut merged: Vec<Value> = Vec::with_capacity(was.len() + patch.len());
            for value in was.iter().chain(&patch) {
                if !merged.iter().any(|known| same(known, value)) {
                    merged.push(value.clone());
                }
            }
            Ok(in_order(merged, &patch, &was, None))
        }
        Some(true) => merge_maps_by_key(was, patch, rules, into),
    }
}

fn merge_maps_by_key(
    mut was: Vec<Value>,
    patch: Vec<Value>,
    rules: &Rules<'_>,
    into: Into,
) -> Result<Vec<Value>, PatchError> {
    let Some(key) = rules.key else {
        let name = match rules.inside {
            Node::Struct(ty) => ty.struct_name(),
            Node::Map(_) | Node::Open => "",
        };
        return Err(PatchError::Contradiction(format!("cannot merge lists without merge key for {name}")));
    };
    let mut changes = Vec::with_capacity(patch.len());
    let mut replaced = false;
    for element in patch {
        let Value::Object(element) = element else { continue };
        match element.get(PATCH).map(|directive| directive.as_str()) {
            None => changes.push(element),
            Some(Some("delete")) => {
                let value = element.get(key).ok_or_else(|| no_merge_key(&element, key))?;
                was.retain(|old| !old.get(key).is_some_and(|found| same(found, value)));
            }
            Some(Some("replace")) => replaced = true,
            Some(Some("merge")) => {
                return Err(PatchError::Contradiction(
                    "merging lists cannot yet be specified in the patch".to_owned(),
                ));
            }
            Some(directive) => {
                return Err(PatchError::Contradiction(format!(
                    "unknown patch type: {} in map: {}",
                    directive.unwrap_or_default(),
                    go_map(&element)
                )));
            }
        }
    }
    if replaced {
        return Ok(changes.into_iter().filter_map(|element| fresh(Value::Object(element), into)).collect());
    }
    let server = was.clone();
    let mut order = Vec::with_capacity(changes.len());
    let mut merged = was;
    for element in changes {
        let value = element.get(key).ok_or_else(|| no_merge_key(&element, key))?.clone();
        let place = find(&merged, key, &value);
        order.push(Value::Object(Map::from_iter([(key.to_owned(), value)])));
        match place {
            Some(at) => {
                if let Value::Object(old) = std::mem::take(&mut merged[at]) {
                    merged[at] = Value::Object(merge_maps(old, element, rules.inside, into)?);
                }
            }
            None => merged.extend(fresh(Value::Object(element), into)),
        }
    }
    Ok(in_order(merged, &order, &server, Some(key)))
}

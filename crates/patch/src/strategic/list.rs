//! Lists that merge: finding elements, and the order that the result is in.

use serde_json::{Map, Number, Value};

use super::PATCH;
use crate::PatchError;

/// Writes a value as Go's `%v` does; messages quote patches so.
pub(super) fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => go_map(map),
    }
}

/// Writes a map as Go's `%v` does.
pub(super) fn go_map(map: &Map<String, Value>) -> String {
    let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", go_text(value))).collect();
    format!("map[{}]", pairs.join(" "))
}

pub(super) fn no_merge_key(map: &Map<String, Value>, key: &str) -> PatchError {
    PatchError::Contradiction(format!("map: {} does not contain declared merge key: {key}", go_map(map)))
}

/// Says whether two values are the same, numbers by value.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    let by_value = |a: &Number, b: &Number| a == b || a.as_f64() == b.as_f64();
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => by_value(a, b),
        _ => a == b,
    }
}

/// Finds the kind of a list's elements: `Some(true)` maps, `Some(false)` scalars, `None` where there are none.
pub(super) fn are_maps(lists: [&[Value]; 2]) -> Result<Option<bool>, PatchError> {
    let mut all = lists.into_iter().flatten();
    let Some(first) = all.next() else { return Ok(None) };
    if first.is_array() || lists.into_iter().flatten().any(Value::is_array) {
        return Err(PatchError::lists_of_lists());
    }
    let maps = first.is_object();
    if all.any(|value| value.is_object() != maps) {
        return Err(PatchError::Contradiction(
            "list element types are not identical: map[string]interface {} and a scalar".to_owned(),
        ));
    }
    Ok(Some(maps))
}

/// Finds where an element, known by the merge key or (without one) by itself, stands in an order.
fn position(order: &[Value], element: &Value, key: Option<&str>) -> Option<usize> {
    match key {
        Some(key) => {
            let wanted = element.get(key)?;
            order.iter().position(|other| other.get(key).is_some_and(|found| same(found, wanted)))
        }
        None => order.iter().position(|other| same(other, element)),
    }
}

/// Finds the element of a list with a value at the merge key.
pub(super) fn find(list: &[Value], key: &str, value: &Value) -> Option<usize> {
    list.iter().position(|element| element.get(key).is_some_and(|found| same(found, value)))
}

/// Brings a merged list into order: elements of the patch stand as `order` has them, elements that only the
/// server has keep their place among them, as far as both can be had.
pub(super) fn in_order(
    merged: Vec<Value>,
    order: &[Value],
    server: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let (mut ours, mut theirs): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|element| position(order, element, key).is_some());
    ours = sorted(ours, order, key);
    theirs = sorted(theirs, server, key);
    interleaved(theirs, ours, server, key)
}

/// Sorts stably by the position in an order; what is not in it, and what is to be deleted, comes last.
pub(super) fn sorted(list: Vec<Value>, order: &[Value], key: Option<&str>) -> Vec<Value> {
    let mut placed: Vec<(usize, Value)> = list
        .into_iter()
        .map(|element| {
            let deleted = element.get(PATCH).is_some_and(|directive| directive == "delete");
            let at = position(order, &element, key).filter(|_| !deleted).unwrap_or(usize::MAX);
            (at, element)
        })
        .collect();
    placed.sort_by_key(|(at, _)| *at);
    placed.into_iter().map(|(_, element)| element).collect()
}

fn interleaved(left: Vec<Value>, right: Vec<Value>, server: &[Value], key: Option<&str>) -> Vec<Value> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let mut left = left.into_iter().peekable();
    let mut right = right.into_iter().peekable();
    loop {
        let take_left = match (left.peek(), right.peek()) {
            (None, None) => return merged,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(a), Some(b)) => match (position(server, a, key), position(server, b, key)) {
                (Some(a), Some(b)) => a < b,
                _ => false,
            },
        };
        merged.extend(if take_left { left.next() } else { right.next() });
    }
}

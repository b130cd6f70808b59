//! A configuration merged into an object: what it names gets its values, everything else stays.

use schema::Type;
use serde_json::{Map, Value};

use crate::keys;
use crate::place::Place;
use crate::set::Step;

/// Merges a valid configuration into an object.
pub fn merge(ty: Type<'_>, object: &mut Value, config: &Value) {
    value(Place::Struct(ty), object, config);
}

fn value(place: Place<'_>, live: &mut Value, config: &Value) {
    match (place, config) {
        (Place::Struct(_) | Place::Map(_), Value::Object(fields)) => map(place, live, fields),
        (Place::Deduced, Value::Object(fields)) if live.is_object() => map(place, live, fields),
        (Place::Keyed(..) | Place::Set, Value::Array(items)) => list(place, live, config, items),
        // Naming a map or a list without a value claims nothing in it.
        (Place::Struct(_) | Place::Map(_) | Place::Keyed(..) | Place::Set, Value::Null)
            if !is_empty(live) => {}
        _ => *live = config.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => true,
    }
}

fn map(place: Place<'_>, live: &mut Value, config: &Map<String, Value>) {
    if !live.is_object() {
        *live = Value::Object(Map::new());
    }
    let Value::Object(live) = live else { return };
    for (key, config) in config {
        match live.get_mut(key) {
            Some(live) => value(place.child(key).0, live, config),
            None => {
                live.insert(key.clone(), config.clone());
            }
        }
    }
}

/// Items of the object alone keep their places, those of the configuration follow its order.
fn list(place: Place<'_>, live: &mut Value, config: &Value, items: &[Value]) {
    let live_items = match live {
        Value::Array(live) if !live.is_empty() => std::mem::take(live),
        _ => {
            *live = Value::Array(items.to_vec());
            return;
        }
    };
    let mut live_items: Vec<(Option<Step<'static>>, Option<Value>)> =
        live_items.into_iter().map(|item| (keys::step(place, &item).ok(), Some(item))).collect();
    let config = keys::items(place, Some(config));
    let mut merged = Vec::with_capacity(live_items.len().max(config.len()));
    let mut next = 0;
    for at in 0..live_items.len() {
        let (step, item) = &mut live_items[at];
        let Some(place_in_config) = config.iter().position(|(known, _)| Some(known) == step.as_ref()) else {
            merged.extend(item.take());
            continue;
        };
        let is_shared = |step: &Step<'_>| live_items.iter().any(|(known, _)| known.as_ref() == Some(step));
        let next_shared = (next..config.len()).find(|at| is_shared(&config[*at].0));
        if next_shared == Some(place_in_config) {
            for (step, item) in &config[next..=place_in_config] {
                merged.push(joined(place, &mut live_items, step, item));
            }
            next = place_in_config + 1;
        }
    }
    for (step, item) in &config[next..] {
        merged.push(joined(place, &mut live_items, step, item));
    }
    *live = Value::Array(merged);
}

/// An item of the configuration, merged into the object's where there is exactly one.
fn joined(
    place: Place<'_>,
    live: &mut [(Option<Step<'static>>, Option<Value>)],
    step: &Step<'_>,
    config: &Value,
) -> Value {
    let mut same = live.iter_mut().filter(|(known, _)| known.as_ref() == Some(step));
    match (same.next(), same.next()) {
        (Some((_, item)), None) => match item.take() {
            Some(mut item) => {
                value(place.item(), &mut item, config);
                item
            }
            None => config.clone(),
        },
        _ => config.clone(),
    }
}

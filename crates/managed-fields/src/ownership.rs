//! Which fields a configuration names: what its applier comes to own.

use schema::Type;
use serde_json::Value;

use crate::compare::UNOWNED;
use crate::keys;
use crate::place::Place;
use crate::set::{Set, Step};

/// The paths that an object names, without those that nobody owns.
pub fn named<'v>(ty: Type<'_>, object: &'v Value) -> Set<'v> {
    let mut set = all(Place::Struct(ty), object);
    set.retain(|node| match &node.step {
        Step::Field(name) if matches!(&**name, "apiVersion" | "kind") => false,
        Step::Field(name) if name == "metadata" => {
            node.member = false;
            node.below.retain(|node| !matches!(&node.step, Step::Field(name) if UNOWNED.contains(&&**name)));
            true
        }
        _ => true,
    });
    set
}

fn all<'v>(place: Place<'_>, value: &'v Value) -> Set<'v> {
    let mut set = Set::default();
    match (place, value) {
        (Place::Keyed(..) | Place::Set, Value::Array(_)) => items(place, value, &mut set),
        (Place::Struct(_) | Place::Map(_) | Place::Deduced, Value::Object(fields)) => {
            for (key, value) in fields {
                let (inner, field) = place.child(key);
                let is_empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
                // A field of a struct is owned by way of what is in it; a key of a map by itself.
                let member = is_empty || field.is_none() || is_leaf(inner, value);
                set.push(Step::field(key), member, all(inner, value));
            }
        }
        _ => {}
    }
    set
}

/// Whether a value has nothing below it that could be owned by itself.
fn is_leaf(place: Place<'_>, value: &Value) -> bool {
    match place {
        Place::Leaf => true,
        Place::Deduced => !value.is_object(),
        Place::Struct(_) | Place::Map(_) | Place::Keyed(..) | Place::Set => false,
    }
}

fn items<'v>(place: Place<'_>, list: &'v Value, set: &mut Set<'v>) {
    let mut items = keys::items(place, Some(list));
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let mut items = items.into_iter().peekable();
    while let Some((step, item)) = items.next() {
        let mut several = false;
        while items.next_if(|next| next.0 == step).is_some() {
            several = true;
        }
        // Items of one key cannot be told apart: they are owned together.
        let below = if several { Set::default() } else { all(place.item(), item) };
        set.push(step, true, below);
    }
}

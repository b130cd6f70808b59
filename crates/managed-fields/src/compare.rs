//! What differs between two states of an object, as sets of paths.

use std::cmp::Ordering;

use schema::{Field, Type};
use serde_json::{Map, Value};

use crate::keys;
use crate::place::Place;
use crate::resets;
use crate::set::{Set, Step};
use strategy::Resets;

/// What differs.
#[derive(Debug, Default, PartialEq)]
pub struct Difference<'v> {
    /// What is new or has another value.
    pub changed: Set<'v>,
    /// What is gone.
    pub removed: Set<'v>,
}

impl Difference<'_> {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }
}

/// No field is put back.
pub const NOTHING: Resets = Resets::Only(&[]);

/// Metadata that nobody owns: identity, and what the server keeps.
pub const UNOWNED: [&str; 9] = [
    "clusterName",
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Compares two states of an object, leaving out what nobody owns and what a writer cannot change.
pub fn compare<'v>(ty: Type<'_>, old: &'v Value, new: &'v Value, resets: Resets) -> Difference<'v> {
    let mut difference = Difference::default();
    for (key, old, new) in Join::of(old.as_object(), new.as_object()) {
        if matches!(key, "apiVersion" | "kind") || resets::is_whole(resets, key) || old == new {
            continue;
        }
        let (place, field) = Place::Struct(ty).child(key);
        if key == "metadata" {
            // Always there, and itself owned by nobody.
            let below = fields(place, side(old, Side::Empty), side(new, Side::Empty), &UNOWNED);
            difference.changed.push(Step::field(key), false, below.changed);
            difference.removed.push(Step::field(key), false, below.removed);
            continue;
        }
        let absent = absent(field);
        child(&mut difference, place, key, side(old, absent), side(new, absent));
    }
    resets::exclude(resets, &mut difference.changed);
    resets::exclude(resets, &mut difference.removed);
    difference
}

/// One state of a value.
#[derive(Clone, Copy)]
enum Side<'v> {
    /// It is not there.
    Absent,
    /// It is not written, but Go would write an empty one.
    Empty,
    Value(&'v Value),
}

impl<'v> Side<'v> {
    fn value(self) -> Option<&'v Value> {
        match self {
            Side::Value(value) => Some(value),
            Side::Absent | Side::Empty => None,
        }
    }

    fn map(self) -> Option<&'v Map<String, Value>> {
        self.value().and_then(Value::as_object)
    }

    fn is_absent(self) -> bool {
        matches!(self, Side::Absent)
    }
}

fn side<'v>(value: Option<&'v Value>, absent: Side<'v>) -> Side<'v> {
    value.map_or(absent, Side::Value)
}

/// What the absence of a field means where its parent is there.
fn absent<'v>(field: Option<Field<'_>>) -> Side<'v> {
    match field {
        Some(field) if field.embedded() || field.required() => Side::Empty,
        _ => Side::Absent,
    }
}

/// Whether the path itself came or went.
enum Own {
    Stayed,
    Changed,
    Removed,
}

fn child<'v>(difference: &mut Difference<'v>, place: Place<'_>, key: &'v str, old: Side<'v>, new: Side<'v>) {
    add(difference, Step::field(key), place, old, new);
}

fn add<'v>(difference: &mut Difference<'v>, step: Step<'v>, place: Place<'_>, old: Side<'v>, new: Side<'v>) {
    let (own, below) = value(place, old, new);
    let (changed, removed) = match own {
        Own::Stayed => (false, false),
        Own::Changed => (true, false),
        Own::Removed => (false, true),
    };
    if changed || !below.changed.is_empty() {
        difference.changed.push(step.clone(), changed, below.changed);
    }
    difference.removed.push(step, removed, below.removed);
}

fn value<'v>(place: Place<'_>, old: Side<'v>, new: Side<'v>) -> (Own, Difference<'v>) {
    if let (Side::Value(old), Side::Value(new)) = (old, new)
        && old == new
    {
        return (Own::Stayed, Difference::default());
    }
    let below = match place {
        Place::Leaf => return leaf(old, new),
        Place::Struct(_) | Place::Map(_) if is_empty(old) && is_empty(new) => return leaf(old, new),
        Place::Struct(_) | Place::Map(_) => fields(place, old, new, &[]),
        Place::Keyed(..) | Place::Set if is_empty(old) && is_empty(new) => return leaf(old, new),
        Place::Keyed(..) | Place::Set => items(place, old, new),
        Place::Deduced => return deduced(old, new),
    };
    (came_or_went(old, new), below)
}

fn came_or_went(old: Side<'_>, new: Side<'_>) -> Own {
    match (old.is_absent(), new.is_absent()) {
        (true, false) => Own::Changed,
        (false, true) => Own::Removed,
        _ => Own::Stayed,
    }
}

fn is_empty(side: Side<'_>) -> bool {
    match side.value() {
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        _ => true,
    }
}

fn leaf<'v>(old: Side<'v>, new: Side<'v>) -> (Own, Difference<'v>) {
    let same = match (old.value(), new.value()) {
        (Some(Value::Number(old)), Some(Value::Number(new))) => old == new || old.as_f64() == new.as_f64(),
        (Some(old), Some(new)) => old == new,
        (None, Some(one)) | (Some(one), None) => {
            one.is_null()
                || (!one.is_boolean() && !one.is_number() && !one.is_string() && is_empty(Side::Value(one)))
        }
        (None, None) => true,
    };
    let own = match came_or_went(old, new) {
        Own::Stayed if !same => Own::Changed,
        own => own,
    };
    (own, Difference::default())
}

fn fields<'v>(place: Place<'_>, old: Side<'v>, new: Side<'v>, without: &[&str]) -> Difference<'v> {
    let mut difference = Difference::default();
    for (key, was, is) in Join::of(old.map(), new.map()) {
        if (was.is_some() && was == is) || without.contains(&key) {
            continue;
        }
        let (place, field) = place.child(key);
        let of = |value: Option<&'v Value>, parent: Side<'v>| match value {
            Some(value) => Side::Value(value),
            None if parent.is_absent() => Side::Absent,
            None => absent(field),
        };
        child(&mut difference, place, key, of(was, old), of(is, new));
    }
    if let (Side::Absent, Place::Struct(ty), Some(map)) = (old, place, new.map()) {
        written_empty(&mut difference.changed, ty, map);
    }
    difference
}

/// Go writes structs by value even where the client did not: whoever adds the parent owns them.
fn written_empty(changed: &mut Set<'_>, ty: Type<'_>, map: &Map<String, Value>) {
    let mut added = false;
    for field in ty.fields().filter(|field| field.embedded() && !map.contains_key(field.name())) {
        changed.push(Step::field(field.name()).into_owned(), true, Set::default());
        added = true;
    }
    if added {
        changed.sort();
    }
}

fn deduced<'v>(old: Side<'v>, new: Side<'v>) -> (Own, Difference<'v>) {
    match (old.map(), new.map()) {
        (None, None) => leaf(old, new),
        (Some(_), Some(_)) if is_empty(old) && is_empty(new) => leaf(old, new),
        (Some(_), None) if new.value().is_none_or(Value::is_null) && is_empty(old) => leaf(old, new),
        (None, Some(_)) if old.value().is_none_or(Value::is_null) && is_empty(new) => leaf(old, new),
        _ => {
            let below = fields(Place::Deduced, old, new, &[]);
            // A map became something else, or the other way round.
            let replaced = old.value().is_some_and(|old| !old.is_object() && !old.is_null())
                || new.value().is_some_and(|new| !new.is_object() && !new.is_null());
            (if replaced { Own::Changed } else { came_or_went(old, new) }, below)
        }
    }
}

fn items<'v>(place: Place<'_>, old: Side<'v>, new: Side<'v>) -> Difference<'v> {
    let mut difference = Difference::default();
    let sorted = |side: Side<'v>| {
        let mut items = keys::items(place, side.value());
        items.sort_by(|a, b| a.0.cmp(&b.0));
        items
    };
    let (old, new) = (sorted(old), sorted(new));
    let (mut old, mut new) = (old.as_slice(), new.as_slice());
    while let Some(step) = first(old, new) {
        let take = |list: &mut &[(Step<'static>, &'v Value)]| {
            let (head, rest) = list.split_at(list.iter().take_while(|item| item.0 == step).count());
            *list = rest;
            head.iter().map(|item| item.1).collect::<Vec<_>>()
        };
        let (was, is) = (take(&mut old), take(&mut new));
        let place = place.item();
        match (was.as_slice(), is.as_slice()) {
            ([] | [_], [] | [_]) => {
                let one = |items: &[&'v Value]| items.first().map_or(Side::Absent, |item| Side::Value(item));
                add(&mut difference, step, place, one(&was), one(&is));
            }
            // Items of one key cannot be told apart: they are owned together.
            (was, is) if was.len() > 1 && is.len() > 1 => {
                difference.changed.push(step, was != is, Set::default());
            }
            (_, is) if was.len() > 1 => {
                difference.removed.push(step.clone(), true, Set::default());
                if let [item] = is {
                    let (_, below) = value(place, Side::Absent, Side::Value(item));
                    difference.changed.push(step, true, below.changed);
                }
            }
            (was, _) => {
                if let [item] = was {
                    let (_, below) = value(place, Side::Value(item), Side::Absent);
                    difference.removed.push(step.clone(), false, below.removed);
                }
                difference.changed.push(step, true, Set::default());
            }
        }
    }
    difference
}

fn first(old: &[(Step<'static>, &Value)], new: &[(Step<'static>, &Value)]) -> Option<Step<'static>> {
    match (old.first(), new.first()) {
        (Some(old), Some(new)) => Some(if old.0 <= new.0 { &old.0 } else { &new.0 }.clone()),
        (Some(one), None) | (None, Some(one)) => Some(one.0.clone()),
        (None, None) => None,
    }
}

/// The entries of two maps, key by key in order.
struct Join<'v> {
    old: std::iter::Peekable<serde_json::map::Iter<'v>>,
    new: std::iter::Peekable<serde_json::map::Iter<'v>>,
}

static NO_FIELDS: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

impl<'v> Join<'v> {
    fn of(old: Option<&'v Map<String, Value>>, new: Option<&'v Map<String, Value>>) -> Self {
        let iter = |map: Option<&'v Map<String, Value>>| map.unwrap_or(&NO_FIELDS).iter().peekable();
        Self { old: iter(old), new: iter(new) }
    }
}

impl<'v> Iterator for Join<'v> {
    type Item = (&'v str, Option<&'v Value>, Option<&'v Value>);

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.old.peek(), self.new.peek()) {
            (Some(old), Some(new)) => old.0.cmp(new.0),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        let old = if order.is_le() { self.old.next() } else { None };
        let new = if order.is_ge() { self.new.next() } else { None };
        let key = old.or(new)?.0;
        Some((key, old.map(|old| old.1), new.map(|new| new.1)))
    }
}

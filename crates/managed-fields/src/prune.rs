//! What an applier named before and no longer names goes, where nobody else owns it.

use schema::Type;
use serde_json::Value;

use crate::keys;
use crate::place::Place;
use crate::set::{Node, Set, Step};

/// Removes from a merged object what `last` names and `owned` does not.
///
/// `last` is what the applier owned before, `owned` what anybody owns now. A struct or an item that the applier
/// gave up goes with everything in it that others did not give a value; one in which others own something stays,
/// and loses only what the applier alone had given.
pub fn prune(ty: Type<'_>, object: &mut Value, last: &Set<'_>, owned: &Set<'_>) {
    value(Place::Struct(ty), object, last, Some(owned), State::default());
}

/// What holds for the parents of a value.
#[derive(Clone, Copy, Default)]
struct State {
    /// The applier owned one.
    was_owned: bool,
    /// One that the applier owned, or something in it, is nobody's now.
    is_given_up: bool,
}

/// Whether the value goes, and with it what lies below.
fn goes(state: &mut State, is_declared: bool, last: Option<&Node<'_>>, owned: Option<&Node<'_>>) -> bool {
    // A declared field is a member of a set when anything below it is.
    let is_in = |node: Option<&Node<'_>>| node.is_some_and(|node| node.member || is_declared);
    state.was_owned |= is_in(last);
    state.is_given_up |= state.was_owned && !is_in(owned);
    state.is_given_up && is_in(last)
}

fn value(place: Place<'_>, value: &mut Value, last: &Set<'_>, owned: Option<&Set<'_>>, state: State) {
    match (place, &mut *value) {
        (Place::Struct(_) | Place::Map(_) | Place::Deduced, Value::Object(fields)) => {
            fields.retain(|key, child| {
                let (inner, field) = place.child(key);
                keep(inner, field.is_some(), &Step::field(key), child, last, owned, state)
            });
        }
        (Place::Keyed(..) | Place::Set, Value::Array(items)) => items.retain_mut(|item| {
            let Ok(step) = keys::step(place, item) else { return true };
            // An item that is left empty is an item still.
            keep(place.item(), false, &step, item, last, owned, state) || item.is_null()
        }),
        _ => {}
    }
}

fn keep(
    place: Place<'_>,
    is_declared: bool,
    step: &Step<'_>,
    child: &mut Value,
    last: &Set<'_>,
    owned: Option<&Set<'_>>,
    mut state: State,
) -> bool {
    let owned = owned.and_then(|owned| owned.find(step));
    let last = last.find(step);
    if goes(&mut state, is_declared, last, owned) {
        return false;
    }
    let Some(last) = last.filter(|last| !last.below.is_empty()) else { return true };
    let before = is_empty(child);
    value(place, child, &last.below, owned.map(|owned| &owned.below), state);
    // What lost its last content goes, too.
    before || !is_empty(child)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

//! Changes that others must be asked about, webhooks or the store: a store's write waits for nobody, so they are asked
//! between two tries.

use apimachinery::{ObjectExt as _, Status};
use serde_json::Value;

use super::call::Call;
use crate::refusal::Refusal;

/// How often a change is made up anew because the object changed while webhooks were asked.
pub const ATTEMPTS: usize = 20;

/// A change on its way out of the store's write and back.
#[derive(Debug)]
pub enum Outside {
    /// It is to be judged: the object as it would be, and as it is.
    Pending(Value, Value),
    /// What came of it, for this state of the object and no other.
    Judged(String, Result<Value, Status>),
}

fn state(old: &Value) -> String {
    format!("{}/{}/{}", old.namespace(), old.name(), old.resource_version())
}

/// What came of a change of this state, or [`Refusal::Unasked`] and the change is kept for [`pending`].
pub fn judged(call: &Call<'_>, new: Value, old: &Value) -> Result<Value, Refusal> {
    if let Some(outcome) = outcome(call, old) {
        return Ok(outcome?);
    }
    *call.outside.lock() = Some(Outside::Pending(new, old.clone()));
    Err(Refusal::Unasked)
}

/// What came of the change that was asked about last, if it was one of this state.
pub fn outcome(call: &Call<'_>, old: &Value) -> Option<Result<Value, Status>> {
    match &*call.outside.lock() {
        Some(Outside::Judged(of, outcome)) if *of == state(old) => Some(outcome.clone()),
        _ => None,
    }
}

/// The change that is to be judged.
pub fn pending(call: &Call<'_>) -> Option<(Value, Value)> {
    let mut outside = call.outside.lock();
    match outside.take() {
        Some(Outside::Pending(new, old)) => Some((new, old)),
        judged => {
            *outside = judged;
            None
        }
    }
}

/// Notes what came of a change of this state.
pub fn settle(call: &Call<'_>, old: &Value, outcome: Result<Value, Status>) {
    *call.outside.lock() = Some(Outside::Judged(state(old), outcome));
}

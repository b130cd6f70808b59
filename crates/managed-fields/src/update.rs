//! What a create, an update or a patch changes, its writer comes to own.

use std::borrow::Cow;

use schema::{Schema, Type};
use serde_json::{Map, Value};

use crate::compare::{Difference, NOTHING, compare};
use crate::entries::{self, Entry, Operation};
use crate::set::Set;
use strategy::Resets;

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The manager's name.
    pub manager: &'a str,
    /// The version that is written in.
    pub api_version: &'a str,
    /// The subresource that is written through.
    pub subresource: &'a str,
    /// The time, RFC 3339 to the second.
    pub now: &'a str,
}

/// Two states of an object in another version than the request's.
pub struct AtVersion {
    /// The schema of that version.
    pub schema: Schema,
    /// The state before.
    pub old: Value,
    /// The state after.
    pub new: Value,
}

/// Converts the object before and after to another version; none where that is not served any more.
pub type Versions<'v> = &'v dyn Fn(&str, &Value, &Value) -> Option<AtVersion>;

/// A write. Neither object has `metadata.managedFields` in it.
pub struct Update<'a> {
    /// The schema of the request's version.
    pub ty: Type<'a>,
    /// The object as it is; none where it is new.
    pub old: Option<&'a Value>,
    /// The object as it is to be.
    pub new: &'a Value,
    /// The stored `managedFields`.
    pub fields: Option<&'a str>,
    /// The `managedFields` that the request holds.
    pub claimed: Option<&'a str>,
    /// What the write cannot change.
    pub resets: Resets,
    /// Who writes.
    pub writer: Writer<'a>,
    /// Conversion to other versions.
    pub versions: Versions<'a>,
}

/// What becomes of `managedFields`.
#[derive(Debug, PartialEq, Eq)]
pub enum Fields {
    /// They stay as they are stored.
    Unchanged,
    /// The same owners own the same; only a time is new. That alone is no change of the object.
    Touched(String),
    /// They are these; none where nobody owns anything.
    Changed(Option<String>),
}

/// An owner of updates that is beyond this many is merged into the oldest others.
const MOST_UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";
/// The owner of what was there before anybody applied, where nothing was recorded.
pub const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Records a write.
pub fn update(update: &Update<'_>) -> Fields {
    let claimed = match update.claimed {
        // The one way to clear them.
        Some(text) if is_reset(text) && update.writer.subresource.is_empty() => {
            return if update.fields.is_some() { Fields::Changed(None) } else { Fields::Unchanged };
        }
        // Through a subresource they cannot be set, and what cannot be read does not count.
        Some(text) if update.writer.subresource.is_empty() && Some(text) != update.fields => {
            entries::decode(Some(text)).ok().filter(|entries| !entries.is_empty())
        }
        _ => None,
    };
    let is_claimed = claimed.is_some();
    if !is_claimed && update.fields.is_none() && update.old.is_some() {
        return Fields::Unchanged;
    }
    let nothing = Value::Object(Map::new());
    let old = update.old.unwrap_or(&nothing);
    let difference = compare(update.ty, old, update.new, update.resets);
    if difference.is_empty() && !is_claimed {
        return Fields::Unchanged;
    }
    let mut entries = match claimed {
        Some(entries) => entries,
        // What is stored and cannot be read is nobody's.
        None => entries::decode(update.fields).unwrap_or_default(),
    };
    let own = own(&mut entries, &update.writer);
    let others_lost =
        disown(&mut entries, &difference, update.writer.api_version, update.versions, old, update.new);
    let has_same = regain(&mut entries, own, difference, &update.writer);
    let same = !is_claimed && !others_lost && has_same;
    cap(&mut entries);
    match entries::encode(entries) {
        text if text.as_deref() == update.fields => Fields::Unchanged,
        Some(text) if same => Fields::Touched(text),
        text => Fields::Changed(text),
    }
}

/// Whether the request asks for `managedFields` to be cleared: a list of one empty entry.
fn is_reset(text: &str) -> bool {
    text == "[{}]"
}

/// Takes what differs from all these owners; says whether they owned any of it.
pub fn disown(
    entries: &mut Vec<Entry<'_>>,
    difference: &Difference<'_>,
    api_version: &str,
    versions: Versions<'_>,
    old: &Value,
    new: &Value,
) -> bool {
    let mut lost = false;
    if difference.is_empty() {
        return false;
    }
    entries.retain_mut(|entry| {
        if entry.api_version == api_version {
            lost |= entry.take(&difference.changed);
            lost |= entry.take(&difference.removed);
            return true;
        }
        let Some(at) = versions(&entry.api_version, old, new) else {
            lost = true;
            return false;
        };
        let difference = compare(at.schema.ty(), &at.old, &at.new, NOTHING);
        lost |= entry.take(&difference.changed);
        lost |= entry.take(&difference.removed);
        true
    });
    lost
}

/// Takes the writer's own entry out of the others, or makes one.
fn own<'e>(entries: &mut Vec<Entry<'e>>, writer: &Writer<'e>) -> Entry<'e> {
    let own = Entry {
        manager: Cow::Borrowed(if writer.manager.is_empty() { "unknown" } else { writer.manager }),
        operation: Operation::Update,
        api_version: Cow::Borrowed(writer.api_version),
        subresource: Cow::Borrowed(writer.subresource),
        time: None,
        set: Set::default(),
        text: None,
    };
    match entries.iter().position(|known| known.is_same_owner(&own)) {
        Some(at) => entries.remove(at),
        None => own,
    }
}

/// Gives the writer what it changed; says whether it owns what it owned before.
fn regain<'e>(
    entries: &mut Vec<Entry<'e>>,
    mut own: Entry<'e>,
    difference: Difference<'e>,
    writer: &Writer<'e>,
) -> bool {
    let mut same = !own.take(&difference.removed);
    if !difference.changed.is_empty() {
        if !own.set.covers(&difference.changed) {
            own.set.unite(difference.changed);
            own.text = None;
            same = false;
        }
        own.time = Some(Cow::Borrowed(writer.now));
    }
    entries.push(own);
    same
}

/// Merges the oldest updaters of one version into one, until there are few enough.
fn cap(entries: &mut Vec<Entry<'_>>) {
    entries.retain(|entry| !entry.set.is_empty());
    let is_updater = |entry: &Entry<'_>| entry.operation == Operation::Update;
    let mut updaters = entries.iter().filter(|entry| is_updater(entry)).count();
    if updaters <= MOST_UPDATERS {
        return;
    }
    entries.sort_by(|a, b| (a.operation, &a.time, &a.manager).cmp(&(b.operation, &b.time, &b.manager)));
    let mut at = entries.iter().take_while(|entry| !is_updater(entry)).count();
    while updaters > MOST_UPDATERS && at + 1 < entries.len() {
        let version = entries[at].api_version.clone();
        let next = (at + 1..entries.len())
            .find(|next| entries[*next].api_version == version && is_updater(&entries[*next]));
        let Some(next) = next else {
            at += 1;
            continue;
        };
        let newer = entries.remove(next);
        let bucket = &mut entries[at];
        bucket.manager = Cow::Borrowed(ANCIENT);
        bucket.subresource = Cow::Borrowed("");
        bucket.set.unite(newer.set);
        bucket.text = None;
        bucket.time = newer.time;
        updaters -= 1;
    }
}

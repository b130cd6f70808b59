//! Server-side apply: a configuration merged into an object, with conflicts, and without what it no longer names.

use std::borrow::Cow;

use schema::Type;
use serde_json::{Map, Value};

use crate::compare::{NOTHING, compare};
use crate::entries::{self, DecodeError, Entry, Operation};
use crate::set::{Set, Step};
use crate::update::{BEFORE_FIRST_APPLY, Versions, Writer, disown};
use crate::validate::validate;
use crate::{last_applied, merge, ownership, prune, resets};
use strategy::Resets;

/// A configuration to apply. Neither object has `metadata.managedFields` in it.
pub struct Apply<'a> {
    /// The schema of the request's version.
    pub ty: Type<'a>,
    /// The object as it is; none where it is new.
    pub live: Option<&'a Value>,
    /// What the applier wants to own.
    pub config: &'a Value,
    /// The stored `managedFields`.
    pub fields: Option<&'a str>,
    /// Whether other owners' fields are taken.
    pub force: bool,
    /// What the write cannot change.
    pub resets: Resets,
    /// Who applies.
    pub writer: Writer<'a>,
    /// Conversion to other versions.
    pub versions: Versions<'a>,
}

/// An applied configuration.
#[derive(Debug)]
pub struct Applied {
    /// The merged object, not yet decoded under its schema.
    pub object: Value,
    /// The new `managedFields`.
    pub fields: Option<String>,
    /// Whether the same owners own the same as before, whatever the time.
    pub same: bool,
}

/// A field that another owner has given another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The owner as messages name it.
    pub owner: String,
    /// The path, `.spec.replicas`.
    pub path: String,
}

/// Why a configuration is not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Others own what it would change.
    #[error("{}", message(.0))]
    Conflicts(Vec<Conflict>),
    /// It does not fit the schema: what is wrong with it.
    #[error("{}", list(.0))]
    Invalid(Vec<String>),
    /// What is stored cannot be read.
    #[error("failed to decode managed fields: {0}")]
    Stored(#[from] DecodeError),
}

fn list(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        many => many.iter().fold("errors:".to_owned(), |text, error| format!("{text}\n  {error}")),
    }
}

fn message(conflicts: &[Conflict]) -> String {
    if let [conflict] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", conflict.owner, conflict.path);
    }
    let mut lines = Vec::new();
    for (at, conflict) in conflicts.iter().enumerate() {
        if at == 0 || conflicts[at - 1].owner != conflict.owner {
            lines.push(format!("conflicts with {}:", conflict.owner));
        }
        lines.push(format!("- {}", conflict.path));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

/// Applies a configuration.
pub fn apply(apply: &Apply<'_>) -> Result<Applied, ApplyError> {
    let mut config = apply.config.clone();
    let errors = validate(apply.ty, &mut config);
    if !errors.is_empty() {
        return Err(ApplyError::Invalid(errors));
    }
    let nothing = Value::Object(Map::new());
    let live = apply.live.unwrap_or(&nothing);
    let writer = &apply.writer;
    let mut others = entries::decode(apply.fields)?;
    if others.is_empty() && apply.live.is_some() {
        others.extend(unrecorded(apply, &nothing, live));
    }

    let mut set = ownership::named(apply.ty, &config);
    resets::exclude(apply.resets, &mut set);
    let mut own = Entry {
        manager: Cow::Borrowed(writer.manager),
        operation: Operation::Apply,
        api_version: Cow::Borrowed(writer.api_version),
        subresource: Cow::Borrowed(writer.subresource),
        time: Some(Cow::Borrowed(writer.now)),
        set: set.into_owned(),
        text: None,
    };
    let last = others.iter().position(|known| known.is_same_owner(&own)).map(|at| others.remove(at));

    let mut object = live.clone();
    merge::merge(apply.ty, &mut object, &config);
    if let Some(last) = &last {
        let mut owned = own.set.clone();
        // Every configuration names the object, by metadata that nobody owns.
        let mut metadata = Set::default();
        metadata.push(Step::field("metadata"), true, Set::default());
        owned.unite(metadata);
        others.iter().for_each(|entry| owned.unite(entry.set.clone()));
        prune::prune(apply.ty, &mut object, &last.set, &owned);
    }

    let difference = compare(apply.ty, live, &object, apply.resets);
    if !apply.force {
        let conflicts = conflicts(apply, &others, &difference.changed, live, &object);
        if !conflicts.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
    }
    let others_lost = disown(&mut others, &difference, writer.api_version, apply.versions, live, &object);
    let mut same = !others_lost && apply.fields.is_some();
    match &last {
        Some(last) if last.set == own.set && last.api_version == own.api_version => {
            own.text = last.text;
            if difference.is_empty() {
                own.time = last.time.clone();
            }
        }
        Some(_) => same = false,
        None => same &= own.set.is_empty(),
    }
    others.push(own);
    let fields = entries::encode(others);
    drop(difference);
    last_applied::follow(apply, &mut object);
    Ok(Applied { object, fields, same })
}

/// Everything that was there before anybody's fields were recorded belongs to an owner of that name.
fn unrecorded<'e>(apply: &Apply<'e>, nothing: &Value, live: &Value) -> Option<Entry<'e>> {
    let set = compare(apply.ty, nothing, live, apply.resets).changed.into_owned();
    (!set.is_empty()).then_some(Entry {
        manager: Cow::Borrowed(BEFORE_FIRST_APPLY),
        operation: Operation::Update,
        api_version: Cow::Borrowed(apply.writer.api_version),
        subresource: Cow::Borrowed(apply.writer.subresource),
        time: Some(Cow::Borrowed(apply.writer.now)),
        set,
        text: None,
    })
}

fn conflicts(
    apply: &Apply<'_>,
    others: &[Entry<'_>],
    changed: &Set<'_>,
    live: &Value,
    object: &Value,
) -> Vec<Conflict> {
    let mut sets = Vec::new();
    for entry in others {
        let set = if entry.api_version == apply.writer.api_version {
            entry.set.intersection(changed)
        } else {
            let Some(at) = (apply.versions)(&entry.api_version, live, object) else { continue };
            let difference = compare(at.schema.ty(), &at.old, &at.new, NOTHING);
            entry.set.intersection(&difference.changed)
        };
        if !set.is_empty() {
            sets.push((entry, set));
        }
    }
    if sets.is_empty() {
        return Vec::new();
    }
    // What kubectl had applied itself before it let the server apply, it may change.
    if let Some(allowed) = last_applied::allowed(apply, live) {
        let beyond = |(entry, set): (_, Set<'_>)| {
            let mut set = set.into_owned();
            set.subtract(&allowed);
            (entry, set)
        };
        sets = sets.into_iter().map(beyond).filter(|(_, set)| !set.is_empty()).collect();
    }
    sets.sort_by_key(|(entry, _)| {
        (entry.manager.to_string(), entry.operation, entry.api_version.to_string())
    });
    let of = |(entry, set): &(&Entry<'_>, Set<'_>)| {
        let owner = entry.owner();
        set.paths().into_iter().map(move |path| Conflict { owner: owner.clone(), path }).collect::<Vec<_>>()
    };
    sets.iter().flat_map(of).collect()
}

//! From client-side to server-side apply: what kubectl wrote while it merged by itself becomes what it applied, so
//! that fields which it no longer names can go.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::entries::{DecodeError, Entry, Operation, decode, encode};
use crate::set::{Set, Step};

/// The managers that own an annotation by this kind of operation.
pub fn owners_of_annotation(
    fields: &str,
    annotation: &str,
    applied: bool,
) -> Result<BTreeSet<String>, DecodeError> {
    let operation = if applied { Operation::Apply } else { Operation::Update };
    let owns = |entry: &Entry<'_>| {
        let below = |set: &Set<'_>, name: &str| {
            set.find(&Step::field(name)).map(|node| node.below.clone().into_owned())
        };
        below(&entry.set, "metadata")
            .and_then(|metadata| below(&metadata, "annotations"))
            .and_then(|annotations| annotations.find(&Step::field(annotation)).map(|node| node.member))
            .unwrap_or(false)
    };
    let entries = decode(Some(fields))?;
    Ok(entries
        .iter()
        .filter(|entry| entry.operation == operation && owns(entry))
        .map(|entry| entry.manager.to_string())
        .collect())
}

/// Makes what these managers own by updates what one manager owns by applying; none where there is nothing to do.
pub fn upgraded(
    fields: &str,
    updaters: &BTreeSet<String>,
    applier: &str,
) -> Result<Option<String>, DecodeError> {
    let mut entries = decode(Some(fields))?;
    let is_updater = |entry: &Entry<'_>| {
        entry.operation == Operation::Update
            && entry.subresource.is_empty()
            && updaters.contains(&*entry.manager)
    };
    let (old, mut rest): (Vec<_>, Vec<_>) = entries.drain(..).partition(is_updater);
    if old.is_empty() {
        return Ok(None);
    }
    let is_applier = |entry: &Entry<'_>| {
        entry.operation == Operation::Apply && entry.subresource.is_empty() && entry.manager == applier
    };
    let mut old = old.into_iter();
    let at = match rest.iter().position(is_applier) {
        Some(at) => at,
        None => {
            rest.extend(old.next().map(|entry| Entry {
                manager: Cow::Owned(applier.to_owned()),
                operation: Operation::Apply,
                ..entry
            }));
            rest.len() - 1
        }
    };
    for entry in old {
        // Fields of another version cannot be told in this one's words.
        if entry.api_version == rest[at].api_version {
            rest[at].set.unite(entry.set);
            rest[at].text = None;
        }
    }
    Ok(encode(rest))
}

//! Lists whose length is bounded, and whose items may have to differ.

use std::collections::HashSet;
use std::hash::Hash;

use serde_json::Value;

use strategy::field::{Errors, Path};

/// Validates each item of a list, unless there are too many to look at.
pub(super) fn each(
    items: &[Value],
    most: usize,
    path: &Path,
    errors: &mut Errors,
    mut validate: impl FnMut(&Value, &Path, &mut Errors),
) -> bool {
    if items.len() > most {
        errors.too_many(path, items.len(), most);
        return false;
    }
    for (index, item) in items.iter().enumerate() {
        validate(item, &path.index(index), errors);
    }
    true
}

/// Validates each item of a list in which no two have the same key.
pub(super) fn set<'a, K: Hash + Eq + Clone + Into<Value>>(
    items: &'a [Value],
    most: usize,
    key: impl Fn(&'a Value) -> K,
    path: &Path,
    errors: &mut Errors,
    validate: impl FnMut(&Value, &Path, &mut Errors),
) {
    if each(items, most, path, errors, validate) {
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let key = key(item);
            if !seen.insert(key.clone()) {
                errors.duplicate(&path.index(index), key);
            }
        }
    }
}

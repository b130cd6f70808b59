//! Lists whose length is bounded, and whose items may have to differ; keys of maps as paths show them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::Hash;

use serde_json::Value;

use strategy::field::{Errors, Path};

/// A key as a path shows it: what is longer than it may be has a gap in its middle.
pub(super) fn shown(key: &str, longest: usize) -> Cow<'_, str> {
    const GAP: &str = "...";
    if key.len() <= longest {
        return Cow::Borrowed(key);
    }
    let rest = longest.saturating_sub(GAP.len());
    let (head, tail) = (rest.div_ceil(2), key.len() - rest / 2);
    let (head, tail) = (key.floor_char_boundary(head), key.ceil_char_boundary(tail));
    Cow::Owned(format!("{}{GAP}{}", &key[..head], &key[tail..]))
}

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

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn long_keys_are_shown_with_a_gap() {
        for (key, expected) in [
            ("0123456789abcdef", "0123456789abcdef"),
            ("0123456789abcdefg", "0123456...bcdefg"),
            ("ääääääääää", "äää...äää"),
        ] {
            assert_eq!(shown(key, 16), expected, "{key}");
        }
    }
}

//! A checker of histories: what many clients wrote and read, and whether one register a key could have answered so.
//!
//! A version of a key is the resourceVersion at which it was stored. Reads and successful writes name it, so no search
//! for an order is needed: the versions are the order, and what is checked is that nothing contradicts it.

use std::collections::{BTreeMap, HashSet};

/// What a client did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Read a version and its value.
    Read { version: u64, value: String },
    /// Replaced the version `base` by a value, which became this version; `None` if nobody knows whether it did.
    Write { base: u64, value: String, version: Option<u64> },
    /// Was told that `base` is not the version any more: the value was never stored.
    Refused { base: u64, value: String },
}

/// Something that a client did, and when it began and ended.
#[derive(Debug, Clone)]
pub struct Operation {
    pub key: String,
    pub began: u64,
    pub ended: u64,
    pub deed: Deed,
}

/// Everything that contradicts the order of versions.
pub fn contradictions(history: &[Operation]) -> Vec<String> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        keys.entry(&operation.key).or_default().push(operation);
    }
    keys.into_iter().flat_map(|(key, history)| of_key(key, &history)).collect()
}

fn of_key(key: &str, history: &[&Operation]) -> Vec<String> {
    let mut found = Vec::new();
    let mut versions: BTreeMap<u64, &str> = BTreeMap::new();
    let mut refused = HashSet::new();
    let mut written = HashSet::new();
    for operation in history {
        let (version, value) = match &operation.deed {
            Deed::Read { version, value } => (*version, value),
            Deed::Write { value, version: Some(version), .. } => {
                if !written.insert(*version) {
                    found.push(format!("{key}: two writes became version {version}"));
                }
                (*version, value)
            }
            Deed::Refused { value, .. } => {
                refused.insert(value.as_str());
                continue;
            }
            Deed::Write { version: None, .. } => continue,
        };
        match versions.insert(version, value) {
            Some(other) if other != value => {
                found.push(format!("{key}: version {version} is both {other:?} and {value:?}"));
            }
            _ => {}
        }
    }
    for (version, value) in &versions {
        if refused.contains(value) {
            found.push(format!("{key}: {value:?} was refused and is version {version}"));
        }
    }
    for operation in history {
        if let Deed::Write { base, version: Some(version), .. } = &operation.deed {
            if base >= version {
                found.push(format!("{key}: version {version} was made from the later {base}"));
            } else if let Some((between, _)) = versions.range(base + 1..*version).next() {
                found.push(format!("{key}: version {version} was made from {base} over {between}"));
            }
        }
    }
    found.extend(out_of_time(key, history));
    found
}

/// What ended before another began must not be later than it.
fn out_of_time(key: &str, history: &[&Operation]) -> Vec<String> {
    let known = |operation: &Operation| match operation.deed {
        Deed::Read { version, .. } => Some((version, false)),
        Deed::Write { version: Some(version), .. } => Some((version, true)),
        Deed::Write { version: None, .. } | Deed::Refused { .. } => None,
    };
    let mut by_begin: Vec<&&Operation> =
        history.iter().filter(|operation| known(operation).is_some()).collect();
    let mut by_end = by_begin.clone();
    by_begin.sort_by_key(|operation| operation.began);
    by_end.sort_by_key(|operation| operation.ended);
    let (mut ended, mut latest, mut found) = (0, 0, Vec::new());
    for operation in by_begin {
        while let Some(before) = by_end.get(ended).filter(|before| before.ended < operation.began) {
            latest = latest.max(known(before).map_or(0, |(version, _)| version));
            ended += 1;
        }
        if let Some((version, is_write)) = known(operation)
            && (version < latest || (is_write && version == latest))
        {
            let deed = if is_write { "written" } else { "read" };
            found.push(format!("{key}: version {version} was {deed} after {latest} was known"));
        }
    }
    found
}

/// What contradicts a watch of all keys: every version once, in order, with its value.
pub fn watch_contradictions(history: &[Operation], events: &[(String, u64, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for pair in events.windows(2) {
        if pair[0].1 >= pair[1].1 {
            found.push(format!("the watch went from version {} to {}", pair[0].1, pair[1].1));
        }
    }
    let seen: BTreeMap<u64, (&str, &str)> =
        events.iter().map(|(key, version, value)| (*version, (key.as_str(), value.as_str()))).collect();
    for operation in history {
        let (version, value) = match &operation.deed {
            Deed::Read { version, value } | Deed::Write { version: Some(version), value, .. } => {
                (version, value)
            }
            Deed::Write { version: None, .. } | Deed::Refused { .. } => continue,
        };
        match seen.get(version) {
            None => found.push(format!("the watch missed version {version} of {}", operation.key)),
            Some(told) if *told != (operation.key.as_str(), value.as_str()) => {
                found.push(format!("the watch told {told:?} of version {version}, which is {value:?}"));
            }
            Some(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(began: u64, ended: u64, version: u64, value: &str) -> Operation {
        Operation { key: "k".into(), began, ended, deed: Deed::Read { version, value: value.into() } }
    }

    fn write(began: u64, ended: u64, base: u64, version: Option<u64>, value: &str) -> Operation {
        Operation { key: "k".into(), began, ended, deed: Deed::Write { base, value: value.into(), version } }
    }

    #[test]
    fn a_history_that_one_register_could_give_is_sound() {
        let history = [
            read(0, 1, 1, "a"),
            write(2, 9, 1, Some(5), "b"),
            read(3, 4, 1, "a"),
            read(5, 6, 5, "b"),
            write(10, 20, 5, None, "c"),
            read(30, 31, 7, "c"),
            read(30, 31, 7, "c"),
            write(32, 33, 7, Some(8), "d"),
        ];
        assert_eq!(contradictions(&history), [""; 0]);
        let events = [(1, "a"), (5, "b"), (7, "c"), (8, "d")];
        let mut events: Vec<_> =
            events.iter().map(|(version, value)| ("k".to_owned(), *version, (*value).to_owned())).collect();
        assert_eq!(watch_contradictions(&history, &events), [""; 0]);
        events.remove(2);
        assert_eq!(watch_contradictions(&history, &events).len(), 2);
        events.swap(0, 1);
        assert!(watch_contradictions(&history, &events)[0].contains("from version 5 to 1"));
    }

    #[test]
    fn every_contradiction_is_found() {
        let refused = Operation { deed: Deed::Refused { base: 1, value: "x".into() }, ..read(0, 1, 0, "") };
        for (history, wanted) in [
            (vec![read(0, 1, 5, "b"), read(2, 3, 4, "a")], "version 4 was read after 5 was known"),
            (vec![write(0, 1, 4, Some(5), "b"), read(2, 3, 4, "a")], "version 4 was read after 5 was known"),
            (vec![read(0, 9, 5, "b"), read(2, 3, 5, "a")], "version 5 is both \"b\" and \"a\""),
            (
                vec![write(0, 9, 4, Some(6), "b"), write(0, 9, 4, Some(5), "c")],
                "version 6 was made from 4 over 5",
            ),
            (vec![refused, read(0, 1, 3, "x")], "\"x\" was refused and is version 3"),
            (vec![write(0, 9, 4, Some(5), "b"), write(0, 9, 4, Some(5), "b")], "two writes became version 5"),
            (
                vec![read(0, 1, 6, "c"), write(2, 3, 4, Some(5), "b")],
                "version 5 was written after 6 was known",
            ),
        ] {
            let found = contradictions(&history);
            assert!(found.iter().any(|text| text.contains(wanted)), "{wanted}: {found:?}");
        }
    }
}

//! What a request cannot change, whatever it sends: nobody comes to own it, and nobody conflicts over it.

use crate::set::{Set, Step};

/// What a kind puts back in an update through one of its parts. Paths are written with dots; `*` is any item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resets {
    /// These paths and all below them.
    Only(&'static [&'static str]),
    /// Everything but these paths and what is below them.
    AllBut(&'static [&'static str]),
}

impl Resets {
    /// Nothing is put back.
    pub const NOTHING: Resets = Resets::Only(&[]);

    /// Whether all of a field of the object is put back, so that nobody need look into it.
    pub(crate) fn is_whole(self, field: &str) -> bool {
        match self {
            Self::Only(paths) => paths.contains(&field),
            Self::AllBut(paths) => !paths.iter().any(|path| path.split('.').next() == Some(field)),
        }
    }

    /// Takes what is put back out of a set.
    pub(crate) fn exclude(self, set: &mut Set<'_>) {
        match self {
            Self::Only(paths) => paths.iter().for_each(|path| remove(set, path)),
            Self::AllBut(paths) => keep(set, paths),
        }
    }
}

fn leads(part: &str, step: &Step<'_>) -> bool {
    match step {
        Step::Field(name) => part == "*" || part == name,
        Step::Key(_) | Step::Value(_) | Step::Index(_) => part == "*",
    }
}

fn remove(set: &mut Set<'_>, path: &str) {
    let (part, rest) = path.split_once('.').map_or((path, None), |(part, rest)| (part, Some(rest)));
    set.retain(|node| match rest {
        _ if !leads(part, &node.step) => true,
        None => false,
        Some(rest) => {
            remove(&mut node.below, rest);
            true
        }
    });
}

fn keep(set: &mut Set<'_>, paths: &[&str]) {
    set.retain(|node| {
        let mut rests = Vec::new();
        for path in paths {
            let (part, rest) = path.split_once('.').map_or((*path, None), |(part, rest)| (part, Some(rest)));
            match rest {
                _ if !leads(part, &node.step) => {}
                None => return true,
                Some(rest) => rests.push(rest),
            }
        }
        node.member = false;
        keep(&mut node.below, &rests);
        true
    });
}

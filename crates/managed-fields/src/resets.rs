//! Fields that a request cannot change, left out of what it owns.

use strategy::Resets;

use crate::set::{Set, Step};

/// Whether all of a field of the object is put back, so that nobody need look into it.
pub fn is_whole(resets: Resets, field: &str) -> bool {
    match resets {
        Resets::Only(paths) => paths.contains(&field),
        Resets::AllBut(paths) => !paths.iter().any(|path| path.split('.').next() == Some(field)),
    }
}

/// Takes what is put back out of a set.
pub fn exclude(resets: Resets, set: &mut Set<'_>) {
    match resets {
        Resets::Only(paths) => paths.iter().for_each(|path| remove(set, path)),
        Resets::AllBut(paths) => keep(set, paths),
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

//! Who owns whom: uids of everything, and a little more of what has owners or is waited for.

use std::collections::{HashMap, HashSet};

use informer::Metadata;

use super::uid::Uid;

/// The finalizer of an owner that waits for its dependents.
pub const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an owner whose dependents are to stay.
pub const ORPHAN: &str = "orphan";

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Task {
    /// Whether this object must go.
    Check(Uid),
    /// The same, once the watch of its owner had time to catch up.
    CheckLater(Uid),
    /// The dependents of this object must be let go.
    Orphan(Uid),
}

/// An object with owners, or one that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The monitor that shows it.
    pub monitor: u32,
    /// The namespace, empty for a cluster-scoped object.
    pub namespace: Box<str>,
    /// The name.
    pub name: Box<str>,
    /// The owners.
    pub owners: Box<[Owner]>,
    /// Whether it is on its way out and waits for its dependents.
    pub foreground: bool,
    /// Whether it is on its way out and its dependents are to stay.
    pub orphaning: bool,
    /// Whether it is on its way out.
    pub deleting: bool,
}

/// A reference to an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The owner's uid.
    pub uid: Uid,
    /// Whether the owner, deleted in the foreground, waits for the object.
    pub blocking: bool,
}

/// The graph. Of an object without owners that nobody waits for it holds nothing but the uid.
#[derive(Debug, Default)]
pub struct Graph {
    /// Which monitor shows each object.
    known: HashMap<Uid, u32>,
    items: HashMap<Uid, Item>,
    dependents: HashMap<Uid, HashSet<Uid>>,
}

impl Graph {
    /// Returns an object that has owners or is waited for.
    pub fn item(&self, uid: &Uid) -> Option<&Item> {
        self.items.get(uid)
    }

    /// Tells whether some watch shows an object of this uid.
    pub fn knows(&self, uid: &Uid) -> bool {
        self.known.contains_key(uid)
    }

    /// Returns the uids of what names this object as owner.
    pub fn dependents(&self, uid: &Uid) -> Vec<Uid> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Returns the dependents for which an owner deleted in the foreground waits, and whether each waits itself.
    pub fn blocking_dependents(&self, uid: &Uid) -> Vec<(Uid, bool)> {
        let dependents = self.dependents.get(uid).into_iter().flatten();
        let blocking = dependents.filter_map(|dependent| {
            let item = self.items.get(dependent)?;
            let blocks = item.owners.iter().any(|owner| owner.uid == *uid && owner.blocking);
            blocks.then(|| (dependent.clone(), item.foreground))
        });
        blocking.collect()
    }

    /// Tells whether an object waits, or has an owner that is not known or waits.
    pub fn needs_attention(&self, item: &Item) -> bool {
        if item.deleting && !item.foreground {
            return false;
        }
        item.foreground
            || item.owners.iter().any(|owner| {
                !self.knows(&owner.uid) || self.item(&owner.uid).is_some_and(|owner| owner.foreground)
            })
    }

    /// Takes an object as a watch shows it; returns what to look at.
    pub fn apply(&mut self, monitor: u32, metadata: &Metadata) -> Vec<Task> {
        let mut tasks = Vec::new();
        let uid = Uid::from(&*metadata.uid);
        self.known.insert(uid.clone(), monitor);
        let item = Item::of(monitor, metadata);
        let before = self.items.remove(&uid);
        let (was_foreground, was_orphaning) =
            before.as_ref().map_or((false, false), |before| (before.foreground, before.orphaning));
        let old_owners = before.map(|before| before.owners).unwrap_or_default();
        for owner in &old_owners {
            let kept = item.owners.iter().find(|kept| kept.uid == owner.uid);
            if kept.is_none() {
                self.unlink(&owner.uid, &uid);
            }
            // An owner that waits may be waiting for just this reference.
            let freed = owner.blocking && !kept.is_some_and(|kept| kept.blocking);
            if freed && self.items.get(&owner.uid).is_some_and(|owner| owner.foreground) {
                tasks.push(Task::Check(owner.uid.clone()));
            }
        }
        let mut unknown_owner = false;
        let mut waiting_owner = false;
        for owner in item.owners.iter() {
            if old_owners.iter().any(|old| old.uid == owner.uid) {
                continue;
            }
            self.dependents.entry(owner.uid.clone()).or_default().insert(uid.clone());
            unknown_owner |= !self.known.contains_key(&owner.uid);
            waiting_owner |= self.items.get(&owner.uid).is_some_and(|owner| owner.foreground);
        }
        if waiting_owner {
            tasks.push(Task::Check(uid.clone()));
        } else if unknown_owner {
            tasks.push(Task::CheckLater(uid.clone()));
        }
        if item.foreground && !was_foreground {
            tasks.extend(self.dependents(&uid).into_iter().map(Task::Check));
            tasks.push(Task::Check(uid.clone()));
        }
        if item.orphaning && !was_orphaning {
            tasks.push(Task::Orphan(uid.clone()));
        }
        if !item.owners.is_empty() || item.foreground || item.orphaning {
            self.items.insert(uid, item);
        }
        tasks
    }

    /// Takes word that an object is gone; returns what to look at.
    pub fn delete(&mut self, monitor: u32, uid: &Uid) -> Vec<Task> {
        // A second resource may show the same objects (two groups, one storage): the last word counts.
        if self.known.get(uid).is_some_and(|shown_by| *shown_by != monitor) {
            return Vec::new();
        }
        self.known.remove(uid);
        let mut tasks = Vec::new();
        if let Some(item) = self.items.remove(uid) {
            for owner in item.owners.iter() {
                self.unlink(&owner.uid, uid);
                if self.items.get(&owner.uid).is_some_and(|owner| owner.foreground) {
                    tasks.push(Task::Check(owner.uid.clone()));
                }
            }
        }
        tasks.extend(self.dependents(uid).into_iter().map(Task::Check));
        tasks
    }

    /// Returns what a monitor shows.
    pub fn shown_by(&self, monitor: u32) -> Vec<Uid> {
        let shown = self.known.iter().filter(|(_, shown_by)| **shown_by == monitor);
        shown.map(|(uid, _)| uid.clone()).collect()
    }

    fn unlink(&mut self, owner: &Uid, dependent: &Uid) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }
}

impl Item {
    fn of(monitor: u32, metadata: &Metadata) -> Item {
        let owners = metadata.owner_references.iter().map(|owner| Owner {
            uid: Uid::from(&*owner.uid),
            blocking: owner.block_owner_deletion == Some(true),
        });
        let deleting = metadata.is_deleting();
        let has = |finalizer: &str| deleting && metadata.finalizers.iter().any(|one| one == finalizer);
        Item {
            monitor,
            namespace: (*metadata.namespace).into(),
            name: (*metadata.name).into(),
            owners: owners.collect(),
            foreground: has(FOREGROUND),
            orphaning: has(ORPHAN),
            deleting,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(uid: &str, owners: &[(&str, bool)], finalizers: &[&str]) -> Metadata {
        let owners: Vec<Value> = owners
            .iter()
            .map(|(uid, blocks)| json!({"apiVersion": "v1", "kind": "X", "name": uid, "uid": uid, "blockOwnerDeletion": blocks}))
            .collect();
        let mut metadata =
            json!({"name": uid, "uid": uid, "ownerReferences": owners, "finalizers": finalizers});
        if !finalizers.is_empty() {
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        serde_json::from_value(metadata).unwrap()
    }

    fn uid(text: &str) -> Uid {
        Uid::from(text)
    }

    fn check(text: &str) -> Task {
        Task::Check(uid(text))
    }

    #[test]
    fn dependents_are_looked_at_when_their_owner_goes() {
        let mut graph = Graph::default();
        assert_eq!(graph.apply(0, &object("owner", &[], &[])), []);
        assert!(graph.item(&uid("owner")).is_none(), "an object without owners costs nothing but its uid");
        assert_eq!(graph.apply(1, &object("child", &[("owner", true)], &[])), []);
        assert!(!graph.needs_attention(graph.item(&uid("child")).unwrap()));
        assert_eq!(graph.delete(0, &uid("owner")), [check("child")]);
        assert!(graph.needs_attention(graph.item(&uid("child")).unwrap()));
        assert_eq!(graph.delete(1, &uid("child")), []);
        assert!(graph.dependents.is_empty() && graph.items.is_empty() && graph.known.is_empty());
    }

    #[test]
    fn an_owner_not_yet_seen_is_checked_later() {
        let mut graph = Graph::default();
        assert_eq!(
            graph.apply(1, &object("child", &[("owner", false)], &[])),
            [Task::CheckLater(uid("child"))]
        );
        graph.apply(0, &object("owner", &[], &[]));
        assert!(!graph.needs_attention(graph.item(&uid("child")).unwrap()));
    }

    #[test]
    fn an_owner_in_the_foreground_waits_for_those_that_block_it() {
        let mut graph = Graph::default();
        graph.apply(0, &object("owner", &[], &[]));
        graph.apply(1, &object("blocks", &[("owner", true)], &[]));
        graph.apply(1, &object("does-not", &[("owner", false)], &[]));
        let tasks = graph.apply(0, &object("owner", &[], &[FOREGROUND]));
        assert_eq!(tasks.len(), 3);
        assert_eq!(tasks[2], check("owner"));
        assert_eq!(graph.blocking_dependents(&uid("owner")), [(uid("blocks"), false)]);
        assert_eq!(graph.apply(0, &object("owner", &[], &[FOREGROUND])), [], "said once");
        assert_eq!(graph.apply(1, &object("late", &[("owner", true)], &[])), [check("late")]);
        assert_eq!(graph.apply(1, &object("late", &[("owner", false)], &[])), [check("owner")]);
        assert_eq!(graph.delete(1, &uid("blocks")), [check("owner")]);
        assert_eq!(graph.blocking_dependents(&uid("owner")), []);
    }

    #[test]
    fn an_orphaning_owner_is_named_once() {
        let mut graph = Graph::default();
        graph.apply(1, &object("child", &[("owner", true)], &[]));
        assert_eq!(graph.apply(0, &object("owner", &[], &[ORPHAN])), [Task::Orphan(uid("owner"))]);
        assert_eq!(graph.apply(0, &object("owner", &[], &[ORPHAN])), []);
        assert_eq!(graph.dependents(&uid("owner")), [uid("child")]);
        graph.apply(1, &object("child", &[], &[]));
        assert!(graph.dependents(&uid("owner")).is_empty());
    }
}

//! Which objects belong to a controller: kept by owner reference, adopted or released by labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::labels::Selector;
use informer::{Change, Key, Metadata, Store};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use crate::api::{Api, Error, Patch, path_of};
use crate::objects::Resource;

/// The index of objects by controlling owner.
pub const BY_CONTROLLER: &str = "controller";

/// Indexes a store by the uid of the controlling owner, and what has none by its namespace.
pub fn index_by_controller<K: Resource>(store: &Store<K>) {
    store.index(BY_CONTROLLER, |object: &K| {
        let metadata = object.metadata();
        vec![metadata.controller().map_or_else(|| orphans_of(&metadata.namespace), |owner| owner.uid.clone())]
    });
}

/// Returns the objects an owner controls and those without any controller in its namespace.
pub fn candidates<K: Resource>(store: &Store<K>, owner: &Metadata) -> Vec<Arc<K>> {
    let mut found = store.by_index(BY_CONTROLLER, &owner.uid);
    found.extend(store.by_index(BY_CONTROLLER, &orphans_of(&owner.namespace)));
    found
}

fn orphans_of(namespace: &str) -> String {
    format!("orphans/{namespace}")
}

/// Returns the key of the owner of type `O` that controls an object, whether or not its store has it yet.
pub fn controller_key<O: Resource, K: Resource>(object: &K) -> Option<Key> {
    let owner = object.metadata().controller()?;
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    (owner.kind == O::KIND && group == O::GROUP).then(|| Key::new(object.namespace(), &owner.name))
}

/// An owner that takes in objects by their labels.
pub trait Adopter: Resource {
    /// Tells whether objects with these labels are its own.
    fn selects(&self, labels: &BTreeMap<String, String>) -> bool;
}

/// Returns the keys of the owners that a change of an object concerns: the one that controls it, the one that did,
/// and, of an object that lost its controller or changed its labels without having one, those that may adopt it.
pub fn owners_of_change<O: Adopter, K: Resource>(owners: &Store<O>, change: &Change<'_, K>) -> Vec<Key> {
    let object = change.object();
    let mut keys: Vec<Key> = controller_key::<O, K>(object).into_iter().collect();
    let Change::Applied { old, new } = change else { return keys };
    if let Some(before) = old.and_then(|old| controller_key::<O, K>(old))
        && !keys.contains(&before)
    {
        keys.push(before);
    }
    let (metadata, old) = (new.metadata(), old.map(|old| old.metadata()));
    let is_new = old.is_none_or(|old| old.labels != metadata.labels || old.controller().is_some());
    if metadata.controller().is_none() && is_new && !metadata.is_deleting() {
        let adopters = owners.in_namespace(&metadata.namespace);
        keys.extend(adopters.iter().filter(|owner| owner.selects(&metadata.labels)).map(|owner| owner.key()));
    }
    keys
}

/// What an owner does about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is the owner's and stays so.
    Keep,
    /// It matches and has no controller: it becomes the owner's.
    Adopt,
    /// It is the owner's but no longer matches: it is let go.
    Release,
    /// It is none of the owner's business.
    Ignore,
}

/// Decides about one object.
pub fn claim(object: &Metadata, owner: &Metadata, selector: &Selector) -> Claim {
    let matches = selector.matches_map(Some(&object.labels));
    match object.controller() {
        Some(controller) if controller.uid != owner.uid => Claim::Ignore,
        Some(_) if matches => Claim::Keep,
        Some(_) if owner.is_deleting() => Claim::Ignore,
        Some(_) => Claim::Release,
        None if !matches || owner.is_deleting() || object.is_deleting() => Claim::Ignore,
        None => Claim::Adopt,
    }
}

/// Returns a reference to `owner` as controller.
pub fn controller_reference<K: Resource>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(),
        kind: K::KIND.to_owned(),
        name: owner.name().to_owned(),
        uid: owner.uid().to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Settles which of the candidates are the owner's, adopting and releasing as needed.
///
/// Before the first adoption the owner is read from the server: one that was deleted must not adopt, or what its
/// deletion orphaned would be deleted after it.
pub async fn settle<O: Resource, K: Resource>(
    api: &Api,
    owner: &O,
    selector: &Selector,
    candidates: Vec<Arc<K>>,
) -> Result<Vec<Arc<K>>, Error> {
    let mut owned = Vec::with_capacity(candidates.len());
    let mut may_adopt = None;
    for object in candidates {
        match claim(object.metadata(), owner.metadata(), selector) {
            Claim::Keep => owned.push(object),
            Claim::Ignore => {}
            Claim::Release => tolerate(release(api, owner, &object).await)?,
            Claim::Adopt => {
                if may_adopt.is_none() {
                    let live = api.get(&path_of(owner)).await?;
                    may_adopt = Some(lives_on(&live, owner.uid()));
                }
                if may_adopt == Some(true) {
                    match adopt(api, owner, &object).await {
                        Ok(()) => owned.push(object),
                        error => tolerate(error)?,
                    }
                }
            }
        }
    }
    Ok(owned)
}

/// Tells whether the live object is still the one meant and not on its way out.
fn lives_on(live: &Value, uid: &str) -> bool {
    live["metadata"]["uid"] == uid && live["metadata"]["deletionTimestamp"].is_null()
}

async fn adopt<O: Resource, K: Resource>(api: &Api, owner: &O, object: &Arc<K>) -> Result<(), Error> {
    let patch = json!({"metadata": {"uid": object.uid(), "ownerReferences": [controller_reference(owner)]}});
    api.patch(&path_of(&**object), Patch::Strategic, &patch).await.map(drop)
}

async fn release<O: Resource, K: Resource>(api: &Api, owner: &O, object: &Arc<K>) -> Result<(), Error> {
    let reference = json!({"$patch": "delete", "uid": owner.uid()});
    let patch = json!({"metadata": {"uid": object.uid(), "ownerReferences": [reference]}});
    api.patch(&path_of(&**object), Patch::Strategic, &patch).await.map(drop)
}

/// An object that is gone, or was replaced by another of its name (the uid in the patch no longer fits), is no
/// failure: the watch will tell.
fn tolerate(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_not_found() || error.is_invalid() || error.is_conflict() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{Pod, ReplicaSet};

    #[test]
    fn a_change_concerns_the_owners_before_and_after_and_those_that_may_adopt() {
        let sets = Store::<ReplicaSet>::new();
        for (name, app) in [("web", "web"), ("other", "web"), ("db", "db")] {
            let set = json!({"metadata": {"name": name, "namespace": "default"},
                "spec": {"selector": {"matchLabels": {"app": app}}}});
            sets.apply(serde_json::from_value(set).unwrap());
        }
        let pod = |labels: &str, owner: &str, deleting: bool| -> Option<Arc<Pod>> {
            let owners = if owner.is_empty() {
                json!([])
            } else {
                json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": true}])
            };
            let time = deleting.then_some("2026-01-01T00:00:00Z");
            let pod = json!({"metadata": {"name": "p", "namespace": "default", "labels": {"app": labels},
                "ownerReferences": owners, "deletionTimestamp": time}});
            Some(Arc::new(serde_json::from_value(pod).unwrap()))
        };
        let check = |old: Option<Arc<Pod>>, new: Option<Arc<Pod>>, expected: &[&str]| {
            let change = match (&old, &new) {
                (old, Some(new)) => Change::Applied { old: old.as_ref(), new },
                (Some(last), None) => Change::Deleted(last),
                (None, None) => unreachable!("no change"),
            };
            let keys = owners_of_change(&sets, &change);
            let mut names: Vec<&str> = keys.iter().map(Key::name).collect();
            names.sort_unstable();
            assert_eq!(names, expected);
        };
        check(None, pod("web", "web", false), &["web"]);
        check(pod("web", "web", false), pod("web", "gone", false), &["gone", "web"]);
        check(pod("web", "web", false), None, &["web"]);
        check(None, pod("web", "", false), &["other", "web"]);
        check(pod("db", "", false), pod("web", "", false), &["other", "web"]);
        check(pod("web", "db", false), pod("web", "", false), &["db", "other", "web"]);
        check(pod("web", "", false), pod("web", "", false), &[]);
        check(None, pod("web", "", true), &[]);
        check(pod("web", "", false), None, &[]);
    }

    #[test]
    fn claims_by_reference_and_labels() {
        let selector = Selector::from_pairs([("app", "web")]);
        let metadata = |value: Value| -> Metadata { serde_json::from_value(value).unwrap() };
        let mine = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "o", "uid": "me", "controller": true}]);
        let other = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "o", "uid": "it", "controller": true}]);
        let dying = "2026-01-01T00:00:00Z";
        let owner = json!({"uid": "me"});
        let dying_owner = json!({"uid": "me", "deletionTimestamp": dying});
        let (web, db) = (json!({"app": "web"}), json!({"app": "db"}));
        for (object, owner, expected) in [
            (json!({"labels": web, "ownerReferences": mine}), &owner, Claim::Keep),
            (json!({"labels": web, "ownerReferences": mine}), &dying_owner, Claim::Keep),
            (json!({"labels": db, "ownerReferences": mine}), &owner, Claim::Release),
            (json!({"labels": db, "ownerReferences": mine}), &dying_owner, Claim::Ignore),
            (json!({"labels": web, "ownerReferences": other}), &owner, Claim::Ignore),
            (json!({"labels": web}), &owner, Claim::Adopt),
            (json!({"labels": web, "deletionTimestamp": dying}), &owner, Claim::Ignore),
            (json!({"labels": web}), &dying_owner, Claim::Ignore),
            (json!({"labels": db}), &owner, Claim::Ignore),
        ] {
            assert_eq!(
                claim(&metadata(object.clone()), &metadata(owner.clone()), &selector),
                expected,
                "{object}"
            );
        }
    }
}

//! The history of an owner's templates, kept as controller revisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use controller_runtime::api::path::{named_path, path_of, resource_path};
use controller_runtime::api::{Api, Delete, Error, Patch};
use controller_runtime::objects::controller_revision::ControllerRevision;
use controller_runtime::objects::{Resource, Template};
use controller_runtime::ownership::controller_reference;
use serde_json::json;

/// An owner of a history.
pub struct Owner<'a, K> {
    /// The owner.
    pub object: &'a K,
    /// Its present template.
    pub template: &'a Template,
    /// How many names were taken by others so far.
    pub collisions: Option<i32>,
    /// The label that carries the hash.
    pub hash_label: &'static str,
}

/// The revision of the present template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Present {
    /// It is there.
    Found {
        /// Its name.
        name: String,
        /// Its hash.
        hash: String,
    },
    /// Its name belongs to someone else: the collision count must go up.
    Collision,
}

/// Returns the template of a revision.
pub fn template(revision: &ControllerRevision) -> Template {
    let mut template = revision.data["spec"]["template"].clone();
    if let Some(template) = template.as_object_mut() {
        template.remove("$patch");
    }
    Template::from(&template)
}

/// Returns the hash of a revision.
pub fn hash(revision: &ControllerRevision, label: &str) -> String {
    let labels = &revision.metadata.labels;
    let named = revision.metadata.name.rsplit('-').next().unwrap_or_default();
    labels.get(label).cloned().unwrap_or_else(|| named.to_owned())
}

/// Finds or makes the revision of the present template and sees that it is the last of the history.
pub async fn settle<K: Resource>(
    api: &Api,
    owner: &Owner<'_, K>,
    revisions: &[Arc<ControllerRevision>],
) -> Result<Present, Error> {
    let next = revisions.iter().map(|one| one.revision).max().unwrap_or(0) + 1;
    let same = revisions.iter().filter(|one| template(one).is_same(owner.template));
    if let Some(found) = same.max_by_key(|one| one.revision) {
        if found.revision + 1 < next {
            // Rolled back to: it moves to the end of the history.
            let patch = json!({"metadata": {"uid": found.metadata.uid}, "revision": next});
            api.patch(&path_of(&**found), Patch::Merge, &patch).await?;
        }
        return Ok(Present::Found { name: found.metadata.name.clone(), hash: hash(found, owner.hash_label) });
    }
    create(api, owner, next).await
}

async fn create<K: Resource>(api: &Api, owner: &Owner<'_, K>, revision: i64) -> Result<Present, Error> {
    let hash = owner.template.hash(owner.collisions);
    let (namespace, name) = (owner.object.namespace(), format!("{}-{hash}", owner.object.name()));
    let mut template = owner.template.value();
    let mut labels = template["metadata"]["labels"].clone();
    labels[owner.hash_label] = hash.clone().into();
    template["$patch"] = "replace".into();
    let object = json!({
        "apiVersion": ControllerRevision::api_version(),
        "kind": ControllerRevision::KIND,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "annotations": annotations(owner.object),
            "ownerReferences": [controller_reference(owner.object)],
        },
        "data": {"spec": {"template": template}},
        "revision": revision,
    });
    match api.create(&resource_path::<ControllerRevision>(namespace), &object).await {
        Ok(_) => Ok(Present::Found { name, hash }),
        Err(error) if error.is_already_exists() => {
            let live = api.get(&named_path::<ControllerRevision>(namespace, &name)).await?;
            let live: ControllerRevision =
                serde_json::from_value(live).map_err(|error| Error::Malformed(error.to_string()))?;
            let ours =
                live.metadata.controller().is_some_and(|controller| controller.uid == owner.object.uid())
                    && self::template(&live).is_same(owner.template);
            Ok(if ours { Present::Found { name, hash } } else { Present::Collision })
        }
        Err(error) => Err(error),
    }
}

/// The reason of a change goes into the history with it.
fn annotations<K: Resource>(owner: &K) -> BTreeMap<String, String> {
    owner.metadata().annotations.clone()
}

/// Returns the revisions beyond the limit, oldest first, of those that nothing uses.
pub fn surplus(
    revisions: &[Arc<ControllerRevision>],
    limit: Option<i32>,
    is_used: impl Fn(&ControllerRevision) -> bool,
) -> Vec<Arc<ControllerRevision>> {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(10);
    let mut unused: Vec<_> = revisions.iter().filter(|one| !is_used(one)).cloned().collect();
    unused.sort_by_key(|one| one.revision);
    unused.truncate(unused.len().saturating_sub(limit));
    unused
}

/// Deletes revisions.
pub async fn delete(api: &Api, revisions: &[Arc<ControllerRevision>]) -> Result<(), Error> {
    for revision in revisions {
        let delete = Delete { uid: Some(&revision.metadata.uid), ..Delete::default() };
        match api.delete(&path_of(&**revision), delete).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_used_and_the_newest_of_the_rest() {
        let revisions: Vec<Arc<ControllerRevision>> = (1..=5)
            .map(|number| Arc::new(ControllerRevision { revision: number, ..ControllerRevision::default() }))
            .collect();
        let gone: Vec<i64> =
            surplus(&revisions, Some(1), |one| one.revision == 2).iter().map(|one| one.revision).collect();
        assert_eq!(gone, [1, 3, 4]);
        assert!(surplus(&revisions, None, |_| false).is_empty());
    }

    #[test]
    fn a_revision_holds_the_template_as_a_patch() {
        let data = json!({"spec": {"template": {"$patch": "replace", "spec": {"containers": [1]}}}});
        let revision = ControllerRevision { data, ..ControllerRevision::default() };
        assert!(template(&revision).is_same(&Template::from(&json!({"spec": {"containers": [1]}}))));
    }
}

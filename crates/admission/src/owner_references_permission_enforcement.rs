//! OwnerReferencesPermissionEnforcement: whoever ties the life of an object to an owner must be allowed to delete the
//! object, and to hold up the owner's deletion if he wants that.

use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::{Read, same};

use crate::{Access, Context, Operation, Plugin, Steps};

pub(crate) struct OwnerReferencesPermissionEnforcement;

fn owners(object: &Value) -> &[Value] {
    object["metadata"].items("ownerReferences")
}

fn blocks(owner: &&Value) -> bool {
    owner.flag("blockOwnerDeletion") == Some(true)
}

impl Plugin for OwnerReferencesPermissionEnforcement {
    fn name(&self) -> &'static str {
        "OwnerReferencesPermissionEnforcement"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let attributes = context.attributes;
        // The strategy of a pod's status keeps its owners as they are.
        let of_pod = attributes.group.is_empty() && attributes.resource == "pods";
        let known = context.old.map_or(&[][..], owners);
        let wanted = owners(object);
        let unchanged = known.len() == wanted.len() && known.iter().zip(wanted).all(|(a, b)| same(a, b));
        if unchanged || (of_pod && attributes.subresource == "status") {
            return Ok(());
        }
        let delete = Access {
            verb: "delete",
            group: attributes.group,
            resource: attributes.resource,
            subresource: attributes.subresource,
            namespace: attributes.namespace,
            name: attributes.name,
            ..Access::default()
        };
        let refuse = |why: String| Err(attributes.forbidden(object, why));
        if !context.view.allows(&attributes.user, &delete) {
            return refuse("cannot set an ownerRef on a resource you can't delete: , <nil>".to_owned());
        }
        let held: Vec<&str> = known.iter().filter(blocks).map(|owner| owner.text("uid")).collect();
        for owner in wanted.iter().filter(blocks).filter(|owner| !held.contains(&owner.text("uid"))) {
            let (api_version, kind) = (owner.text("apiVersion"), owner.text("kind"));
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let Some(resource) = context.view.resource_of(group, version, kind) else {
                return refuse(format!(
                    "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion {api_version} Kind {kind}: no matches for kind {kind:?} in version {api_version:?}"
                ));
            };
            let update = Access {
                verb: "update",
                group,
                resource: &resource.resource,
                subresource: "finalizers",
                namespace: if resource.namespaced { attributes.namespace } else { "" },
                name: owner.text("name"),
                ..Access::default()
            };
            if !context.view.allows(&attributes.user, &update) {
                return refuse(
                    "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: , <nil>".to_owned(),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Request};

    #[test]
    fn owners_are_set_by_those_who_may_delete_and_hold_up() {
        let pod = |owners: Value| json!({"metadata": {"name": "p", "ownerReferences": owners}});
        let owner = |uid: &str, blocks: bool| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "o", "uid": uid, "blockOwnerDeletion": blocks});
        let judge = |cluster: &Cluster, old: Option<Value>, new: Value| {
            let request = match old {
                Some(old) => Request::update("", "pods", pod(old)),
                None => Request::create("", "pods"),
            };
            let request = request.inside("x").named("p");
            let judged = request.admit(&OwnerReferencesPermissionEnforcement, cluster, pod(new));
            judged
                .map(drop)
                .map_err(|status| status.message.split(": ").nth(1).unwrap_or_default().to_owned())
        };
        let nobody = Cluster::new();
        let deleter = Cluster::new().allowing("delete", "p");
        let holder = Cluster::new().allowing("delete", "p").allowing("update", "o");
        let cannot_delete = Err("cannot set an ownerRef on a resource you can't delete".to_owned());
        let cannot_hold = Err("cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on".to_owned());
        for (cluster, old, new, expected) in [
            (&nobody, None, json!([]), Ok(())),
            (&nobody, None, json!([owner("1", false)]), cannot_delete.clone()),
            (&nobody, Some(json!([owner("1", true)])), json!([owner("1", true)]), Ok(())),
            (&nobody, Some(json!([owner("1", true)])), json!([]), cannot_delete),
            (&deleter, None, json!([owner("1", false)]), Ok(())),
            (&deleter, None, json!([owner("1", true)]), cannot_hold.clone()),
            (&deleter, Some(json!([owner("1", true)])), json!([owner("1", true), owner("2", false)]), Ok(())),
            (&deleter, Some(json!([owner("1", false)])), json!([owner("1", true)]), cannot_hold),
            (&holder, None, json!([owner("1", true)]), Ok(())),
        ] {
            assert_eq!(judge(cluster, old.clone(), new.clone()), expected, "{old:?} -> {new}");
        }
    }
}

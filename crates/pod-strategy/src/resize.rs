//! The subresource `resize`: CPU and memory of a running pod's containers change, nothing else.

use serde_json::Value;

use crate::resources::{self, quantity};
use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::write;
use strategy::{self, Strategy};

/// The rules of updates through `resize`.
pub(crate) struct Resize;

const SPEC: Path<'static> = Path::root("spec");

impl Strategy for Resize {
    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        let asked = std::mem::replace(new, old.clone());
        if asked["metadata"].has("resourceVersion") {
            write::copy(write::ensure(new, "metadata"), "resourceVersion", &asked["metadata"]);
        }
        let spec = write::ensure(new, "spec");
        if asked["spec"].has("resources") {
            write::copy(spec, "resources", &asked["spec"]);
        }
        for list in ["containers", "initContainers"] {
            let wanted = asked["spec"].items(list);
            for container in write::items(spec, list) {
                let name = container.text("name").to_owned();
                if let Some(wanted) = wanted.iter().find(|wanted| wanted.text("name") == name) {
                    write::copy(container, "resources", wanted);
                    write::copy(container, "resizePolicy", wanted);
                }
            }
        }
        strategy::count_generation(new, old, !same(&new["spec"], &old["spec"]));
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let root = Path::root("");
        if super::is_mirror(old) {
            errors.forbidden(&root, "static pods cannot be resized");
            return;
        }
        if old["spec"]["os"].text("name") == "windows" {
            errors.forbidden(&root, "windows pods cannot be resized");
            return;
        }
        super::spec::validate_pod(new, errors);
        let class = resources::qos_class(&new["spec"]);
        if class != resources::qos_class(&old["spec"]) {
            errors.invalid(&SPEC, class, "Pod QOS Class may not change as a result of resizing");
        }
        if !node_resizes(old) {
            errors.forbidden(&SPEC, "Pod running on node without support for resize");
        }
        for (list, of) in
            [("initContainers", "resources for sidecar containers"), ("containers", "resources")]
        {
            let list_path = SPEC.child(list);
            let pairs = new["spec"].items(list).iter().zip(old["spec"].items(list));
            for (index, (after, before)) in pairs.enumerate() {
                if list == "initContainers" && before.text("restartPolicy") != "Always" {
                    if !same(after, before) {
                        errors.forbidden(&SPEC, "resources for non-sidecar init containers are immutable");
                    }
                    continue;
                }
                let (after, before) = (&after["resources"], &before["resources"]);
                nothing_removed(after, before, &list_path.index(index).child("resources"), errors);
                if others_changed(after, before) {
                    errors.forbidden(&SPEC, format!("only cpu and memory {of} are mutable"));
                }
            }
        }
        let (after, before) = (&new["spec"]["resources"], &old["spec"]["resources"]);
        nothing_removed(after, before, &SPEC.child("resources"), errors);
        if others_changed(after, before) {
            errors.forbidden(&SPEC, "only cpu and memory resources are mutable");
        }
    }
}

/// Whether the pod's node can resize it: a node that can reports the resources that running containers have.
fn node_resizes(pod: &Value) -> bool {
    let running = |status: &&Value| status["state"].has("running");
    pod["status"].items("containerStatuses").iter().find(running).is_none_or(|status| status.has("resources"))
}

fn nothing_removed(new: &Value, old: &Value, path: &Path, errors: &mut Errors) {
    for list in ["requests", "limits"] {
        if old.entries(list).any(|(name, _)| new[list].get(name).is_none()) {
            errors.forbidden(&path.child(list), format!("resource {list} cannot be removed"));
        }
    }
}

/// Whether anything but CPU and memory differs.
fn others_changed(new: &Value, old: &Value) -> bool {
    let kept = |list: &str, from: &Value, other: &Value| {
        from.entries(list).any(|(name, amount)| {
            !matches!(name.as_str(), "cpu" | "memory")
                && other[list].get(name).is_none_or(|same| quantity(same) != quantity(amount))
        })
    };
    ["requests", "limits"].iter().any(|list| kept(list, new, old) || kept(list, old, new))
        || !same(&new["claims"], &old["claims"])
}

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
const LISTS: [&str; 2] = ["containers", "initContainers"];

impl Strategy for Resize {
    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        let asked = std::mem::replace(new, old.clone());
        let same_length = |list: &&str| asked["spec"].items(list).len() == old["spec"].items(list).len();
        if !LISTS.iter().all(same_length) {
            // Whatever else was asked for, it is refused for this.
            *new = asked;
            return;
        }
        if asked["metadata"].has("resourceVersion") {
            write::copy(write::ensure(new, "metadata"), "resourceVersion", &asked["metadata"]);
        }
        let spec = write::ensure(new, "spec");
        write::copy(spec, "resources", &asked["spec"]);
        for list in LISTS {
            let wanted = asked["spec"].items(list);
            let ordered =
                |(wanted, container): (&Value, &Value)| wanted.text("name") == container.text("name");
            if !wanted.iter().zip(old["spec"].items(list)).all(ordered) {
                write::copy(spec, list, &asked["spec"]);
                continue;
            }
            for (container, wanted) in write::items(spec, list).zip(wanted) {
                write::copy(container, "resources", wanted);
                write::copy(container, "resizePolicy", wanted);
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
        super::spec::validate_pod(new, super::tolerated::Tolerated::of(old), errors);
        let before = match old["status"].text("qosClass") {
            "" => resources::qos_class(&old["spec"]),
            class => class,
        };
        if resources::qos_class(&new["spec"]) != before {
            // The class that is shown is the one that the pod has.
            let shown = new["status"].text("qosClass");
            errors.invalid(&SPEC, shown, "Pod QOS Class may not change as a result of resizing");
        }
        if !node_resizes(old) {
            errors.forbidden(&SPEC, "Pod running on node without support for resize");
        }
        validate_pod_level(new, old, errors);
        if !old["status"].items("nodeAllocatableResourceClaimStatuses").is_empty() {
            errors.forbidden(&SPEC, "pods with node allocatable resource claims cannot be resized");
        }
        if validate_order(new, old, errors) {
            validate_containers(new, old, errors);
        }
    }
}

fn validate_pod_level(new: &Value, old: &Value, errors: &mut Errors) {
    let (after, before) = (&new["spec"]["resources"], &old["spec"]["resources"]);
    let path = SPEC.child("resources");
    if before.is_object() && after.is_null() {
        errors.forbidden(&path, "pod-level resources cannot be removed");
        return;
    }
    nothing_removed(after, before, "pod-level resource", &path, errors);
    if others_changed(after, before) {
        errors.forbidden(&SPEC, "only cpu and memory resources are mutable at pod-level");
    }
}

/// Validates that the containers are the same ones in the same order; says whether they are.
fn validate_order(new: &Value, old: &Value, errors: &mut Errors) -> bool {
    let mut kept = true;
    for list in LISTS {
        let path = SPEC.child(list);
        let (after, before) = (new["spec"].items(list), old["spec"].items(list));
        if after.len() != before.len() {
            kept = false;
            errors.forbidden(&path, format!("{list} may not be added or removed on resize"));
            continue;
        }
        for (index, (after, before)) in after.iter().zip(before).enumerate() {
            if after.text("name") != before.text("name") {
                kept = false;
                let path = path.index(index);
                errors.forbidden(
                    &path.child("name"),
                    format!("{list} may not be renamed or reordered on resize"),
                );
            }
        }
    }
    kept
}

fn validate_containers(new: &Value, old: &Value, errors: &mut Errors) {
    for list in ["initContainers", "containers"] {
        let path = SPEC.child(list);
        for (index, (after, before)) in
            new["spec"].items(list).iter().zip(old["spec"].items(list)).enumerate()
        {
            let path = path.index(index);
            nothing_removed(
                &after["resources"],
                &before["resources"],
                "resource",
                &path.child("resources"),
                errors,
            );
        }
    }
    for (after, before) in new["spec"].items("containers").iter().zip(old["spec"].items("containers")) {
        if !only_amounts_differ(after, before) {
            errors.forbidden(&SPEC, "only cpu and memory resources are mutable");
        }
    }
    let path = SPEC.child("initContainers");
    let pairs = new["spec"].items("initContainers").iter().zip(old["spec"].items("initContainers"));
    for (index, (after, before)) in pairs.enumerate() {
        let path = path.index(index);
        if !only_amounts_differ(after, before) {
            errors
                .forbidden(&path, "only cpu and memory resources for init or sidecar containers are mutable");
        }
        if !same(after, before) && after.text("restartPolicy") != "Always" {
            let restarting = |policy: &&Value| policy.text("restartPolicy") == "RestartContainer";
            for _ in after.items("resizePolicy").iter().filter(restarting) {
                errors.forbidden(
                    &path,
                    "non-sidecar init containers with a resize policy of RestartContainer cannot be resized",
                );
            }
        }
    }
}

/// Whether two forms of a container are the same but for amounts of CPU and memory; what takes claims never is.
fn only_amounts_differ(new: &Value, old: &Value) -> bool {
    let mut alike = new.clone();
    write::copy(&mut alike, "resources", old);
    same(&alike, old)
        && !others_changed(&new["resources"], &old["resources"])
        && old["resources"].items("claims").is_empty()
}

/// Whether the pod's node can resize it: a node that can reports the resources that running containers have.
fn node_resizes(pod: &Value) -> bool {
    let running = |status: &&Value| status["state"].has("running");
    pod["status"].items("containerStatuses").iter().find(running).is_none_or(|status| status.has("resources"))
}

fn nothing_removed(new: &Value, old: &Value, what: &str, path: &Path, errors: &mut Errors) {
    for list in ["requests", "limits"] {
        if old.entries(list).any(|(name, _)| new[list].get(name).is_none()) {
            errors.forbidden(&path.child(list), format!("{what} {list} cannot be removed"));
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

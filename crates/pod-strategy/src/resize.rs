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
        super::spec::validate(&new["spec"], &SPEC, errors);
        if super::is_mirror(old) {
            errors.forbidden(&Path::root(""), "static pods cannot be resized");
        }
        if matches!(old["status"].text("phase"), "Failed" | "Succeeded") {
            errors.forbidden(&SPEC, "pod has ended and cannot be resized");
        }
        let class = resources::qos_class(&new["spec"]);
        if class != resources::qos_class(&old["spec"]) {
            errors.invalid(&SPEC, class, "Pod QOS Class may not change as a result of resizing");
        }
        for list in ["containers", "initContainers"] {
            let path = SPEC.child(list);
            for (index, (after, before)) in
                new["spec"].items(list).iter().zip(old["spec"].items(list)).enumerate()
            {
                validate_container(list, after, before, &path.index(index).child("resources"), errors);
            }
        }
        validate_lists(
            &new["spec"]["resources"],
            &old["spec"]["resources"],
            &SPEC.child("resources"),
            errors,
        );
    }
}

fn validate_container(list: &str, new: &Value, old: &Value, path: &Path, errors: &mut Errors) {
    if list == "initContainers" && old.text("restartPolicy") != "Always" {
        if !same(&new["resources"], &old["resources"]) {
            errors.forbidden(path, "resources for non-sidecar init containers are immutable");
        }
        return;
    }
    validate_lists(&new["resources"], &old["resources"], path, errors);
}

fn validate_lists(new: &Value, old: &Value, path: &Path, errors: &mut Errors) {
    for list in ["limits", "requests"] {
        let path = path.child(list);
        for (name, before) in old.entries(list) {
            match new[list].get(name) {
                None if list == "limits" => errors.forbidden(&path, "resource limits cannot be removed"),
                None => errors.forbidden(&path, "resource requests cannot be removed"),
                Some(after) => forbid_other(name, after, before, &path, errors),
            }
        }
        for (name, after) in new.entries(list) {
            if old[list].get(name).is_none() {
                forbid_other(name, after, &Value::Null, &path, errors);
            }
        }
    }
}

fn forbid_other(name: &str, new: &Value, old: &Value, path: &Path, errors: &mut Errors) {
    if !matches!(name, "cpu" | "memory") && quantity(new) != quantity(old) {
        errors.forbidden(path, "only cpu and memory resources are mutable");
    }
}

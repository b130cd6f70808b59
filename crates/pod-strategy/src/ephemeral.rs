//! The subresource `ephemeralcontainers`: debugging containers are added, nothing else changes.

use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::write;
use strategy::{self, Strategy};

/// The rules of updates through `ephemeralcontainers`.
pub(crate) struct EphemeralContainers;

const CONTAINERS: Path<'static> = Path::root("spec.ephemeralContainers");

impl Strategy for EphemeralContainers {
    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        let containers = new["spec"]["ephemeralContainers"].clone();
        let resource_version = new["metadata"]["resourceVersion"].clone();
        *new = old.clone();
        if !resource_version.is_null() {
            write::set(write::ensure(new, "metadata"), "resourceVersion", resource_version);
        }
        if containers.is_null() {
            write::remove(write::ensure(new, "spec"), "ephemeralContainers");
        } else {
            write::set(write::ensure(new, "spec"), "ephemeralContainers", containers);
        }
        strategy::count_generation(new, old, !same(&new["spec"], &old["spec"]));
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        if super::is_mirror(old) {
            errors.forbidden(&Path::root(""), "static pods do not support ephemeral containers");
            return;
        }
        super::spec::validate_pod(new, super::tolerated::Tolerated::of(old), errors);
        super::annotations::validate_update(new, old, errors);
        let containers = new["spec"].items("ephemeralContainers");
        for before in old["spec"].items("ephemeralContainers") {
            let name = before.text("name");
            match containers.iter().find(|container| container.text("name") == name) {
                None => errors.forbidden(
                    &CONTAINERS,
                    format!("existing ephemeral containers {name:?} may not be removed\n"),
                ),
                Some(after) if !same(before, after) => errors.forbidden(
                    &CONTAINERS,
                    format!(
                        "existing ephemeral containers {name:?} may not be changed\n{}",
                        super::update::difference(after, before)
                    ),
                ),
                Some(_) => {}
            }
        }
    }
}

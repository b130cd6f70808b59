//! The rules of a custom resource's objects, as the engine asks for them.

use apimachinery::FieldError;
use serde_json::Value;
use strategy::field::Errors;
use strategy::read::same;
use strategy::{Resets, Strategy, count_generation, prepare_status_update};

use crate::definition::{Scale, Version};
use crate::node::Node;
use crate::{default, prune, validate};

/// The rules of one version of a resource.
#[derive(Debug)]
pub struct Rules {
    node: Node,
    has_status: bool,
    has_defaults: bool,
    scale: Option<Scale>,
}

impl Rules {
    /// The rules that a version declares.
    pub fn of(version: &Version, keeps_unknown: bool) -> Self {
        let mut node = version.schema().map_or_else(Node::anything, Node::read);
        node.preserve |= keeps_unknown;
        let has_defaults = node.has_defaults();
        let (has_status, scale) = (version.subresources.status.is_some(), version.subresources.scale.clone());
        Self { node, has_status, has_defaults, scale }
    }

    /// As [`Rules::of`], for those who only prune and default.
    pub fn outline(version: &Version, keeps_unknown: bool) -> Self {
        let mut rules = Self::of(version, keeps_unknown);
        rules.node.forget_rules();
        rules
    }

    /// The schema.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Whether objects that were stored before a default was declared lack something.
    pub fn has_defaults(&self) -> bool {
        self.has_defaults
    }

    /// Puts the defaults in; says whether anything changed.
    pub fn complete(&self, object: &mut Value) -> bool {
        default::default(&self.node, object)
    }

    /// Drops unknown fields; names them.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        prune::prune(&self.node, object)
    }

    /// What is wrong with an object's scale, its own part of it included where it is more than the status that changes.
    fn scale_faults(&self, object: &Value, part: Part) -> Vec<FieldError> {
        let Some(scale) = &self.scale else { return Vec::new() };
        let mut faults = match part {
            Part::Whole => scale.spec_faults(object),
            Part::Status => Vec::new(),
        };
        faults.extend(scale.status_faults(object));
        faults
    }

    fn changed(new: &Value, old: &Value, but: &[&str]) -> bool {
        let keys = |value: &Value| -> Vec<String> {
            let fields = value.as_object().into_iter().flatten();
            fields.map(|(key, _)| key.clone()).filter(|key| !but.contains(&key.as_str())).collect()
        };
        keys(new).iter().chain(&keys(old)).any(|key| !same(&new[key.as_str()], &old[key.as_str()]))
    }
}

/// What of an object changes.
enum Part {
    Whole,
    Status,
}

/// Warns of new finalizers that anybody may have named so.
fn finalizer_warnings(new: &Value, old: &Value) -> Vec<String> {
    let of = |object: &Value| -> Vec<String> {
        let finalizers = object["metadata"]["finalizers"].as_array().into_iter().flatten();
        finalizers.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let before = of(old);
    let mut added: Vec<String> = of(new).into_iter().filter(|name| !before.contains(name)).collect();
    added.sort();
    added.dedup();
    let is_common = |name: &String| !name.contains('/') && name != "orphan" && name != "foregroundDeletion";
    added
        .iter()
        .filter(|name| is_common(name))
        .map(|name| {
            format!(
                "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers"
            )
        })
        .collect()
}

impl Strategy for Rules {
    fn default(&self, object: &mut Value) {
        default::default(&self.node, object);
    }

    fn prepare_for_create(&self, object: &mut Value) {
        if let (true, Some(fields)) = (self.has_status, object.as_object_mut()) {
            fields.remove("status");
        }
        strategy::write::set(strategy::write::ensure(object, "metadata"), "generation", 1);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let scale = self.scale_faults(object, Part::Whole);
        errors.extend(validate::validate_with_rules(&self.node, object, None, scale));
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        let but: &[&str] = if self.has_status {
            strategy::write::copy(new, "status", old);
            &["metadata", "status"]
        } else {
            &["metadata"]
        };
        let changed = Self::changed(new, old, but);
        count_generation(new, old, changed);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let scale = self.scale_faults(new, Part::Whole);
        errors.extend(validate::validate_with_rules(&self.node, new, Some(old), scale));
    }

    fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        prepare_status_update(new, old);
        // Labels and the like are the object's, not its status's.
        let kept = [&new["metadata"]["managedFields"], &new["metadata"]["resourceVersion"]].map(Value::clone);
        strategy::write::copy(new, "metadata", old);
        for (name, value) in ["managedFields", "resourceVersion"].into_iter().zip(kept) {
            if !value.is_null() {
                strategy::write::set(strategy::write::ensure(new, "metadata"), name, value);
            }
        }
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let scale = self.scale_faults(new, Part::Status);
        errors.extend(validate::validate_with_rules(&self.node, new, Some(old), scale));
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn takes_any_finalizer(&self) -> bool {
        true
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        finalizer_warnings(object, &Value::Null)
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        finalizer_warnings(new, old)
    }

    fn resets(&self, part: &str) -> Resets {
        match (part, self.has_status) {
            ("status", _) => Resets::AllBut(&["status"]),
            (_, true) => Resets::Only(&["status"]),
            (_, false) => Resets::Only(&[]),
        }
    }
}

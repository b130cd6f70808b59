//! The rules of one kind, as the engine that stores every kind asks for them, and what all of them stand on.
//!
//! Everything is a pure function over `serde_json::Value`.

pub mod addresses;
pub mod field;
pub mod generic;
pub mod metadata;
pub mod names;
pub mod read;
mod resets;
pub mod selectors;
pub mod testing;
pub mod write;

use std::borrow::Cow;

use serde_json::Value;

pub use crate::resets::Resets;

use crate::field::Errors;
use crate::read::{Read, same};

/// What may be in `metadata.name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// A DNS-1123 subdomain: the rule of most kinds.
    Subdomain,
    /// A DNS-1123 label.
    Label,
    /// Anything that can be one segment of a path: the rule of RBAC and others.
    PathSegment,
    /// An address in its canonical text form.
    Address,
    /// What a key of a ConfigMap may be.
    ConfigKey,
}

/// How long a deleted object stays before it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// It is removed in the same request (unless finalizers hold it).
    Immediate,
    /// It is marked as being deleted and stays for at most this many seconds; with none of them it is marked, so that
    /// watchers see it, and removed in the same request.
    Seconds(i64),
}

/// What happens to what a deleted object owns when nobody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependents {
    /// It goes.
    Go,
    /// It stays without its owner.
    Stay,
    /// Such objects own nothing, and take no orders.
    None,
}

/// What of an object the server keeps, whatever its writers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// All of it is its writers'.
    Nothing,
    /// `metadata.generation`, which counts the changes of the spec.
    Generation,
    /// A status that only its `status` subresource may write.
    Status,
    /// Both.
    StatusAndGeneration,
}

impl Keeps {
    fn status(self) -> bool {
        matches!(self, Self::Status | Self::StatusAndGeneration)
    }

    fn generation(self) -> bool {
        matches!(self, Self::Generation | Self::StatusAndGeneration)
    }

    /// The usual preparation of a new object: no status, generation 1.
    pub fn prepare_for_create(self, object: &mut Value) {
        if self.status() {
            write::set(object, "status", Value::Object(Default::default()));
        }
        if self.generation() {
            write::set(write::ensure(object, "metadata"), "generation", 1);
        }
    }

    /// The usual preparation of an update: status as it was, generation counted when the spec changed.
    pub fn prepare_for_update(self, new: &mut Value, old: &Value) {
        if self.status() {
            write::copy(new, "status", old);
        }
        if self.generation() {
            count_generation(new, old, !same(&new["spec"], &old["spec"]));
        }
    }
}

/// The rules of one kind. Every method is a pure function of its arguments.
///
/// The order for a create is: `default` → mutating admission → `prepare_for_create` → `validate` →
/// validating admission → store. An update runs `default`, admission, `prepare_for_update`, `validate_update`.
/// Metadata is not a strategy's business: see [`crate::metadata`].
pub trait Strategy: Sync {
    /// What of an object the server keeps, whatever its writers send.
    fn keeps(&self) -> Keeps {
        Keeps::Nothing
    }

    /// What may be in `metadata.name`.
    fn name_rule(&self) -> NameRule {
        NameRule::Subdomain
    }

    /// Fills in what the client left out; run after decoding of requests and of stored objects.
    fn default(&self, _object: &mut Value) {}

    /// Clears what a client may not set at creation and sets what the server owns.
    fn prepare_for_create(&self, object: &mut Value) {
        self.keeps().prepare_for_create(object);
    }

    /// Adds the errors of a new object beyond schema and metadata.
    fn validate(&self, _object: &Value, _errors: &mut Errors) {}

    /// Puts back what an update may not touch and counts the generation.
    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        self.keeps().prepare_for_update(new, old);
    }

    /// Adds the errors of an update beyond schema and metadata.
    fn validate_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
    }

    /// Whether an update of the status changes nothing of the metadata: labels, annotations, finalizers and owners
    /// stay as they were.
    fn status_alone(&self) -> bool {
        false
    }

    /// Puts back everything that an update of the status may not touch.
    fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        prepare_status_update(new, old);
        if self.status_alone() {
            keep_metadata(new, old, &["labels", "annotations", "finalizers", "ownerReferences"]);
        }
    }

    /// Adds the errors of an update of the status.
    fn validate_status_update(&self, _new: &Value, _old: &Value, _errors: &mut Errors) {}

    /// The strategy whose `prepare_for_update` and `validate_update` hold for an update through a subresource
    /// other than `status` and `scale` (`ephemeralcontainers`, `resize`, `approval`, `finalize`).
    fn subresource(&self, _name: &str) -> Option<&'static dyn Strategy> {
        None
    }

    /// What a create or an update through a part of the object cannot change, whatever it sends. The part is the
    /// subresource, empty for the object itself.
    fn resets(&self, part: &str) -> Resets {
        match part {
            "status" if self.status_alone() => Resets::AllBut(&["status"]),
            "status" => Resets::AllBut(&["metadata", "status"]),
            _ => Resets::Only(&["status"]),
        }
    }

    /// Names of the fields that field selectors may ask for, beside `metadata.name` and `metadata.namespace`.
    fn selectable_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// The text that a field selector compares for one of [`Strategy::selectable_fields`].
    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        self.selectable_fields().contains(&name).then(|| field_text(object, name))
    }

    /// Why nobody may delete the object of this name, where nobody may.
    fn never_deleted(&self, _name: &str) -> Option<&'static str> {
        None
    }

    /// How long a deleted object stays, given the seconds that the request asked for.
    fn deletion_grace(&self, _object: &Value, _requested: Option<i64>) -> Grace {
        Grace::Immediate
    }

    /// Whether finalizers may have names without a domain: only those of built-in kinds are all known.
    fn takes_any_finalizer(&self) -> bool {
        false
    }

    /// What happens to what the object owns when it is deleted without an order.
    fn dependents(&self) -> Dependents {
        Dependents::Go
    }

    /// What to tell those who delete without an order.
    fn orphaning_warning(&self) -> Option<&'static str> {
        None
    }

    /// A finalizer that an object gets when it is deleted: the server has something to do before it goes.
    fn deletion_finalizer(&self) -> Option<&'static str> {
        None
    }

    /// Whether a PUT to a name that does not exist creates the object.
    fn allow_create_on_update(&self) -> bool {
        false
    }

    /// Whether an update without a resourceVersion is taken as "whatever is there".
    fn allow_unconditional_update(&self) -> bool {
        true
    }

    /// What to tell the client of a new object that is accepted all the same.
    fn create_warnings(&self, _object: &Value) -> Vec<String> {
        Vec::new()
    }

    /// What to tell the client of a changed object that is accepted all the same.
    fn update_warnings(&self, _new: &Value, _old: &Value) -> Vec<String> {
        Vec::new()
    }
}

/// Sets the generation to the old one, or to the next when `changed`.
pub fn count_generation(new: &mut Value, old: &Value, changed: bool) {
    let generation = old["metadata"].int("generation").unwrap_or(0);
    let generation = if changed { generation.saturating_add(1) } else { generation };
    if generation > 0 {
        write::set(write::ensure(new, "metadata"), "generation", generation);
    }
}

/// The usual preparation of a status update: every top-level field but metadata and status from the old object.
pub fn prepare_status_update(new: &mut Value, old: &Value) {
    let fields = write::fields(new);
    fields.retain(|key, _| matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
    for (key, value) in old.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
            fields.insert(key.clone(), value.clone());
        }
    }
}

/// Keeps labels, annotations, finalizers and owners as they were: status updates of kinds that allow no change
/// of metadata there.
pub fn keep_metadata(new: &mut Value, old: &Value, keys: &[&str]) {
    let metadata = write::ensure(new, "metadata");
    for key in keys {
        write::copy(metadata, key, &old["metadata"]);
    }
}

/// The text of a field named by a dotted path; numbers and truth values in their decimal and English form.
pub fn field_text<'a>(object: &'a Value, path: &str) -> Cow<'a, str> {
    match path.split('.').fold(object, |value, key| &value[key]) {
        Value::String(text) => Cow::Borrowed(text),
        Value::Number(number) => Cow::Owned(number.to_string()),
        Value::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
        _ => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Plain(Keeps, bool);

    impl Strategy for Plain {
        fn keeps(&self) -> Keeps {
            self.0
        }

        fn status_alone(&self) -> bool {
            self.1
        }
    }

    #[test]
    fn what_the_server_keeps_its_writers_do_not_change() {
        let old = json!({"metadata": {"generation": 2}, "spec": {"n": 1}, "status": {"n": 1}});
        let sent = json!({"metadata": {"generation": 2}, "spec": {"n": 2}, "status": {"n": 2}});
        for (keeps, status, generation) in [
            (Keeps::Nothing, json!({"n": 2}), 2),
            (Keeps::Generation, json!({"n": 2}), 3),
            (Keeps::Status, json!({"n": 1}), 2),
            (Keeps::StatusAndGeneration, json!({"n": 1}), 3),
        ] {
            let mut new = sent.clone();
            Plain(keeps, false).prepare_for_update(&mut new, &old);
            assert_eq!(
                (&new["status"], &new["metadata"]["generation"]),
                (&status, &json!(generation)),
                "{keeps:?}"
            );
            let mut same = old.clone();
            Plain(keeps, false).prepare_for_update(&mut same, &old);
            assert_eq!(same, old, "{keeps:?}");

            let mut created = json!({"metadata": {}, "status": {"n": 2}});
            Plain(keeps, false).prepare_for_create(&mut created);
            let kept = status == json!({"n": 1});
            assert_eq!(created["status"], if kept { json!({}) } else { json!({"n": 2}) }, "{keeps:?}");
            let counted = if generation == 3 { json!(1) } else { Value::Null };
            assert_eq!(created["metadata"]["generation"], counted, "{keeps:?}");
        }
        let mut uncounted = json!({"metadata": {}});
        count_generation(&mut uncounted, &json!({"metadata": {}}), false);
        assert_eq!(uncounted, json!({"metadata": {}}), "what was never counted is not given a zero");
    }

    #[test]
    fn a_status_update_changes_nothing_beside_the_status() {
        let old = json!({"apiVersion": "v1", "metadata": {"labels": {"a": "1"}, "resourceVersion": "4"}, "spec": {"n": 1}, "data": "old"});
        let sent = json!({"apiVersion": "v1", "metadata": {"labels": {"a": "2"}, "resourceVersion": "5"}, "spec": {"n": 2}, "more": 1, "status": {"n": 2}});
        for (alone, label) in [(false, "2"), (true, "1")] {
            let mut new = sent.clone();
            Plain(Keeps::Status, alone).prepare_status_update(&mut new, &old);
            assert_eq!(
                new,
                json!({"apiVersion": "v1", "metadata": {"labels": {"a": label}, "resourceVersion": "5"}, "spec": {"n": 1}, "data": "old", "status": {"n": 2}})
            );
        }
    }

    #[test]
    fn selectors_compare_the_text_of_fields() {
        let object = json!({"spec": {"unschedulable": true, "off": false, "n": 3, "name": "a", "list": []}});
        for (path, text) in [
            ("spec.unschedulable", "true"),
            ("spec.off", "false"),
            ("spec.n", "3"),
            ("spec.name", "a"),
            ("spec.list", ""),
            ("spec.none.at.all", ""),
        ] {
            assert_eq!(field_text(&object, path), text, "{path}");
        }
    }
}

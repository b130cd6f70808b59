//! What a store shows after changes, and what its handlers are told.

use serde_json::json;

use super::*;
use crate::PartialObject;

fn object(namespace: &str, name: &str, uid: &str, version: &str) -> PartialObject {
    let metadata = json!({"namespace": namespace, "name": name, "uid": uid, "resourceVersion": version,
        "labels": {"app": name}});
    serde_json::from_value(json!({ "metadata": metadata })).unwrap()
}

fn recorded(store: &Store<PartialObject>) -> Arc<Mutex<Vec<String>>> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    store.on_change(move |change| {
        let line = match change {
            Change::Applied { old: None, new } => format!("+{}@{}", new.metadata.name, new.uid()),
            Change::Applied { old: Some(old), new } => {
                format!("~{} {}→{}", new.metadata.name, old.resource_version(), new.resource_version())
            }
            Change::Deleted(last) => format!("-{}@{}", last.metadata.name, last.uid()),
        };
        writer.lock().push(line);
    });
    log
}

#[test]
fn finds_by_key_namespace_and_index() {
    let store = Store::new();
    store.index("app", |object: &PartialObject| object.metadata.labels.values().cloned().collect());
    for (namespace, name) in [("a", "x"), ("a", "y"), ("a-b", "x"), ("a0", "x"), ("", "node")] {
        store.apply(object(namespace, name, &format!("{namespace}{name}"), "1"));
    }
    let names = |objects: Vec<Arc<PartialObject>>| -> Vec<String> {
        objects.iter().map(|object| object.key().to_string()).collect()
    };
    assert_eq!(names(store.in_namespace("a")), ["a/x", "a/y"]);
    assert_eq!(names(store.by_index("app", "x")), ["a-b/x", "a/x", "a0/x"]);
    assert_eq!(store.find("a", "y").unwrap().uid(), "ay");
    assert_eq!(store.find("", "node").unwrap().uid(), "node");
    store.delete("a/x", None);
    assert_eq!(names(store.by_index("app", "x")), ["a-b/x", "a0/x"]);
    assert_eq!(store.len(), 4);
}

#[test]
fn tells_handlers_each_change_once_with_old_and_new() {
    let store = Store::new();
    store.apply(object("a", "x", "u1", "1"));
    let log = recorded(&store);
    store.apply(object("a", "x", "u1", "1"));
    store.apply(object("a", "x", "u1", "2"));
    store.delete("a/x", None);
    store.delete("a/x", None);
    assert_eq!(*log.lock(), ["+x@u1", "~x 1→2", "-x@u1"]);
}

#[test]
fn tells_of_a_missed_deletion_when_the_uid_changes() {
    let store = Store::new();
    let log = recorded(&store);
    store.apply(object("a", "x", "u1", "1"));
    store.apply(object("a", "x", "u2", "5"));
    assert_eq!(*log.lock(), ["+x@u1", "-x@u1", "+x@u2"]);
}

#[test]
fn a_restarted_listing_removes_what_it_did_not_show() {
    let store = Store::new();
    let log = recorded(&store);
    assert!(!store.is_ready());
    store.restart();
    store.apply(object("a", "x", "u1", "1"));
    store.apply(object("a", "y", "u2", "1"));
    store.restarted();
    assert!(store.is_ready());
    store.restart();
    store.apply(object("a", "y", "u2", "1"));
    assert!(store.is_ready());
    assert_eq!(store.len(), 2, "nothing disappears before the listing ends");
    store.restarted();
    assert_eq!(*log.lock(), ["+x@u1", "+y@u2", "-x@u1"]);
}

#[test]
fn drops_managed_fields_and_the_last_applied_annotation() {
    let store = Store::<k8s_openapi::api::core::v1::ConfigMap>::new();
    let object = json!({"metadata": {"name": "x", "managedFields": [{"manager": "kubectl"}],
        "annotations": {crate::LAST_APPLIED: "{}", "keep": "me"}}});
    store.apply(serde_json::from_value(object).unwrap());
    let metadata = &store.get("x").unwrap().metadata;
    assert_eq!(metadata.managed_fields, None);
    assert_eq!(metadata.annotations.as_ref().unwrap().keys().collect::<Vec<_>>(), ["keep"]);
}

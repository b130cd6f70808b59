//! The parameters of paths and queries.

use serde_json::{Map, Value, json};

use super::Form;

/// A parameter in a path or a query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) in_path: bool,
    pub(super) ty: &'static str,
    pub(super) description: &'static str,
}

const fn query(name: &'static str, ty: &'static str, description: &'static str) -> Parameter {
    Parameter { name, in_path: false, ty, description }
}

const fn path(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, in_path: true, ty: "string", description }
}

pub(super) static NAME: Parameter = path("name", "name of the object");
pub(super) static NAMESPACE: Parameter =
    path("namespace", "namespace of the object, such as for teams and projects");
pub(super) static PATH: Parameter = path("path", "path to the resource behind the proxy");
pub(super) static PRETTY: Parameter = query("pretty", "string", "If 'true', the output is indented.");

static DRY_RUN: Parameter =
    query("dryRun", "string", "With the value All, every stage runs but nothing is stored.");
static FIELD_MANAGER: Parameter = query(
    "fieldManager",
    "string",
    "The name that changes are attributed to, at most 128 printable characters.",
);
static FIELD_VALIDATION: Parameter = query(
    "fieldValidation",
    "string",
    "What to do about unknown or duplicate fields: Ignore, Warn (the default) or Strict.",
);
static FORCE: Parameter =
    query("force", "boolean", "Take over fields that other managers own; for apply patches only.");
static GRACE_PERIOD: Parameter = query(
    "gracePeriodSeconds",
    "integer",
    "Seconds before the object is deleted; 0 deletes at once. Without it, the default of the kind holds.",
);
static IGNORE_READ_ERRORS: Parameter = query(
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "boolean",
    "Delete an object that can no longer be read from the store, without finalizers or preconditions.",
);
static ORPHAN: Parameter = query("orphanDependents", "boolean", "Deprecated: use propagationPolicy.");
static PROPAGATION: Parameter =
    query("propagationPolicy", "string", "What happens to dependents: Orphan, Background or Foreground.");
static BOOKMARKS: Parameter = query(
    "allowWatchBookmarks",
    "boolean",
    "Ask for events of type BOOKMARK, which carry a resourceVersion only.",
);
static CONTINUE: Parameter = query("continue", "string", "The token of the previous page of a list.");
static FIELD_SELECTOR: Parameter = query("fieldSelector", "string", "Restrict the objects by their fields.");
static LABEL_SELECTOR: Parameter = query("labelSelector", "string", "Restrict the objects by their labels.");
static LIMIT: Parameter = query("limit", "integer", "The largest number of objects in one page of a list.");
static RESOURCE_VERSION: Parameter =
    query("resourceVersion", "string", "The version that a list or watch is served from.");
static RESOURCE_VERSION_MATCH: Parameter =
    query("resourceVersionMatch", "string", "How resourceVersion is meant: NotOlderThan or Exact.");
static SEND_INITIAL_EVENTS: Parameter = query(
    "sendInitialEvents",
    "boolean",
    "Begin a watch with the objects there are, up to a bookmark that ends them.",
);
static TIMEOUT: Parameter = query("timeoutSeconds", "integer", "Seconds after which a list or watch ends.");
static WATCH: Parameter = query("watch", "boolean", "Answer with a stream of changes instead of a list.");

/// Of a list or watch.
pub(super) static LIST: &[&Parameter] = &[
    &BOOKMARKS,
    &CONTINUE,
    &FIELD_SELECTOR,
    &LABEL_SELECTOR,
    &LIMIT,
    &RESOURCE_VERSION,
    &RESOURCE_VERSION_MATCH,
    &SEND_INITIAL_EVENTS,
    &TIMEOUT,
    &WATCH,
];

/// Of a create or update.
pub(super) static WRITE: &[&Parameter] = &[&DRY_RUN, &FIELD_MANAGER, &FIELD_VALIDATION];

/// Of a patch.
pub(super) static CHANGE: &[&Parameter] = &[&DRY_RUN, &FIELD_MANAGER, &FIELD_VALIDATION, &FORCE];

/// Of the deletion of one object.
pub(super) static DELETE: &[&Parameter] =
    &[&DRY_RUN, &GRACE_PERIOD, &IGNORE_READ_ERRORS, &ORPHAN, &PROPAGATION];

/// Of the deletion of a collection.
pub(super) static DELETE_COLLECTION: &[&Parameter] = &[
    &CONTINUE,
    &DRY_RUN,
    &FIELD_SELECTOR,
    &GRACE_PERIOD,
    &IGNORE_READ_ERRORS,
    &LABEL_SELECTOR,
    &LIMIT,
    &ORPHAN,
    &PROPAGATION,
    &RESOURCE_VERSION,
    &RESOURCE_VERSION_MATCH,
    &SEND_INITIAL_EVENTS,
    &TIMEOUT,
];

impl Parameter {
    pub(super) fn json(&self, form: Form) -> Value {
        let mut map = Map::new();
        map.insert("name".to_owned(), self.name.into());
        map.insert("in".to_owned(), if self.in_path { "path" } else { "query" }.into());
        map.insert("description".to_owned(), self.description.into());
        if self.in_path {
            map.insert("required".to_owned(), true.into());
        }
        match form {
            Form::V2 => {
                map.insert("type".to_owned(), self.ty.into());
                map.insert("uniqueItems".to_owned(), true.into());
            }
            Form::V3 => {
                map.insert("schema".to_owned(), json!({"type": self.ty, "uniqueItems": true}));
            }
        }
        Value::Object(map)
    }
}

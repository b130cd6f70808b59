//! Role bindings.

use apimachinery::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::cell::{age, name, text};
use crate::column::{AGE, NAME, string, wide};
use crate::{Column, Printer};

pub(super) const PRINTERS: &[Printer] = &[
    Printer { group: "rbac.authorization.k8s.io", kind: "RoleBinding", columns: COLUMNS, cells },
    Printer { group: "rbac.authorization.k8s.io", kind: "ClusterRoleBinding", columns: COLUMNS, cells },
];

const COLUMNS: &[Column] =
    &[NAME, string("Role"), AGE, wide("Users"), wide("Groups"), wide("ServiceAccounts")];

fn cells(binding: &Value, now: Timestamp) -> Vec<Value> {
    let subjects = |kind: &str| -> Value {
        let names: Vec<String> = binding
            .list_at(&["subjects"])
            .iter()
            .filter(|subject| text(subject, &["kind"]) == kind)
            .map(|subject| match kind {
                "ServiceAccount" => format!("{}/{}", text(subject, &["namespace"]), text(subject, &["name"])),
                _ => text(subject, &["name"]).to_owned(),
            })
            .collect();
        names.join(", ").into()
    };
    let role = format!("{}/{}", text(binding, &["roleRef", "kind"]), text(binding, &["roleRef", "name"]));
    vec![
        name(binding),
        role.into(),
        age(binding, now),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

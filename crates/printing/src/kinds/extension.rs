//! Aggregated API services.

use apimachinery::ObjectExt;

use crate::Printer;
use crate::cell::{age, condition, name, text};
use crate::column::{AGE, NAME, string};

pub(super) const PRINTERS: &[Printer] = &[Printer {
    group: "apiregistration.k8s.io",
    kind: "APIService",
    columns: &[NAME, string("Service"), string("Available"), AGE],
    cells: |service, now| {
        let target = match service.at(&["spec", "service"]) {
            None => "Local".to_owned(),
            Some(target) => format!("{}/{}", text(target, &["namespace"]), text(target, &["name"])),
        };
        let available = match condition(service, "Available") {
            None => "Unknown".to_owned(),
            Some(condition) => match (text(condition, &["status"]), text(condition, &["reason"])) {
                ("True", _) => "True".to_owned(),
                (status, reason) => format!("{status} ({reason})"),
            },
        };
        vec![name(service), target.into(), available.into(), age(service, now)]
    },
}];

//! The group `resource.k8s.io`: dynamic resource allocation.

use apimachinery::{ObjectExt, time};
use jiff::Timestamp;
use serde_json::Value;

use crate::Printer;
use crate::cell::{NONE, age, condition, int_or_string, name, since, text, text_or};
use crate::column::{AGE, NAME, integer, string};

const GROUP: &str = "resource.k8s.io";

pub(super) const PRINTERS: &[Printer] = &[
    Printer { group: GROUP, kind: "DeviceClass", columns: &[NAME, AGE], cells: name_and_age },
    Printer { group: GROUP, kind: "ResourceClaimTemplate", columns: &[NAME, AGE], cells: name_and_age },
    Printer {
        group: GROUP,
        kind: "ResourceClaim",
        columns: &[NAME, string("State"), AGE],
        cells: |claim, now| vec![name(claim), state(claim).into(), age(claim, now)],
    },
    Printer {
        group: GROUP,
        kind: "ResourceSlice",
        columns: &[NAME, string("Node"), string("Driver"), string("Pool"), AGE],
        cells: |slice, now| {
            vec![
                name(slice),
                text(slice, &["spec", "nodeName"]).into(),
                text(slice, &["spec", "driver"]).into(),
                text(slice, &["spec", "pool", "name"]).into(),
                age(slice, now),
            ]
        },
    },
    Printer {
        group: GROUP,
        kind: "DeviceTaintRule",
        columns: &[NAME, string("Key"), string("Value"), string("Effect"), string("TimeAdded"), AGE],
        cells: |rule, now| {
            let taint = |field: &str| text(rule, &["spec", "taint", field]).into();
            vec![
                name(rule),
                taint("key"),
                taint("value"),
                taint("effect"),
                since(rule.str_at(&["spec", "taint", "timeAdded"]), now).into(),
                age(rule, now),
            ]
        },
    },
    Printer {
        group: GROUP,
        kind: "ResourcePoolStatusRequest",
        columns: &[
            NAME,
            string("Driver"),
            string("Total"),
            string("Available"),
            string("Allocated"),
            string("Unavailable"),
            string("Errors"),
            integer("Pools"),
            string("Status"),
            string("Completed"),
        ],
        cells: pool_status,
    },
];

fn name_and_age(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), age(object, now)]
}

fn state(claim: &Value) -> String {
    let mut states = Vec::new();
    if claim.deletion_timestamp().is_some() {
        states.push("deleted");
    }
    if claim.at(&["status", "allocation"]).is_some() {
        states.push("allocated");
    } else if states.is_empty() {
        states.push("pending");
    }
    if !claim.list_at(&["status", "reservedFor"]).is_empty() {
        states.push("reserved");
    }
    states.join(",")
}

fn pool_status(request: &Value, now: Timestamp) -> Vec<Value> {
    let pools = request.list_at(&["status", "pools"]);
    let sum = |field: &str| -> Value {
        match pools.is_empty() {
            true => NONE.into(),
            false => pools
                .iter()
                .map(|pool| pool.i64_at(&[field]).unwrap_or_default())
                .sum::<i64>()
                .to_string()
                .into(),
        }
    };
    let errors = pools.iter().filter(|pool| !text(pool, &["validationError"]).is_empty()).count();
    let done = ["Complete", "Failed"].into_iter().find_map(|ty| condition(request, ty));
    let completed = done
        .and_then(|condition| condition.str_at(&["lastTransitionTime"]))
        .map_or(NONE.to_owned(), |then| time::age(then, now));
    vec![
        name(request),
        text_or(request, &["spec", "driver"], NONE).into(),
        sum("totalDevices"),
        sum("availableDevices"),
        sum("allocatedDevices"),
        sum("unavailableDevices"),
        errors.to_string().into(),
        int_or_string(request, &["status", "poolCount"], "0").parse::<i64>().unwrap_or_default().into(),
        done.map_or("Pending", |condition| text(condition, &["type"])).into(),
        completed.into(),
    ]
}

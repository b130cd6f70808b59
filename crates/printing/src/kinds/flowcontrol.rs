//! The group `flowcontrol.apiserver.k8s.io`.

use apimachinery::ObjectExt;
use serde_json::Value;

use crate::Printer;
use crate::cell::{NONE, age, condition, name, number, text, text_or};
use crate::column::{AGE, NAME, string};

const GROUP: &str = "flowcontrol.apiserver.k8s.io";

pub(super) const PRINTERS: &[Printer] = &[
    Printer {
        group: GROUP,
        kind: "FlowSchema",
        columns: &[
            NAME,
            string("PriorityLevel"),
            string("MatchingPrecedence"),
            string("DistinguisherMethod"),
            AGE,
            string("MissingPL"),
        ],
        cells: |schema, now| {
            vec![
                name(schema),
                text_or(schema, &["spec", "priorityLevelConfiguration", "name"], NONE).into(),
                number(schema, &["spec", "matchingPrecedence"]).into(),
                text_or(schema, &["spec", "distinguisherMethod", "type"], NONE).into(),
                age(schema, now),
                condition(schema, "Dangling").map_or("?", |condition| text(condition, &["status"])).into(),
            ]
        },
    },
    Printer {
        group: GROUP,
        kind: "PriorityLevelConfiguration",
        columns: &[
            NAME,
            string("Type"),
            string("NominalConcurrencyShares"),
            string("Queues"),
            string("HandSize"),
            string("QueueLengthLimit"),
            AGE,
        ],
        cells: |level, now| {
            let shares = level
                .at(&["spec", "limited", "nominalConcurrencyShares"])
                .or_else(|| level.at(&["spec", "exempt", "nominalConcurrencyShares"]));
            let queuing = level.at(&["spec", "limited", "limitResponse", "queuing"]);
            let queue = |field: &str| -> Value {
                queuing.map_or(NONE.into(), |queuing| number(queuing, &[field]).into())
            };
            vec![
                name(level),
                text(level, &["spec", "type"]).into(),
                shares.cloned().unwrap_or(NONE.into()),
                queue("queues"),
                queue("handSize"),
                queue("queueLengthLimit"),
                age(level, now),
            ]
        },
    },
];

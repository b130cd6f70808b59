//! The groups `scheduling.k8s.io` and `node.k8s.io`.

use apimachinery::ObjectExt;

use crate::Printer;
use crate::cell::{NONE, age, condition, name, number, text, text_or};
use crate::column::{AGE, NAME, boolean, integer, string};

pub(super) const PRINTERS: &[Printer] = &[
    Printer {
        group: "scheduling.k8s.io",
        kind: "PriorityClass",
        columns: &[NAME, integer("Value"), boolean("Global-Default"), AGE, string("PreemptionPolicy")],
        cells: |class, now| {
            vec![
                name(class),
                number(class, &["value"]).into(),
                class.bool_at(&["globalDefault"]).unwrap_or_default().into(),
                age(class, now),
                text_or(class, &["preemptionPolicy"], "PreemptLowerPriority").into(),
            ]
        },
    },
    Printer {
        group: "scheduling.k8s.io",
        kind: "Workload",
        columns: &[NAME, AGE],
        cells: |workload, now| vec![name(workload), age(workload, now)],
    },
    Printer {
        group: "scheduling.k8s.io",
        kind: "PodGroup",
        columns: &[NAME, string("Policy"), string("Workload"), string("Status"), AGE],
        cells: |group, now| {
            let policy = match group.map_at(&["spec", "schedulingPolicy"]) {
                Some(policy) if policy.contains_key("gang") => "Gang",
                Some(policy) if policy.contains_key("basic") => "Basic",
                _ => NONE,
            };
            let workload = text_or(group, &["spec", "podGroupTemplateRef", "workload", "workloadName"], NONE);
            let status = match condition(group, "PodGroupScheduled") {
                Some(condition) if text(condition, &["status"]) == "True" => "Scheduled",
                Some(condition) => text_or(condition, &["reason"], "Pending"),
                None => "Pending",
            };
            vec![name(group), policy.into(), workload.into(), status.into(), age(group, now)]
        },
    },
    Printer {
        group: "node.k8s.io",
        kind: "RuntimeClass",
        columns: &[NAME, string("Handler"), AGE],
        cells: |class, now| vec![name(class), text(class, &["handler"]).into(), age(class, now)],
    },
];

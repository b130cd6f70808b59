//! Disruption budgets.

use crate::Printer;
use crate::cell::{age, int_or_string, name, number};
use crate::column::{AGE, NAME, integer, string};

pub(super) const PRINTERS: &[Printer] = &[Printer {
    group: "policy",
    kind: "PodDisruptionBudget",
    columns: &[NAME, string("Min Available"), string("Max Unavailable"), integer("Allowed Disruptions"), AGE],
    cells: |budget, now| {
        vec![
            name(budget),
            int_or_string(budget, &["spec", "minAvailable"], "N/A").into(),
            int_or_string(budget, &["spec", "maxUnavailable"], "N/A").into(),
            number(budget, &["status", "disruptionsAllowed"]).into(),
            age(budget, now),
        ]
    },
}];

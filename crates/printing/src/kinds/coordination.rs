//! Leases and who wants to hold them.

use crate::Printer;
use crate::cell::{age, name, text};
use crate::column::{AGE, NAME, string};

pub(super) const PRINTERS: &[Printer] = &[
    Printer {
        group: "coordination.k8s.io",
        kind: "Lease",
        columns: &[NAME, string("Holder"), AGE],
        cells: |lease, now| {
            vec![name(lease), text(lease, &["spec", "holderIdentity"]).into(), age(lease, now)]
        },
    },
    Printer {
        group: "coordination.k8s.io",
        kind: "LeaseCandidate",
        columns: &[NAME, string("LeaseName"), string("BinaryVersion"), string("EmulationVersion"), AGE],
        cells: |candidate, now| {
            let spec = |field: &str| text(candidate, &["spec", field]).into();
            vec![
                name(candidate),
                spec("leaseName"),
                spec("binaryVersion"),
                spec("emulationVersion"),
                age(candidate, now),
            ]
        },
    },
];

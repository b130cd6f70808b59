//! The group `certificates.k8s.io`.

use apimachinery::{ObjectExt, time};
use serde_json::Value;

use crate::Printer;
use crate::cell::{NONE, age, condition, is_true, labels, name, text, text_or};
use crate::column::{AGE, NAME, string};

pub(super) const PRINTERS: &[Printer] = &[
    Printer {
        group: "certificates.k8s.io",
        kind: "CertificateSigningRequest",
        columns: &[
            NAME,
            AGE,
            string("SignerName"),
            string("Requestor"),
            string("RequestedDuration"),
            string("Condition"),
        ],
        cells: |request, now| {
            let duration = request.i64_at(&["spec", "expirationSeconds"]);
            vec![
                name(request),
                age(request, now),
                text_or(request, &["spec", "signerName"], NONE).into(),
                text(request, &["spec", "username"]).into(),
                duration.map_or(NONE.to_owned(), time::human_duration).into(),
                state(request).into(),
            ]
        },
    },
    Printer {
        group: "certificates.k8s.io",
        kind: "ClusterTrustBundle",
        columns: &[NAME, string("SignerName")],
        cells: |bundle, _| vec![name(bundle), text_or(bundle, &["spec", "signerName"], NONE).into()],
    },
    Printer {
        group: "certificates.k8s.io",
        kind: "PodCertificateRequest",
        columns: &[
            NAME,
            string("PodName"),
            string("ServiceAccountName"),
            string("NodeName"),
            string("SignerName"),
            string("State"),
            string("UnverifiedUserAnnotations"),
        ],
        cells: |request, _| {
            let spec = |field: &str| text(request, &["spec", field]).into();
            let state = ["Issued", "Denied", "Failed"].into_iter().find(|ty| is_true(request, ty));
            vec![
                name(request),
                spec("podName"),
                spec("serviceAccountName"),
                spec("nodeName"),
                spec("signerName"),
                state.unwrap_or("Pending").into(),
                labels(request.map_at(&["spec", "unverifiedUserAnnotations"])).into(),
            ]
        },
    },
];

fn state(request: &Value) -> String {
    let is = |ty: &str| condition(request, ty).is_some();
    let mut state = match (is("Denied"), is("Approved")) {
        (true, _) => "Denied",
        (false, true) => "Approved",
        (false, false) => "Pending",
    }
    .to_owned();
    if is("Failed") {
        state.push_str(",Failed");
    }
    if !text(request, &["status", "certificate"]).is_empty() {
        state.push_str(",Issued");
    }
    state
}

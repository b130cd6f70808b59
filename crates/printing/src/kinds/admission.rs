//! The group `admissionregistration.k8s.io`.

use apimachinery::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::cell::{UNSET, age, name, text};
use crate::column::{AGE, NAME, integer, string};
use crate::{Column, Printer};

const GROUP: &str = "admissionregistration.k8s.io";

pub(super) const PRINTERS: &[Printer] = &[
    Printer { group: GROUP, kind: "MutatingWebhookConfiguration", columns: WEBHOOKS, cells: webhooks },
    Printer { group: GROUP, kind: "ValidatingWebhookConfiguration", columns: WEBHOOKS, cells: webhooks },
    Printer {
        group: GROUP,
        kind: "ValidatingAdmissionPolicy",
        columns: &[NAME, integer("Validations"), string("ParamKind"), AGE],
        cells: |policy, now| of_policy(policy, "validations", now),
    },
    Printer {
        group: GROUP,
        kind: "MutatingAdmissionPolicy",
        columns: &[NAME, integer("Mutations"), string("ParamKind"), AGE],
        cells: |policy, now| of_policy(policy, "mutations", now),
    },
    Printer { group: GROUP, kind: "ValidatingAdmissionPolicyBinding", columns: BINDING, cells: binding },
    Printer { group: GROUP, kind: "MutatingAdmissionPolicyBinding", columns: BINDING, cells: binding },
];

const WEBHOOKS: &[Column] = &[NAME, integer("Webhooks"), AGE];
const BINDING: &[Column] = &[NAME, string("PolicyName"), string("ParamRef"), AGE];

fn webhooks(configuration: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(configuration), configuration.list_at(&["webhooks"]).len().into(), age(configuration, now)]
}

fn of_policy(policy: &Value, rules: &str, now: Timestamp) -> Vec<Value> {
    let kind = policy.at(&["spec", "paramKind"]).map_or(UNSET.to_owned(), |kind| {
        format!("{}/{}", text(kind, &["apiVersion"]), text(kind, &["kind"]))
    });
    vec![name(policy), policy.list_at(&["spec", rules]).len().into(), kind.into(), age(policy, now)]
}

fn binding(binding: &Value, now: Timestamp) -> Vec<Value> {
    let parameters = binding.at(&["spec", "paramRef"]).map_or(UNSET.to_owned(), |parameters| {
        match (text(parameters, &["namespace"]), text(parameters, &["name"])) {
            (_, "") => "*".to_owned(),
            ("", name) => name.to_owned(),
            (namespace, name) => format!("{namespace}/{name}"),
        }
    });
    vec![name(binding), text(binding, &["spec", "policyName"]).into(), parameters.into(), age(binding, now)]
}

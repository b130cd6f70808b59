//! What it takes to change the status of a claim, beyond the right to change its status at all.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::FieldError;
use serde_json::Value;

use strategy::read::{Read, same};
use strategy::{NameRule, names};

const BINDING: &str = "changing status.allocation or status.reservedFor";
const DEVICES: &str = "changing status.devices";

/// What a changed status of a claim asks for: each is a right of its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StatusRights {
    /// What is allotted, or for whom it is kept.
    pub binding: bool,
    /// The drivers whose devices are told of otherwise than before.
    pub drivers: BTreeSet<String>,
    /// The one node that the claim's devices are on, where there is one.
    pub node: Option<String>,
}

/// What a changed status of a claim asks for.
pub fn status_rights(new: &Value, old: &Value) -> StatusRights {
    let (status, before) = (&new["status"], &old["status"]);
    let binding = ["allocation", "reservedFor"].iter().any(|key| !same(&status[key], &before[key]));
    StatusRights {
        binding,
        drivers: changed_drivers(status, before),
        node: node_of(&status["allocation"]).map(str::to_owned),
    }
}

/// A device, or the share of one.
fn identity(device: &Value) -> [&str; 4] {
    ["driver", "pool", "device", "shareID"].map(|key| device.text(key))
}

fn changed_drivers(status: &Value, before: &Value) -> BTreeSet<String> {
    let mut gone: BTreeMap<_, _> =
        before.items("devices").iter().map(|device| (identity(device), device)).collect();
    let mut drivers = BTreeSet::new();
    for device in status.items("devices") {
        let earlier = gone.remove(&identity(device));
        if earlier.is_none_or(|earlier| !same(earlier, device)) {
            drivers.insert(device.text("driver").to_owned());
        }
    }
    // What is told of a device goes with the device by itself: that is part of giving it back.
    let results = |status: &Value, wanted: [&str; 4]| {
        status["allocation"]["devices"].items("results").iter().any(|result| identity(result) == wanted)
    };
    let taken = gone.into_keys().filter(|device| !results(before, *device) || results(status, *device));
    drivers.extend(taken.map(|[driver, ..]| driver.to_owned()));
    drivers
}

/// The one node that a selector of nodes names.
fn node_of(allocation: &Value) -> Option<&str> {
    let [term] = allocation["nodeSelector"].items("nodeSelectorTerms") else { return None };
    let [field] = term.items("matchFields") else { return None };
    let is_name = field.text("key") == "metadata.name" && field.text("operator") == "In";
    match field.items("values") {
        [name] if is_name && term.items("matchExpressions").is_empty() => {
            name.as_str().filter(|name| !name.is_empty())
        }
        _ => None,
    }
}

/// Whether this user is a service account whose token was issued for a pod on this node alone, given the names of nodes
/// that its token says.
pub fn is_account_on(user: &str, own: &[String], node: Option<&str>) -> bool {
    let follows = |rule, name: &str| names::errors(rule, name).is_empty();
    let account = user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let is_account = account.is_some_and(|(namespace, name)| {
        follows(NameRule::Label, namespace) && follows(NameRule::Subdomain, name)
    });
    let [own] = own else { return false };
    is_account && node == Some(own) && follows(NameRule::Subdomain, own)
}

/// The refusal of another allocation, given what the authorisers said of the verb.
pub fn no_binding(verb: &str, why: &str) -> FieldError {
    let why =
        format!("{BINDING} requires resource=\"resourceclaims/binding\", verb=\"{verb}\" permission: {why}");
    FieldError::forbidden("status", why)
}

/// The refusal of what is told of a driver's devices, given what the authorisers said of the first of the verbs.
pub fn no_driver(verbs: &[String], why: &str) -> FieldError {
    let verbs = verbs.join(" ");
    let why = format!(
        "{DEVICES} requires resource=\"resourceclaims/driver\", verb=\"[{verbs}]\" permission: {why}"
    );
    FieldError::forbidden("status.devices", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn on(terms: Value) -> Value {
        json!({"nodeSelector": {"nodeSelectorTerms": terms}})
    }

    fn by_name(values: &[&str]) -> Value {
        json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": values}]})
    }

    #[test]
    fn a_claim_is_on_a_node_whose_name_alone_it_selects() {
        for (allocation, expected) in [
            (on(json!([by_name(&["w1"])])), Some("w1")),
            (on(json!([by_name(&["w1", "w2"])])), None),
            (on(json!([by_name(&["w1"]), by_name(&["w1"])])), None),
            (
                on(
                    json!([{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["w1"]}]}]),
                ),
                None,
            ),
            (on(json!([{"matchFields": [{"key": "spec.name", "operator": "In", "values": ["w1"]}]}])), None),
            (
                on(
                    json!([{"matchExpressions": [{"key": "metadata.name", "operator": "In", "values": ["w1"]}]}]),
                ),
                None,
            ),
            (on(json!([])), None),
            (json!({}), None),
            (Value::Null, None),
        ] {
            assert_eq!(node_of(&allocation), expected, "{allocation}");
        }
    }

    #[test]
    fn a_status_asks_for_the_rights_to_what_it_changes() {
        let told = |driver: &str, device: &str, data: Value| json!({"driver": driver, "pool": "p", "device": device, "data": data});
        let device = |driver: &str, device: &str| told(driver, device, json!({}));
        let status = |results: Vec<Value>, devices: Vec<Value>| json!({"status": {"allocation": {"devices": {"results": results}}, "devices": devices}});
        let (a, b) = (device("a", "1"), device("b", "2"));
        let both = || vec![a.clone(), b.clone()];
        let share = |id: &str| json!({"driver": "a", "pool": "p", "device": "1", "shareID": id});
        for (new, old, binding, drivers) in [
            (status(both(), both()), status(both(), both()), false, &[][..]),
            (status(both(), both()), status(both(), vec![a.clone()]), false, &["b"]),
            (status(both(), vec![a.clone()]), status(both(), both()), false, &["b"]),
            (
                status(both(), vec![told("a", "1", json!({"x": 1}))]),
                status(both(), both()),
                false,
                &["a", "b"],
            ),
            (status(both(), vec![]), status(both(), both()), false, &["a", "b"]),
            // What is given back is told of no more.
            (status(vec![a.clone()], vec![a.clone()]), status(both(), both()), true, &[]),
            (json!({"status": {}}), status(both(), both()), true, &[]),
            (status(vec![a.clone()], vec![]), status(both(), both()), true, &["a"]),
            (status(vec![share("s")], vec![share("s")]), status(vec![share("s")], vec![]), false, &["a"]),
            (status(vec![], vec![share("s")]), status(vec![], vec![share("t")]), false, &["a"]),
            (json!({"status": {"reservedFor": [{"uid": "1"}]}}), json!({}), true, &[]),
            (json!({"status": {"reservedFor": []}}), json!({}), false, &[]),
        ] {
            let rights = status_rights(&new, &old);
            let found: Vec<&str> = rights.drivers.iter().map(String::as_str).collect();
            assert_eq!((rights.binding, found.as_slice()), (binding, drivers), "{new} {old}");
        }
    }

    #[test]
    fn accounts_of_pods_are_on_one_node() {
        for (user, own, node, expected) in [
            ("system:serviceaccount:a:driver", &["w1"][..], Some("w1"), true),
            ("system:serviceaccount:a:driver", &["w1"], Some("w2"), false),
            ("system:serviceaccount:a:driver", &["w1"], None, false),
            ("system:serviceaccount:a:driver", &["w1", "w1"], Some("w1"), false),
            ("system:serviceaccount:a:driver", &[], Some("w1"), false),
            ("system:serviceaccount:a", &["w1"], Some("w1"), false),
            ("system:serviceaccount:a:b:c", &["w1"], Some("w1"), false),
            ("system:serviceaccount::driver", &["w1"], Some("w1"), false),
            ("system:node:w1", &["w1"], Some("w1"), false),
            ("jane", &["w1"], Some("w1"), false),
            ("system:serviceaccount:a:driver", &["no_node!"], Some("no_node!"), false),
        ] {
            let own: Vec<String> = own.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(is_account_on(user, &own, node), expected, "{user} {own:?} {node:?}");
        }
    }

    #[test]
    fn refusals_name_the_right_that_lacks() {
        let binding = no_binding("patch", "no");
        assert_eq!(binding.field, "status");
        assert_eq!(
            binding.body(),
            r#"Forbidden: changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="patch" permission: no"#
        );
        let driver = no_driver(&["associated-node:update".into(), "arbitrary-node:update".into()], "no");
        assert_eq!(driver.field, "status.devices");
        assert_eq!(
            driver.body(),
            r#"Forbidden: changing status.devices requires resource="resourceclaims/driver", verb="[associated-node:update arbitrary-node:update]" permission: no"#
        );
    }
}

//! Nodes.

use std::borrow::Cow;

use apimachinery::status::FieldError;
use serde_json::{Value, json};

use pod_strategy::resources::validate_amount;
use pod_strategy::scheduling::validate_effect;
use strategy::addresses;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, is_empty, same};
use strategy::write;
use strategy::{Keeps, Strategy};

/// The rules of Nodes. A kubelet registers its node together with a first status.
pub struct Node;

const SPEC: Path<'static> = Path::root("spec");

impl Strategy for Node {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn default(&self, object: &mut Value) {
        if let Some(status) = write::object(object, "status")
            && is_empty(&status["allocatable"])
            && !is_empty(&status["capacity"])
        {
            let capacity = status["capacity"].clone();
            write::set(status, "allocatable", capacity);
        }
        let spec = write::ensure(object, "spec");
        // `podCIDR` is the first of `podCIDRs`; old clients know only the former.
        match (spec.text("podCIDR").to_owned(), spec.items("podCIDRs").first().cloned()) {
            (range, None) if !range.is_empty() => write::set(spec, "podCIDRs", json!([range])),
            (_, Some(first)) => write::set(spec, "podCIDR", first),
            _ => {}
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        write::missing(object, "status", json!({}));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_node(object, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_node(new, errors);
        validate_change(new, old, errors);
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_amounts(new, errors);
        validate_change(new, old, errors);
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.unschedulable"]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        let unschedulable = object["spec"].flag("unschedulable") == Some(true);
        (name == "spec.unschedulable").then_some(Cow::Borrowed(if unschedulable { "true" } else { "false" }))
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        warnings(object)
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        warnings(new)
    }
}

fn warnings(node: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if node["spec"].has("configSource") {
        found.push("spec.configSource: deprecated in v1.22, support removal is planned in v1.26".to_owned());
    }
    if !node["spec"].text("externalID").is_empty() {
        found.push("spec.externalID: deprecated in v1.11, unused".to_owned());
    }
    found
}

fn validate_node(node: &Value, errors: &mut Errors) {
    let spec = &node["spec"];
    // Upstream says that taints are metadata.
    validate_taints(spec.items("taints"), &Path::root("metadata.taints"), errors);
    validate_amounts(node, errors);
    let ranges_path = SPEC.child("podCIDRs");
    let ranges = spec.items("podCIDRs");
    for (index, range) in ranges.iter().enumerate() {
        addresses::validate_range(range.as_str().unwrap_or_default(), &ranges_path.index(index), errors);
    }
    let four = |range: &Value| range.as_str().is_some_and(|range| !range.contains(':'));
    let fours = ranges.iter().filter(|range| four(range)).count();
    if fours > 1 || ranges.len() - fours > 1 {
        errors.invalid(
            &ranges_path,
            spec["podCIDRs"].clone(),
            "may specify no more than one CIDR for each IP family",
        );
    }
    for (index, range) in ranges.iter().enumerate() {
        if ranges[..index].contains(range) {
            errors.duplicate(&ranges_path.index(index), range.clone());
        }
    }
}

/// Validates what a node has and what of it pods may have.
fn validate_amounts(node: &Value, errors: &mut Errors) {
    for list in ["capacity", "allocatable"] {
        for (name, value) in node["status"].entries(list) {
            let status_path = Path::root("status");
            let list_path = status_path.child(list);
            validate_amount(name, value, &list_path.child(name), errors);
        }
    }
}

fn validate_taints(taints: &[Value], path: &Path, errors: &mut Errors) {
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        let (key, effect) = (taint.text("key"), taint.text("effect"));
        errors.invalid_each(&path.child("key"), &json!(key), names::qualified_name_errors(key));
        let found = names::label_value_errors(taint.text("value"));
        if !found.is_empty() {
            errors.invalid(&path.child("value"), taint.text("value"), found.join(";"));
        }
        validate_effect(effect, &path.child("effect"), errors);
        let same = |other: &&Value| other.text("key") == key && other.text("effect") == effect;
        if taints[..index].iter().any(|other| same(&other)) {
            let mut error = FieldError::duplicate(path.to_string(), taint.clone());
            error.detail = "taints must be unique by key and effect pair".to_owned();
            errors.push(error);
        }
    }
}

fn validate_change(new: &Value, old: &Value, errors: &mut Errors) {
    let status_path = Path::root("status");
    let addresses = new["status"].items("addresses");
    for (index, address) in addresses.iter().enumerate() {
        if addresses[..index].contains(address) {
            errors.duplicate(&status_path.child("addresses").index(index), address.clone());
        }
    }
    let (spec, before) = (&new["spec"], &old["spec"]);
    if !before.items("podCIDRs").is_empty() && !same(&spec["podCIDRs"], &before["podCIDRs"]) {
        errors.forbidden(
            &SPEC.child("podCIDRs"),
            "node updates may not change podCIDR except from \"\" to valid",
        );
    }
    if !before.text("providerID").is_empty() && spec.text("providerID") != before.text("providerID") {
        errors.forbidden(
            &SPEC.child("providerID"),
            "node updates may not change providerID except from \"\" to valid",
        );
    }
    if spec.text("externalID") != before.text("externalID") {
        errors.forbidden(&SPEC.child("externalID"), "may not be updated");
    }
    if spec.has("configSource") && !spec["configSource"].has("configMap") {
        errors.invalid(
            &SPEC.child("configSource"),
            spec["configSource"].clone(),
            "exactly one reference subfield must be non-nil",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, defaulted, updated};

    #[test]
    fn a_node_registers_with_its_status() {
        let mut node = defaulted(
            &Node,
            json!({"status": {"capacity": {"cpu": "2"}}, "spec": {"podCIDR": "10.0.0.0/24"}}),
        );
        Node.prepare_for_create(&mut node);
        assert_eq!(node["status"]["allocatable"], json!({"cpu": "2"}));
        assert_eq!(node["spec"]["podCIDRs"], json!(["10.0.0.0/24"]));
    }

    #[test]
    fn taints_are_well_formed_and_unique() {
        let taint = json!({"key": "a", "effect": "NoSchedule"});
        assert_eq!(
            created(&Node, json!({"spec": {"taints": [taint, taint]}})),
            "metadata.taints[1]: Duplicate value: {\"effect\":\"NoSchedule\",\"key\":\"a\"}: taints must be unique by key and effect pair"
        );
        assert_eq!(
            created(&Node, json!({"spec": {"taints": [{"key": "a", "effect": "Never"}]}})),
            "metadata.taints[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\""
        );
    }

    #[test]
    fn the_pod_range_is_set_once() {
        let old = json!({"spec": {"podCIDR": "10.0.0.0/24"}});
        assert_eq!(updated(&Node, old.clone(), json!({"spec": {}})), "");
        assert_eq!(
            updated(&Node, json!({"spec": {"podCIDR": "10.0.1.0/24"}}), old),
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"
        );
        assert_eq!(
            updated(&Node, json!({"spec": {"externalID": "x"}}), json!({"spec": {"externalID": "y"}})),
            "spec.externalID: Forbidden: may not be updated"
        );
        assert_eq!(
            created(&Node, json!({"spec": {"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}})),
            "spec.podCIDRs: Invalid value: [\"10.0.0.0/24\",\"10.0.1.0/24\"]: may specify no more than one CIDR for each IP family"
        );
        let negative =
            json!({"spec": {}, "status": {"capacity": {"cpu": "-1"}, "allocatable": {"cpu": "1"}}});
        assert_eq!(
            created(&Node, negative),
            "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0"
        );
    }
}

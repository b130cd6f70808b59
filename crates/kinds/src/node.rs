//! Nodes.

use std::borrow::Cow;

use apimachinery::status::FieldError;
use ipnet::IpNet;
use serde_json::{Value, json};

use pod_strategy::defaults::round_up;
use pod_strategy::env::config_key_errors;
use pod_strategy::resources::validate_amount;
use pod_strategy::scheduling::validate_effect;
use strategy::addresses;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, is_empty};
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

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
        if let Some(status) = write::object(object, "status") {
            round_up(status, "capacity");
            round_up(status, "allocatable");
        }
        let spec = write::ensure(object, "spec");
        // `podCIDR` is the first of `podCIDRs`; old clients know only the former, and are right where the two differ.
        match (spec.text("podCIDR").to_owned(), spec.items("podCIDRs").first().cloned()) {
            (range, first) if !range.is_empty() && first.as_ref().is_none_or(|first| *first != range) => {
                write::set(spec, "podCIDRs", json!([range]));
            }
            (_, Some(first)) => write::set(spec, "podCIDR", first),
            _ => {}
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        write::missing(object, "status", json!({}));
        drop_unused_config(object, &Value::Null);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        self.keeps().prepare_for_update(new, old);
        drop_unused_config(new, old);
    }

    fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        strategy::prepare_status_update(new, old);
        drop_unused_config(new, old);
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
        validate_features(&new["status"], errors);
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

/// Takes away what says where a kubelet's configuration is: no kubelet reads it any more, so only nodes that have it
/// already may keep it.
fn drop_unused_config(node: &mut Value, old: &Value) {
    for (part, key) in [("spec", "configSource"), ("status", "config")] {
        if !old[part].has(key)
            && let Some(part) = write::object(node, part)
        {
            write::remove(part, key);
        }
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
    if let Some(swap) = node["status"]["nodeInfo"]["swap"].int("capacity").filter(|swap| *swap <= 0) {
        // Upstream says that so is the size of swap.
        let path = Path::root("metadata.nodeSwapStatus.capacity");
        errors.invalid(&path, swap.to_string(), "must be greater than zero");
    }
    validate_features(&node["status"], errors);
    let ranges_path = SPEC.child("podCIDRs");
    let ranges = spec.items("podCIDRs");
    for (index, range) in ranges.iter().enumerate() {
        addresses::validate_range(range.as_str().unwrap_or_default(), &ranges_path.index(index), errors);
    }
    if ranges.len() > 1 {
        validate_families(ranges, &ranges_path, errors);
    }
    for (index, range) in ranges.iter().enumerate() {
        if ranges[..index].contains(range) {
            errors.duplicate(&ranges_path.index(index), range.clone());
        }
    }
}

/// Validates that of several ranges one is of IPv4, one of IPv6, and none anything else.
fn validate_families(ranges: &[Value], path: &Path, errors: &mut Errors) {
    let family = |range: &Value| {
        let (address, length) = range.as_str()?.split_once('/')?;
        let range = format!("{}/{length}", addresses::without_zeros(address));
        range.parse::<IpNet>().ok().map(|range| range.addr().is_ipv4())
    };
    let families: Vec<Option<bool>> = ranges.iter().map(family).collect();
    if let Some(index) = families.iter().position(Option::is_none) {
        let text = ranges[index].as_str().unwrap_or_default();
        let why = format!(
            "invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[{index}]: <nil> (invalid CIDR address: {text})"
        );
        errors.push(FieldError::internal(path.to_string(), why));
    }
    if !matches!(families.as_slice(), [Some(true), Some(false)] | [Some(false), Some(true)]) {
        errors.invalid(path, ranges.to_vec(), "may specify no more than one CIDR for each IP family");
    }
}

/// Validates the names of what a kubelet can do: each well formed, and all in order.
fn validate_features(status: &Value, errors: &mut Errors) {
    let path = Path::root("status.declaredFeatures");
    let features: Vec<&str> =
        status.items("declaredFeatures").iter().map(|feature| feature.as_str().unwrap_or_default()).collect();
    for (index, feature) in features.iter().enumerate() {
        if let Some(why) = feature_error(feature) {
            errors.invalid(&path.index(index), *feature, format!("invalid feature name {feature:?}: {why}"));
        }
        match features.get(index + 1) {
            Some(next) if next == feature => errors.duplicate(&path.index(index + 1), *next),
            Some(next) if next < feature => {
                errors.invalid(&path.index(index + 1), *next, "list must be sorted alphabetically");
            }
            _ => {}
        }
    }
}

fn feature_error(feature: &str) -> Option<&'static str> {
    let is_segment = |segment: &str| {
        segment.starts_with(|first: char| first.is_ascii_alphabetic())
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if feature.len() > 253 {
        Some("must be no more than 253 characters")
    } else if feature.starts_with(|first: char| first.is_ascii_uppercase())
        && feature.split('/').all(is_segment)
    {
        None
    } else {
        Some(
            "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes",
        )
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
    let (ranges, ranges_before) = (spec.items("podCIDRs"), before.items("podCIDRs"));
    let changes = match ranges_before.len() {
        0 => 0,
        count if count != ranges.len() => 1,
        _ => ranges.iter().zip(ranges_before).filter(|(range, before)| range != before).count(),
    };
    for _ in 0..changes {
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
    if spec.has("configSource") {
        validate_config_source(&spec["configSource"], false, &SPEC.child("configSource"), errors);
    }
    let config_path = status_path.child("config");
    for key in ["assigned", "active", "lastKnownGood"] {
        let source = &new["status"]["config"][key];
        if !source.is_null() {
            validate_config_source(source, true, &config_path.child(key), errors);
        }
    }
    if spec.text("externalID") != before.text("externalID") {
        errors.forbidden(&SPEC.child("externalID"), "may not be updated");
    }
}

/// Validates where a kubelet's configuration is; which version of it a status knows, and a spec leaves open.
fn validate_config_source(source: &Value, in_status: bool, path: &Path, errors: &mut Errors) {
    let map = &source["configMap"];
    if map.is_null() {
        errors.invalid(path, source.clone(), "exactly one reference subfield must be non-nil");
        return;
    }
    let path = path.child("configMap");
    for key in ["uid", "resourceVersion"] {
        match (in_status, map.text(key).is_empty()) {
            (false, false) => errors.forbidden(&path.child(key), format!("{key} must not be set in spec")),
            (true, true) => errors.required(&path.child(key), format!("{key} must be set in status")),
            (false, true) | (true, false) => {}
        }
    }
    for key in ["namespace", "name", "kubeletConfigKey"] {
        let text = map.text(key);
        let found = match key {
            _ if text.is_empty() => {
                errors.required(&path.child(key), format!("{key} must be set"));
                continue;
            }
            "namespace" => names::errors(NameRule::Label, text),
            "name" => names::errors(NameRule::Subdomain, text),
            _ => config_key_errors(text),
        };
        errors.invalid_each(&path.child(key), &map[key], found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, defaulted, found, updated};

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
    fn the_range_that_old_clients_know_is_right() {
        for (spec, expected) in [
            (json!({}), json!({})),
            (
                json!({"podCIDRs": ["10.0.0.0/24", "fd00::/64"]}),
                json!({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24", "fd00::/64"]}),
            ),
            (
                json!({"podCIDR": "10.0.1.0/24", "podCIDRs": ["10.0.0.0/24", "fd00::/64"]}),
                json!({"podCIDR": "10.0.1.0/24", "podCIDRs": ["10.0.1.0/24"]}),
            ),
        ] {
            assert_eq!(defaulted(&Node, json!({ "spec": spec }))["spec"], expected);
        }
        let both = json!({"spec": {"podCIDRs": ["10.0.0.0/24", "fd00::/64"]}});
        let forbidden =
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid";
        let other = json!({"spec": {"podCIDRs": ["10.0.1.0/24", "fd01::/64"]}});
        assert_eq!(updated(&Node, other, both.clone()), format!("{forbidden}\n{forbidden}"));
        assert_eq!(updated(&Node, json!({"spec": {}}), both), forbidden);
        let fine = json!({"status": {"capacity": {"cpu": "100u"}, "allocatable": {"cpu": "1n"}}});
        assert_eq!(
            defaulted(&Node, fine)["status"],
            json!({"capacity": {"cpu": "1m"}, "allocatable": {"cpu": "1m"}})
        );
    }

    #[test]
    fn where_a_configuration_is_stays_where_it_was_said() {
        let map = json!({"namespace": "a", "name": "b", "kubeletConfigKey": "c"});
        let mut known = map.clone();
        (known["uid"], known["resourceVersion"]) = (json!("1"), json!("2"));
        let node = |spec: &Value, status: &Value| json!({"spec": {"configSource": {"configMap": spec}}, "status": {"config": {"active": {"configMap": status}}}});
        let told = node(&map, &known);
        let (mut created, mut changed, mut reported) = (told.clone(), told.clone(), told.clone());
        Node.prepare_for_create(&mut created);
        Node.prepare_for_update(&mut changed, &json!({"spec": {}, "status": {}}));
        Node.prepare_status_update(&mut reported, &json!({"spec": {}, "status": {}}));
        let bare = json!({"spec": {}, "status": {}});
        assert_eq!((&created, &changed, &reported), (&bare, &bare, &bare));
        assert_eq!(updated(&Node, told.clone(), told.clone()), "");
        let wrong = json!({"spec": {"configSource": {"configMap": known}}});
        assert_eq!(
            updated(&Node, wrong, told.clone()),
            "spec.configSource.configMap.uid: Forbidden: uid must not be set in spec\n\
             spec.configSource.configMap.resourceVersion: Forbidden: resourceVersion must not be set in spec"
        );
        assert_eq!(
            updated(&Node, json!({"spec": {"configSource": {}}}), told.clone()),
            "spec.configSource: Invalid value: {}: exactly one reference subfield must be non-nil"
        );
        let empty = json!({"status": {"config": {"active": {"configMap": {}}}}});
        assert_eq!(
            found(|errors| Node.validate_status_update(&empty, &told, errors)),
            "status.config.active.configMap.uid: Required value: uid must be set in status\n\
             status.config.active.configMap.resourceVersion: Required value: resourceVersion must be set in status\n\
             status.config.active.configMap.namespace: Required value: namespace must be set\n\
             status.config.active.configMap.name: Required value: name must be set\n\
             status.config.active.configMap.kubeletConfigKey: Required value: kubeletConfigKey must be set"
        );
    }

    #[test]
    fn what_a_kubelet_can_do_is_listed_in_order() {
        let form = "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes";
        let path = "status.declaredFeatures";
        for (features, expected) in [
            (json!(["A", "A/b", "B"]), String::new()),
            (
                json!(["B", "A"]),
                format!("{path}[1]: Invalid value: \"A\": list must be sorted alphabetically"),
            ),
            (json!(["A", "A"]), format!("{path}[1]: Duplicate value: \"A\"")),
            (json!(["A/"]), format!("{path}[0]: Invalid value: \"A/\": invalid feature name \"A/\": {form}")),
            (json!(["a"]), format!("{path}[0]: Invalid value: \"a\": invalid feature name \"a\": {form}")),
        ] {
            let node = json!({"status": {"declaredFeatures": features}});
            assert_eq!(created(&Node, node.clone()), expected);
            assert_eq!(found(|errors| Node.validate_status_update(&node, &json!({}), errors)), expected);
        }
        let swap = |capacity: i64| json!({"status": {"nodeInfo": {"swap": {"capacity": capacity}}}});
        assert_eq!(created(&Node, swap(1)), "");
        assert_eq!(
            created(&Node, swap(0)),
            "metadata.nodeSwapStatus.capacity: Invalid value: \"0\": must be greater than zero"
        );
    }

    #[test]
    fn a_node_has_a_range_of_each_family() {
        let more = "may specify no more than one CIDR for each IP family";
        for (ranges, expected) in [
            (json!(["10.0.0.0/24"]), String::new()),
            (json!(["fd00::/64", "10.0.0.0/24"]), String::new()),
            (
                json!(["10.0.0.0/24", "x"]),
                format!(
                    "spec.podCIDRs[1]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)\n\
                     spec.podCIDRs: Internal error: invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[1]: <nil> (invalid CIDR address: x)\n\
                     spec.podCIDRs: Invalid value: [\"10.0.0.0/24\",\"x\"]: {more}"
                ),
            ),
            (
                json!(["fd00::/64", "fd01::/64", "10.0.0.0/24"]),
                format!(
                    "spec.podCIDRs: Invalid value: [\"fd00::/64\",\"fd01::/64\",\"10.0.0.0/24\"]: {more}"
                ),
            ),
        ] {
            assert_eq!(created(&Node, json!({"spec": {"podCIDRs": ranges}})), expected);
        }
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

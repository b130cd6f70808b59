//! Validation of the addresses of a service and of their families, and of how an update may change them.

use std::net::IpAddr;

use serde_json::Value;

use crate::service::{is_headless, needs_cluster_ip};
use strategy::addresses;
use strategy::field::{Errors, Path};
use strategy::read::Read;

const SPEC: Path<'static> = Path::root("spec");
const ONCE: &str = "may not change once set";
const POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];

/// Validates `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` together.
pub(super) fn validate(spec: &Value, errors: &mut Errors) {
    if spec.text("type") == "ExternalName" {
        return;
    }
    let path = SPEC.child("clusterIPs");
    let addresses = spec.items("clusterIPs");
    match (spec.text("clusterIP"), addresses.first()) {
        ("", Some(_)) => errors.invalid(
            &path,
            spec["clusterIPs"].clone(),
            "must be empty when `clusterIP` is not specified",
        ),
        ("", None) => {}
        (_, None) => errors.required(&path, ""),
        (address, Some(first)) if first != address => {
            errors.invalid(&path, spec["clusterIPs"].clone(), "first value must match `clusterIP`");
        }
        _ => {}
    }
    validate_families(spec, errors);
    let mut readable = true;
    for (index, address) in addresses.iter().enumerate() {
        let text = address.as_str().unwrap_or_default();
        if index == 0 && text == "None" {
            if addresses.len() > 1 {
                readable = false;
                errors.invalid(&path, spec["clusterIPs"].clone(), "'None' must be the first and only value");
            }
        } else {
            readable &= text.parse::<IpAddr>().is_ok();
            addresses::validate(text, &path.index(index), errors);
        }
    }
    if addresses.len() > 2 {
        errors.invalid(&path, spec["clusterIPs"].clone(), "may only hold up to 2 values");
    }
    if !readable {
        return;
    }
    let families: Vec<&str> = addresses.iter().filter_map(Value::as_str).filter_map(family).collect();
    if families.iter().enumerate().any(|(index, family)| families[..index].contains(family)) {
        errors.invalid(
            &path,
            spec["clusterIPs"].clone(),
            "may specify no more than one IP for each IP family",
        );
    }
    if is_headless(spec) {
        return;
    }
    for (index, (wanted, family)) in spec.items("ipFamilies").iter().zip(&families).enumerate() {
        let wanted = wanted.as_str().unwrap_or_default();
        if wanted != *family {
            errors.invalid(
                &path.index(index),
                addresses[index].clone(),
                format!("expected an {wanted} value as indicated by `ipFamilies[{index}]`"),
            );
        }
    }
}

fn validate_families(spec: &Value, errors: &mut Errors) {
    let path = SPEC.child("ipFamilies");
    let families = spec.items("ipFamilies");
    for (index, family) in families.iter().enumerate() {
        if family != "IPv4" && family != "IPv6" {
            errors.unsupported(&path.index(index), family.clone(), &["IPv4", "IPv6"]);
        }
        if families[..index].contains(family) {
            errors.duplicate(&path.index(index), family.clone());
        }
    }
    let policy = spec.text("ipFamilyPolicy");
    if spec.has("ipFamilyPolicy") && !POLICIES.contains(&policy) {
        errors.unsupported(&SPEC.child("ipFamilyPolicy"), policy, &POLICIES);
    }
}

fn family(address: &str) -> Option<&'static str> {
    address.parse::<IpAddr>().ok().map(|address| if address.is_ipv4() { "IPv4" } else { "IPv6" })
}

/// Validates a change: a second family may be added and given up; what is there otherwise stays.
pub(super) fn validate_change(new: &Value, old: &Value, errors: &mut Errors) {
    if !needs_cluster_ip(new) || !needs_cluster_ip(old) {
        return;
    }
    let headless = (is_headless(old), is_headless(new));
    if headless != (true, true) {
        validate_addresses_change(new, old, errors);
    }
    // A service without addresses may change its families, and so may one that comes to have or gives up addresses.
    if headless == (false, false) {
        validate_families_change(new, old, errors);
    }
}

fn validate_addresses_change(new: &Value, old: &Value, errors: &mut Errors) {
    let path = SPEC.child("clusterIPs");
    let (before, after) = (old.items("clusterIPs"), new.items("clusterIPs"));
    // Where their number changes, the first must stay.
    let compared = if before.len() == after.len() { before.len() } else { 1 };
    if after.is_empty() && !before.is_empty() {
        errors.invalid(&path.index(0), new["clusterIPs"].clone(), "primary clusterIP can not be unset");
    }
    for (index, (before, after)) in before.iter().zip(after).enumerate().take(compared) {
        if before != after {
            errors.invalid(&path.index(index), new["clusterIPs"].clone(), ONCE);
        }
    }
    if after.len() == 1 && before.len() > 1 {
        validate_release(new, "clusterIP", errors);
    }
}

fn validate_families_change(new: &Value, old: &Value, errors: &mut Errors) {
    // All that is wrong with families is told of the first.
    let path = SPEC.child("ipFamilies");
    let path = path.index(0);
    let (before, after) = (old.items("ipFamilies"), new.items("ipFamilies"));
    if before.len() == after.len() {
        for _ in before.iter().zip(after).filter(|(before, after)| before != after) {
            errors.invalid(&path, new["ipFamilies"].clone(), ONCE);
        }
        return;
    }
    if after.len() < before.len() && new.items("clusterIPs").is_empty() {
        errors.invalid(&path, new["ipFamilies"].clone(), "primary ipFamily can not be unset");
    }
    if before.first().zip(after.first()).is_some_and(|(before, after)| before != after) {
        errors.invalid(&path, new["clusterIPs"].clone(), ONCE);
    }
    if after.len() == 1 && before.len() > 1 {
        validate_release(new, "ipFamily", errors);
    }
}

/// Validates that a service that gives up its second address or family says that it wants one.
fn validate_release(new: &Value, what: &str, errors: &mut Errors) {
    if new.text("ipFamilyPolicy") != "SingleStack" {
        errors.invalid(
            &SPEC.child("ipFamilyPolicy"),
            new["ipFamilyPolicy"].clone(),
            format!("must be set to 'SingleStack' when releasing the secondary {what}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    #[test]
    fn addresses_and_families_go_together() {
        for (spec, expected) in [
            (
                json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"], "ipFamilies": ["IPv4", "IPv6"]}),
                "",
            ),
            (
                json!({"clusterIPs": ["10.0.0.1"]}),
                "spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: must be empty when `clusterIP` is not specified",
            ),
            (
                json!({"clusterIP": "None", "clusterIPs": ["None", "10.0.0.1"]}),
                "spec.clusterIPs: Invalid value: [\"None\",\"10.0.0.1\"]: 'None' must be the first and only value",
            ),
            (
                json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "10.0.0.2"]}),
                "spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"10.0.0.2\"]: may specify no more than one IP for each IP family",
            ),
            (
                json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv6"]}),
                "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`",
            ),
            (
                json!({"ipFamilies": ["IPv4", "IPv4"], "ipFamilyPolicy": "Both"}),
                "spec.ipFamilies[1]: Duplicate value: \"IPv4\"\nspec.ipFamilyPolicy: Unsupported value: \"Both\": supported values: \"PreferDualStack\", \"RequireDualStack\", \"SingleStack\"",
            ),
        ] {
            assert_eq!(found(|errors| validate(&spec, errors)), expected, "{spec}");
        }
    }

    #[test]
    fn a_second_family_comes_and_goes() {
        let spec = |policy: &str, addresses: &[&str]| json!({"type": "ClusterIP", "ipFamilyPolicy": policy, "clusterIPs": addresses});
        let check = |new: Value, old: Value| found(|errors| validate_change(&new, &old, errors));
        let one = || spec("SingleStack", &["10.0.0.1"]);
        let two = || spec("PreferDualStack", &["10.0.0.1", "fd00::1"]);
        assert_eq!(check(two(), one()), "");
        assert_eq!(check(one(), two()), "");
        assert_eq!(
            check(spec("PreferDualStack", &["10.0.0.1"]), two()),
            "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary clusterIP"
        );
        assert_eq!(
            check(spec("SingleStack", &[]), one()),
            "spec.clusterIPs[0]: Invalid value: []: primary clusterIP can not be unset"
        );
        assert_eq!(
            check(spec("SingleStack", &["10.0.0.2"]), one()),
            "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"
        );
        assert_eq!(
            check(spec("PreferDualStack", &["10.0.0.2", "fd00::1"]), one()),
            "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\",\"fd00::1\"]: may not change once set"
        );
        assert_eq!(
            check(spec("PreferDualStack", &["10.0.0.1", "fd00::2"]), two()),
            "spec.clusterIPs[1]: Invalid value: [\"10.0.0.1\",\"fd00::2\"]: may not change once set"
        );
    }

    #[test]
    fn families_stay_unless_there_are_no_addresses() {
        let spec = |address: &str, families: &[&str]| json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack", "clusterIPs": [address], "ipFamilies": families});
        let check = |new: Value, old: Value| found(|errors| validate_change(&new, &old, errors));
        let once =
            |value: &str| format!("spec.ipFamilies[0]: Invalid value: {value}: may not change once set");
        let (four, six, both) = (&["IPv4"][..], &["IPv6"][..], &["IPv4", "IPv6"][..]);
        assert_eq!(check(spec("a", both), spec("a", four)), "");
        assert_eq!(check(spec("a", six), spec("a", four)), once("[\"IPv6\"]"));
        assert_eq!(check(spec("a", both), spec("a", six)), once("[\"a\"]"));
        assert_eq!(check(spec("None", six), spec("None", four)), "");
        assert_eq!(
            check(spec("a", four), spec("a", both)),
            "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary ipFamily"
        );
    }
}

//! IPAddresses and ServiceCIDRs.

use std::net::IpAddr;

use serde_json::Value;

use strategy::addresses;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of IPAddresses.
pub struct IpAddress;
/// The rules of ServiceCIDRs.
pub struct ServiceCidr;

const SPEC: Path<'static> = Path::root("spec");

impl Strategy for IpAddress {
    fn name_rule(&self) -> NameRule {
        NameRule::Address
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let parent = &object["spec"]["parentRef"];
        let path = SPEC.child("parentRef");
        if parent.is_null() {
            errors.required(&path, "");
            return;
        }
        if !parent.text("group").is_empty() {
            let found = names::errors(NameRule::Subdomain, parent.text("group"));
            errors.invalid_each(&path.child("group"), &parent["group"], found);
        }
        for key in ["resource", "name", "namespace"] {
            match parent.text(key) {
                "" if key == "namespace" => {}
                "" => errors.required(&path.child(key), ""),
                text => {
                    let found = names::errors(NameRule::PathSegment, text);
                    errors.invalid_each(&path.child(key), &parent[key], found);
                }
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        errors.immutable(&SPEC.child("parentRef"), &new["spec"]["parentRef"], &old["spec"]["parentRef"]);
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.parentRef.resource", "spec.parentRef.name"]
    }
}

impl Strategy for ServiceCidr {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let ranges = object["spec"].items("cidrs");
        let path = SPEC.child("cidrs");
        // What is told of the list is told alone, and with the whole spec.
        let of_all = match ranges {
            [] => return errors.required(&path, "at least one CIDR required"),
            [_, _, _, ..] => Some("may only hold up to 2 values"),
            [one, other] if !are_of_both_families(one, other) => Some(
                "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            ),
            _ => None,
        };
        if let Some(why) = of_all {
            return errors.invalid(&path, object["spec"].clone(), why);
        }
        for (index, range) in ranges.iter().enumerate() {
            let (text, path) = (range.as_str().unwrap_or_default(), path.index(index));
            addresses::validate_range(text, &path, errors);
            if let Ok(range) = text.parse::<ipnet::IpNet>()
                && range.to_string() != text
                && range.addr() == range.network()
            {
                errors.invalid(&path, text, format!("must be in canonical form (\"{range}\")"));
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let path = SPEC.child("cidrs");
        let (after, before) = (new["spec"].items("cidrs"), old["spec"].items("cidrs"));
        let grows = before.len() == 1 && after.len() == 2;
        if !grows && after.len() != before.len() {
            errors.immutable(&path, &new["spec"]["cidrs"], &old["spec"]["cidrs"]);
            return;
        }
        for (index, (after, before)) in after.iter().zip(before).enumerate() {
            errors.immutable(&path.index(index), after, before);
        }
        if grows {
            self.validate(new, errors);
        }
    }
}

fn are_of_both_families(one: &Value, other: &Value) -> bool {
    let is_four = |range: &Value| {
        let (address, _) = range.as_str()?.split_once('/')?;
        Some(addresses::without_zeros(address).parse::<IpAddr>().ok()?.to_canonical().is_ipv4())
    };
    is_four(one).zip(is_four(other)).is_some_and(|(one, other)| one != other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, updated};

    #[test]
    fn ranges_are_of_two_families() {
        let ranges = |ranges: &[&str]| json!({"spec": {"cidrs": ranges}});
        assert_eq!(created(&ServiceCidr, ranges(&["10.0.0.0/16", "fd00::/112"])), "");
        assert!(
            created(&ServiceCidr, ranges(&["10.0.0.0/16", "10.1.0.0/16"])).contains("no more than one IP")
        );
        for (given, told) in [
            (&[][..], "spec.cidrs: Required value: at least one CIDR required"),
            (
                &["10.0.0.0/16", "fd00::/112", "x"],
                "spec.cidrs: Invalid value: {\"cidrs\":[\"10.0.0.0/16\",\"fd00::/112\",\"x\"]}: may only hold up to 2 values",
            ),
            (
                &["10.0.0.0/16", "x"],
                "spec.cidrs: Invalid value: {\"cidrs\":[\"10.0.0.0/16\",\"x\"]}: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            ),
            (
                &["10.0.0.1/16", "fd00::/112"],
                "spec.cidrs[0]: Invalid value: \"10.0.0.1/16\": must not have bits set beyond the prefix length",
            ),
        ] {
            assert_eq!(created(&ServiceCidr, ranges(given)), told);
        }
        assert_eq!(
            updated(&ServiceCidr, ranges(&["10.0.0.0/16", "fd00::/112"]), ranges(&["10.0.0.0/16"])),
            ""
        );
        assert!(
            updated(&ServiceCidr, ranges(&["10.0.0.0/16", "10.1.0.0/16"]), ranges(&["10.0.0.0/16"]))
                .contains("no more than one IP")
        );
        assert_eq!(
            updated(&ServiceCidr, ranges(&["10.1.0.0/16"]), ranges(&["10.0.0.0/16"])),
            "spec.cidrs[0]: Invalid value: \"10.1.0.0/16\": field is immutable"
        );
        assert!(
            updated(&ServiceCidr, ranges(&["10.0.0.0/16"]), ranges(&["10.0.0.0/16", "fd00::/112"]))
                .ends_with("field is immutable")
        );
    }

    #[test]
    fn addresses_have_a_parent() {
        assert_eq!(created(&IpAddress, json!({"spec": {}})), "spec.parentRef: Required value");
        assert_eq!(
            created(&IpAddress, json!({"spec": {"parentRef": {"resource": "services", "name": "a/b"}}})),
            "spec.parentRef.name: Invalid value: \"a/b\": may not contain '/'"
        );
    }
}

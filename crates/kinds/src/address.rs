//! IPAddresses and ServiceCIDRs.

use serde_json::Value;

use crate::service::validate_cidr;
use strategy::field::{Errors, Path};
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
        for key in ["resource", "name"] {
            if parent.text(key).is_empty() {
                errors.required(&path.child(key), "");
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
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

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let ranges = object["spec"].items("cidrs");
        let path = SPEC.child("cidrs");
        if ranges.is_empty() {
            errors.required(&path, "at least one CIDR required");
        } else if ranges.len() > 2 {
            errors.invalid(&path, object["spec"]["cidrs"].clone(), "may only hold up to 2 values");
        }
        for (index, range) in ranges.iter().enumerate() {
            validate_cidr(range.as_str().unwrap_or_default(), &path.index(index), errors);
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        errors.immutable(&SPEC.child("cidrs"), &new["spec"]["cidrs"], &old["spec"]["cidrs"]);
    }
}

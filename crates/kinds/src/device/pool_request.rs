//! ResourcePoolStatusRequests: questions about the devices of a pool, each answered once.

use serde_json::Value;

use super::{LONGEST_POOL, SPEC, validate_driver};
use crate::conditions;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of ResourcePoolStatusRequests.
pub struct ResourcePoolStatusRequest;

const STATUS: Path<'static> = Path::root("status");
const HIGHEST_LIMIT: i64 = 1000;
const MOST_POOLS: usize = 1000;
const MOST_CONDITIONS: usize = 10;
const LONGEST_ERROR: usize = 256;

impl Strategy for ResourcePoolStatusRequest {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn prepare_for_create(&self, object: &mut Value) {
        write::remove(object, "status");
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        validate_driver(spec.text("driver"), &SPEC.child("driver"), errors);
        if spec.has("poolName") {
            validate_name(spec.text("poolName"), &SPEC.child("poolName"), errors);
        }
        let path = SPEC.child("limit");
        match spec.int("limit") {
            Some(limit) if limit < 1 => errors.invalid(&path, limit, "must be greater than or equal to 1"),
            Some(limit) if limit > HIGHEST_LIMIT => {
                errors.invalid(&path, limit, format!("must be less than or equal to {HIGHEST_LIMIT}"));
            }
            _ => {}
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        errors.immutable(&SPEC, &new["spec"], &old["spec"]);
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (status, before) = (&new["status"], &old["status"]);
        if before.is_null() {
            conditions::validate(status.items("conditions"), &STATUS.child("conditions"), errors);
        } else {
            // What is answered is answered.
            errors.immutable(&STATUS, status, before);
        }
        if !status.is_null() && !same(status, before) {
            validate_answer(status, errors);
        }
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

fn validate_answer(status: &Value, errors: &mut Errors) {
    match status.int("poolCount") {
        None => errors.required(&STATUS.child("poolCount"), ""),
        Some(_) => at_least(status, "poolCount", 0, &STATUS, errors),
    }
    let (pools, path) = (status.items("pools"), STATUS.child("pools"));
    if pools.len() > MOST_POOLS {
        errors.too_many(&path, pools.len(), MOST_POOLS);
    } else {
        for (index, pool) in pools.iter().enumerate() {
            validate_pool(pool, &path.index(index), errors);
        }
    }
    let conditions = status.items("conditions");
    if conditions.len() > MOST_CONDITIONS {
        errors.too_many(&STATUS.child("conditions"), conditions.len(), MOST_CONDITIONS);
    }
}

fn validate_pool(pool: &Value, path: &Path, errors: &mut Errors) {
    validate_driver(pool.text("driver"), &path.child("driver"), errors);
    match pool.text("poolName") {
        "" => errors.required(&path.child("poolName"), ""),
        name => validate_name(name, &path.child("poolName"), errors),
    }
    at_least(pool, "generation", 0, path, errors);
    at_least(pool, "resourceSliceCount", 1, path, errors);
    for key in ["totalDevices", "allocatedDevices", "availableDevices", "unavailableDevices"] {
        at_least(pool, key, 0, path, errors);
    }
    if pool.has("nodeName") {
        let found = names::errors(NameRule::Subdomain, pool.text("nodeName"));
        errors.invalid_each(&path.child("nodeName"), &pool["nodeName"], found);
    }
    if pool.text("validationError").len() > LONGEST_ERROR {
        errors.too_long(&path.child("validationError"), LONGEST_ERROR);
    }
}

fn at_least(object: &Value, key: &str, least: i64, path: &Path, errors: &mut Errors) {
    if let Some(value) = object.int(key).filter(|value| *value < least) {
        errors.invalid(&path.child(key), value, format!("must be greater than or equal to {least}"));
    }
}

/// Validates the name of a pool in the words that this kind has for it.
fn validate_name(name: &str, path: &Path, errors: &mut Errors) {
    if name.len() > LONGEST_POOL {
        errors.too_long(path, LONGEST_POOL);
    }
    for (index, part) in name.split('/').enumerate() {
        if part.is_empty() {
            errors.invalid(path, name, format!("segment {index}: must not be empty"));
            continue;
        }
        for why in names::errors(NameRule::Subdomain, part) {
            errors.invalid(path, part, format!("segment {index}: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, found, updated};

    #[test]
    fn a_question_is_about_the_pools_of_a_driver() {
        let request = |spec: Value| json!({"metadata": {"name": "r"}, "spec": spec});
        for (spec, expected) in [
            (json!({"driver": "a.example", "poolName": "p/q", "limit": 100}), ""),
            (json!({"driver": "A.example"}), ""),
            (
                json!({"limit": 0}),
                "spec.driver: Required value\nspec.limit: Invalid value: 0: must be greater than or equal to 1",
            ),
            (
                json!({"driver": "a.example", "poolName": "", "limit": 1001}),
                "spec.poolName: Invalid value: \"\": segment 0: must not be empty\n\
                 spec.limit: Invalid value: 1001: must be less than or equal to 1000",
            ),
        ] {
            assert_eq!(created(&ResourcePoolStatusRequest, request(spec.clone())), expected, "{spec}");
        }
        let old = request(json!({"driver": "a.example"}));
        let told = updated(&ResourcePoolStatusRequest, request(json!({"driver": "b.example"})), old);
        assert_eq!(told, "spec: Invalid value: {\"driver\":\"b.example\"}: field is immutable");
        let mut new = request(json!({"driver": "a.example"}));
        new["status"] = json!({"poolCount": 1});
        ResourcePoolStatusRequest.prepare_for_create(&mut new);
        assert!(!new.has("status"));
    }

    #[test]
    fn an_answer_is_given_once() {
        let check = |new: Value, old: Value| {
            let with = |status: Value| json!({"spec": {"driver": "a.example"}, "status": status});
            found(|errors| ResourcePoolStatusRequest.validate_status_update(&with(new), &with(old), errors))
        };
        let pool =
            json!({"driver": "a.example", "poolName": "p", "resourceSliceCount": 1, "totalDevices": 4});
        let good = json!({"poolCount": 1, "pools": [pool]});
        assert_eq!(check(good.clone(), Value::Null), "");
        assert_eq!(check(good.clone(), good.clone()), "");
        assert!(check(json!({"poolCount": 0}), good).starts_with("status: Invalid value: "));
        let long = "x".repeat(257);
        let bad = json!({"resourceSliceCount": 0, "generation": -1, "allocatedDevices": -1, "validationError": long});
        assert_eq!(
            check(json!({"poolCount": -1, "pools": [bad]}), Value::Null),
            "status.poolCount: Invalid value: -1: must be greater than or equal to 0\n\
             status.pools[0].driver: Required value\n\
             status.pools[0].poolName: Required value\n\
             status.pools[0].generation: Invalid value: -1: must be greater than or equal to 0\n\
             status.pools[0].resourceSliceCount: Invalid value: 0: must be greater than or equal to 1\n\
             status.pools[0].allocatedDevices: Invalid value: -1: must be greater than or equal to 0\n\
             status.pools[0].validationError: Too long: may not be more than 256 bytes"
        );
        assert_eq!(
            check(json!({"pools": vec![json!({}); 1001]}), Value::Null),
            "status.poolCount: Required value\nstatus.pools: Too many: 1001: must have at most 1000 items"
        );
    }
}

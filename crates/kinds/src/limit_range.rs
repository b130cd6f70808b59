//! LimitRanges.

use serde_json::Value;

use pod_strategy::defaults::round_up;
use pod_strategy::resources::{self, is_standard_for_containers, quantity, validate_resource_name};
use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;

/// The rules of LimitRanges.
pub struct LimitRange;

const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

impl Strategy for LimitRange {
    fn default(&self, object: &mut Value) {
        for limit in write::items(write::ensure(object, "spec"), "limits") {
            for list in LISTS {
                round_up(limit, list);
            }
            if limit.text("type") != "Container" {
                continue;
            }
            // A container without a limit gets the largest allowed; without a request, its limit, else the least.
            for (target, source) in
                [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")]
            {
                let values = limit[source].as_object().cloned().unwrap_or_default();
                for (name, value) in values {
                    write::missing(write::ensure(limit, target), &name, value);
                }
            }
        }
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let list_path = Path::root("spec.limits");
        let limits = object["spec"].items("limits");
        for (index, limit) in limits.iter().enumerate() {
            let path = list_path.index(index);
            let kind = limit.text("type");
            if limits[..index].iter().any(|other| other.text("type") == kind) {
                errors.duplicate(&path.child("type"), kind);
            }
            validate_limit(limit, &path, errors);
        }
    }
}

fn validate_limit(limit: &Value, path: &Path, errors: &mut Errors) {
    let kind = limit.text("type");
    if kind.is_empty() {
        errors.required(&path.child("type"), "");
    } else {
        let found = strategy::names::qualified_name_errors(kind);
        errors.invalid_each(&path.child("type"), &Value::from(kind), found);
    }
    for list in LISTS {
        for (name, _) in limit.entries(list) {
            let list_path = path.child(list);
            let path = list_path.key(name);
            validate_resource_name(name, &path, errors);
            if kind == "Container" && !name.contains('/') && !is_standard_for_containers(name) {
                errors.invalid(&path, name.as_str(), "must be a standard limit type or fully qualified");
            }
        }
    }
    if kind == "Pod" {
        for list in ["default", "defaultRequest"] {
            if limit.entries(list).next().is_some() {
                errors.forbidden(&path.child(list), "may not be specified when `type` is 'Pod'");
            }
        }
    }
    if kind == "PersistentVolumeClaim" && !limit["min"].has("storage") && !limit["max"].has("storage") {
        errors.required(
            &path.child("limits"),
            "either minimum or maximum storage value is required, but neither was provided",
        );
    }
    let mut names: Vec<String> =
        LISTS.iter().flat_map(|list| resources::list(limit, list).into_keys()).collect();
    names.sort();
    names.dedup();
    for name in &names {
        let of = |list: &str| limit[list].get(name).and_then(quantity);
        let (max, min) = (of("max"), of("min"));
        let (default, request) = (of("default"), of("defaultRequest"));
        let mut above = |list: &str,
                         value: Option<apimachinery::Quantity>,
                         what: &str,
                         other: Option<apimachinery::Quantity>,
                         of: &str| {
            if let (Some(value), Some(other)) = (value, other)
                && value > other
            {
                errors.invalid(
                    &path.child(list).key(name),
                    value.to_string(),
                    format!("{what} value {value} is greater than {of} value {other}"),
                );
            }
        };
        above("min", min, "min", max, "max");
        above("defaultRequest", min, "min", request, "default request");
        above("defaultRequest", request, "default request", max, "max");
        above("defaultRequest", request, "default request", default, "default limit");
        above("default", min, "min", default, "default");
        above("default", default, "default", max, "max");
        if let Some(ratio) = of("maxLimitRequestRatio")
            && ratio.milli_value() < 1000
        {
            errors.invalid(
                &path.child("maxLimitRequestRatio").key(name),
                ratio.to_string(),
                format!("ratio {ratio} is less than 1"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, defaulted};

    #[test]
    fn container_defaults_follow_the_bounds() {
        let object = defaulted(
            &LimitRange,
            json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]}}),
        );
        let limit = &object["spec"]["limits"][0];
        assert_eq!(limit["default"], json!({"cpu": "2"}));
        assert_eq!(limit["defaultRequest"], json!({"cpu": "2", "memory": "1Mi"}));
    }

    #[test]
    fn bounds_are_in_order() {
        let object = json!({"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}}]}});
        assert_eq!(
            created(&LimitRange, object),
            "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1"
        );
    }
}

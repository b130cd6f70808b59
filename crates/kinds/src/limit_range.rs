//! LimitRanges.

use apimachinery::quantity::Format;
use apimachinery::{ObjectExt, Quantity};
use serde_json::Value;

use pod_strategy::defaults::round_up;
use pod_strategy::resources::{
    may_overcommit, quantity, validate_container_resource_name, validate_resource_name,
};
use strategy::Strategy;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::write;

/// The rules of LimitRanges.
pub struct LimitRange;

/// In the order in which they are judged.
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

    /// One without a name is named by its uid.
    fn prepare_for_create(&self, object: &mut Value) {
        let uid = object.uid().to_owned();
        if !uid.is_empty() {
            write::zero(write::ensure(object, "metadata"), "name", uid);
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
            validate_type(kind, &path.child("type"), errors);
            if limits[..index].iter().any(|other| other.text("type") == kind) {
                errors.duplicate(&path.child("type"), kind);
            }
            validate_limit(limit, &path, errors);
        }
    }
}

fn validate_type(kind: &str, path: &Path, errors: &mut Errors) {
    let found = names::qualified_name_errors(kind);
    let is_own = kind.contains('/') || matches!(kind, "Container" | "PersistentVolumeClaim" | "Pod");
    if found.is_empty() && !is_own {
        errors.invalid(path, kind, "must be a standard limit type or fully qualified");
    }
    errors.invalid_each(path, &Value::from(kind), found);
}

fn validate_limit(limit: &Value, path: &Path, errors: &mut Errors) {
    let kind = limit.text("type");
    let mut named: Vec<&str> = Vec::new();
    for list in LISTS {
        let list_path = path.child(list);
        if kind == "Pod" && matches!(list, "default" | "defaultRequest") {
            if limit.entries(list).next().is_some() {
                errors.forbidden(&list_path, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        let bounds = |list: &str| limit[list].get("storage").is_some();
        if list == "maxLimitRequestRatio"
            && kind == "PersistentVolumeClaim"
            && !bounds("min")
            && !bounds("max")
        {
            errors.required(
                &path.child("limits"),
                "either minimum or maximum storage value is required, but neither was provided",
            );
        }
        for (name, _) in limit.entries(list) {
            let path = list_path.key(name);
            if matches!(kind, "Container" | "Pod") {
                validate_container_resource_name(name, &path, errors);
            } else {
                validate_resource_name(name, &path, errors);
            }
            named.push(name);
        }
    }
    named.sort_unstable();
    named.dedup();
    for name in named {
        validate_order(limit, name, path, errors);
    }
}

/// Validates that what a limit says of one resource can hold at once.
fn validate_order(limit: &Value, name: &str, path: &Path, errors: &mut Errors) {
    let of = |list: &str| limit[list].get(name).and_then(quantity);
    let defaults = |list: &str| of(list).filter(|_| limit.text("type") != "Pod");
    let (min, max, ratio) = (of("min"), of("max"), of("maxLimitRequestRatio"));
    let (default, request) = (defaults("default"), defaults("defaultRequest"));
    let mut say = |list: &str, shown: Quantity, why: String| {
        errors.invalid(&path.child(list).key(name), shown.to_string(), why);
    };
    // Which of two is shown, and by which name, is as upstream has it.
    for (list, (lower, low), (upper, high), shown) in [
        ("min", (min, "min"), (max, "max"), min),
        ("defaultRequest", (min, "min"), (request, "default request"), request),
        ("defaultRequest", (request, "default request"), (max, "max"), request),
        ("defaultRequest", (request, "default request"), (default, "default limit"), request),
        ("default", (min, "min"), (default, "default"), min),
        ("default", (default, "default"), (max, "max"), max),
    ] {
        if let (Some(lower), Some(upper), Some(shown)) = (lower, upper, shown)
            && lower > upper
        {
            say(list, shown, format!("{low} value {lower} is greater than {high} value {upper}"));
        }
    }
    if let Some(ratio) = ratio {
        if ratio < Quantity::from_value(1, Format::DecimalSi) {
            say("maxLimitRequestRatio", ratio, format!("ratio {ratio} is less than 1"));
        }
        if let (Some(min), Some(max)) = (min, max) {
            let most = widest(min, max, ratio);
            if ratio.as_f64() > most {
                let why = format!("ratio {ratio} is greater than max/min = {most:.6}");
                say("maxLimitRequestRatio", ratio, why);
            }
        }
    }
    if let (Some(default), Some(request)) = (default, request)
        && !may_overcommit(name)
        && default != request
    {
        let why = format!("default value {default} must equal to defaultRequest value {request} in {name}");
        say("defaultRequest", request, why);
    }
}

/// How much larger the one bound is than the other: in thousandths, where none of the three is too large for that.
fn widest(min: Quantity, max: Quantity, ratio: Quantity) -> f64 {
    const MOST: i64 = i64::MAX / 1000;
    if [min, max, ratio].iter().all(|amount| amount.value() < MOST) {
        max.milli_value() as f64 / min.milli_value() as f64
    } else {
        max.value() as f64 / min.value() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{agree, created, defaulted};

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
    fn limits_need_no_name() {
        for (metadata, name) in
            [(json!({"uid": "1"}), json!("1")), (json!({"name": "a", "uid": "1"}), json!("a"))]
        {
            let mut object = json!({ "metadata": metadata });
            LimitRange.prepare_for_create(&mut object);
            assert_eq!(object["metadata"]["name"], name);
        }
    }

    #[test]
    fn limits_are_of_known_things() {
        let limits = |limits: Value| created(&LimitRange, json!({"spec": {"limits": limits}}));
        let qualified = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
        let empty = format!(
            "spec.limits[0].type: Invalid value: \"\": name part must be non-empty\n\
             spec.limits[0].type: Invalid value: \"\": {qualified}"
        );
        let cases = [
            (json!([{"type": "example.com/Thing", "max": {"storage": "1"}}]), ""),
            (
                json!([{"type": "Thing"}]),
                "spec.limits[0].type: Invalid value: \"Thing\": must be a standard limit type or fully qualified",
            ),
            (json!([{}]), empty.as_str()),
            (json!([{"type": "Pod"}, {"type": "Pod"}]), "spec.limits[1].type: Duplicate value: \"Pod\""),
            (
                json!([{"type": "Pod", "max": {"storage": "1"}, "default": {"x": "1"}, "defaultRequest": {"cpu": "1"}}]),
                "spec.limits[0].max[storage]: Invalid value: \"storage\": must be a standard resource for containers\n\
                 spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'\n\
                 spec.limits[0].defaultRequest: Forbidden: may not be specified when `type` is 'Pod'",
            ),
            (
                json!([{"type": "Container", "min": {"a/requests.b": "1", "requests.b/c": "1"}, "defaultRequest": {"cpu": "1"}}]),
                "spec.limits[0].min[requests.b/c]: Invalid value: \"requests.b/c\": doesn't follow extended resource name standard\n\
                 spec.limits[0].defaultRequest[requests.b/c]: Invalid value: \"requests.b/c\": doesn't follow extended resource name standard",
            ),
            (
                json!([{"type": "PersistentVolumeClaim", "max": {"cpu": "1"}, "maxLimitRequestRatio": {"chairs": "1"}}]),
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided\n\
                 spec.limits[0].maxLimitRequestRatio[chairs]: Invalid value: \"chairs\": must be a standard resource type or fully qualified",
            ),
        ];
        agree(cases.map(|(list, expected)| (list.to_string(), limits(list), expected)));
    }

    #[test]
    fn what_is_said_of_a_resource_can_hold_at_once() {
        let limit = |limit: Value| {
            let mut limit = limit;
            limit["type"] = json!("Container");
            created(&LimitRange, json!({"spec": {"limits": [limit]}})).replace("spec.limits[0].", "")
        };
        let cases = [
            (
                json!({"min": {"cpu": "2"}, "max": {"cpu": "4"}, "defaultRequest": {"cpu": "1"}, "default": {"cpu": "5"}}),
                "defaultRequest[cpu]: Invalid value: \"1\": min value 2 is greater than default request value 1\n\
                 default[cpu]: Invalid value: \"4\": default value 5 is greater than max value 4",
            ),
            (
                json!({"min": {"cpu": "2"}, "max": {"cpu": "4"}, "defaultRequest": {"cpu": "5"}, "default": {"cpu": "1"}}),
                "defaultRequest[cpu]: Invalid value: \"5\": default request value 5 is greater than max value 4\n\
                 defaultRequest[cpu]: Invalid value: \"5\": default request value 5 is greater than default limit value 1\n\
                 default[cpu]: Invalid value: \"2\": min value 2 is greater than default value 1",
            ),
            (
                json!({"maxLimitRequestRatio": {"cpu": "500m"}}),
                "maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1",
            ),
            (json!({"min": {"cpu": "100m"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "10"}}), ""),
            (
                json!({"min": {"cpu": "300m"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "4"}}),
                "maxLimitRequestRatio[cpu]: Invalid value: \"4\": ratio 4 is greater than max/min = 3.333333",
            ),
            (json!({"min": {"cpu": "0"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "4"}}), ""),
            (
                json!({"default": {"example.com/gpu": "2", "cpu": "2"}, "defaultRequest": {"example.com/gpu": "1", "cpu": "1"}}),
                "defaultRequest[example.com/gpu]: Invalid value: \"1\": default value 2 must equal to defaultRequest value 1 in example.com/gpu",
            ),
        ];
        agree(cases.map(|(object, expected)| (object.to_string(), limit(object), expected)));
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

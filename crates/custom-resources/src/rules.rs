//! What is wrong with the rules in CEL of a schema: what does not compile, asks for what cannot be known, costs too much.

use apimachinery::FieldError;
use cel::types::{Place, Type};
use cel::{Environment, Program};
use serde_json::{Map, Value};

use crate::declared;
use crate::node::{Additional, Node};

/// What a rule may cost, estimated for as many values as there may be.
const RULE: u64 = 10_000_000;
/// What all rules of a schema may cost together.
const SCHEMA: u64 = 100_000_000;
/// How many of the most expensive rules are named when all together are too expensive.
const NAMED: usize = 4;

/// Where rules stand.
#[derive(Clone)]
struct Context {
    path: String,
    /// How many values there may be here; none where only the size of a request bounds them.
    count: Option<u64>,
    /// The list within which values cannot be told apart, so that there is no old one.
    uncorrelatable: Option<String>,
    is_resource: bool,
}

struct Rules {
    errors: Vec<FieldError>,
    total: u64,
    expensive: Vec<(u64, String)>,
}

/// What is wrong with the rules of a structural schema.
pub fn faults(schema: &Map<String, Value>, node: &Node, path: &str) -> Vec<FieldError> {
    if !node.has_expressions {
        return Vec::new();
    }
    let mut rules = Rules { errors: Vec::new(), total: 0, expensive: Vec::new() };
    let root = Context { path: path.to_owned(), count: Some(1), uncorrelatable: None, is_resource: true };
    rules.node(schema, node, &root);
    if rules.total > SCHEMA {
        let why = "contributed to estimated rule & messageExpression cost total exceeding cost limit for entire OpenAPIv3 schema";
        let named = std::mem::take(&mut rules.expensive);
        rules.errors.extend(named.into_iter().map(|(_, path)| FieldError::forbidden(path, why)));
        let what = "x-kubernetes-validations estimated rule & messageExpression cost total for entire OpenAPIv3 schema";
        rules.errors.push(FieldError::forbidden(path, too_expensive(what, rules.total, SCHEMA)));
    }
    rules.errors
}

fn too_expensive(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        factor if factor > 100.0 => "more than 100x".to_owned(),
        factor if factor < 1.5 => format!("{factor:.6}x"),
        factor => format!("{factor:.1}x"),
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}

impl Rules {
    fn node(&mut self, schema: &Map<String, Value>, node: &Node, context: &Context) {
        if !node.has_expressions {
            return;
        }
        let child = |name: &str| schema.get(name).and_then(Value::as_object);
        let below = |path: String, count: Option<u64>| Context {
            path,
            count,
            uncorrelatable: context.uncorrelatable.clone(),
            is_resource: false,
        };
        let times =
            |most: Option<u64>| context.count.zip(most).map(|(count, most)| count.saturating_mul(most));
        for (name, property) in child("properties").into_iter().flatten() {
            if let (Some(property), Some(node)) = (property.as_object(), node.properties.get(name.as_str())) {
                self.node(
                    property,
                    node,
                    &below(format!("{}.properties[{name}]", context.path), context.count),
                );
            }
        }
        if let (Some(values), Additional::Of(of)) = (child("additionalProperties"), &node.additional) {
            let most = node.checks.as_deref().and_then(|checks| checks.properties.max);
            self.node(values, of, &below(format!("{}.additionalProperties", context.path), times(most)));
        }
        if let (Some(items), Some(of)) = (child("items"), &node.items) {
            let most = node.checks.as_deref().and_then(|checks| checks.items.max);
            let mut within = below(format!("{}.items", context.path), times(most));
            if node.list != Some(schema::ListType::Map) {
                within.uncorrelatable.get_or_insert_with(|| context.path.clone());
            }
            self.node(items, of, &within);
        }
        if node.expressions.is_empty() && !schema.contains_key("x-kubernetes-validations") {
            return;
        }
        let place = declared::place(node, context.is_resource || node.embedded);
        let own = schema.get("x-kubernetes-validations").and_then(Value::as_array);
        for (index, rule) in own.into_iter().flatten().enumerate() {
            let path = format!("{}.x-kubernetes-validations[{index}]", context.path);
            self.rule(rule, node, place.as_ref(), context, &path);
        }
    }

    fn rule(&mut self, rule: &Value, node: &Node, place: Option<&Place<'_>>, context: &Context, path: &str) {
        let (rule_path, message_path) = (format!("{path}.rule"), format!("{path}.messageExpression"));
        let Some(place) = place else {
            let why = "internal error: failed to retrieve type information for x-kubernetes-validations";
            self.errors.push(FieldError::invalid(rule_path, rule.clone(), why));
            return;
        };
        let text = |name: &str| rule[name].as_str().unwrap_or_default().trim();
        let optional_old = rule["optionalOldSelf"].as_bool();
        let environment = environment(place, optional_old == Some(true));
        let mut uses_old = false;
        match Program::check(text("rule"), &environment) {
            Err(error) => {
                let why = format!("compilation failed: {error}");
                self.errors.push(FieldError::invalid(rule_path.as_str(), rule.clone(), why));
            }
            Ok(checked) if !matches!(checked.output, Type::Bool) => {
                let why = "cel expression must evaluate to a bool";
                self.errors.push(FieldError::invalid(rule_path.as_str(), rule.clone(), why));
            }
            Ok(checked) => {
                let count = context.count.unwrap_or_else(|| declared::how_many(node));
                self.cost("estimated rule cost", checked.cost.max.saturating_mul(count), &rule_path);
                uses_old = checked.program.uses("oldSelf");
                self.message(rule, &environment, &message_path);
            }
        }
        if let (true, Some(within)) = (uses_old, &context.uncorrelatable) {
            let why =
                format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {within}");
            // Shown as it was written.
            self.errors.push(FieldError::invalid(rule_path, rule["rule"].clone(), why));
        } else if let (false, Some(flag)) = (uses_old, optional_old) {
            let why = "may not be set if oldSelf is not used in rule";
            self.errors.push(FieldError::invalid(format!("{path}.optionalOldSelf"), flag, why));
        }
    }

    /// What tells why a rule is broken: made once an object, so that it costs the same however many values there are.
    fn message(&mut self, rule: &Value, environment: &Environment<'_>, path: &str) {
        let text = rule["messageExpression"].as_str().unwrap_or_default().trim();
        if text.is_empty() {
            return;
        }
        match Program::check(text, environment) {
            Err(error) => {
                let why = format!("messageExpression compilation failed: {error}");
                self.errors.push(FieldError::invalid(path, rule.clone(), why));
            }
            Ok(checked) if !matches!(checked.output, Type::String) => {
                let why = "messageExpression must evaluate to a string";
                self.errors.push(FieldError::invalid(path, rule.clone(), why));
            }
            Ok(checked) => self.cost("estimated messageExpression cost", checked.cost.max, path),
        }
    }

    fn cost(&mut self, what: &str, cost: u64, path: &str) {
        if cost > RULE {
            self.errors.push(FieldError::forbidden(path, too_expensive(what, cost, RULE)));
        }
        self.total = self.total.saturating_add(cost);
        let at = self.expensive.partition_point(|(other, _)| *other >= cost);
        self.expensive.insert(at, (cost, path.to_owned()));
        self.expensive.truncate(NAMED);
    }
}

/// What rules about a place may use.
fn environment<'n>(place: &Place<'n>, optional_old: bool) -> Environment<'n> {
    let environment = Environment::new().with_place("self", place.clone());
    if !optional_old {
        return environment.with_place("oldSelf", place.clone());
    }
    let old = Place { ty: Type::Optional(std::rc::Rc::new(place.ty.clone())), ..place.clone() };
    environment.with_place("oldSelf", old)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(schema: &Value) -> Vec<String> {
        let node = Node::read(schema);
        let errors = faults(schema.as_object().unwrap(), &node, "root");
        errors.iter().map(|error| format!("{}: {}", error.field, error.body())).collect()
    }

    fn of_spec(rule: Value, properties: Value) -> Value {
        json!({"type": "object", "properties": {"spec":
            {"type": "object", "x-kubernetes-validations": [rule], "properties": properties}}})
    }

    #[test]
    fn rules_are_checked_for_types() {
        let check = |rule: Value, expected: &[&str]| {
            let shown = rule.to_string();
            let schema =
                of_spec(rule, json!({"a": {"type": "integer"}, "b": {"type": "string", "maxLength": 5}}));
            let at = "root.properties[spec].x-kubernetes-validations[0]";
            let expected: Vec<String> =
                expected.iter().map(|text| format!("{at}.{}", text.replace("RULE", &shown))).collect();
            assert_eq!(found(&schema), expected);
        };
        check(json!({"rule": "self.a > 1"}), &[]);
        check(
            json!({"rule": "self.c > 1"}),
            &[
                "rule: Invalid value: RULE: compilation failed: ERROR: <input>:1:5: undefined field 'c'\n | self.c > 1\n | ....^",
            ],
        );
        check(
            json!({"rule": "self.a"}),
            &["rule: Invalid value: RULE: cel expression must evaluate to a bool"],
        );
        check(
            json!({"rule": "self.a > 1", "messageExpression": "self.a"}),
            &["messageExpression: Invalid value: RULE: messageExpression must evaluate to a string"],
        );
        check(
            json!({"rule": "self.a > 1", "messageExpression": "self.c"}),
            &[
                "messageExpression: Invalid value: RULE: messageExpression compilation failed: ERROR: <input>:1:5: undefined field 'c'\n | self.c\n | ....^",
            ],
        );
        check(
            json!({"rule": "self.a > 1", "optionalOldSelf": true}),
            &["optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"],
        );
        // Of a rule that says nothing, it is not known what it uses.
        check(
            json!({"rule": "self.a", "optionalOldSelf": true, "messageExpression": "self.c"}),
            &[
                "rule: Invalid value: RULE: cel expression must evaluate to a bool",
                "optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule",
            ],
        );
        check(
            json!({"rule": "!oldSelf.hasValue() || oldSelf.value().a < self.a", "optionalOldSelf": true}),
            &[],
        );
        check(json!({"rule": "oldSelf.a <= self.a"}), &[]);
    }

    #[test]
    fn values_of_lists_have_no_old_ones_unless_they_have_keys() {
        let schema = |list: &str| {
            json!({"type": "object", "properties": {"l": {"type": "array", "maxItems": 3, "x-kubernetes-list-type": list,
                "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "properties": {"k": {"type": "integer"}},
                    "x-kubernetes-validations": [{"rule": "self.k == oldSelf.k"}]}}}})
        };
        assert_eq!(found(&schema("map")), [""; 0]);
        assert_eq!(
            found(&schema("atomic")),
            [
                "root.properties[l].items.x-kubernetes-validations[0].rule: Invalid value: \"self.k == oldSelf.k\": oldSelf cannot be used on the uncorrelatable portion of the schema within root.properties[l]"
            ]
        );
    }

    #[test]
    fn rules_that_may_cost_too_much_are_refused() {
        let rule = "self.l.all(x, self.l.all(y, x == y))";
        let with = |list: Value| of_spec(json!({"rule": rule}), json!({"l": list}));
        let text = json!({"type": "string", "maxLength": 10});
        assert_eq!(found(&with(json!({"type": "array", "maxItems": 100, "items": text}))), [""; 0]);
        let unbounded = with(json!({"type": "array", "items": {"type": "string"}}));
        let message = "root.properties[spec].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";
        let errors = found(&unbounded);
        assert_eq!(errors[0], message);
        assert_eq!(
            errors[1],
            "root.properties[spec].x-kubernetes-validations[0].rule: Forbidden: contributed to estimated rule & messageExpression cost total exceeding cost limit for entire OpenAPIv3 schema"
        );
        assert!(errors[2].starts_with("root: Forbidden: x-kubernetes-validations estimated rule & messageExpression cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x"));
        // How large a value of a map is, is known of an index and not of a name.
        let of_map = |rule: &str| {
            let labels = json!({"type": "object", "maxProperties": 5, "additionalProperties": text});
            found(&of_spec(json!({"rule": rule}), json!({"l": labels})))
        };
        assert_eq!(of_map("self.l['a'].contains('b')"), [""; 0]);
        assert_eq!(of_map("self.l.a.contains('b')")[0], message);
        assert!(too_expensive("x", 12, 10).contains("factor of 1.200000x"));
        assert!(too_expensive("x", 25, 10).contains("factor of 2.5x"));
    }

    #[test]
    fn a_message_costs_the_same_for_any_number_of_values() {
        let schema = json!({"type": "object", "properties": {"l": {"type": "array", "items": {"type": "object",
            "properties": {"a": {"type": "string", "maxLength": 1000}},
            "x-kubernetes-validations": [{"rule": "true", "messageExpression": "self.a + self.a + self.a"}]}}}});
        assert_eq!(found(&schema), [""; 0]);
    }

    #[test]
    fn rules_that_people_write_are_taken() {
        let text = |most: u64| json!({"type": "string", "maxLength": most});
        let with = |schema: Value, rules: &[&str]| {
            let mut schema = schema;
            schema["x-kubernetes-validations"] = rules.iter().map(|rule| json!({"rule": rule})).collect();
            schema
        };
        let reference = json!({"type": "object", "required": ["name"], "properties": {
            "group": text(253), "kind": text(63), "namespace": text(63), "name": text(253), "port": {"type": "integer"},
            "sectionName": text(253)}});
        let references = with(
            json!({"type": "array", "maxItems": 32, "items": reference}),
            &[
                "self.all(p1, self.exists_one(p2, p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name && (((!has(p1.__namespace__) || p1.__namespace__ == '') && (!has(p2.__namespace__) || p2.__namespace__ == '')) || (has(p1.__namespace__) && has(p2.__namespace__) && p1.__namespace__ == p2.__namespace__ )) && (((!has(p1.sectionName) || p1.sectionName == '') && (!has(p2.sectionName) || p2.sectionName == '')) || (has(p1.sectionName) && has(p2.sectionName) && p1.sectionName == p2.sectionName))))",
            ],
        );
        let path = with(
            json!({"type": "object", "properties": {"type": {"type": "string", "enum": ["Exact", "PathPrefix"]}, "value": text(1024)}}),
            &[
                "(self.type in ['Exact','PathPrefix']) ? self.value.startsWith('/') : true",
                "(self.type in ['Exact','PathPrefix']) ? !self.value.contains('//') : true",
                "(self.type in ['Exact','PathPrefix']) ? self.value.matches(r\"\"\"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$\"\"\") : true",
            ],
        );
        let matches = json!({"type": "array", "maxItems": 64, "items": {"type": "object", "properties": {"path": path}}});
        let sum: Vec<String> =
            (0..16).map(|at| format!("(self.size() > {at} ? self[{at}].matches.size() : 0)")).collect();
        let routes = with(
            json!({"type": "array", "maxItems": 16, "items": {"type": "object", "required": ["matches"], "properties": {"matches": matches}}}),
            &[&format!("{} <= 128", sum.join(" + "))],
        );
        let requirement = with(
            json!({"type": "array", "maxItems": 100, "items": {"type": "object", "properties": {
                "key": text(316), "operator": text(20), "values": {"type": "array", "maxItems": 50, "items": text(63)}}}}),
            &[
                "self.all(x, x.operator == 'In' ? x.values.size() != 0 : true)",
                "self.all(x, (x.operator == 'Gt' || x.operator == 'Lt') ? (x.values.size() == 1 && int(x.values[0]) >= 0) : true)",
                "self.all(x, x.key in ['a', 'b'] || !x.key.find('^([^/]+)').endsWith('kubernetes.io'))",
            ],
        );
        let spec = with(
            json!({"type": "object", "properties": {
                "refs": references, "routes": routes, "requirements": requirement, "either": {"x-kubernetes-int-or-string": true},
                "percent": {"type": "number"}, "wait": {"type": "string", "format": "duration"},
                "labels": {"type": "object", "maxProperties": 10, "additionalProperties": text(63)},
                "quantity": text(20), "url": text(100), "cidr": text(43)}}),
            &[
                "!has(oldSelf.url) || has(self.url)",
                "!has(self.percent) || self.percent <= 100 && self.percent >= 0.5",
                "!has(self.wait) || self.wait <= duration('1h')",
                "!has(self.either) || type(self.either) == int || string(self.either).endsWith('%')",
                "!has(self.labels) || self.labels.all(key, key.matches('^[a-z]+$') && size(self.labels[key]) > 0)",
                "quantity(self.quantity).isGreaterThan(quantity('1Gi')) || isURL(self.url) && url(self.url).getScheme() in ['http', 'https']",
                "isCIDR(self.cidr) && cidr(self.cidr).ip().family() == 4",
                "self.?url.orValue('').size() > 3",
            ],
        );
        assert_eq!(found(&json!({"type": "object", "properties": {"spec": spec}})), [""; 0]);
    }
}

//! `x-kubernetes-validations`: rules in CEL about a value, and about how it may change (KEP-2876).

use apimachinery::FieldError;
use cel::{Budget, Program, Scalar, Typed, Value as Cel};
use serde_json::{Map, Value};

use crate::field_path::{self, Brackets};
use crate::node::{Additional, Kind, Node};
use crate::validate::{Before, Path};

/// What all rules of an object may cost together, in upstream's unit.
const OBJECT: u64 = 10_000_000;
/// What one run of a rule may cost.
const CALL: u64 = 1_000_000;
/// How long a message may be that an expression makes.
const LONGEST_MESSAGE: usize = 5 * 1024;
/// What is said when the budget of the object is spent.
const EXHAUSTED: &str = "running out of cost budget, no further validation rules will be run";

/// A rule that is compiled.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Box<str>,
    program: Program,
    message: Box<str>,
    /// How the message is made, as it was written and compiled.
    message_program: Option<(Box<str>, Program)>,
    reason: Box<str>,
    /// The field below the value that is complained about, as messages show it; the value itself if empty.
    field: Box<str>,
    /// Whether it is about how a value changes.
    is_transition: bool,
    optional_old: bool,
}

impl Expression {
    /// Reads a rule of a schema; says what is wrong with it.
    pub fn read(rule: &Value, schema: Option<&Map<String, Value>>) -> Result<Self, String> {
        let text = |name: &str| rule[name].as_str().unwrap_or_default().trim();
        let compile = |text: &str, names: &[&str]| {
            Program::compile(text, names).map_err(|error| format!("compilation failed: {error}"))
        };
        const NAMES: [&str; 2] = ["self", "oldSelf"];
        if text("rule").is_empty() {
            return Err("rule is not specified".to_owned());
        }
        let program = compile(text("rule"), &NAMES)?;
        let message_program = match text("messageExpression") {
            "" => None,
            expression => {
                let written = rule["messageExpression"].as_str().unwrap_or_default();
                Some((written.into(), compile(expression, &NAMES)?))
            }
        };
        // One that leads nowhere is refused when a definition is written.
        let field = rule["fieldPath"].as_str().zip(schema).and_then(|(path, schema)| {
            field_path::follow(path, schema, Brackets::Allowed).ok().map(|found| found.path)
        });
        Ok(Self {
            is_transition: program.uses("oldSelf"),
            text: text("rule").into(),
            message: text("message").into(),
            reason: text("reason").into(),
            field: field.unwrap_or_default().into(),
            optional_old: rule["optionalOldSelf"].as_bool().unwrap_or_default(),
            program,
            message_program,
        })
    }

    fn names<'v>(
        &self,
        node: &'v Node,
        value: &'v Value,
        old: Option<&'v Value>,
    ) -> Vec<(&'static str, Cel<'v>)> {
        let of = |value| Cel::of(value, Some(node as &dyn Typed));
        let mut names = vec![("self", of(value))];
        if self.optional_old {
            names.push(("oldSelf", Cel::Optional(old.map(|old| of(old).into()))));
        } else if let Some(old) = old {
            names.push(("oldSelf", of(old)));
        }
        names
    }

    /// What is said of a value that breaks the rule; what ends all checking where making it costs too much.
    fn words(&self, names: &[(&str, Cel<'_>)], budget: &Budget) -> Result<String, String> {
        if let Some((written, program)) = &self.message_program {
            match within(program, names, budget) {
                Err(Spent::Object) => {
                    return Err(format!("messageExpression evaluation failed due to {EXHAUSTED}"));
                }
                Err(Spent::Call) => {
                    return Err(format!(
                        "no further validation rules will be run due to call cost exceeds limit for messageExpression: {written:?}"
                    ));
                }
                Ok(Ok(Cel::String(words))) => {
                    let words = words.trim();
                    if !words.is_empty() && words.len() <= LONGEST_MESSAGE && !words.contains('\n') {
                        return Ok(words.to_owned());
                    }
                }
                Ok(_) => {}
            }
        }
        Ok(match &*self.message {
            "" => format!("failed rule: {}", self.text),
            message => message.to_owned(),
        })
    }

    /// What messages call the rule.
    fn shown(&self) -> &str {
        if self.message.is_empty() { &self.text } else { &self.message }
    }

    /// Where a value is that breaks the rule.
    fn place(&self, at: &Path<'_>) -> String {
        match (at, &*self.field) {
            (_, "") => shown(at),
            (Path::Root, field) => field.to_owned(),
            (at, field) => format!("{at}.{field}"),
        }
    }

    fn error(&self, path: String, kind: &str, words: String) -> FieldError {
        match &*self.reason {
            "FieldValueRequired" => FieldError::required(path, words),
            "FieldValueForbidden" => FieldError::forbidden(path, words),
            "FieldValueDuplicate" => FieldError::duplicate(path, kind),
            _ => FieldError::invalid(path, kind, words),
        }
    }
}

/// A place as upstream shows it; the object itself has no name.
fn shown(at: &Path<'_>) -> String {
    match at {
        Path::Root => "<nil>".to_owned(),
        at => at.to_string(),
    }
}

/// Which budget is spent.
enum Spent {
    Object,
    Call,
}

/// Runs a program within what one call may cost and what is left for the object.
fn within<'v>(
    program: &Program,
    names: &[(&str, Cel<'v>)],
    budget: &Budget,
) -> Result<Result<Cel<'v>, cel::Error>, Spent> {
    let limit = CALL.min(budget.left());
    let call = Budget::new(limit);
    let outcome = program.run(names, &call);
    let spent = budget.spend(limit - call.left());
    match outcome {
        Err(cel::Error::Budget) if limit < CALL || spent.is_err() => Err(Spent::Object),
        Err(cel::Error::Budget) => Err(Spent::Call),
        outcome => Ok(outcome),
    }
}

/// Runs the rules of a schema over an object and what it was before.
pub fn check(node: &Node, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut run = Run { budget: Budget::new(OBJECT), errors: Vec::new() };
    // Who runs out of the budget says so; nothing more is run.
    let _ = run.value(node, object, old, &Path::Root);
    run.errors
}

struct Run {
    budget: Budget,
    errors: Vec<FieldError>,
}

struct Exhausted;

impl Run {
    fn value(
        &mut self,
        node: &Node,
        value: &Value,
        old: Option<&Value>,
        at: &Path<'_>,
    ) -> Result<(), Exhausted> {
        if !node.has_expressions || value.is_null() {
            return Ok(());
        }
        for rule in &node.expressions {
            self.rule(rule, node, value, old, at)?;
        }
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let old = old.and_then(|old| old.get(name));
                    if let Some(child) = node.properties.get(name.as_str()) {
                        self.value(child, field, old, &Path::Field(at, name))?;
                    } else if let Additional::Of(child) = &node.additional {
                        self.value(child, field, old, &Path::Key(at, name))?;
                    }
                }
            }
            Value::Array(items) => {
                let Some(child) = &node.items else { return Ok(()) };
                let before = Before::new(node, old);
                for (index, item) in items.iter().enumerate() {
                    self.value(child, item, before.of(item), &Path::Index(at, index))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn rule(
        &mut self,
        rule: &Expression,
        node: &Node,
        value: &Value,
        old: Option<&Value>,
        at: &Path<'_>,
    ) -> Result<(), Exhausted> {
        let has_before = old.is_some() || rule.optional_old;
        // What has not changed was let be before; how it changes is asked only where it was something before.
        if (rule.is_transition && !has_before) || (!rule.is_transition && old == Some(value)) {
            return Ok(());
        }
        let kind = if node.int_or_string { "" } else { node.kind.map_or("", Kind::name) };
        let names = rule.names(node, value, old);
        let outcome = within(&rule.program, &names, &self.budget);
        let mut tell = |words: String| self.errors.push(FieldError::invalid(shown(at), kind, words));
        match outcome {
            Ok(Ok(Cel::Bool(true))) => {}
            Ok(Ok(_)) => match rule.words(&names, &self.budget) {
                Ok(words) => self.errors.push(rule.error(rule.place(at), kind, words)),
                Err(words) => {
                    self.errors.push(FieldError::invalid(rule.place(at), kind, words));
                    return Err(Exhausted);
                }
            },
            Ok(Err(error)) => {
                let error = error.to_string();
                let rule = rule.shown();
                tell(match error.starts_with("no such overload") {
                    true => format!(
                        "'{error}': call arguments did not match a supported operator, function or macro signature for rule: {rule}"
                    ),
                    false => format!("{error} evaluating rule: {rule}"),
                });
            }
            Err(Spent::Object) => {
                tell(format!("validation failed due to {EXHAUSTED}"));
                return Err(Exhausted);
            }
            Err(Spent::Call) => {
                tell(format!(
                    "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                    rule.shown()
                ));
                return Err(Exhausted);
            }
        }
        Ok(())
    }
}

impl Typed for Node {
    fn field(&self, name: &str) -> Option<&dyn Typed> {
        self.child(name).map(|child| child as &dyn Typed)
    }

    fn items(&self) -> Option<&dyn Typed> {
        self.items.as_deref().map(|items| items as &dyn Typed)
    }

    fn scalar(&self) -> Scalar {
        let format = self.checks.as_ref().map_or("", |checks| &*checks.format);
        match (self.kind, format) {
            (Some(Kind::Number), _) => Scalar::Double,
            (Some(Kind::String), "date-time" | "datetime") => Scalar::Timestamp,
            (Some(Kind::String), "date") => Scalar::Date,
            (Some(Kind::String), "duration") => Scalar::Duration,
            (Some(Kind::String), "byte") => Scalar::Bytes,
            _ => Scalar::Plain,
        }
    }

    fn is_object(&self) -> bool {
        !matches!(self.additional, Additional::Of(_))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node() -> Node {
        Node::read(&json!({"type": "object", "properties": {"spec": {
            "type": "object",
            "x-kubernetes-validations": [
                {"rule": "self.least <= self.most", "message": "least must not be greater than most"},
                {"rule": "!has(self.size) || self.size == oldSelf.size", "message": "size is immutable"},
                {"rule": "self.most < 100", "messageExpression": "'most is %d'.format([self.most])", "fieldPath": ".most",
                    "reason": "FieldValueForbidden"},
            ],
            "properties": {
                "least": {"type": "integer"}, "most": {"type": "integer"}, "size": {"type": "string"},
                "until": {"type": "string", "format": "date-time",
                    "x-kubernetes-validations": [{"rule": "self > timestamp('2026-01-01T00:00:00Z')"}]},
                "my-list": {"type": "array", "items": {"type": "string",
                    "x-kubernetes-validations": [{"rule": "self.startsWith('a')", "message": "must begin with a"}]}},
            },
        }}}))
    }

    fn errors(spec: Value, old: Option<Value>) -> Vec<String> {
        let old = old.map(|old| json!({"spec": old}));
        let found = check(&node(), &json!({"spec": spec}), old.as_ref());
        found.iter().map(|error| format!("{}: {}", error.field, error.body())).collect()
    }

    #[test]
    fn rules_judge_values_and_how_they_change() {
        assert_eq!(errors(json!({"least": 1, "most": 2, "size": "a"}), None), [""; 0]);
        assert_eq!(
            errors(json!({"least": 3, "most": 2}), None),
            [r#"spec: Invalid value: "object": least must not be greater than most"#]
        );
        assert_eq!(
            errors(
                json!({"least": 1, "most": 2, "size": "b"}),
                Some(json!({"least": 1, "most": 2, "size": "a"}))
            ),
            [r#"spec: Invalid value: "object": size is immutable"#]
        );
        assert_eq!(errors(json!({"least": 1, "most": 200}), None), ["spec.most: Forbidden: most is 200"]);
        assert_eq!(
            errors(json!({"least": 1, "most": 2, "until": "2025-01-01T00:00:00Z"}), None),
            [r#"spec.until: Invalid value: "string": failed rule: self > timestamp('2026-01-01T00:00:00Z')"#]
        );
        assert_eq!(
            errors(json!({"least": 1, "most": 2, "my-list": ["ab", "b"]}), None),
            [r#"spec.my-list[1]: Invalid value: "string": must begin with a"#]
        );
        assert_eq!(
            errors(json!({"most": 2}), None),
            [
                r#"spec: Invalid value: "object": no such key: least evaluating rule: least must not be greater than most"#
            ]
        );
        // What was so before may stay.
        let old = json!({"least": 3, "most": 2});
        assert_eq!(errors(old.clone(), Some(old)), [""; 0]);
    }

    #[test]
    fn a_rule_that_is_no_expression_is_refused() {
        assert!(
            Expression::read(&json!({"rule": "self.a ="}), None)
                .unwrap_err()
                .starts_with("compilation failed")
        );
        assert!(
            Expression::read(&json!({"rule": "other > 1"}), None)
                .unwrap_err()
                .contains("undeclared reference to 'other'")
        );
        assert_eq!(Expression::read(&json!({}), None).unwrap_err(), "rule is not specified");
    }
    /// What is said of an object with one rule, at the root or in a field.
    fn told(rule: Value, at_root: bool) -> String {
        let mut schema = json!({"type": "object", "properties": {
            "n": {"type": "integer"}, "any": {"x-kubernetes-int-or-string": true},
            "a": {"type": "object", "properties": {"b c": {"type": "string"}}},
            "m": {"type": "object", "additionalProperties": {"type": "string"}}}});
        schema["x-kubernetes-validations"] = json!([rule]);
        let object = json!({"n": 3, "any": "x", "a": {}, "m": {}});
        let (schema, object) = match at_root {
            true => (schema, object),
            false => (json!({"type": "object", "properties": {"spec": schema}}), json!({"spec": object})),
        };
        let found = check(&Node::read(&schema), &object, None);
        found.iter().map(|error| format!("{}: {}", error.field, error.body())).collect()
    }

    #[test]
    fn faults_are_told_where_rules_say() {
        let rule = |path: &str| json!({"rule": "self.n < 2", "message": "m", "fieldPath": path});
        for (path, at_root, below) in [
            ("", "<nil>", "spec"),
            (".n", "n", "spec.n"),
            (".a['b c']", "a.b c", "spec.a.b c"),
            (".m.x", "m[x]", "spec.m[x]"),
            ("['m']['x.y']", "m[x.y]", "spec.m[x.y]"),
            // Of one that leads nowhere nothing is heard.
            (".o", "<nil>", "spec"),
            (" .n", "<nil>", "spec"),
        ] {
            let expected = |place: &str| format!(r#"{place}: Invalid value: "object": m"#);
            assert_eq!(told(rule(path), true), expected(at_root), "{path}");
            assert_eq!(told(rule(path), false), expected(below), "{path}");
        }
    }

    #[test]
    fn values_of_maps_are_shown_by_their_keys() {
        let schema = json!({"type": "object", "properties": {"m": {"type": "object", "additionalProperties":
            {"type": "object", "properties": {"n": {"type": "integer"}}, "x-kubernetes-validations":
                [{"rule": "self.n < 2", "message": "m", "fieldPath": ".n"}]}}}});
        let found = check(&Node::read(&schema), &json!({"m": {"a.b": {"n": 2}}}), None);
        assert_eq!(found[0].field, "m[a.b].n");
    }

    #[test]
    fn faults_of_rules_and_of_messages_are_told_in_upstreams_words() {
        let with = |message: &str| {
            json!({"rule": "self.n < 2", "messageExpression": message, "fieldPath": ".n",
            "reason": "FieldValueForbidden"})
        };
        let long = format!("'{}'", "m".repeat(LONGEST_MESSAGE + 1));
        for (rule, expected) in [
            (with("' m '"), "spec.n: Forbidden: m"),
            (with(r"'\nm\n'"), "spec.n: Forbidden: m"),
            (with(r"'a\nb'"), "spec.n: Forbidden: failed rule: self.n < 2"),
            (with("' '"), "spec.n: Forbidden: failed rule: self.n < 2"),
            (with(&long), "spec.n: Forbidden: failed rule: self.n < 2"),
            (with("self.none"), "spec.n: Forbidden: failed rule: self.n < 2"),
            // What a rule cannot say is wrong with the value that it is about, whatever the rule would say of it.
            (
                json!({"rule": "self.a.none == 1", "fieldPath": ".n", "reason": "FieldValueForbidden"}),
                r#"spec: Invalid value: "object": no such key: none evaluating rule: self.a.none == 1"#,
            ),
            (
                json!({"rule": "self.any < 2", "message": " m "}),
                r#"spec: Invalid value: "object": 'no such overload': call arguments did not match a supported operator, function or macro signature for rule: m"#,
            ),
            (
                json!({"rule": "[1,2,3,4,5,6,7,8,9,0].all(a, [1,2,3,4,5,6,7,8,9,0].all(b, [1,2,3,4,5,6,7,8,9,0].all(c, [1,2,3,4,5,6,7,8,9,0].all(d, [1,2,3,4,5,6,7,8,9,0].all(e, [1,2,3,4,5,6,7,8,9,0].all(f, true))))))", "message": "m"}),
                r#"spec: Invalid value: "object": 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: m"#,
            ),
        ] {
            assert_eq!(told(rule, false), expected);
        }
        let costly = "string([1,2,3,4,5,6,7,8,9,0].all(a, [1,2,3,4,5,6,7,8,9,0].all(b, [1,2,3,4,5,6,7,8,9,0].all(c, [1,2,3,4,5,6,7,8,9,0].all(d, [1,2,3,4,5,6,7,8,9,0].all(e, [1,2,3,4,5,6,7,8,9,0].all(f, true)))))))";
        assert_eq!(
            told(with(costly), false),
            format!(
                r#"spec.n: Invalid value: "object": no further validation rules will be run due to call cost exceeds limit for messageExpression: "{costly}""#
            )
        );
    }
}

//! `x-kubernetes-validations`: rules in CEL about a value, and about how it may change (KEP-2876).

use apimachinery::FieldError;
use cel::{Budget, Program, Scalar, Typed, Value as Cel};
use serde_json::Value;

use crate::node::{Additional, Kind, Node};
use crate::validate::{Before, Path};

/// What all rules of an object may cost together, in upstream's unit.
const OBJECT: u64 = 10_000_000;
/// What one run of a rule may cost.
const CALL: u64 = 1_000_000;

/// A rule that is compiled.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Box<str>,
    program: Program,
    message: Box<str>,
    message_program: Option<Program>,
    reason: Box<str>,
    field: Box<str>,
    /// Whether it is about how a value changes.
    is_transition: bool,
    optional_old: bool,
}

impl Expression {
    /// Reads a rule; says what is wrong with it.
    pub fn read(rule: &Value) -> Result<Self, String> {
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
            expression => Some(compile(expression, &NAMES)?),
        };
        Ok(Self {
            is_transition: program.uses("oldSelf"),
            text: text("rule").into(),
            message: text("message").into(),
            reason: text("reason").into(),
            field: text("fieldPath").into(),
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

    fn words(&self, names: &[(&str, Cel<'_>)], budget: &Budget) -> String {
        if let Some(program) = &self.message_program
            && let Ok(Cel::String(words)) = program.run(names, budget)
            && !words.trim().is_empty()
            && !words.contains('\n')
        {
            return words.into_owned();
        }
        match &*self.message {
            "" => format!("failed rule: {}", self.text),
            message => message.to_owned(),
        }
    }

    fn error(&self, at: &str, kind: &str, words: String) -> FieldError {
        let mut path = format!("{at}{}", self.field.replace("['", "[").replace("']", "]"));
        if at.is_empty() {
            path = path.trim_start_matches('.').to_owned();
        }
        match &*self.reason {
            "FieldValueRequired" => FieldError::required(path, words),
            "FieldValueForbidden" => FieldError::forbidden(path, words),
            "FieldValueDuplicate" => FieldError::duplicate(path, kind),
            _ => FieldError::invalid(path, kind, words),
        }
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
                    if let Some(child) = node.child(name) {
                        let old = old.and_then(|old| old.get(name));
                        self.value(child, field, old, &Path::Field(at, name))?;
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
        let at = at.to_string();
        let names = rule.names(node, value, old);
        let limit = CALL.min(self.budget.left());
        let call = Budget::new(limit);
        let outcome = rule.program.run(&names, &call);
        let spent = self.budget.spend(limit - call.left());
        let words = match outcome {
            Ok(Cel::Bool(true)) => return Ok(()),
            Ok(Cel::Bool(false)) => rule.words(&names, &call),
            Ok(_) => format!("rule did not evaluate to a boolean: {}", rule.text),
            Err(cel::Error::Budget) => {
                let words = if limit < CALL || spent.is_err() {
                    "validation failed due to running out of cost budget, no further validation rules will be run".to_owned()
                } else {
                    format!(
                        "no further validation rules will be run due to call cost exceeds limit for rule: {}",
                        rule.text
                    )
                };
                self.errors.push(FieldError::invalid(at, kind, words));
                return Err(Exhausted);
            }
            Err(error) => {
                let about = if rule.message.is_empty() { &rule.text } else { &rule.message };
                format!("{error} evaluating rule: {about}")
            }
        };
        self.errors.push(rule.error(&at, kind, words));
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
            Expression::read(&json!({"rule": "self.a ="})).unwrap_err().starts_with("compilation failed")
        );
        assert!(
            Expression::read(&json!({"rule": "other > 1"}))
                .unwrap_err()
                .contains("undeclared reference to 'other'")
        );
        assert_eq!(Expression::read(&json!({})).unwrap_err(), "rule is not specified");
    }
}

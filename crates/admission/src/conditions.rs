//! Conditions in CEL on which webhooks and policies are asked at all.

use cel::{Program, Value as Cel};
use serde_json::Value;
use strategy::read::Read;

use crate::expressions::{self, Scene};

/// What the conditions of all `matchConditions` may cost together, as upstream.
const COST: u64 = 2_500_000;

/// `matchConditions`, all of which must hold.
#[derive(Debug)]
pub struct Conditions {
    list: Vec<Condition>,
    fails_closed: bool,
}

#[derive(Debug)]
struct Condition {
    expression: String,
    program: Result<Program, String>,
}

/// What conditions say of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All hold.
    Holds,
    /// One does not.
    DoesNotHold,
    /// One has no value, and the request is refused for it.
    Unknown(String),
}

impl Conditions {
    /// Reads `matchConditions`. With `fails_closed`, one that has no value refuses the request.
    pub fn parse(conditions: &[Value], fails_closed: bool) -> Self {
        let parse = |condition: &Value| {
            let expression = condition.text("expression").to_owned();
            let program =
                Program::compile(&expression, &expressions::POLICY_NAMES).map_err(|error| error.to_string());
            Condition { expression, program }
        };
        Self { list: conditions.iter().map(parse).collect(), fails_closed }
    }

    /// Whether they hold. One that does not hold counts before any that has no value.
    pub fn judge(&self, scene: &Scene<'_>) -> Verdict {
        self.judge_with(scene, None)
    }

    /// Whether they hold of a request and a parameter of a policy.
    pub fn judge_with(&self, scene: &Scene<'_>, params: Option<&Value>) -> Verdict {
        if self.list.is_empty() {
            return Verdict::Holds;
        }
        let budget = cel::Budget::new(COST);
        let mut faults = Vec::new();
        for Condition { expression, program } in &self.list {
            let value = match program {
                Ok(program) => {
                    let params = Cel::of(params.unwrap_or(&Value::Null), None);
                    scene.run(program, &[("params", params)], &budget)
                }
                Err(why) => Err(format!("compilation failed: {why}")),
            };
            match value {
                Ok(Cel::Bool(true)) => {}
                Ok(Cel::Bool(false)) => return Verdict::DoesNotHold,
                Ok(_) => faults.push(format!("expression '{expression}' does not evaluate to bool")),
                Err(why) => faults.push(format!("expression '{expression}' resulted in error: {why}")),
            }
        }
        match (faults.as_slice(), self.fails_closed) {
            ([], _) => Verdict::Holds,
            (_, false) => Verdict::DoesNotHold,
            ([one], true) => Verdict::Unknown(one.clone()),
            (_, true) => Verdict::Unknown(format!("[{}]", faults.join(", "))),
        }
    }
}

//! ValidatingAdmissionPolicies: expressions that must hold of what is written.

use std::time::{Duration, Instant};

use apimachinery::status::{Cause, Status};
use cel::Value as Cel;
use serde_json::{Value, json};

use super::variables::Stage;
use super::{Binding, COST, Policies, Policy, Validation, params};
use crate::attributes::{Attributes, Operation};
use crate::conditions::Verdict;
use crate::expressions::Scene;
use crate::plugin::{Context, Plugin, Steps};
use crate::review::{Asker, Check};

/// The plugin.
#[derive(Debug, Default)]
pub struct ValidatingAdmissionPolicy(Policies);

/// Why a policy does not let a request pass.
#[derive(Debug, PartialEq, Eq)]
struct Denial {
    message: String,
    reason: String,
    /// Which of the policy's validations it is.
    index: usize,
    /// Nothing was found out: an expression failed.
    failed: bool,
}

impl Denial {
    fn invalid(message: String) -> Self {
        Self { message, reason: String::new(), index: 0, failed: true }
    }
}

/// Where the audit event has what policies would have refused.
const FAILURE: &str = "validation.policy.admission.k8s.io/validation_failure";

impl Plugin for ValidatingAdmissionPolicy {
    fn name(&self) -> &'static str {
        "ValidatingAdmissionPolicy"
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, _operation: Operation) -> bool {
        true
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let about = self.0.about(false, context.attributes, context.view);
        let mut denied: Option<Status> = None;
        let mut failures = Vec::new();
        for (policy, bindings) in &about {
            for binding in bindings {
                let begun = Instant::now();
                let Some(denials) = denials(policy, binding, context, object)? else { continue };
                tell(context.asker, policy, binding, &denials, begun.elapsed());
                for denial in denials {
                    if binding.has("Audit") {
                        failures.push(json!({
                            "message": denial.message, "policy": policy.name, "binding": binding.name,
                            "expressionIndex": denial.index, "validationActions": binding.actions,
                        }));
                    }
                    let refused = act(policy, binding, denial, context, object);
                    denied = denied.or(refused);
                }
            }
        }
        if !failures.is_empty() {
            context.asker.annotate(FAILURE, &Value::from(failures).to_string());
        }
        denied.map_or(Ok(()), Err)
    }
}

/// Does what the binding says about a denial; gives the refusal where it is one.
fn act(
    policy: &Policy,
    binding: &Binding,
    denial: Denial,
    context: &mut Context,
    object: &Value,
) -> Option<Status> {
    let Denial { message, reason, .. } = denial;
    let (policy, name) = (&policy.name, &binding.name);
    if binding.has("Warn") {
        context.warnings.push(format!(
            "Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{name}': {message}"
        ));
    }
    if !binding.has("Deny") {
        return None;
    }
    let words =
        format!("ValidatingAdmissionPolicy '{policy}' with binding '{name}' denied request: {message}");
    let mut status = context.attributes.forbidden(object, &words);
    let reason = if reason.is_empty() { "Invalid" } else { &reason };
    status.code = match reason {
        "Forbidden" => 403,
        "Unauthorized" => 401,
        "RequestEntityTooLarge" => 413,
        _ => 422,
    };
    status.reason = reason.to_owned();
    let details = status.details.get_or_insert_default();
    details.causes.push(Cause { reason: String::new(), message: words, field: String::new() });
    Some(status)
}

/// Tells what a binding came to, for the metrics.
fn tell(asker: &dyn Asker, policy: &Policy, binding: &Binding, denials: &[Denial], took: Duration) {
    let check = |action, error| {
        asker.checked(Check { policy: &policy.name, binding: &binding.name, action, error }, took);
    };
    if denials.is_empty() {
        check("allow", "no_error");
    }
    for denial in denials {
        let error = if denial.failed { "invalid_error" } else { "no_error" };
        for (action, label) in [("Deny", "deny"), ("Warn", "warn"), ("Audit", "audit")] {
            if binding.has(action) {
                check(label, error);
            }
        }
    }
}

/// Evaluates a policy for one binding, with each of its parameters; nothing where it is not for this request.
fn denials(
    policy: &Policy,
    binding: &Binding,
    context: &Context,
    object: &Value,
) -> Result<Option<Vec<Denial>>, Status> {
    let Context { attributes, old, view, .. } = *context;
    let Some(served) = policy.matcher.matches(attributes, object, old, view)? else { return Ok(None) };
    if let Some(matcher) = &binding.matcher
        && matcher.matches(attributes, object, old, view)?.is_none()
    {
        return Ok(None);
    }
    let params = match params::find(policy, binding, attributes, view) {
        Ok(params) => params,
        Err(why) if policy.fails_closed => {
            return Ok(Some(vec![Denial::invalid(format!("failed to configure binding: {why}"))]));
        }
        Err(_) => return Ok(None),
    };
    let told = view.told(attributes, served.as_ref(), object)?;
    let told_old = old.map(|old| view.told(attributes, served.as_ref(), old)).transpose()?;
    let (object, old) = (told.as_ref(), told_old.as_deref());
    let scene = Scene::new(attributes, object, old, view, context.asker);
    let namespace = namespace(attributes, view);
    let mut denials = Vec::new();
    for param in params {
        match policy.conditions.judge_with(&scene, param.as_deref()) {
            Verdict::Holds => {}
            Verdict::DoesNotHold => continue,
            Verdict::Unknown(why) => {
                denials.push(Denial::invalid(why));
                continue;
            }
        }
        let stage = Stage::new(policy, &scene, param.as_deref(), namespace.as_deref(), COST);
        for (index, validation) in policy.validations.iter().enumerate() {
            let denial = judge(&stage, validation, policy.fails_closed);
            denials.extend(denial.map(|denial| Denial { index, ..denial }));
        }
        for (key, expression) in &policy.audit_annotations {
            match stage.run(expression) {
                Ok(Cel::String(text)) => {
                    context.asker.annotate(&format!("{}/{key}", policy.name), text.trim());
                }
                Ok(_) => {}
                Err(why) if policy.fails_closed => denials.push(Denial::invalid(why)),
                Err(_) => {}
            }
        }
    }
    Ok(Some(denials))
}

/// The namespace of the request, as `namespaceObject`.
pub(super) fn namespace(
    attributes: &Attributes,
    view: &dyn crate::plugin::View,
) -> Option<std::sync::Arc<Value>> {
    let own = attributes.group.is_empty() && attributes.resource == "namespaces";
    let name = attributes.namespace;
    (!name.is_empty() && !own).then(|| view.get("", "namespaces", "", name)).flatten()
}

fn judge<'v>(stage: &Stage<'v>, validation: &'v Validation, fails_closed: bool) -> Option<Denial> {
    match stage.run(&validation.expression) {
        Ok(Cel::Bool(true)) => return None,
        Ok(_) => {}
        Err(why) => return fails_closed.then(|| Denial::invalid(why)),
    }
    let said = validation.message_expression.as_ref().and_then(|expression| match stage.run(expression) {
        Ok(Cel::String(text)) => Some(text.trim().to_owned()),
        _ => None,
    });
    // A message that is none, or of several lines, is not told.
    let said = said.filter(|text| !text.is_empty() && !text.contains('\n') && text.len() <= 5 * 1024);
    let message = said.unwrap_or_else(|| match validation.message.as_str() {
        "" => format!("failed expression: {}", validation.expression.text.trim()),
        message => message.to_owned(),
    });
    Some(Denial { message, reason: validation.reason.clone(), index: 0, failed: false })
}

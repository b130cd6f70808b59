//! MutatingAdmissionPolicies: expressions that say how what is written is changed.

use apimachinery::status::Status;
use serde_json::Value;

use super::validating::namespace;
use super::variables::Stage;
use super::{Binding, COST, Policies, Policy, mutation, params};
use crate::attributes::Operation;
use crate::conditions::Verdict;
use crate::expressions::Scene;
use crate::hooks::Reinvocation;
use crate::plugin::{Context, Plugin, Steps};

/// The plugin.
#[derive(Debug, Default)]
pub struct MutatingAdmissionPolicy(Policies);

impl Plugin for MutatingAdmissionPolicy {
    fn name(&self) -> &'static str {
        "MutatingAdmissionPolicy"
    }

    fn steps(&self) -> Steps {
        Steps::Admit
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        let about = self.0.about(true, context.attributes, context.view);
        if about.is_empty() {
            return Ok(());
        }
        let mut round = Reinvocation::default();
        self.go_round(&about, &mut round, context, object)?;
        if round.is_needed() {
            round.again(false);
            self.go_round(&about, &mut round, context, object)?;
        }
        Ok(())
    }
}

type About = [(std::sync::Arc<Policy>, Vec<std::sync::Arc<Binding>>)];

impl MutatingAdmissionPolicy {
    fn go_round(
        &self,
        about: &About,
        round: &mut Reinvocation,
        context: &Context,
        object: &mut Value,
    ) -> Result<(), Status> {
        for (policy, bindings) in about {
            for binding in bindings {
                let id = format!("{}/{}", policy.name, binding.name);
                if !round.is_asked(&id) {
                    continue;
                }
                let changed = match change(policy, binding, context, object) {
                    Ok(changed) => changed,
                    Err(Failure::Refusal(status)) => return Err(status),
                    Err(Failure::Fault(why)) if policy.fails_closed => {
                        let words = format!(
                            "policy '{}' with binding '{}' denied request: {why}",
                            policy.name, binding.name
                        );
                        return Err(context.attributes.forbidden(object, words));
                    }
                    Err(Failure::Fault(_)) => None,
                };
                let is_changed = changed.is_some();
                if let Some(changed) = changed {
                    *object = changed;
                }
                round.answered(&id, policy.reinvoked, is_changed);
            }
        }
        Ok(())
    }
}

enum Failure {
    /// The request is refused whatever the policy says about failures.
    Refusal(Status),
    /// The policy decides.
    Fault(String),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure::Refusal(status)
    }
}

/// The object as the policy changes it; nothing where it does not.
fn change(
    policy: &Policy,
    binding: &Binding,
    context: &Context,
    object: &Value,
) -> Result<Option<Value>, Failure> {
    let Context { attributes, old, view, .. } = *context;
    let Some(served) = policy.matcher.matches(attributes, object, old, view)? else { return Ok(None) };
    if let Some(matcher) = &binding.matcher
        && matcher.matches(attributes, object, old, view)?.is_none()
    {
        return Ok(None);
    }
    let params = params::find(policy, binding, attributes, view)
        .map_err(|why| Failure::Fault(format!("failed to configure binding: {why}")))?;
    let namespace = namespace(attributes, view);
    let told_old = old.map(|old| view.told(attributes, served.as_ref(), old)).transpose()?;
    let mut told = view.told(attributes, served.as_ref(), object)?.into_owned();
    let before = told.clone();
    for param in params {
        {
            let scene = Scene::new(attributes, &told, told_old.as_deref(), view, context.asker);
            match policy.conditions.judge_with(&scene, param.as_deref()) {
                Verdict::Holds => {}
                Verdict::DoesNotHold => continue,
                Verdict::Unknown(why) => return Err(Failure::Fault(why)),
            }
        }
        for mutation in &policy.mutations {
            let changed = {
                let scene = Scene::new(attributes, &told, told_old.as_deref(), view, context.asker);
                let stage = Stage::new(policy, &scene, param.as_deref(), namespace.as_deref(), COST);
                let wanted = mutation::evaluate(&stage, mutation).map_err(Failure::Fault)?;
                let merge =
                    |live: &Value, wanted: &Value| view.merged(attributes, served.as_ref(), live, wanted);
                wanted.apply(&told, merge).map_err(Failure::Fault)?
            };
            told = changed;
        }
    }
    if told == before {
        return Ok(None);
    }
    Ok(Some(view.taken(attributes, served.as_ref(), told)?))
}

//! Webhooks of admission: what their configurations say, which requests they are asked about, and in which order.
//!
//! This is the pure part; the server makes the calls.

mod reinvocation;

use std::time::Duration;

use apimachinery::ObjectExt;
use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::Read;

pub use self::reinvocation::Reinvocation;
use crate::attributes::Attributes;
use crate::conditions::{Conditions, Verdict};
use crate::expressions::Scene;
use crate::plugin::View;
use crate::rules::{self, Rule, Served};
use crate::selection::Selectors;

/// One webhook of a configuration.
#[derive(Debug)]
pub struct Hook {
    /// The configuration that it is from.
    pub configuration: String,
    /// Its name.
    pub name: String,
    /// What tells it from all others: configuration, name and place.
    pub id: String,
    /// Whom to call.
    pub client_config: Value,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether a call that fails refuses the request.
    pub fails_closed: bool,
    /// Whether it is asked again when others change the object after it.
    pub reinvoked: bool,
    /// The version of AdmissionReview that it takes: `v1` or `v1beta1`.
    pub review_version: String,
    rules: Vec<Rule>,
    equivalent: bool,
    selectors: Selectors,
    conditions: Conditions,
    /// Whether it may be asked about requests of which nothing is stored.
    takes_dry_runs: bool,
}

impl Hook {
    /// The webhooks of a configuration, in its order.
    pub fn of_configuration(configuration: &Value) -> Vec<Self> {
        let hooks = configuration.items("webhooks").iter().enumerate();
        hooks.map(|(index, hook)| Self::parse(configuration.name(), index, hook)).collect()
    }

    fn parse(configuration: &str, index: usize, hook: &Value) -> Self {
        let name = hook.text("name");
        let versions = hook.items("admissionReviewVersions").iter().filter_map(Value::as_str);
        let known = versions.into_iter().find(|version| matches!(*version, "v1" | "v1beta1"));
        Self {
            configuration: configuration.to_owned(),
            name: name.to_owned(),
            id: format!("{configuration}/{name}/{index}"),
            client_config: hook["clientConfig"].clone(),
            timeout: Duration::from_secs(
                hook.int("timeoutSeconds").and_then(|seconds| seconds.try_into().ok()).unwrap_or(10),
            ),
            fails_closed: hook.text("failurePolicy") != "Ignore",
            reinvoked: hook.text("reinvocationPolicy") == "IfNeeded",
            review_version: known.unwrap_or("v1").to_owned(),
            rules: hook.items("rules").iter().map(Rule::parse).collect(),
            equivalent: hook.text("matchPolicy") != "Exact",
            selectors: Selectors::parse(hook),
            conditions: Conditions::parse(
                hook.items("matchConditions"),
                hook.text("failurePolicy") != "Ignore",
            ),
            takes_dry_runs: matches!(hook.text("sideEffects"), "None" | "NoneOnDryRun"),
        }
    }

    /// Under which version a rule of the webhook names the request; `Some(None)` is the request's own.
    pub fn rule(&self, attributes: &Attributes, view: &dyn View) -> Option<Option<Served>> {
        if rules::is_exempt(attributes) {
            return None;
        }
        rules::find(&self.rules, attributes, self.equivalent, || {
            view.versions(attributes.group, attributes.version, attributes.resource)
        })
    }

    /// Whether the selectors and the conditions choose a request that a rule names.
    pub fn chooses(&self, scene: &Scene<'_>) -> Result<bool, Status> {
        let Scene { attributes, object, old, view, .. } = *scene;
        if !self.selectors.choose(attributes, object, old, view)? {
            return Ok(false);
        }
        match self.conditions.judge(scene) {
            Verdict::Holds => {}
            Verdict::DoesNotHold => return Ok(false),
            Verdict::Unknown(why) => {
                return Err(Status::forbidden(attributes.group, attributes.resource, attributes.name, &why));
            }
        }
        if attributes.dry_run && !self.takes_dry_runs {
            return Err(Status::bad_request(format!(
                "admission webhook {:?} does not support dry run",
                self.name
            )));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Nobody, Request};

    fn hook(more: Value) -> Hook {
        let mut hook = json!({
            "name": "a.b.c", "admissionReviewVersions": ["v2", "v1beta1", "v1"], "sideEffects": "None",
            "rules": [{"operations": ["CREATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}],
        });
        for (key, value) in more.as_object().unwrap() {
            hook[key] = value.clone();
        }
        let mut hooks = Hook::of_configuration(&json!({"metadata": {"name": "c"}, "webhooks": [hook]}));
        hooks.remove(0)
    }

    fn asked(hook: &Hook, request: &Request, object: Value) -> Result<bool, String> {
        let work = |context: &mut crate::Context| {
            if hook.rule(context.attributes, context.view).is_none() {
                return Ok(false);
            }
            let scene = Scene::new(context.attributes, &object, context.old, context.view, &Nobody);
            hook.chooses(&scene).map_err(|status| status.message)
        };
        request.run(&Cluster::new(), work).0
    }

    #[test]
    fn configurations_are_read() {
        let hook =
            hook(json!({"timeoutSeconds": 3, "failurePolicy": "Ignore", "reinvocationPolicy": "IfNeeded"}));
        assert_eq!((hook.review_version.as_str(), hook.id.as_str()), ("v1beta1", "c/a.b.c/0"));
        assert_eq!((hook.timeout.as_secs(), hook.fails_closed, hook.reinvoked), (3, false, true));
    }

    #[test]
    fn configurations_are_not_sent_to_webhooks() {
        let request = Request::create("admissionregistration.k8s.io", "validatingwebhookconfigurations");
        assert_eq!(asked(&hook(json!({})), &request, json!({})), Ok(false));
        assert_eq!(asked(&hook(json!({})), &Request::create("", "nodes"), json!({})), Ok(true));
    }

    #[test]
    fn conditions_choose_too() {
        let request = Request::create("", "configmaps").inside("x").named("m");
        let by = |expression: &str, policy: &str| {
            hook(
                json!({"matchConditions": [{"name": "one", "expression": expression}], "failurePolicy": policy}),
            )
        };
        let object = || json!({"metadata": {"name": "m"}});
        assert_eq!(asked(&by("object.metadata.name == 'm'", "Fail"), &request, object()), Ok(true));
        assert_eq!(asked(&by("request.operation == 'UPDATE'", "Fail"), &request, object()), Ok(false));
        let broken = by("object.spec.x == 1", "Fail");
        let refused = asked(&broken, &request, object()).unwrap_err();
        assert!(refused.starts_with("configmaps \"m\" is forbidden: "), "{refused}");
        assert_eq!(asked(&by("object.spec.x == 1", "Ignore"), &request, object()), Ok(false));
    }

    #[test]
    fn a_webhook_with_side_effects_takes_no_dry_runs() {
        let request = Request::create("", "configmaps").inside("x").dry();
        assert_eq!(
            asked(&hook(json!({"sideEffects": "Some"})), &request, json!({})),
            Err("admission webhook \"a.b.c\" does not support dry run".into())
        );
        assert_eq!(asked(&hook(json!({"sideEffects": "NoneOnDryRun"})), &request, json!({})), Ok(true));
    }
}

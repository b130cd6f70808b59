//! PodSecurity: the Pod Security Standards, chosen per namespace by labels.

mod baseline;
mod checks;
mod configuration;
mod policy;
mod restricted;

use apimachinery::ObjectExt;
use apimachinery::status::Status;
use serde_json::Value;
use strategy::read::{Read, same};

use self::checks::Finding;
use self::configuration::Exemptions;
use self::policy::{Level, PREFIX, Policy, Standard};
use crate::{Context, Operation, Plugin, Steps};

/// The plugin, with what holds in namespaces without labels.
#[derive(Debug, Default)]
pub(crate) struct PodSecurity {
    defaults: Policy,
    exemptions: Exemptions,
}

fn annotate(context: &Context, key: &str, value: &str) {
    context.asker.annotate(&format!("{PREFIX}{key}"), value);
}

impl Plugin for PodSecurity {
    fn name(&self) -> &'static str {
        "PodSecurity"
    }

    fn configure(&mut self, configuration: Option<&Value>) -> Result<(), String> {
        if let Some(configuration) = configuration {
            (self.defaults, self.exemptions) = configuration::read(configuration)?;
        }
        Ok(())
    }

    fn steps(&self) -> Steps {
        Steps::Validate
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let attributes = context.attributes;
        if attributes.is("", "namespaces") {
            return self.namespace(context, object);
        }
        let pod = attributes.group.is_empty() && attributes.resource == "pods";
        let ephemeral = pod && attributes.subresource == "ephemeralcontainers";
        if !(attributes.subresource.is_empty() || ephemeral) {
            return Ok(());
        }
        let Some((metadata, spec)) = template(attributes.group, attributes.resource, object) else {
            return Ok(());
        };
        if let Some(exempt) = self.exempt(context, spec) {
            annotate(context, "exempt", exempt);
            return Ok(());
        }
        let Some(owner) = context.view.get("", "namespaces", "", attributes.namespace) else { return Ok(()) };
        let (policy, errors) = Policy::of_namespace(&owner, &self.defaults);
        if policy.is_privileged() && errors.is_empty() {
            if pod {
                annotate(context, "enforce-policy", &policy.enforce.to_string());
            }
            return Ok(());
        }
        if pod && context.old.is_some_and(|old| !matters(object, old)) {
            return Ok(());
        }
        if let Err(why) = crate::configuration::joined(&errors) {
            annotate(context, "error", &format!("Failed to parse policy: {why}"));
        }
        let violations = |standard: &Standard| {
            let found = evaluate(standard, metadata, spec);
            (!found.is_empty()).then(|| format!("PodSecurity \"{standard}\": {}", text(&found)))
        };
        let mut refused = None;
        if pod {
            annotate(context, "enforce-policy", &policy.enforce.to_string());
            refused = violations(&policy.enforce);
        }
        if let Some(words) = violations(&policy.audit) {
            annotate(context, "audit-violations", &format!("would violate {words}"));
        }
        match refused {
            Some(words) => Err(attributes.forbidden(object, format!("violates {words}"))),
            None => {
                let warning = violations(&policy.warn).map(|words| format!("would violate {words}"));
                context.warnings.extend(warning);
                Ok(())
            }
        }
    }
}

impl PodSecurity {
    /// By what a request is exempt.
    fn exempt(&self, context: &Context, spec: &Value) -> Option<&'static str> {
        let Exemptions { usernames, namespaces, runtime_classes } = &self.exemptions;
        let has = |list: &[String], name: &str| !name.is_empty() && list.iter().any(|own| own == name);
        if has(namespaces, context.attributes.namespace) {
            return Some("namespace");
        }
        if has(usernames, context.attributes.user.name) {
            return Some("user");
        }
        has(runtime_classes, spec.text("runtimeClassName")).then_some("runtimeClass")
    }

    /// Refuses labels that make no sense; warns of pods that a stricter namespace would not take.
    fn namespace(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let (policy, errors) = Policy::of_namespace(object, &self.defaults);
        let before = context.old.map(|old| Policy::of_namespace(old, &self.defaults));
        // What made no sense before may stay as it is.
        if !errors.is_empty() && before.as_ref().is_none_or(|(_, before)| errors != *before) {
            return Err(Status::invalid("", "Namespace", object.name(), errors));
        }
        let (old, new) = (before.map(|(old, _)| old.enforce), &policy.enforce);
        let looser = old.as_ref().is_some_and(|old| {
            old == new
                || new.level == Level::Privileged
                || (old.version == new.version && new.level <= old.level)
        });
        if looser {
            return Ok(());
        }
        if self.exemptions.namespaces.iter().any(|name| name == context.attributes.namespace) {
            if !policy.is_privileged() && policy != self.defaults {
                context.warnings.push(format!(
                    "namespace {:?} is exempt from Pod Security, and the policy ({}) will be ignored",
                    object.name(),
                    policy.told(object)
                ));
            }
        } else if old.is_some() {
            warn_of_existing(context, object, new);
        }
        Ok(())
    }
}

/// Metadata and spec of the pods that an object makes, if it makes any.
fn template<'a>(group: &str, resource: &str, object: &'a Value) -> Option<(&'a Value, &'a Value)> {
    let template = match (group, resource) {
        ("", "pods") => return Some((&object["metadata"], &object["spec"])),
        ("", "podtemplates") => &object["template"],
        ("", "replicationcontrollers")
        | ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets") => {
            &object["spec"]["template"]
        }
        ("batch", "jobs") => &object["spec"]["template"],
        ("batch", "cronjobs") => &object["spec"]["jobTemplate"]["spec"]["template"],
        _ => return None,
    };
    template.is_object().then(|| (&template["metadata"], &template["spec"]))
}

/// Annotations that stand for profiles.
const PROFILES: [&str; 3] = [
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/pod",
];

/// Whether an update of a pod changes anything that upstream judges anew for: images, ephemeral containers, and the
/// annotations that stand for profiles.
fn matters(new: &Value, old: &Value) -> bool {
    let profiles = |pod: &Value| -> Vec<(String, Value)> {
        pod["metadata"]
            .entries("annotations")
            .filter(|(key, _)| PROFILES.iter().any(|prefix| key.starts_with(prefix)))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let images = |pod: &Value| -> Vec<String> {
        checks::containers(&pod["spec"]).map(|container| container.text("image").to_owned()).collect()
    };
    !same(&new["spec"]["ephemeralContainers"], &old["spec"]["ephemeralContainers"])
        || images(new) != images(old)
        || profiles(new) != profiles(old)
}

fn evaluate(standard: &Standard, metadata: &Value, spec: &Value) -> Vec<Finding> {
    let (level, minor) = (standard.level, standard.minor());
    let mut found = Vec::new();
    if level >= Level::Restricted {
        restricted::check(spec, minor, &mut found);
    }
    if level >= Level::Baseline {
        let replaced = restricted::replaces(level, minor);
        baseline::check(metadata, spec, minor, &replaced, &mut found);
    }
    // Upstream lists its checks by their names, whatever the level.
    found.sort_by_key(|finding| finding.check);
    found
}

fn text(found: &[Finding]) -> String {
    let parts: Vec<String> =
        found.iter().map(|finding| format!("{} ({})", finding.reason, finding.detail)).collect();
    parts.join(", ")
}

/// Pods of a namespace that upstream looks at before it gives up warning.
const MOST_PODS: usize = 3000;

fn warn_of_existing(context: &mut Context, namespace: &Value, standard: &Standard) {
    let pods = context.view.list("", "pods", namespace.name());
    let mut violating: Vec<(String, String)> = Vec::new();
    for pod in pods.iter().take(MOST_PODS) {
        let found = evaluate(standard, &pod["metadata"], &pod["spec"]);
        if !found.is_empty() {
            let reasons: Vec<&str> = found.iter().map(|finding| finding.reason).collect();
            violating.push((reasons.join(", "), pod.name().to_owned()));
        }
    }
    if violating.is_empty() {
        return;
    }
    context.warnings.push(format!(
        "existing pods in namespace {:?} violate the new PodSecurity enforce level \"{standard}\"",
        namespace.name()
    ));
    violating.sort();
    for group in violating.chunk_by(|a, b| a.0 == b.0) {
        let (reasons, first) = &group[0];
        let others = match group.len() - 1 {
            0 => String::new(),
            1 => " (and 1 other pod)".to_owned(),
            count => format!(" (and {count} other pods)"),
        };
        context.warnings.push(format!("{first}{others}: {reasons}"));
    }
}

#[cfg(test)]
mod tests;

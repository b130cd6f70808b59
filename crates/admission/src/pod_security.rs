//! PodSecurity: the Pod Security Standards, chosen per namespace by labels.

mod baseline;
mod checks;
mod restricted;

use apimachinery::ObjectExt;
use apimachinery::status::{FieldError, Status};
use serde_json::Value;
use strategy::read::{Read, same};

use crate::{Context, Operation, Plugin};
use checks::Finding;

pub(crate) struct PodSecurity;

/// How much a namespace lets its pods do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    fn parse(text: &str) -> Option<Level> {
        match text {
            "privileged" => Some(Level::Privileged),
            "baseline" => Some(Level::Baseline),
            "restricted" => Some(Level::Restricted),
            _ => None,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        }
    }
}

const PREFIX: &str = "pod-security.kubernetes.io/";
const MODES: [&str; 3] = ["enforce", "audit", "warn"];

impl Plugin for PodSecurity {
    fn name(&self) -> &'static str {
        "PodSecurity"
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let attributes = context.attributes;
        if attributes.is("", "namespaces") {
            return namespace(context, object);
        }
        let ephemeral = attributes.group.is_empty()
            && attributes.resource == "pods"
            && attributes.subresource == "ephemeralcontainers";
        if !attributes.subresource.is_empty() && !ephemeral {
            return Ok(());
        }
        let pod = attributes.group.is_empty() && attributes.resource == "pods";
        let Some((metadata, spec)) = template(attributes.group, attributes.resource, object) else {
            return Ok(());
        };
        let Some(owner) = context.view.get("", "namespaces", "", attributes.namespace) else { return Ok(()) };
        if pod {
            if let Some(old) = context.old
                && !matters(object, old)
            {
                return Ok(());
            }
            let (level, version) = policy(&owner, "enforce");
            let found = evaluate(level, metadata, spec);
            context
                .asker
                .annotate(&format!("{PREFIX}enforce-policy"), &format!("{}:{version}", level.text()));
            if !found.is_empty() {
                let why = format!("violates PodSecurity \"{}:{version}\": {}", level.text(), text(&found));
                return Err(attributes.forbidden(object, why));
            }
        }
        let violations = |mode| {
            let (level, version) = policy(&owner, mode);
            let found = evaluate(level, metadata, spec);
            let words =
                || format!("would violate PodSecurity \"{}:{version}\": {}", level.text(), text(&found));
            (!found.is_empty()).then(words)
        };
        if let Some(words) = violations("audit") {
            context.asker.annotate(&format!("{PREFIX}audit-violations"), &words);
        }
        context.warnings.extend(violations("warn"));
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

/// Whether an update of a pod changes anything that the standards look at. Of what may change at all, these are
/// ephemeral containers and the annotations that stand for AppArmor profiles.
fn matters(new: &Value, old: &Value) -> bool {
    let profiles = |pod: &Value| -> Vec<(String, Value)> {
        pod["metadata"]
            .entries("annotations")
            .filter(|(key, _)| key.starts_with("container.apparmor.security.beta.kubernetes.io/"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    !same(&new["spec"]["ephemeralContainers"], &old["spec"]["ephemeralContainers"])
        || profiles(new) != profiles(old)
}

fn policy(namespace: &Value, mode: &str) -> (Level, String) {
    let level = namespace.label(&format!("{PREFIX}{mode}")).map_or(Level::Privileged, |text| {
        // Upstream is strict where it cannot read what somebody asked for.
        Level::parse(text).unwrap_or(Level::Restricted)
    });
    let version = namespace.label(&format!("{PREFIX}{mode}-version")).unwrap_or("latest");
    (level, version.to_owned())
}

fn evaluate(level: Level, metadata: &Value, spec: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    if level >= Level::Restricted {
        restricted::check(spec, &mut found);
    }
    if level >= Level::Baseline {
        baseline::check(metadata, spec, level == Level::Restricted, &mut found);
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

fn namespace(context: &mut Context, object: &Value) -> Result<(), Status> {
    let mut errors = Vec::new();
    for mode in MODES {
        let key = format!("{PREFIX}{mode}");
        if let Some(level) = object.label(&key)
            && Level::parse(level).is_none()
        {
            errors.push(FieldError::invalid(
                format!("metadata.labels[{key}]"),
                level,
                "must be one of privileged, baseline, restricted",
            ));
        }
        let key = format!("{key}-version");
        if let Some(version) = object.label(&key)
            && !is_version(version)
        {
            errors.push(FieldError::invalid(
                format!("metadata.labels[{key}]"),
                version,
                "must be \"latest\" or \"v1.x\"",
            ));
        }
    }
    if !errors.is_empty() {
        return Err(Status::invalid("", "Namespace", object.name(), errors));
    }
    let Some(old) = context.old else { return Ok(()) };
    let (level, version) = policy(object, "enforce");
    if level <= policy(old, "enforce").0 {
        return Ok(());
    }
    warn_of_existing(context, object, level, &version);
    Ok(())
}

/// Pods of a namespace that upstream looks at before it gives up warning.
const MOST_PODS: usize = 3000;

fn warn_of_existing(context: &mut Context, namespace: &Value, level: Level, version: &str) {
    let pods = context.view.list("", "pods", namespace.name());
    let mut violating: Vec<(String, String)> = Vec::new();
    for pod in pods.iter().take(MOST_PODS) {
        let found = evaluate(level, &pod["metadata"], &pod["spec"]);
        if !found.is_empty() {
            let reasons: Vec<&str> = found.iter().map(|finding| finding.reason).collect();
            violating.push((reasons.join(", "), pod.name().to_owned()));
        }
    }
    if violating.is_empty() {
        return;
    }
    context.warnings.push(format!(
        "existing pods in namespace {:?} violate the new PodSecurity enforce level \"{}:{version}\"",
        namespace.name(),
        level.text()
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

fn is_version(text: &str) -> bool {
    text == "latest"
        || text.strip_prefix("v1.").is_some_and(|minor| {
            !minor.is_empty()
                && minor.bytes().all(|byte| byte.is_ascii_digit())
                && (minor == "0" || !minor.starts_with('0'))
        })
}

#[cfg(test)]
mod tests;

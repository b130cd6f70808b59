//! MutatingWebhookConfigurations and ValidatingWebhookConfigurations.

use apimachinery::names::dns1035_label_errors;
use serde_json::{Value, json};

use strategy::field::{Errors, Path};
use strategy::read::{Read, same};
use strategy::selectors;
use strategy::write;
use strategy::{Keeps, Strategy, count_generation};

use crate::{admission_expressions, matched_rules, webhook_client};

/// The rules of both kinds of webhook configurations.
pub struct WebhookConfiguration {
    /// Whether the webhooks change objects.
    pub mutating: bool,
}

impl Strategy for WebhookConfiguration {
    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn default(&self, object: &mut Value) {
        for hook in write::items(object, "webhooks") {
            write::missing(hook, "failurePolicy", "Fail");
            write::missing(hook, "matchPolicy", "Equivalent");
            write::missing(hook, "namespaceSelector", json!({}));
            write::missing(hook, "objectSelector", json!({}));
            write::missing(hook, "timeoutSeconds", 10);
            if self.mutating {
                write::missing(hook, "reinvocationPolicy", "Never");
            }
            for rule in write::items(hook, "rules") {
                write::missing(rule, "scope", "*");
            }
            if let Some(config) = write::object(hook, "clientConfig")
                && let Some(service) = write::object(config, "service")
            {
                write::missing(service, "port", 443);
            }
        }
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        count_generation(new, old, !same(&new["webhooks"], &old["webhooks"]));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate(object, &Insists::ON_ALL, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate(new, &Insists::after(new, old), errors);
    }
}

/// What is asked of webhooks that those of before may lack, where they lacked it.
struct Insists {
    on_conditions: bool,
    on_no_side_effects: bool,
    on_known_versions: bool,
    on_unique_names: bool,
}

impl Insists {
    const ON_ALL: Self = Self {
        on_conditions: true,
        on_no_side_effects: true,
        on_known_versions: true,
        on_unique_names: true,
    };

    /// What is asked of a change.
    fn after(new: &Value, old: &Value) -> Self {
        let (hooks, before) = (new.items("webhooks"), old.items("webhooks"));
        let stays = hooks.len() == before.len()
            && hooks.iter().zip(before).all(|(a, b)| same(&a["matchConditions"], &b["matchConditions"]));
        let has_known_version = |hook: &Value| {
            let versions = hook.items("admissionReviewVersions");
            versions.is_empty() || versions.iter().any(is_known_version)
        };
        let mut names: Vec<&str> = before.iter().map(|hook| hook.text("name")).collect();
        names.sort_unstable();
        Self {
            on_conditions: !stays,
            on_no_side_effects: before.iter().all(|hook| NO_SIDE_EFFECTS.contains(&hook.text("sideEffects"))),
            on_known_versions: before.iter().all(has_known_version),
            on_unique_names: names.windows(2).all(|pair| pair[0] != pair[1]),
        }
    }
}

const NO_SIDE_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
const SIDE_EFFECTS: [&str; 4] = ["None", "NoneOnDryRun", "Some", "Unknown"];

fn is_known_version(version: &Value) -> bool {
    version == "v1" || version == "v1beta1"
}

fn validate(object: &Value, insists: &Insists, errors: &mut Errors) {
    let hooks = object.items("webhooks");
    let list_path = Path::root("webhooks");
    for (index, hook) in hooks.iter().enumerate() {
        let path = list_path.index(index);
        validate_hook(hook, insists, &path, errors);
        validate_versions(hook, insists, &path.child("admissionReviewVersions"), errors);
        let name = hook.text("name");
        let is_there = || hooks[..index].iter().any(|other| other.text("name") == name);
        if insists.on_unique_names && !name.is_empty() && is_there() {
            errors.duplicate(&path.child("name"), name);
        }
    }
}

fn validate_versions(hook: &Value, insists: &Insists, path: &Path, errors: &mut Errors) {
    let versions = hook.items("admissionReviewVersions");
    if versions.is_empty() {
        errors.required(path, "must specify one of v1, v1beta1");
        return;
    }
    for (index, version) in versions.iter().enumerate() {
        let path = path.index(index);
        if versions[..index].contains(version) {
            errors.invalid(&path, version.clone(), "duplicate version");
            continue;
        }
        let found = dns1035_label_errors(version.as_str().unwrap_or_default());
        errors.invalid_each(&path, version, found);
    }
    if insists.on_known_versions && !versions.iter().any(is_known_version) {
        errors.invalid(path, versions.to_vec(), "must include at least one of v1, v1beta1");
    }
}

fn validate_hook(hook: &Value, insists: &Insists, path: &Path, errors: &mut Errors) {
    let name = hook.text("name");
    let name_path = path.child("name");
    let found = strategy::names::errors(strategy::NameRule::Subdomain, name);
    if name.is_empty() {
        errors.required(&name_path, "");
    } else if !found.is_empty() {
        errors.invalid(&name_path, name, found.join(","));
    } else if name.split('.').count() < 3 {
        let why = "should be a domain with at least three segments separated by dots";
        errors.invalid(&name_path, name, why);
    }
    for (index, rule) in hook.items("rules").iter().enumerate() {
        matched_rules::validate(rule, &path.child("rules").index(index), errors);
    }
    let known = |key: &str, supported: &[&str], errors: &mut Errors| {
        if hook.has(key) && !supported.contains(&hook.text(key)) {
            errors.unsupported(&path.child(key), hook.text(key), supported);
        }
    };
    known("failurePolicy", &["Fail", "Ignore"], errors);
    known("matchPolicy", &["Equivalent", "Exact"], errors);
    let allowed: &[&str] = if insists.on_no_side_effects { &NO_SIDE_EFFECTS } else { &SIDE_EFFECTS };
    if !hook.has("sideEffects") {
        let why = format!("must specify one of {}", allowed.join(", "));
        errors.required(&path.child("sideEffects"), why);
    }
    known("sideEffects", allowed, errors);
    if let Some(seconds) = hook.int("timeoutSeconds").filter(|seconds| !(1..=30).contains(seconds)) {
        errors.invalid(
            &path.child("timeoutSeconds"),
            seconds,
            "the timeout value must be between 1 and 30 seconds",
        );
    }
    for key in ["namespaceSelector", "objectSelector"] {
        selectors::validate(&hook[key], &path.child(key), errors);
    }
    known("reinvocationPolicy", &["IfNeeded", "Never"], errors);
    webhook_client::validate(&hook["clientConfig"], &path.child("clientConfig"), errors);
    if insists.on_conditions {
        admission_expressions::check_conditions(
            hook.items("matchConditions"),
            &admission_expressions::of_webhooks(),
            &path.child("matchConditions"),
            errors,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, defaulted};

    #[test]
    fn conditions_are_expressions() {
        let by = |expression: &str| {
            let hook = json!({"webhooks": [{"name": "a.b.c", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "clientConfig": {"url": "https://x"}, "matchConditions": [{"name": "c", "expression": expression}]}]});
            created(&WebhookConfiguration { mutating: false }, hook)
        };
        assert_eq!(by("object.metadata.name == 'a' && request.userInfo.username != 'b'"), "");
        assert_eq!(by("authorizer.requestResource.check('update').allowed()"), "");
        let broken = by("... [}");
        assert!(
            broken.starts_with(
                "webhooks[0].matchConditions[0].expression: Invalid value: \"... [}\": compilation failed: "
            ),
            "{broken}"
        );
        let wrong = by("1 + 1");
        assert!(wrong.ends_with("must evaluate to bool"), "{wrong}");
    }

    #[test]
    fn webhooks_are_complete() {
        let hook = json!({"webhooks": [{"name": "a.b.c", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"service": {"name": "s", "namespace": "n"}}}]});
        let strategy = WebhookConfiguration { mutating: true };
        assert_eq!(created(&strategy, hook.clone()), "");
        let full = defaulted(&strategy, hook);
        assert_eq!(full["webhooks"][0]["clientConfig"]["service"]["port"], 443);
        assert_eq!(full["webhooks"][0]["reinvocationPolicy"], "Never");
        assert_eq!(
            created(&strategy, json!({"webhooks": [{"name": "a.b.c", "clientConfig": {"url": "http://x"}}]})),
            "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun\nwebhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]\nwebhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1"
        );
    }
}

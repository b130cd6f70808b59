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
        let hooks = object.items("webhooks");
        for (index, hook) in hooks.iter().enumerate() {
            let path = Path::root("webhooks");
            let path = path.index(index);
            validate_hook(hook, &path, errors);
            if hooks[..index].iter().any(|other| other.text("name") == hook.text("name")) {
                errors.duplicate(&path.child("name"), hook.text("name"));
            }
        }
    }
}

fn validate_hook(hook: &Value, path: &Path, errors: &mut Errors) {
    let name = hook.text("name");
    let name_path = path.child("name");
    if name.is_empty() {
        errors.required(&name_path, "");
    } else {
        let found = strategy::names::errors(strategy::NameRule::Subdomain, name);
        let valid = found.is_empty();
        errors.invalid_each(&name_path, &Value::from(name), found);
        if valid && name.split('.').count() < 3 {
            errors.invalid(
                &name_path,
                name,
                "should be a domain with at least three segments separated by dots",
            );
        }
    }
    let versions = hook.items("admissionReviewVersions");
    let versions_path = path.child("admissionReviewVersions");
    if versions.is_empty() {
        errors.required(&versions_path, "must specify one of v1, v1beta1");
    } else if !versions.iter().any(|version| version == "v1" || version == "v1beta1") {
        errors.invalid(
            &versions_path,
            hook["admissionReviewVersions"].clone(),
            "must include at least one of v1, v1beta1",
        );
    }
    for (index, version) in versions.iter().enumerate() {
        let path = versions_path.index(index);
        if versions[..index].contains(version) {
            errors.invalid(&path, version.clone(), "duplicate version");
        }
        let found = dns1035_label_errors(version.as_str().unwrap_or_default());
        errors.invalid_each(&path, version, found);
    }
    for (index, rule) in hook.items("rules").iter().enumerate() {
        matched_rules::validate(rule, &path.child("rules").index(index), errors);
    }
    for (key, supported) in [
        ("failurePolicy", ["Fail", "Ignore"]),
        ("matchPolicy", ["Equivalent", "Exact"]),
        ("reinvocationPolicy", ["IfNeeded", "Never"]),
    ] {
        if hook.has(key) && !supported.contains(&hook.text(key)) {
            errors.unsupported(&path.child(key), hook.text(key), &supported);
        }
    }
    match hook.text("sideEffects") {
        "None" | "NoneOnDryRun" => {}
        "" => errors.required(&path.child("sideEffects"), "must specify one of None, NoneOnDryRun"),
        other => errors.unsupported(&path.child("sideEffects"), other, &["None", "NoneOnDryRun"]),
    }
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
    admission_expressions::check_conditions(
        hook.items("matchConditions"),
        &admission_expressions::of_webhooks(),
        &path.child("matchConditions"),
        errors,
    );
    webhook_client::validate(&hook["clientConfig"], &path.child("clientConfig"), errors);
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
            "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1\nwebhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun\nwebhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]"
        );
    }
}

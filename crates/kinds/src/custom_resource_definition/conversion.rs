//! How objects of a definition are converted between its versions.

use apimachinery::names;
use serde_json::Value;
use strategy::field::Errors;
use strategy::read::Read;

use super::SPEC;
use crate::webhook_client;

/// Validates the conversion.
pub(super) fn validate(spec: &Value, errors: &mut Errors) {
    match spec["conversion"].text("strategy") {
        "None" => {
            if spec["conversion"]["webhook"].is_object() {
                let path = SPEC.child("conversion");
                let why = "should not be set when strategy is not set to Webhook";
                errors.forbidden(&path.child("webhookClientConfig"), why);
            }
        }
        "Webhook" => validate_webhook(spec, errors),
        "" => errors.required(&SPEC.child("conversion").child("strategy"), ""),
        other => {
            let path = SPEC.child("conversion");
            errors.unsupported(&path.child("strategy"), other, &["None", "Webhook"]);
        }
    }
}

fn validate_webhook(spec: &Value, errors: &mut Errors) {
    let conversion = SPEC.child("conversion");
    let webhook = &spec["conversion"]["webhook"];
    let path = conversion.child("webhookClientConfig");
    let config = &webhook["clientConfig"];
    if config.is_object() {
        webhook_client::validate(config, &path, errors);
    } else {
        errors.required(&path, "required when strategy is set to Webhook");
    }
    let versions: Vec<&str> = webhook["conversionReviewVersions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let reviews = conversion.child("conversionReviewVersions");
    if versions.is_empty() {
        errors.required(&reviews, "");
        return;
    }
    for (index, version) in versions.iter().enumerate() {
        if versions[..index].contains(version) {
            errors.invalid(&reviews.index(index), *version, "duplicate version");
        }
        errors.invalid_each(&reviews.index(index), &(*version).into(), names::dns1035_label_errors(version));
    }
    if !versions.iter().any(|version| matches!(*version, "v1" | "v1beta1")) {
        errors.invalid(
            &reviews,
            webhook["conversionReviewVersions"].clone(),
            "must include at least one of v1, v1beta1",
        );
    }
}

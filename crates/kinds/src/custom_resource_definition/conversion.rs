//! How objects of a definition are converted between its versions.

use apimachinery::names;
use serde_json::Value;
use strategy::field::Errors;
use strategy::read::Read;

use super::{SPEC, is_established};
use crate::webhook_client;

/// Versions of the question that is put to webhooks.
const KNOWN: [&str; 2] = ["v1", "v1beta1"];

/// Validates the conversion.
pub(super) fn validate(spec: &Value, old: Option<&Value>, errors: &mut Errors) {
    let path = SPEC.child("conversion");
    match spec["conversion"].text("strategy") {
        "Webhook" => return validate_webhook(spec, old, errors),
        "None" => {}
        "" => errors.required(&path.child("strategy"), ""),
        other => errors.unsupported(&path.child("strategy"), other, &["None", "Webhook"]),
    }
    let webhook = &spec["conversion"]["webhook"];
    let why = "should not be set when strategy is not set to Webhook";
    if webhook["clientConfig"].is_object() {
        errors.forbidden(&path.child("webhookClientConfig"), why);
    }
    if !webhook.items("conversionReviewVersions").is_empty() {
        errors.forbidden(&path.child("conversionReviewVersions"), why);
    }
}

fn review_versions(spec: &Value) -> Vec<&str> {
    let versions = spec["conversion"]["webhook"].items("conversionReviewVersions");
    versions.iter().filter_map(Value::as_str).collect()
}

fn is_known(versions: &[&str]) -> bool {
    versions.iter().any(|version| KNOWN.contains(version))
}

/// Whether authorities must be some: while a definition is not served yet, or where it has none that are, it may have
/// what is none.
fn must_have_authorities(old: &Value) -> bool {
    is_established(old) && !lacks_authorities(old)
}

/// Whether the conversion webhook of a definition has a bundle of authorities that holds none.
pub fn lacks_authorities(definition: &Value) -> bool {
    let bundle = definition["spec"]["conversion"]["webhook"]["clientConfig"].text("caBundle");
    webhook_client::no_authorities(bundle).is_some()
}

fn validate_webhook(spec: &Value, old: Option<&Value>, errors: &mut Errors) {
    let conversion = SPEC.child("conversion");
    let webhook = &spec["conversion"]["webhook"];
    let path = conversion.child("webhookClientConfig");
    let config = &webhook["clientConfig"];
    if config.is_object() {
        webhook_client::validate(config, &path, errors);
        let bundle = config.text("caBundle");
        if old.is_some_and(must_have_authorities)
            && let Some(why) = webhook_client::no_authorities(bundle)
        {
            errors.invalid(&path.child("caBundle"), bundle, why);
        }
    } else {
        errors.required(&path, "required when strategy is set to Webhook");
    }
    let versions = review_versions(spec);
    let before = old.map(|old| review_versions(&old["spec"])).unwrap_or_default();
    let must_know = before.is_empty() || is_known(&before);
    let reviews = conversion.child("conversionReviewVersions");
    if versions.is_empty() {
        errors.required(&reviews, "");
        return;
    }
    for (index, version) in versions.iter().enumerate() {
        if versions[..index].contains(version) {
            errors.invalid(&reviews.index(index), *version, "duplicate version");
            continue;
        }
        errors.invalid_each(&reviews.index(index), &(*version).into(), names::dns1035_label_errors(version));
    }
    if must_know && !is_known(&versions) {
        errors.invalid(
            &reviews,
            webhook["conversionReviewVersions"].clone(),
            "must include at least one of v1, v1beta1",
        );
    }
}

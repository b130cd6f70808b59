//! Jobs.

mod failure_policy;
mod indexes;
mod status;
mod success_policy;
mod template_update;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use apimachinery::ObjectExt;
use apimachinery::labels::Selector;
use serde_json::{Value, json};

use crate::domain_path;
use crate::workload::{SPEC, validate_counts};
use pod_strategy::{template, warnings};
use strategy::field::{Errors, Path};
use strategy::read::{Read, is_empty, same};
use strategy::{Dependents, Keeps, Strategy};
use strategy::{selectors, write};

/// The rules of Jobs.
pub struct Job;

/// Labels by which a job finds its pods, with the name or uid of the job; the unprefixed ones are the older.
const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];
const LONGEST_MANAGER: usize = 63;
const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];

impl Strategy for Job {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn default(&self, object: &mut Value) {
        let labels = object["spec"]["template"]["metadata"]["labels"].clone();
        let spec = write::ensure(object, "spec");
        default_spec(spec);
        if !spec.has("completions") && !spec.has("parallelism") {
            write::set(spec, "completions", 1);
        }
        write::missing(spec, "parallelism", 1);
        let limit = if spec.has("backoffLimitPerIndex") { i64::from(i32::MAX) } else { 6 };
        write::missing(spec, "backoffLimit", limit);
        write::missing(spec, "completionMode", "NonIndexed");
        write::missing(spec, "suspend", false);
        write::missing(spec, "manualSelector", false);
        let replace = if spec.has("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
        write::missing(spec, "podReplacementPolicy", replace);
        let metadata = write::ensure(object, "metadata");
        if !is_empty(&labels) && is_empty(&metadata["labels"]) {
            write::set(metadata, "labels", labels);
        }
    }

    /// Names the pods of this job after its uid, which the server has set before.
    fn prepare_for_create(&self, object: &mut Value) {
        self.keeps().prepare_for_create(object);
        if object["spec"].flag("manualSelector") == Some(true) {
            return;
        }
        let (uid, name) = (object.uid().to_owned(), object.name().to_owned());
        let spec = write::ensure(object, "spec");
        let metadata = write::ensure(write::ensure(spec, "template"), "metadata");
        let labels = write::ensure(metadata, "labels");
        for label in NAME_LABELS {
            write::missing(labels, label, name.as_str());
        }
        for label in UID_LABELS {
            write::missing(labels, label, uid.as_str());
        }
        let wanted = write::ensure(write::ensure(spec, "selector"), "matchLabels");
        write::missing(wanted, UID_LABELS[0], uid);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate(object, None, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (spec, before) = (&new["spec"], &old["spec"]);
        validate(new, Some(old), errors);
        let completions_path = SPEC.child("completions");
        if spec.text("completionMode") != "Indexed" {
            errors.immutable(&completions_path, &spec["completions"], &before["completions"]);
        } else if let Some(completions) = spec.int("completions")
            && Some(completions) != before.int("completions")
            && spec.int("parallelism") != Some(completions)
        {
            let why = "can only be modified in tandem with spec.parallelism";
            errors.invalid(&completions_path, completions, why);
        }
        errors.immutable(&SPEC.child("selector"), &spec["selector"], &before["selector"]);
        template_update::validate(new, old, errors);
        for key in
            ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
        {
            errors.immutable(&SPEC.child(key), &spec[key], &before[key]);
        }
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        status::validate(new, old, errors);
    }

    /// As it was before pods could go with their owner.
    fn dependents(&self) -> Dependents {
        Dependents::Stay
    }

    fn orphaning_warning(&self) -> Option<&'static str> {
        Some(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
        )
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["status.successful"]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        (name == "status.successful")
            .then(|| Cow::Owned(object["status"].int("succeeded").unwrap_or(0).to_string()))
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        let mut found = template::name_warnings(object);
        found.extend(spec_warnings(&object["spec"], "spec"));
        found
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        if same(&new["spec"], &old["spec"]) { Vec::new() } else { spec_warnings(&new["spec"], "spec") }
    }
}

/// Fills in what jobs and templates of jobs share.
pub(crate) fn default_spec(spec: &mut Value) {
    template::default(spec);
    if let Some(policy) = write::object(spec, "podFailurePolicy") {
        for rule in write::items(policy, "rules") {
            for pattern in write::items(rule, "onPodConditions") {
                write::zero(pattern, "status", "True");
            }
        }
    }
}

/// Warnings on the spec of a job or of a job template.
pub(crate) fn spec_warnings(spec: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    if spec.text("completionMode") == "Indexed"
        && spec.int("completions").unwrap_or(0) > MANY_COMPLETIONS
        && spec.int("parallelism").unwrap_or(0) > MOST_BESIDE_MANY
    {
        found.push(format!("{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"));
    }
    found.extend(warnings::template_at(&spec["template"], &format!("{path}.template")));
    found
}

/// Validates a job; `old` is what it was before an update.
fn validate(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &object["spec"];
    let old = old.map(|old| &old["spec"]);
    let labels = &old.unwrap_or(spec)["template"]["metadata"]["labels"];
    validate_generated(object, labels, errors);
    validate_spec(spec, old, &SPEC, errors);
    let selector_path = SPEC.child("selector");
    if spec["selector"].is_null() {
        errors.required(&selector_path, "");
    } else {
        selectors::validate(&spec["selector"], &selector_path, errors);
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let matches = match Selector::from_label_selector(&spec["selector"]) {
        Ok(selector) => !spec["selector"].is_null() && selector.matches_value(labels.as_object()),
        Err(_) => true,
    };
    if !matches {
        errors.invalid(
            &SPEC.child("template").child("metadata").child("labels"),
            if labels.is_null() { json!({}) } else { labels.clone() },
            "`selector` does not match template `labels`",
        );
    }
    if let Some(last) = spec.int("completions").filter(|completions| *completions > 0)
        && spec.text("completionMode") == "Indexed"
    {
        // The names of pods become their host names.
        let longest = format!("{}-{}", object.name(), last - 1);
        if !apimachinery::names::is_dns1123_label(&longest) {
            errors.invalid(
                &Path::root("metadata.name"),
                object.name(),
                format!("will not able to create pod with invalid DNS label: {longest}"),
            );
        }
    }
}

/// Validates that the labels and the selector are those that the server makes, where it makes them. The ones with
/// a domain are asked for only where the template had them before.
fn validate_generated(object: &Value, before: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    if spec.flag("manualSelector") == Some(true) || spec["selector"].is_null() {
        return;
    }
    if object.uid().is_empty() {
        errors.required(&Path::root("metadata.uid"), "");
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let labels_path = Path::root("spec.template.metadata.labels");
    let asks_for_domains = before.has(NAME_LABELS[0]) && before.has(UID_LABELS[0]);
    let mut expected = json!({});
    for place in [1, 0] {
        if place == 0 && !asks_for_domains {
            continue;
        }
        for (key, value) in [(UID_LABELS[place], object.uid()), (NAME_LABELS[place], object.name())] {
            let path = labels_path.key(key);
            match labels.get(key) {
                None => errors.required(&path, format!("must be '{value}'")),
                Some(label) if label == value => {}
                Some(_) => errors.invalid(&path, labels.clone(), format!("must be '{value}'")),
            }
            write::set(&mut expected, key, value);
        }
    }
    let matches = Selector::from_label_selector(&spec["selector"])
        .map_or(true, |selector| selector.matches_value(expected.as_object()));
    if !matches {
        errors.invalid(&SPEC.child("selector"), spec["selector"].clone(), "`selector` not auto-generated");
    }
}

/// Validates the spec of a job or of a job template, without its selector.
pub(crate) fn validate_spec(spec: &Value, old: Option<&Value>, path: &Path, errors: &mut Errors) {
    validate_counts(
        spec,
        &[
            "parallelism",
            "completions",
            "activeDeadlineSeconds",
            "backoffLimit",
            "ttlSecondsAfterFinished",
            "backoffLimitPerIndex",
            "maxFailedIndexes",
        ],
        path,
        errors,
    );
    if spec.has("maxFailedIndexes") && !spec.has("backoffLimitPerIndex") {
        errors.required(&path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
    if spec.has("managedBy") {
        let managed_path = path.child("managedBy");
        domain_path::validate(spec.text("managedBy"), &managed_path, errors);
        if spec.text("managedBy").len() > LONGEST_MANAGER {
            errors.too_long(&managed_path, LONGEST_MANAGER);
        }
    }
    match spec.text("completionMode") {
        "Indexed" => validate_indexed(spec, path, errors),
        "NonIndexed" => forbid_indexed(spec, path, errors),
        _ if !spec.has("completionMode") => forbid_indexed(spec, path, errors),
        other => errors.unsupported(&path.child("completionMode"), other, &["NonIndexed", "Indexed"]),
    }
    failure_policy::validate(spec, &path.child("podFailurePolicy"), errors);
    if spec.has("successPolicy") {
        let policy_path = path.child("successPolicy");
        if spec.text("completionMode") == "Indexed" {
            success_policy::validate(spec, &policy_path, errors);
        } else {
            let why = "requires indexed completion mode";
            errors.invalid(&policy_path, spec["successPolicy"].clone(), why);
        }
    }
    if spec.has("podReplacementPolicy") {
        let policy = spec.text("podReplacementPolicy");
        let policy_path = path.child("podReplacementPolicy");
        if spec.has("podFailurePolicy") {
            if policy != "Failed" {
                errors.unsupported(&policy_path, policy, &["Failed"]);
            }
        } else if !matches!(policy, "Failed" | "TerminatingOrFailed") {
            errors.unsupported(&policy_path, policy, &["Failed", "TerminatingOrFailed"]);
        }
    }
    let template_path = path.child("template");
    template::validate(&spec["template"], old.map(|old| &old["template"]), &template_path, errors);
    let pod_path = template_path.child("spec");
    let policy_path = pod_path.child("restartPolicy");
    match spec["template"]["spec"].text("restartPolicy") {
        // Defaulting turns a missing policy into Always, so that both mean that none was chosen.
        "" | "Always" => errors.required(&policy_path, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if spec.has("podFailurePolicy") => errors.invalid(
            &policy_path,
            "OnFailure",
            "only \"Never\" is supported when podFailurePolicy is specified",
        ),
        "OnFailure" | "Never" => {}
        other => errors.unsupported(&policy_path, other, &["OnFailure", "Never"]),
    }
}

/// The most completions of which every failed index can be told, and what else is bound above it.
const MANY_COMPLETIONS: i64 = 100_000;
const MOST_BESIDE_MANY: i64 = 10_000;

fn forbid_indexed(spec: &Value, path: &Path, errors: &mut Errors) {
    for key in ["backoffLimitPerIndex", "maxFailedIndexes"] {
        if spec.has(key) {
            errors.invalid(&path.child(key), spec[key].clone(), "requires indexed completion mode");
        }
    }
}

fn validate_indexed(spec: &Value, path: &Path, errors: &mut Errors) {
    let (parallelism_path, failed_path) = (path.child("parallelism"), path.child("maxFailedIndexes"));
    let completions = spec.int("completions");
    if !spec.has("completions") {
        errors.required(&path.child("completions"), "when completion mode is Indexed");
    }
    let most = |count: i64| format!("must be less than or equal to {count}");
    let parallelism = spec.int("parallelism");
    if let Some(parallelism) = parallelism.filter(|parallelism| *parallelism > MANY_COMPLETIONS) {
        let why = format!("{} when completion mode is Indexed", most(MANY_COMPLETIONS));
        errors.invalid(&parallelism_path, parallelism, why);
    }
    let failed = spec.int("maxFailedIndexes");
    if let Some(failed) = failed {
        if completions.is_some_and(|completions| failed > completions) {
            errors.invalid(&failed_path, failed, "must be less than or equal to completions");
        }
        if failed > MANY_COMPLETIONS {
            errors.invalid(&failed_path, failed, most(MANY_COMPLETIONS));
        }
    }
    let many = completions.is_some_and(|completions| completions > MANY_COMPLETIONS);
    if !many || !spec.has("backoffLimitPerIndex") {
        return;
    }
    if failed.is_none() {
        let why = format!("must be specified when completions is above {MANY_COMPLETIONS}");
        errors.required(&failed_path, why);
    }
    for (path, value) in [(&parallelism_path, parallelism), (&failed_path, failed)] {
        if let Some(value) = value.filter(|value| *value > MOST_BESIDE_MANY) {
            let why = format!(
                "{} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index",
                most(MOST_BESIDE_MANY)
            );
            errors.invalid(path, value, why);
        }
    }
}

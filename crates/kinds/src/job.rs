//! Jobs.

mod success_policy;

use std::borrow::Cow;

use apimachinery::ObjectExt;
use serde_json::{Value, json};

use crate::domain_path;
use crate::workload::{SPEC, STATUS, validate_counts};
use pod_strategy::template;
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
        let spec = &object["spec"];
        validate_generated(object, errors);
        let selector_path = SPEC.child("selector");
        if spec["selector"].is_null() {
            errors.required(&selector_path, "");
        } else {
            selectors::validate(&spec["selector"], &selector_path, errors);
        }
        validate_spec(spec, &SPEC, errors);
        selectors::validate_template_match(spec, &SPEC, errors);
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

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (spec, before) = (&new["spec"], &old["spec"]);
        validate_spec(spec, &SPEC, errors);
        let completions_path = SPEC.child("completions");
        if spec.text("completionMode") != "Indexed" {
            errors.immutable(&completions_path, &spec["completions"], &before["completions"]);
        } else if let (Some(after), Some(earlier)) = (spec.int("completions"), before.int("completions"))
            && after != earlier
            && spec.int("parallelism") != Some(after)
        {
            let why = "can only be modified in tandem with spec.parallelism";
            errors.invalid(&completions_path.child("completions"), after, why);
        }
        errors.immutable(&SPEC.child("selector"), &spec["selector"], &before["selector"]);
        validate_template_update(new, old, errors);
        for key in
            ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
        {
            errors.immutable(&SPEC.child(key), &spec[key], &before[key]);
        }
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let status = &new["status"];
        validate_counts(status, &["active", "succeeded", "failed", "ready", "terminating"], &STATUS, errors);
        let (complete, failed) = (has_condition(status, "Complete"), has_condition(status, "Failed"));
        if complete && failed {
            errors.invalid(
                &STATUS.child("conditions"),
                status["conditions"].clone(),
                "cannot set Complete=True and Failed=true conditions",
            );
        }
        for (kind, still) in [("Complete", complete), ("Failed", failed)] {
            if has_condition(&old["status"], kind) && !still {
                errors.invalid(
                    &STATUS.child("conditions"),
                    status["conditions"].clone(),
                    format!("cannot disable the terminal {kind}=True condition"),
                );
            }
        }
        if complete && !status.has("completionTime") {
            errors.required(&STATUS.child("completionTime"), "completionTime is required for Complete jobs");
        }
        if !complete && status.has("completionTime") {
            errors.invalid(
                &STATUS.child("completionTime"),
                status["completionTime"].clone(),
                "cannot set completionTime when there is no Complete=True condition",
            );
        }
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
        let mut found = template::create_warnings(object);
        found.extend(too_many_indexes(&object["spec"]));
        found
    }

    fn update_warnings(&self, new: &Value, old: &Value) -> Vec<String> {
        let mut found = template::update_warnings(new, old);
        if !same(&new["spec"], &old["spec"]) {
            found.extend(too_many_indexes(&new["spec"]));
        }
        found
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

/// Warns of more indexes than a status can tell apart.
fn too_many_indexes(spec: &Value) -> Option<String> {
    let many = spec.text("completionMode") == "Indexed"
        && spec.int("completions").unwrap_or(0) > MANY_COMPLETIONS
        && spec.int("parallelism").unwrap_or(0) > MOST_BESIDE_MANY;
    many.then(|| "spec.parallelism: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail".to_owned())
}

fn has_condition(status: &Value, kind: &str) -> bool {
    status
        .items("conditions")
        .iter()
        .any(|condition| condition.text("type") == kind && condition.text("status") == "True")
}

fn validate_generated(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    if spec.flag("manualSelector") == Some(true) {
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let path = Path::root("spec.template.metadata.labels");
    for (keys, value, rule) in [(UID_LABELS, object.uid(), "uid"), (NAME_LABELS, object.name(), "name")] {
        for key in keys {
            if labels.text(key) != value {
                errors.invalid(&path, labels.clone(), format!("must have label {key} with the job's {rule}"));
            }
        }
    }
    let expected = json!({"matchLabels": {UID_LABELS[0]: object.uid()}});
    let older = json!({"matchLabels": {UID_LABELS[1]: object.uid()}});
    if !same(&spec["selector"], &expected) && !same(&spec["selector"], &older) {
        errors.invalid(&SPEC.child("selector"), spec["selector"].clone(), "`selector` not auto-generated");
    }
}

/// Validates the spec of a job or of a job template, without its selector.
pub(crate) fn validate_spec(spec: &Value, path: &Path, errors: &mut Errors) {
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
    let mode_path = path.child("completionMode");
    match spec.text("completionMode") {
        "" | "NonIndexed" => {
            for key in ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] {
                if spec.has(key) {
                    errors.invalid(&path.child(key), spec[key].clone(), "requires indexed completion mode");
                }
            }
        }
        "Indexed" => {
            if !spec.has("completions") {
                errors.required(&path.child("completions"), "when completion mode is Indexed");
            }
            if let Some(parallelism) = spec.int("parallelism").filter(|parallelism| *parallelism > 100_000) {
                errors.invalid(
                    &path.child("parallelism"),
                    parallelism,
                    "must be less than or equal to 100000 when completion mode is Indexed",
                );
            }
            validate_failed_indexes(spec, path, errors);
            success_policy::validate(spec, &path.child("successPolicy"), errors);
        }
        other => errors.unsupported(&mode_path, other, &["NonIndexed", "Indexed"]),
    }
    if spec.has("managedBy") {
        let managed_path = path.child("managedBy");
        domain_path::validate(spec.text("managedBy"), &managed_path, errors);
        if spec.text("managedBy").len() > LONGEST_MANAGER {
            errors.too_long(&managed_path, LONGEST_MANAGER);
        }
    }
    if let Some(limit) = spec.int("backoffLimit").filter(|limit| *limit > i64::from(i32::MAX)) {
        errors.invalid(&path.child("backoffLimit"), limit, "must be less than or equal to 2147483647");
    }
    validate_failure_policy(spec, &path.child("podFailurePolicy"), errors);
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
    template::validate(&spec["template"], &template_path, errors);
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

fn validate_failed_indexes(spec: &Value, path: &Path, errors: &mut Errors) {
    let completions = spec.int("completions");
    let failed_path = path.child("maxFailedIndexes");
    if let Some(failed) = spec.int("maxFailedIndexes") {
        if !spec.has("backoffLimitPerIndex") {
            errors.required(&path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
        }
        if completions.is_some_and(|completions| failed > completions) {
            errors.invalid(&failed_path, failed, "must be less than or equal to completions");
        }
        if failed > MANY_COMPLETIONS {
            let why = format!("must be less than or equal to {MANY_COMPLETIONS}");
            errors.invalid(&failed_path, failed, why);
        }
    }
    let many = completions.is_some_and(|completions| completions > MANY_COMPLETIONS);
    if !many || !spec.has("backoffLimitPerIndex") {
        return;
    }
    match spec.int("maxFailedIndexes") {
        None => errors.required(
            &failed_path,
            format!("must be specified when completions is above {MANY_COMPLETIONS}"),
        ),
        Some(failed) if failed > MOST_BESIDE_MANY => errors.invalid(
            &failed_path,
            failed,
            format!("must be less than or equal to {MOST_BESIDE_MANY} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"),
        ),
        Some(_) => {}
    }
    if let Some(parallelism) = spec.int("parallelism").filter(|parallelism| *parallelism > MOST_BESIDE_MANY) {
        errors.invalid(
            &path.child("parallelism"),
            parallelism,
            format!("must be less than or equal to {MOST_BESIDE_MANY} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"),
        );
    }
}

fn validate_failure_policy(spec: &Value, path: &Path, errors: &mut Errors) {
    let policy = &spec["podFailurePolicy"];
    if policy.is_null() {
        return;
    }
    let rules_path = path.child("rules");
    let rules = policy.items("rules");
    if rules.is_empty() {
        errors.required(&rules_path, "");
    }
    if rules.len() > 20 {
        errors.too_many(&rules_path, rules.len(), 20);
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = rules_path.index(index);
        match rule.text("action") {
            "Count" | "FailJob" | "Ignore" => {}
            "FailIndex" => {
                if !spec.has("backoffLimitPerIndex") {
                    errors.invalid(
                        &path.child("action"),
                        "FailIndex",
                        "requires the backoffLimitPerIndex to be set",
                    );
                }
            }
            "" => errors.required(
                &path.child("action"),
                "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
            ),
            other => {
                errors.unsupported(&path.child("action"), other, &["Count", "FailIndex", "FailJob", "Ignore"])
            }
        }
        let conditions = rule.items("onPodConditions");
        match (rule.has("onExitCodes"), !conditions.is_empty()) {
            (true, true) => errors
                .invalid_unshown(&path, "specifying both OnExitCodes and OnPodConditions is not supported"),
            (false, false) => {
                errors.invalid_unshown(&path, "specifying one of OnExitCodes and OnPodConditions is required")
            }
            _ => {}
        }
        if rule.has("onExitCodes") {
            validate_exit_codes(spec, &rule["onExitCodes"], &path.child("onExitCodes"), errors);
        }
        if conditions.len() > 20 {
            errors.too_many(&path.child("onPodConditions"), conditions.len(), 20);
        }
        for (index, condition) in conditions.iter().enumerate() {
            let list_path = path.child("onPodConditions");
            let path = list_path.index(index);
            if condition.text("type").is_empty() {
                errors.required(&path.child("type"), "");
            }
            if !matches!(condition.text("status"), "True" | "False" | "Unknown") {
                errors.unsupported(
                    &path.child("status"),
                    condition.text("status"),
                    &["False", "True", "Unknown"],
                );
            }
        }
    }
}

fn validate_exit_codes(spec: &Value, codes: &Value, path: &Path, errors: &mut Errors) {
    let values = codes.items("values");
    let operator = codes.text("operator");
    if !matches!(operator, "In" | "NotIn") {
        errors.unsupported(&path.child("operator"), operator, &["In", "NotIn"]);
    }
    let name = codes.text("containerName");
    let pod = &spec["template"]["spec"];
    let known = pod.items("containers").iter().chain(pod.items("initContainers"));
    if !name.is_empty() && !known.into_iter().any(|container| container.text("name") == name) {
        errors.invalid(
            &path.child("containerName"),
            name,
            "must be one of the container or initContainer names in the pod template",
        );
    }
    let values_path = path.child("values");
    if values.is_empty() {
        errors.invalid(&values_path, Value::Array(Vec::new()), "at least one value is required");
    } else if values.len() > 255 {
        errors.too_many(&values_path, values.len(), 255);
    }
    for (index, value) in values.iter().enumerate() {
        let path = values_path.index(index);
        if operator == "In" && value == 0 {
            errors.invalid(&path, 0, "must not be 0 for the In operator");
        }
        if values[..index].contains(value) {
            errors.duplicate(&path, value.clone());
        }
    }
    if values.windows(2).any(|pair| pair[0].as_i64() > pair[1].as_i64()) {
        errors.invalid(&values_path, codes["values"].clone(), "must be ordered");
    }
}

fn validate_template_update(new: &Value, old: &Value, errors: &mut Errors) {
    let mut template = new["spec"]["template"].clone();
    let before = &old["spec"]["template"];
    // A suspended job that never started may still be told where its pods go.
    let suspended = old["spec"].flag("suspend") == Some(true) && !old["status"].has("startTime");
    if suspended {
        let pod = write::ensure(&mut template, "spec");
        for key in ["nodeSelector", "tolerations", "affinity", "schedulingGates"] {
            write::copy(pod, key, &before["spec"]);
        }
        for list in ["containers", "initContainers"] {
            for (container, earlier) in write::items(pod, list).zip(before["spec"].items(list)) {
                write::copy(container, "resources", earlier);
            }
        }
        let metadata = write::ensure(&mut template, "metadata");
        for key in ["labels", "annotations"] {
            write::copy(metadata, key, &before["metadata"]);
        }
    }
    if !same(&template, before) {
        errors.invalid(&SPEC.child("template"), template, strategy::field::IMMUTABLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, found, updated};

    fn pi() -> Value {
        json!({"metadata": {"name": "pi", "uid": "u1"}, "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}})
    }

    #[test]
    fn pods_are_found_by_the_jobs_uid() {
        let mut job = pi();
        Job.default(&mut job);
        Job.prepare_for_create(&mut job);
        assert_eq!(
            job["spec"]["selector"],
            json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u1"}})
        );
        assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "pi");
        assert_eq!(found(|errors| Job.validate(&job, errors)), "");
        assert_eq!((&job["spec"]["completions"], &job["spec"]["backoffLimit"]), (&json!(1), &json!(6)));
    }

    #[test]
    fn a_restart_policy_must_be_chosen() {
        let mut job = pi();
        job["spec"]["template"]["spec"]["restartPolicy"] = json!("Always");
        assert_eq!(
            created(&Job, job),
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
        );
    }

    #[test]
    fn own_selectors_need_to_be_announced() {
        let mut job = pi();
        job["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
        assert!(created(&Job, job).contains("`selector` not auto-generated"));
    }

    #[test]
    fn indexed_jobs_can_be_told_apart() {
        let check = |change: Value| {
            let mut job = pi();
            job["spec"]["completionMode"] = json!("Indexed");
            job["spec"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            created(&Job, job)
        };
        assert_eq!(check(json!({"completions": 3})), "");
        assert_eq!(
            check(json!({"parallelism": 2})),
            "spec.completions: Required value: when completion mode is Indexed"
        );
        assert_eq!(
            check(json!({"completions": 3, "backoffLimitPerIndex": 1, "maxFailedIndexes": 4})),
            "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions"
        );
        assert_eq!(
            check(json!({"completions": 100_001, "parallelism": 10_001, "backoffLimitPerIndex": 1})),
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000\nspec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index"
        );
        assert_eq!(
            check(json!({"completions": 1, "managedBy": "me"})),
            "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")"
        );
        let mut long = pi();
        long["metadata"]["name"] = json!("a".repeat(62));
        long["spec"]["completionMode"] = json!("Indexed");
        long["spec"]["completions"] = json!(1);
        assert!(created(&Job, long).contains("will not able to create pod with invalid DNS label: "));
    }

    #[test]
    fn indexed_jobs_grow_with_their_parallelism() {
        let job = |completions: i64, parallelism: i64| {
            let mut job = pi();
            job["spec"]["completionMode"] = json!("Indexed");
            job["spec"]["completions"] = json!(completions);
            job["spec"]["parallelism"] = json!(parallelism);
            Job.default(&mut job);
            Job.prepare_for_create(&mut job);
            job
        };
        assert_eq!(updated(&Job, job(4, 4), job(3, 3)), "");
        assert_eq!(
            updated(&Job, job(4, 3), job(3, 3)),
            "spec.completions.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"
        );
    }

    #[test]
    fn template_and_completions_stay() {
        let mut old = pi();
        Job.default(&mut old);
        Job.prepare_for_create(&mut old);
        let mut new = old.clone();
        new["spec"]["parallelism"] = json!(4);
        new["spec"]["suspend"] = json!(true);
        assert_eq!(updated(&Job, new.clone(), old.clone()), "");
        new["spec"]["completions"] = json!(4);
        assert_eq!(updated(&Job, new, old.clone()), "spec.completions: Invalid value: 4: field is immutable");
        let mut new = old.clone();
        new["spec"]["template"]["spec"]["containers"][0]["image"] = json!("j");
        assert!(updated(&Job, new, old).ends_with(": field is immutable"));
    }
}

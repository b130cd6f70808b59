//! What is said of jobs, and what is made of them.

mod changes;
mod statuses;

use serde_json::{Value, json};

use super::Job;
use strategy::Strategy;
use strategy::testing::{created, defaulted, found, updated};

fn pi() -> Value {
    json!({"metadata": {"name": "pi", "uid": "u1"}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}})
}

fn with(change: Value) -> Value {
    let mut job = pi();
    merge(&mut job["spec"], change);
    job
}

fn merge(target: &mut Value, change: Value) {
    for (key, value) in change.as_object().unwrap() {
        target[key] = value.clone();
    }
}

/// A job as it is stored.
fn stored(change: Value) -> Value {
    let mut job = with(change);
    Job.default(&mut job);
    Job.prepare_for_create(&mut job);
    job
}

#[test]
fn pods_are_found_by_the_jobs_uid() {
    let job = stored(json!({}));
    assert_eq!(job["spec"]["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u1"}}));
    assert_eq!(
        job["spec"]["template"]["metadata"]["labels"],
        json!({"job-name": "pi", "batch.kubernetes.io/job-name": "pi", "controller-uid": "u1",
            "batch.kubernetes.io/controller-uid": "u1"})
    );
    assert_eq!(found(|errors| Job.validate(&job, errors)), "");
    assert_eq!(job["metadata"]["generation"], 1);
    let own = stored(json!({"manualSelector": true}));
    assert_eq!(own["spec"].get("selector"), None);
}

#[test]
fn what_is_left_out_is_filled_in() {
    let spec = |change: Value| defaulted(&Job, with(change))["spec"].clone();
    let plain = spec(json!({}));
    for (key, value) in [
        ("completions", json!(1)),
        ("parallelism", json!(1)),
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("manualSelector", json!(false)),
        ("podReplacementPolicy", json!("TerminatingOrFailed")),
    ] {
        assert_eq!(plain[key], value, "{key}");
    }
    assert_eq!(spec(json!({"parallelism": 2})).get("completions"), None);
    assert_eq!(spec(json!({"completions": 2}))["parallelism"], 1);
    assert_eq!(spec(json!({"backoffLimitPerIndex": 1}))["backoffLimit"], i32::MAX);
    let policy = spec(json!({"podFailurePolicy": {"rules": [{"onPodConditions": [{"type": "A"}]}]}}));
    assert_eq!(policy["podReplacementPolicy"], "Failed");
    assert_eq!(policy["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"], "True");
    let mut labelled = pi();
    labelled["spec"]["template"]["metadata"] = json!({"labels": {"a": "b"}});
    assert_eq!(defaulted(&Job, labelled)["metadata"]["labels"], json!({"a": "b"}));
}

#[test]
fn specs_are_judged_in_order() {
    let long = format!("a.example/{}", "m".repeat(60));
    for (change, expected) in [
        (json!({}), ""),
        (json!({"managedBy": "a.example/b", "ttlSecondsAfterFinished": 0}), ""),
        (
            json!({"parallelism": -1, "completions": -1, "activeDeadlineSeconds": -1, "backoffLimit": -1,
                "ttlSecondsAfterFinished": -1, "backoffLimitPerIndex": -1, "maxFailedIndexes": -1, "completionMode": "Indexed"}),
            "spec.parallelism: Invalid value: -1: must be greater than or equal to 0\n\
            spec.completions: Invalid value: -1: must be greater than or equal to 0\n\
            spec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0\n\
            spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0\n\
            spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0\n\
            spec.backoffLimitPerIndex: Invalid value: -1: must be greater than or equal to 0\n\
            spec.maxFailedIndexes: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({"maxFailedIndexes": 1, "successPolicy": {}, "managedBy": "me", "completionMode": "Some"}),
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified\n\
            spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")\n\
            spec.completionMode: Unsupported value: \"Some\": supported values: \"NonIndexed\", \"Indexed\"\n\
            spec.successPolicy: Invalid value: {}: requires indexed completion mode",
        ),
        (json!({"managedBy": long}), "spec.managedBy: Too long: may not be more than 63 bytes"),
        (
            json!({"backoffLimitPerIndex": 1, "maxFailedIndexes": 1, "podReplacementPolicy": "Some"}),
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode\n\
            spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode\n\
            spec.podReplacementPolicy: Unsupported value: \"Some\": supported values: \"Failed\", \"TerminatingOrFailed\"",
        ),
    ] {
        assert_eq!(created(&Job, with(change.clone())), expected, "{change}");
    }
}

#[test]
fn a_restart_policy_must_be_chosen() {
    let check = |policy: &str, change: Value| {
        let mut job = with(change);
        job["spec"]["template"]["spec"]["restartPolicy"] = json!(policy);
        created(&Job, job).replace("spec.template.spec.restartPolicy: ", "")
    };
    let chosen = "Required value: valid values: \"OnFailure\", \"Never\"";
    assert_eq!((check("", json!({})), check("Always", json!({}))), (chosen.to_owned(), chosen.to_owned()));
    assert_eq!((check("Never", json!({})), check("OnFailure", json!({}))), (String::new(), String::new()));
    assert!(
        check("Some", json!({}))
            .ends_with("Unsupported value: \"Some\": supported values: \"OnFailure\", \"Never\"")
    );
    let policy = json!({"podFailurePolicy": {"rules": []}});
    assert_eq!(
        check("OnFailure", policy),
        "Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified"
    );
}

#[test]
fn labels_and_selectors_are_the_servers_own() {
    let mut job = pi();
    job["spec"]["template"]["metadata"] = json!({"labels": {"job-name": "other", "controller-uid": "other"}});
    job["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
    let labels = "{\"batch.kubernetes.io/controller-uid\":\"u1\",\"batch.kubernetes.io/job-name\":\"pi\",\"controller-uid\":\"other\",\"job-name\":\"other\"}";
    assert_eq!(
        created(&Job, job),
        format!(
            "spec.template.metadata.labels[controller-uid]: Invalid value: {labels}: must be 'u1'\n\
            spec.template.metadata.labels[job-name]: Invalid value: {labels}: must be 'pi'\n\
            spec.selector: Invalid value: {{\"matchLabels\":{{\"a\":\"b\",\"batch.kubernetes.io/controller-uid\":\"u1\"}}}}: `selector` not auto-generated\n\
            spec.template.metadata.labels: Invalid value: {labels}: `selector` does not match template `labels`"
        )
    );
    let mut bare = stored(json!({}));
    bare["metadata"]["uid"] = json!("");
    bare["spec"]["template"]["metadata"]["labels"] = json!({"batch.kubernetes.io/controller-uid": "u1"});
    assert_eq!(
        found(|errors| Job.validate(&bare, errors)),
        "metadata.uid: Required value\n\
        spec.template.metadata.labels[controller-uid]: Required value: must be ''\n\
        spec.template.metadata.labels[job-name]: Required value: must be 'pi'\n\
        spec.selector: Invalid value: {\"matchLabels\":{\"batch.kubernetes.io/controller-uid\":\"u1\"}}: `selector` not auto-generated"
    );
    assert_eq!(
        created(&Job, with(json!({"manualSelector": true}))),
        "spec.selector: Required value\n\
        spec.template.metadata.labels: Invalid value: {}: `selector` does not match template `labels`"
    );
    let mut manual = with(json!({"manualSelector": true, "selector": {"matchLabels": {"-": "b"}}}));
    manual["spec"]["template"]["metadata"] = json!({"labels": {"a": "b"}});
    assert!(created(&Job, manual.clone()).starts_with("spec.selector.matchLabels: Invalid value: \"-\""));
    manual["spec"]["selector"] = json!({"matchLabels": {"a": "b"}});
    assert_eq!(created(&Job, manual), "");
}

#[test]
fn jobs_of_before_labels_had_domains_are_left_alone() {
    let older = |uid: &str| {
        let mut job = stored(json!({}));
        job["spec"]["selector"] = json!({"matchLabels": {"controller-uid": "u1"}});
        job["spec"]["template"]["metadata"]["labels"] = json!({"controller-uid": uid, "job-name": "pi"});
        job
    };
    assert_eq!(updated(&Job, older("u1"), older("u1")), "");
    assert!(updated(&Job, older("u2"), older("u2")).starts_with(
        "spec.template.metadata.labels[controller-uid]: Invalid value: {\"controller-uid\":\"u2\",\"job-name\":\"pi\"}: must be 'u1'"
    ));
    let mut stripped = stored(json!({}));
    stripped["spec"]["template"]["metadata"]["labels"] =
        json!({"controller-uid": "u1", "job-name": "pi", "batch.kubernetes.io/controller-uid": "u1"});
    assert!(updated(&Job, stripped, stored(json!({}))).starts_with(
        "spec.template.metadata.labels[batch.kubernetes.io/job-name]: Required value: must be 'pi'"
    ));
}

#[test]
fn indexed_jobs_can_be_told_apart() {
    let check = |change: Value| {
        let mut job = with(json!({"completionMode": "Indexed"}));
        merge(&mut job["spec"], change);
        created(&Job, job)
    };
    for (change, expected) in [
        (json!({"completions": 3}), ""),
        (
            json!({"completions": 100_000, "parallelism": 100_000, "backoffLimitPerIndex": 1, "maxFailedIndexes": 100_000}),
            "",
        ),
        (
            json!({"completions": 100_001, "parallelism": 10_000, "backoffLimitPerIndex": 1, "maxFailedIndexes": 10_000}),
            "",
        ),
        (json!({"completions": 100_001, "parallelism": 100_000}), ""),
        (json!({"parallelism": 2}), "spec.completions: Required value: when completion mode is Indexed"),
        (
            json!({"completions": 1, "parallelism": 100_001}),
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
        ),
        (
            json!({"completions": 3, "backoffLimitPerIndex": 1, "maxFailedIndexes": 4}),
            "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
        ),
        (
            json!({"completions": 100_001, "parallelism": 10_001, "backoffLimitPerIndex": 1}),
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000\n\
            spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
        ),
        (
            json!({"completions": 100_001, "backoffLimitPerIndex": 1, "maxFailedIndexes": 100_001}),
            "spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to 100000\n\
            spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
        ),
    ] {
        assert_eq!(check(change.clone()), expected, "{change}");
    }
    let named = |length: usize, completions: i64| {
        let mut job = with(json!({"completionMode": "Indexed", "completions": completions}));
        job["metadata"]["name"] = json!("a".repeat(length));
        created(&Job, job)
    };
    assert_eq!((named(61, 10), named(62, 0)), (String::new(), String::new()));
    let long = "a".repeat(61);
    assert_eq!(
        named(61, 11),
        format!(
            "metadata.name: Invalid value: \"{long}\": will not able to create pod with invalid DNS label: {long}-10"
        )
    );
}

#[test]
fn failures_are_judged_by_codes_or_conditions() {
    let policy = |rules: Value| {
        let mut job = with(json!({"podFailurePolicy": {"rules": rules}}));
        job["spec"]["template"]["spec"]["initContainers"] = json!([{"name": "i", "image": "i"}]);
        created(&Job, job)
    };
    let rule = |rule: Value| policy(json!([rule])).replace("spec.podFailurePolicy.rules[0].", "");
    let codes =
        |codes: Value| rule(json!({"action": "FailJob", "onExitCodes": codes})).replace("onExitCodes.", "");
    let conditions = |conditions: Value| {
        rule(json!({"action": "Count", "onPodConditions": conditions})).replace("onPodConditions", "")
    };
    let numbers = |count: i64| (1..=count).collect::<Vec<i64>>();
    let fine = json!({"action": "Ignore", "onPodConditions": [{"type": "a.example/B", "status": "False"}]});
    for (told, expected) in [
        (policy(json!([])), ""),
        (policy(vec![fine.clone(); 20].into()), ""),
        (
            policy(vec![fine.clone(); 21].into()),
            "spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items",
        ),
        (
            policy(json!([{"action": "Count"}])),
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
        ),
        (
            policy(
                json!([{"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}, "onPodConditions": [{"type": "A"}]}]),
            ),
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
        ),
        (
            rule(json!({"onPodConditions": [{"type": "A"}]})),
            "action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
        ),
        (
            rule(json!({"action": "Some", "onPodConditions": [{"type": "A"}]})),
            "action: Unsupported value: \"Some\": supported values: \"Count\", \"FailIndex\", \"FailJob\", \"Ignore\"",
        ),
        (
            rule(json!({"action": "FailIndex", "onPodConditions": [{"type": "A"}]})),
            "action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
        ),
        (codes(json!({"operator": "NotIn", "values": [0, 1], "containerName": "i"})), ""),
        (codes(json!({"operator": "In", "values": numbers(255)})), ""),
        (
            codes(json!({"operator": "In", "values": numbers(256)})),
            "values: Too many: 256: must have at most 255 items",
        ),
        (codes(json!({"values": [1]})), "operator: Required value: valid values: [\"In\" \"NotIn\"]"),
        (
            codes(json!({"operator": "Some", "containerName": "x"})),
            "operator: Unsupported value: \"Some\": supported values: \"In\", \"NotIn\"\n\
            containerName: Invalid value: \"x\": must be one of the container or initContainer names in the pod template\n\
            values: Invalid value: []: at least one value is required",
        ),
        (
            codes(json!({"operator": "In", "values": [2, 0, 2]})),
            "values[1]: Invalid value: 0: must not be 0 for the In operator\n\
            values[2]: Duplicate value: 2\n\
            values: Invalid value: [2,0,2]: must be ordered",
        ),
        (conditions(vec![json!({"type": "A"}); 21].into()), ": Too many: 21: must have at most 20 items"),
        (
            conditions(json!([{"type": "A", "status": "Some"}])),
            "[0].status: Unsupported value: \"Some\": supported values: \"False\", \"True\", \"Unknown\"",
        ),
    ] {
        assert_eq!(told, expected);
    }
    assert!(conditions(json!([{"type": "-"}])).starts_with("[0].type: Invalid value: \"-\": name part"));
    let failed = json!({"podFailurePolicy": {"rules": []}, "podReplacementPolicy": "TerminatingOrFailed"});
    assert_eq!(
        created(&Job, with(failed)),
        "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\""
    );
}

#[test]
fn warnings_are_of_names_indexes_and_templates() {
    let many = json!({"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001});
    let told = "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail";
    assert_eq!(Job.create_warnings(&with(many.clone())), [told]);
    for change in [
        json!({"completionMode": "NonIndexed", "completions": 100_001, "parallelism": 10_001}),
        json!({"completionMode": "Indexed", "completions": 100_000, "parallelism": 10_001}),
        json!({"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_000}),
    ] {
        assert_eq!(Job.create_warnings(&with(change)), [""; 0]);
    }
    assert_eq!(Job.update_warnings(&with(many.clone()), &with(many.clone())), [""; 0]);
    assert_eq!(Job.update_warnings(&with(many), &pi()), [told]);
    let mut dotted = pi();
    dotted["metadata"]["name"] = json!("p.i");
    dotted["spec"]["template"]["spec"]["nodeSelector"] = json!({"beta.kubernetes.io/os": "linux"});
    let warnings = Job.create_warnings(&dotted);
    assert!(warnings[0].starts_with("metadata.name: this is used in Pod names"), "{warnings:?}");
    assert!(
        warnings[1].starts_with("spec.template.spec.nodeSelector[beta.kubernetes.io/os]"),
        "{warnings:?}"
    );
}

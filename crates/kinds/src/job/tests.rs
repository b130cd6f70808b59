//! What is said of jobs, and what is made of them.

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
fn indexed_jobs_grow_with_their_parallelism() {
    let job = |completions: Value, parallelism: i64| {
        stored(json!({"completionMode": "Indexed", "completions": completions, "parallelism": parallelism}))
    };
    assert_eq!(updated(&Job, job(json!(4), 4), job(json!(3), 3)), "");
    assert_eq!(
        updated(&Job, job(json!(4), 3), job(json!(3), 3)),
        "spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"
    );
    assert_eq!(
        updated(&Job, job(Value::Null, 3), job(json!(3), 3)),
        "spec.completions: Required value: when completion mode is Indexed"
    );
}

#[test]
fn what_makes_a_job_stays() {
    let change = |change: Value| updated(&Job, stored(change), stored(json!({})));
    assert_eq!(change(json!({"parallelism": 4, "completions": 1, "suspend": true, "backoffLimit": 1})), "");
    assert_eq!(change(json!({"ttlSecondsAfterFinished": 1, "activeDeadlineSeconds": 1})), "");
    assert_eq!(change(json!({"completions": 4})), "spec.completions: Invalid value: 4: field is immutable");
    assert_eq!(
        change(json!({"managedBy": "a.example/b"})),
        "spec.managedBy: Invalid value: \"a.example/b\": field is immutable"
    );
    assert_eq!(
        change(
            json!({"podFailurePolicy": {"rules": [{"action": "Count", "onPodConditions": [{"type": "A", "status": "True"}]}]}})
        ),
        "spec.podFailurePolicy: Invalid value: {\"rules\":[{\"action\":\"Count\",\"onPodConditions\":[{\"status\":\"True\",\"type\":\"A\"}]}]}: field is immutable"
    );
    let indexed = json!({"completionMode": "Indexed", "completions": 1, "backoffLimitPerIndex": 1,
        "successPolicy": {"rules": [{"succeededCount": 1}]}});
    assert_eq!(
        change(indexed),
        "spec.completionMode: Invalid value: \"Indexed\": field is immutable\n\
        spec.backoffLimitPerIndex: Invalid value: 1: field is immutable\n\
        spec.successPolicy: Invalid value: {\"rules\":[{\"succeededCount\":1}]}: field is immutable"
    );
    let mut new = stored(json!({}));
    new["spec"]["selector"]["matchLabels"]["job-name"] = json!("pi");
    assert!(updated(&Job, new, stored(json!({}))).ends_with(": field is immutable"));
}

#[test]
fn only_a_suspended_job_may_change_its_template() {
    let old = |suspend: bool, status: Value| {
        let mut job = stored(json!({"suspend": suspend}));
        job["spec"]["template"]["spec"]["affinity"] = json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "k", "labelSelector": {"matchLabels": {"a": "b"}}}]}});
        job["status"] = status;
        job
    };
    let started = json!({"startTime": "2026-01-01T00:00:00Z"});
    let told =
        json!({"startTime": "2026-01-01T00:00:00Z", "conditions": [{"type": "Suspended", "status": "True"}]});
    let resources = |job: &mut Value| {
        job["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
    };
    let place = |job: &mut Value| {
        let template = &mut job["spec"]["template"];
        template["metadata"]["labels"]["x"] = json!("y");
        template["metadata"]["annotations"] = json!({"x": "y"});
        template["spec"]["nodeSelector"] = json!({"x": "y"});
        template["spec"]["tolerations"] = json!([{"key": "x", "operator": "Exists"}]);
        template["spec"]["schedulingGates"] = json!([{"name": "x"}]);
        template["spec"]["affinity"]["nodeAffinity"] = json!({"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "x", "operator": "Exists"}]}]}});
    };
    let image = |job: &mut Value| job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("j");
    let apart = |job: &mut Value| {
        job["spec"]["template"]["spec"].as_object_mut().unwrap().remove("affinity");
    };
    let finalizers =
        |job: &mut Value| job["spec"]["template"]["metadata"]["finalizers"] = json!(["a.example/b"]);
    let renamed = |job: &mut Value| {
        let container = &mut job["spec"]["template"]["spec"]["containers"][0];
        container["name"] = json!("d");
        container["resources"] = json!({"requests": {"cpu": "1"}});
    };
    let (fine, template, spec) = ("", "spec.template", "spec.template.spec");
    type Case<'a> = (bool, &'a Value, &'a dyn Fn(&mut Value), &'a str);
    let cases: [Case<'_>; 12] = [
        (false, &json!({}), &resources, template),
        (false, &json!({}), &image, template),
        (true, &json!({}), &resources, fine),
        (true, &json!({}), &place, fine),
        (true, &json!({}), &image, spec),
        (true, &json!({}), &apart, spec),
        (true, &json!({}), &finalizers, template),
        (true, &json!({}), &renamed, spec),
        (true, &started, &resources, template),
        (true, &told, &resources, fine),
        (true, &told, &place, fine),
        (true, &json!({"active": 1}), &resources, template),
    ];
    for (number, (suspend, status, change, expected)) in cases.iter().enumerate() {
        let before = old(*suspend, (*status).clone());
        let mut new = before.clone();
        change(&mut new);
        let told = updated(&Job, new, before);
        match *expected {
            "" => assert_eq!(told, "", "{number}"),
            path => assert!(
                told.starts_with(&format!("{path}: Invalid value: "))
                    && told.ends_with(": field is immutable")
                    && told.lines().count() == 1,
                "{number}: {told}"
            ),
        }
    }
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

/// What is said of a status, of a job with this spec, that was that before.
fn status(spec: Value, before: Value, after: Value) -> String {
    let mut old = stored(spec);
    old["status"] = before;
    let mut new = old.clone();
    new["status"] = after;
    found(|errors| Job.validate_status_update(&new, &old, errors))
}

const START: &str = "2026-01-01T00:00:00Z";

/// A status with these conditions true, that has begun and, where complete, ended.
fn ended(conditions: &[&str], more: Value) -> Value {
    let conditions: Vec<Value> =
        conditions.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
    let mut status = json!({"startTime": START, "conditions": conditions});
    if status["conditions"].to_string().contains("Complete") {
        status["completionTime"] = json!(START);
    }
    merge(&mut status, more);
    status
}

#[test]
fn a_status_counts_what_there_is() {
    let check = |after: Value| status(json!({}), json!({}), after).replace("status.", "");
    let negative = "Invalid value: -1: must be greater than or equal to 0";
    for (after, expected) in [
        (json!({"active": 1, "ready": 1, "terminating": 1}), String::new()),
        (json!({"active": -1}), format!("active: {negative}")),
        (
            json!({"succeeded": -1}),
            format!(
                "succeeded: {negative}\nsucceeded: Invalid value: -1: cannot decrease the succeeded counter"
            ),
        ),
        (
            json!({"failed": -1}),
            format!("failed: {negative}\nfailed: Invalid value: -1: cannot decrease the failed counter"),
        ),
        (json!({"ready": -1}), format!("ready: {negative}")),
        (json!({"terminating": -1}), format!("terminating: {negative}")),
        (
            json!({"active": 1, "ready": 2}),
            "ready: Invalid value: 2: cannot set more ready pods than active".to_owned(),
        ),
        (
            json!({"uncountedTerminatedPods": {"succeeded": ["a", "", "a"], "failed": ["", "a", "b"]}}),
            "uncountedTerminatedPods.succeeded[1]: Invalid value: \"\": must not be empty\n\
            uncountedTerminatedPods.succeeded[2]: Duplicate value: \"a\"\n\
            uncountedTerminatedPods.failed[0]: Invalid value: \"\": must not be empty\n\
            uncountedTerminatedPods.failed[1]: Duplicate value: \"a\""
                .to_owned(),
        ),
    ] {
        assert_eq!(check(after.clone()), expected, "{after}");
    }
    let kept = json!({"active": 0, "ready": 2});
    assert_eq!(status(json!({}), kept.clone(), kept), "", "what was so before is left alone");
}

#[test]
fn the_end_of_a_job_is_whole() {
    let check = |conditions: &[&str], more: Value| {
        status(json!({}), json!({"startTime": START}), ended(conditions, more))
            .replace("status.", "")
            .replace("conditions: Invalid value: ", "")
    };
    let both = ["Complete", "SuccessCriteriaMet"];
    let broken = ["Failed", "FailureTarget"];
    for (told, expected) in [
        (check(&both, json!({})), ""),
        (check(&broken, json!({})), ""),
        (check(&["FailureTarget"], json!({"active": 1})), ""),
        (check(&["SuccessCriteriaMet"], json!({"active": 1})), ""),
        (
            check(&["Complete", "SuccessCriteriaMet", "Failed", "FailureTarget"], json!({})),
            "cannot set Complete=True and Failed=true conditions\n\
            cannot set Complete=True and FailureTarget=true conditions\n\
            cannot set SuccessCriteriaMet=True and Failed=true conditions\n\
            cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
        ),
        (
            check(&["Complete"], json!({})),
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
        (
            check(&["Failed"], json!({})),
            "cannot set Failed=True condition without the FailureTarget=true condition",
        ),
        (
            check(&both, json!({"completionTime": null})),
            "completionTime: Required value: completionTime is required for Complete jobs",
        ),
        (
            check(&broken, json!({"completionTime": START})),
            "completionTime: Invalid value: \"2026-01-01T00:00:00Z\": cannot set completionTime when there is no Complete=True condition",
        ),
        (
            check(&both, json!({"completionTime": "2025-12-31T23:59:59Z"})),
            "completionTime: Invalid value: \"2025-12-31T23:59:59Z\": must be equal to or after `startTime`",
        ),
        (
            check(
                &both,
                json!({"active": 1, "terminating": 1, "uncountedTerminatedPods": {"failed": ["a"]}}),
            ),
            "active: Invalid value: 1: active>0 is invalid for finished job\n\
            uncountedTerminatedPods: Invalid value: {\"failed\":[\"a\"]}: must be empty for finished job\n\
            terminating: Invalid value: 1: terminating>0 is invalid for finished job",
        ),
    ] {
        assert_eq!(told, expected);
    }
    assert_eq!(
        status(json!({}), json!({}), ended(&broken, json!({"startTime": null}))),
        "status.startTime: Required value: startTime is required for finished job"
    );
    let policy = json!({"completionMode": "Indexed", "completions": 1, "successPolicy": {"rules": [{"succeededCount": 1}]}});
    assert_eq!(
        status(policy, json!({"startTime": START}), ended(&["Complete"], json!({}))),
        "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition\n\
        status.conditions: Invalid value: cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
    );
    let odd = ended(
        &["Complete", "Failed"],
        json!({"active": 1, "terminating": 1, "startTime": null,
        "completionTime": null, "uncountedTerminatedPods": {"failed": ["a"]}}),
    );
    assert_eq!(status(json!({}), odd.clone(), odd), "", "what was so before is left alone");
}

#[test]
fn the_indexes_of_a_status_are_those_of_the_job() {
    let check = |spec: Value, after: Value| status(spec, json!({}), after).replace("status.", "");
    let indexed = json!({"completionMode": "Indexed", "completions": 5, "backoffLimitPerIndex": 1});
    let plain = json!({"completionMode": "Indexed", "completions": 5});
    for (spec, after, expected) in [
        (&indexed, json!({"completedIndexes": "0,2-3", "failedIndexes": "1,4"}), ""),
        (&indexed, json!({"completedIndexes": "0", "failedIndexes": ""}), ""),
        (
            &indexed,
            json!({"completedIndexes": "5", "failedIndexes": "a"}),
            "completedIndexes: Invalid value: \"5\": error parsing completedIndexes: too large index: \"5\"\n\
            failedIndexes: Invalid value: \"a\": error parsing failedIndexes: cannot convert string to integer for index: \"a\"",
        ),
        (
            &indexed,
            json!({"completedIndexes": "0-2", "failedIndexes": "2"}),
            "failedIndexes: Invalid value: \"2\": failedIndexes and completedIndexes overlap at index: 2",
        ),
        (
            &plain,
            json!({"failedIndexes": ""}),
            "failedIndexes: Invalid value: \"\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
        ),
        (
            &json!({}),
            json!({"completedIndexes": "0"}),
            "completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode",
        ),
    ] {
        assert_eq!(check(spec.clone(), after.clone()), expected, "{after}");
    }
    let odd = json!({"completedIndexes": "0-9", "failedIndexes": "2"});
    assert_eq!(status(plain, odd.clone(), odd), "", "what was so before is left alone");
}

#[test]
fn what_a_status_said_is_not_taken_back() {
    let later = "2026-01-01T00:00:01Z";
    let (complete, failed) = (
        ended(&["Complete", "SuccessCriteriaMet"], json!({})),
        ended(&["Failed", "FailureTarget"], json!({})),
    );
    let elastic = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3});
    let fixed = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 2});
    let begun = json!({"startTime": START});
    let without = |kinds: &[&str], mut status: Value| {
        status["conditions"]
            .as_array_mut()
            .unwrap()
            .retain(|condition| !kinds.contains(&condition["type"].as_str().unwrap()));
        status
    };
    let mut moved = complete.clone();
    moved["completionTime"] = json!(later);
    let mut unended = without(&["Complete"], complete.clone());
    unended["completionTime"] = Value::Null;
    for (spec, before, after, expected) in [
        (
            &json!({}),
            &failed,
            json!({"startTime": START}),
            "conditions: Invalid value: cannot disable the terminal Failed=True condition\n\
            conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
        ),
        (
            &json!({}),
            &complete,
            unended,
            "conditions: Invalid value: cannot disable the terminal Complete=True condition",
        ),
        (
            &json!({}),
            &ended(&["SuccessCriteriaMet"], json!({})),
            ended(&[], json!({})),
            "conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
        ),
        (
            &json!({}),
            &ended(&["Complete"], json!({})),
            complete.clone(),
            "conditions: Invalid value: cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
        ),
        (
            &json!({}),
            &json!({"failed": 2, "succeeded": 2}),
            json!({"failed": 1, "succeeded": 1}),
            "failed: Invalid value: 1: cannot decrease the failed counter\n\
            succeeded: Invalid value: 1: cannot decrease the succeeded counter",
        ),
        (&elastic, &json!({"succeeded": 2}), json!({"succeeded": 1}), ""),
        (
            &fixed,
            &json!({"succeeded": 2}),
            json!({"succeeded": 1}),
            "succeeded: Invalid value: 1: cannot decrease the succeeded counter",
        ),
        (
            &json!({}),
            &complete,
            moved,
            "completionTime: Invalid value: \"2026-01-01T00:00:01Z\": field is immutable",
        ),
        (
            &json!({}),
            &begun,
            json!({"startTime": later}),
            "startTime: Required value: startTime cannot be removed for unsuspended job",
        ),
        (
            &json!({}),
            &begun,
            json!({}),
            "startTime: Required value: startTime cannot be removed for unsuspended job",
        ),
        (&json!({"suspend": true}), &begun, json!({}), ""),
        (&json!({}), &json!({}), begun.clone(), ""),
        (&json!({}), &begun, json!({"startTime": "2026-01-01T01:00:00+01:00"}), ""),
    ] {
        assert_eq!(
            status(spec.clone(), before.clone(), after.clone()).replace("status.", ""),
            expected,
            "{before} {after}"
        );
    }
}

//! What may change of a job, and when.

use super::*;

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

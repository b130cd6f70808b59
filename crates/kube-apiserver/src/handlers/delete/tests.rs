//! Tables of what deletions come to.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn shown(decision: Decision) -> String {
    match decision {
        Decision::Remove => "remove".into(),
        Decision::Keep => "keep".into(),
        Decision::Mark(ref object) | Decision::End(ref object) => {
            let finalizers: Vec<&str> = object.finalizers().collect();
            format!(
                "{} {} {:?} [{}]",
                if matches!(decision, Decision::End(_)) { "end" } else { "mark" },
                object.deletion_timestamp().unwrap_or("-"),
                object.deletion_grace_period(),
                finalizers.join(",")
            )
        }
    }
}

/// Gives everything a grace period of 30 seconds unless asked otherwise.
struct Slow;

impl kinds::Strategy for Slow {
    fn deletion_grace(&self, _object: &Value, requested: Option<i64>) -> Grace {
        Grace::Seconds(requested.unwrap_or(30))
    }
}

fn plain(metadata: Value, options: &DeleteOptions) -> String {
    let object = json!({ "metadata": metadata });
    shown(decide_deletion(&kinds::generic::PLAIN, false, &object, options, at(1000)))
}

fn slow(metadata: Value, grace: Option<i64>) -> String {
    let object = json!({ "metadata": metadata });
    let options = DeleteOptions { grace, ..DeleteOptions::default() };
    shown(decide_deletion(&Slow, false, &object, &options, at(1000)))
}

#[test]
fn finalizers_hold_an_object() {
    let none = DeleteOptions::default();
    assert_eq!(plain(json!({"name": "a"}), &none), "remove");
    assert_eq!(
        plain(json!({"name": "a", "finalizers": ["x/y"]}), &none),
        "mark 1970-01-01T00:16:40Z Some(0) [x/y]"
    );
    let marked = json!({"name": "a", "finalizers": ["x/y"], "deletionTimestamp": "1970-01-01T00:00:01Z", "deletionGracePeriodSeconds": 0});
    assert_eq!(plain(marked, &none), "keep");
}

#[test]
fn propagation_is_an_order_among_the_finalizers() {
    for (propagation, expected) in [
        (Propagation::Orphan, "mark 1970-01-01T00:16:40Z Some(0) [orphan]"),
        (Propagation::Foreground, "mark 1970-01-01T00:16:40Z Some(0) [foregroundDeletion]"),
        (Propagation::Background, "remove"),
    ] {
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        assert_eq!(plain(json!({"name": "a"}), &options), expected);
    }
    let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    assert_eq!(
        plain(json!({"name": "a", "finalizers": ["orphan", "foregroundDeletion"]}), &options),
        "remove"
    );
}

#[test]
fn what_some_kinds_own_stays_without_an_order() {
    let decide = |group: &str, kind: &str, propagation: Option<Propagation>| {
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        let object = json!({"metadata": {"name": "a"}});
        shown(decide_deletion(kinds::strategy(group, kind), false, &object, &options, at(1000)))
    };
    for (group, kind, propagation, expected) in [
        ("batch", "Job", None, "mark 1970-01-01T00:16:40Z Some(0) [orphan]"),
        ("batch", "Job", Some(Propagation::Background), "remove"),
        ("", "ReplicationController", None, "mark 1970-01-01T00:16:40Z Some(0) [orphan]"),
        ("apps", "ReplicaSet", None, "remove"),
        ("", "Event", Some(Propagation::Foreground), "remove"),
    ] {
        assert_eq!(decide(group, kind, propagation), expected, "{kind} {propagation:?}");
    }
}

#[test]
fn a_grace_period_is_set_once_and_only_gets_shorter() {
    assert_eq!(slow(json!({"name": "a"}), None), "mark 1970-01-01T00:17:10Z Some(30) []");
    assert_eq!(slow(json!({"name": "a"}), Some(0)), "end 1970-01-01T00:16:40Z Some(0) []");
    assert_eq!(
        slow(json!({"name": "a", "finalizers": ["x/y"]}), Some(0)),
        "mark 1970-01-01T00:16:40Z Some(0) [x/y]"
    );
    let dying =
        json!({"name": "a", "deletionTimestamp": "1970-01-01T00:17:10Z", "deletionGracePeriodSeconds": 30});
    assert_eq!(slow(dying.clone(), None), "keep");
    assert_eq!(slow(dying.clone(), Some(60)), "keep");
    assert_eq!(slow(dying.clone(), Some(10)), "mark 1970-01-01T00:16:50Z Some(10) []");
    assert_eq!(slow(dying.clone(), Some(0)), "end 1970-01-01T00:16:40Z Some(0) []");
    let orphaning = DeleteOptions { propagation: Some(Propagation::Orphan), ..DeleteOptions::default() };
    let late = decide_deletion(&Slow, false, &json!({ "metadata": dying }), &orphaning, at(1000));
    assert_eq!(shown(late), "keep");
    let over =
        json!({"name": "a", "deletionTimestamp": "1970-01-01T00:16:40Z", "deletionGracePeriodSeconds": 0});
    assert_eq!(slow(over, Some(5)), "remove");
}

#[test]
fn a_namespace_is_marked_first_and_goes_without_finalizers() {
    let options = DeleteOptions::default();
    let decide =
        |object: &Value| shown(decide_deletion(&kinds::generic::PLAIN, true, object, &options, at(0)));
    let mut namespace = json!({"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes"]}});
    assert_eq!(decide(&namespace), "mark 1970-01-01T00:00:00Z None []");
    namespace["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into();
    assert_eq!(decide(&namespace), "keep");
    namespace["spec"]["finalizers"] = json!([]);
    assert_eq!(decide(&namespace), "remove");
}

#[test]
fn options_come_from_the_body_or_the_query() {
    let query = Query::parse(Some("gracePeriodSeconds=5&propagationPolicy=Foreground&dryRun=All"));
    let options = DeleteOptions::read(b"", Encoding::Json, &query).unwrap();
    assert_eq!(
        (options.grace, options.propagation, options.dry_run),
        (Some(5), Some(Propagation::Foreground), true)
    );
    let unreadable = Query::parse(Some("gracePeriodSeconds=soon"));
    assert_eq!(
        DeleteOptions::read(b"", Encoding::Json, &unreadable).unwrap_err().message,
        "strconv.ParseInt: parsing \"soon\": invalid syntax"
    );
    let body =
        br#"{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u"},"orphanDependents":true}"#;
    let options = DeleteOptions::read(body, Encoding::Json, &query).unwrap();
    assert_eq!((options.uid.as_deref(), options.propagation), (Some("u"), Some(Propagation::Orphan)));
    let refused =
        DeleteOptions::read(br#"{"propagationPolicy":"Never"}"#, Encoding::Json, &query).unwrap_err();
    assert_eq!(refused.code, 422);
}

use std::collections::BTreeMap;

use apimachinery::fields;
use expect_test::expect;

use super::*;
use crate::User;

#[test]
fn questions_have_upstreams_form() {
    let groups = ["dev".to_owned()];
    let extra = BTreeMap::from([("scopes".to_owned(), vec!["a".to_owned()])]);
    let (field, label) = (fields::parse("spec.nodeName=w1").unwrap(), labels::parse("app=web,tier").unwrap());
    let attributes = Attributes {
        user: User { name: "jane", groups: &groups },
        uid: "u-1",
        extra: Some(&extra),
        verb: "list",
        namespace: "shop",
        version: "v1",
        resource: "pods",
        is_resource: true,
        field_selector: Some(&field),
        label_selector: Some(&label),
        ..Attributes::default()
    };
    let text = |version| String::from_utf8(question(&attributes, version)).unwrap();
    expect![[r#"{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","metadata":{"creationTimestamp":null},"spec":{"extra":{"scopes":["a"]},"groups":["dev"],"resourceAttributes":{"fieldSelector":{"requirements":[{"key":"spec.nodeName","operator":"In","values":["w1"]}]},"labelSelector":{"requirements":[{"key":"app","operator":"In","values":["web"]},{"key":"tier","operator":"Exists"}]},"namespace":"shop","resource":"pods","verb":"list","version":"v1"},"uid":"u-1","user":"jane"},"status":{"allowed":false}}"#]].assert_eq(&text("v1"));
    assert!(text("v1beta1").contains(r#""group":["dev"]"#) && text("v1beta1").contains("io/v1beta1"));
    let path = Attributes { verb: "get", path: "/metrics", ..Attributes::default() };
    assert!(
        String::from_utf8(question(&path, "v1"))
            .unwrap()
            .contains(r#""spec":{"nonResourceAttributes":{"path":"/metrics","verb":"get"}}"#)
    );
}

#[test]
fn answers_are_read() {
    let read = |status: Value| Answer::read(json!({"status": status}).to_string().as_bytes());
    let answer = |allowed, denied, reason: &str| Ok(Answer { allowed, denied, reason: reason.to_owned() });
    assert_eq!(read(json!({"allowed": true})), answer(true, false, ""));
    assert_eq!(read(json!({"denied": true, "reason": "x"})), answer(false, true, "x"));
    assert_eq!(read(json!({})), answer(false, false, ""));
    assert!(read(json!({"allowed": true, "denied": true})).is_err());
    assert!(Answer::read(b"nothing").is_err());
}

#[test]
fn conditions_say_which_requests_are_asked_about() {
    let (field, label) =
        (fields::parse("spec.nodeName!=w1").unwrap(), labels::parse("app=web,tier").unwrap());
    let groups = ["dev".to_owned()];
    let of_resource = Attributes {
        user: User { name: "jane", groups: &groups },
        verb: "list",
        namespace: "shop",
        resource: "pods",
        is_resource: true,
        field_selector: Some(&field),
        label_selector: Some(&label),
        ..Attributes::default()
    };
    let of_path = Attributes { verb: "get", path: "/metrics", ..Attributes::default() };
    let resource = "has(request.resourceAttributes) && request.resourceAttributes";
    for (attributes, expression, expected) in [
        (&of_resource, "'dev' in request.groups && request.user == 'jane'".to_owned(), true),
        (&of_resource, format!("{resource}.namespace == 'shop'"), true),
        (&of_resource, format!("{resource}.namespace == 'bank'"), false),
        (&of_resource, format!("{resource}.fieldSelector.requirements[0].values == ['w1']"), true),
        (&of_resource, format!("{resource}.fieldSelector.requirements[0].operator == 'NotIn'"), true),
        (&of_resource, format!("{resource}.labelSelector.requirements[1].key == 'tier'"), true),
        (&of_resource, "has(request.nonResourceAttributes)".to_owned(), false),
        (&of_path, format!("{resource}.verb == 'get'"), false),
        (&of_path, "request.nonResourceAttributes.path == '/metrics'".to_owned(), true),
        (&of_path, "request.nonResourceAttributes.verb == 'post'".to_owned(), false),
    ] {
        let condition = Condition::new(&expression).unwrap();
        assert_eq!(condition.holds(&request(attributes)), Ok(expected), "{expression}");
    }
}

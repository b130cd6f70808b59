//! Who asks, what is asked of the API server, and how refusals read.

use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

use super::*;

/// An API server that knows one token, answers every wish with yes or no, and may be away.
fn delegated(is_away: bool, asked: &Arc<Mutex<Vec<Value>>>) -> Delegated {
    let asked = Arc::clone(asked);
    let service = service_fn(move |request: http::Request<Body>| {
        let asked = Arc::clone(&asked);
        async move {
            if is_away {
                return Err(std::io::Error::other("away"));
            }
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let review: Value = serde_json::from_slice(&body).unwrap();
            let spec = &review["spec"];
            asked.lock().push(spec.clone());
            let is_known = spec["token"] == "secret";
            let user = json!({"username": "jane", "uid": "7", "groups": ["ops"], "extra": {"a": ["b"]}});
            let may = spec["user"] == "jane";
            let status =
                json!({"authenticated": is_known, "user": user, "allowed": may, "reason": "no rule"});
            let answer = json!({"metadata": {}, "spec": spec, "status": status});
            Ok(http::Response::new(Body::from(answer.to_string().into_bytes())))
        }
    });
    Delegated::new(Client::new(service, "default"))
}

#[tokio::test]
async fn whoever_shows_nothing_is_anonymous_and_whoever_shows_what_is_wrong_is_nobody() {
    let jim = Arc::new(UserInfo { name: "jim".into(), ..UserInfo::default() });
    let refused = || Err(CertificateError::NoName);
    for (certificate, token, anonymous, is_away, expected) in [
        (None, None, true, false, Some("system:anonymous [\"system:unauthenticated\"]")),
        (None, None, true, true, Some("system:anonymous [\"system:unauthenticated\"]")),
        (None, None, false, false, None),
        (None, Some("Bearer secret"), false, false, Some("jane [\"ops\", \"system:authenticated\"]")),
        (None, Some("bearer  secret"), true, false, Some("jane [\"ops\", \"system:authenticated\"]")),
        (None, Some("Bearer other"), true, false, None),
        (None, Some("Bearer secret"), true, true, None),
        (None, Some("Basic secret"), true, false, Some("system:anonymous [\"system:unauthenticated\"]")),
        (Some(Ok(jim.clone())), Some("Bearer secret"), true, false, Some("jim []")),
        (Some(refused()), None, true, false, None),
        (
            Some(refused()),
            Some("Bearer secret"),
            true,
            false,
            Some("jane [\"ops\", \"system:authenticated\"]"),
        ),
        (Some(refused()), Some("Bearer other"), true, false, None),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert(http::header::AUTHORIZATION, token.parse().unwrap());
        }
        let shown = format!("{certificate:?} {token:?} {anonymous} {is_away}");
        let user = delegated(is_away, &Arc::default()).identify(certificate, &headers, anonymous).await;
        let user = user.map(|user| format!("{} {:?}", user.name, user.groups));
        assert_eq!(user.as_deref(), expected, "{shown}");
    }
}

#[tokio::test]
async fn answers_are_kept_but_not_those_about_endless_paths() {
    let asked = Arc::default();
    let delegated = delegated(false, &asked);
    let jane = UserInfo { name: "jane".into(), ..UserInfo::default() };
    let path = |path: String| Wish::Path { verb: "get".into(), path };
    for _ in 0..3 {
        assert_eq!(delegated.decide(&jane, &path("/metrics".into())).await.unwrap(), Ok(()));
        let anonymous = delegated.decide(&UserInfo::anonymous(), &path("/metrics".into())).await.unwrap();
        assert_eq!(anonymous, Err("no rule".to_owned()));
    }
    assert_eq!(asked.lock().len(), 2);
    let endless = path("/".repeat(WISH_MAX + 1));
    for _ in 0..3 {
        assert_eq!(delegated.decide(&jane, &endless).await.unwrap(), Ok(()));
    }
    assert_eq!((asked.lock().len(), delegated.decisions.lock().len()), (5, 2));
}

#[tokio::test]
async fn a_user_is_asked_about_with_all_that_is_known_of_them() {
    let asked = Arc::default();
    let delegated = delegated(false, &asked);
    let user = delegated.user_of("secret").await.unwrap().unwrap();
    let pods = Wish::Resource {
        verb: "list",
        group: "metrics.k8s.io",
        version: "v1beta1",
        resource: "pods",
        subresource: "",
        namespace: "a".into(),
        name: String::new(),
    };
    assert_eq!(delegated.decide(&user, &pods).await.unwrap(), Ok(()));
    let expected = json!({
        "user": "jane", "uid": "7", "groups": ["ops", "system:authenticated"], "extra": {"a": ["b"]},
        "resourceAttributes":
            {"verb": "list", "group": "metrics.k8s.io", "version": "v1beta1", "resource": "pods", "namespace": "a"},
    });
    assert_eq!(asked.lock()[1], expected);
}

#[test]
fn refusals_are_worded_as_the_api_servers() {
    let jane = UserInfo { name: "jane".into(), ..UserInfo::default() };
    let path = Wish::Path { verb: "get".into(), path: "/metrics/<x>".into() };
    assert_eq!(
        refusal(&jane, &path, "").message,
        "forbidden: User \"jane\" cannot get path \"/metrics/&lt;x&gt;\""
    );
    let wish = |namespace: &str, subresource| Wish::Resource {
        verb: "list",
        group: "metrics.k8s.io",
        version: "v1beta1",
        resource: "pods",
        subresource,
        namespace: namespace.into(),
        name: String::new(),
    };
    assert_eq!(
        refusal(&jane, &wish("a", ""), "").message,
        r#"pods.metrics.k8s.io is forbidden: User "jane" cannot list resource "pods" in API group "metrics.k8s.io" in the namespace "a""#
    );
    assert_eq!(
        refusal(&jane, &wish("", "log"), "no rule").message,
        r#"pods.metrics.k8s.io is forbidden: User "jane" cannot list resource "pods/log" in API group "metrics.k8s.io" at the cluster scope: no rule"#
    );
}

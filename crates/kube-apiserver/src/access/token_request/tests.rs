use std::collections::HashMap;

use authn::{SigningKey, TokenVerifier};
use futures::future::BoxFuture;

use super::*;
use std::sync::Arc;

struct Fixed(HashMap<&'static str, Value>);

impl Objects for Fixed {
    fn get<'a>(
        &'a self,
        group: &'a str,
        resource: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Arc<Value>, Status>> {
        let found = self.0.get(format!("{resource}/{namespace}/{name}").as_str()).cloned().map(Arc::new);
        Box::pin(async move { found.ok_or_else(|| Status::not_found(group, resource, name)) })
    }
}

impl authn::Lookup for Fixed {
    fn service_account(&self, namespace: &str, name: &str) -> Option<authn::Referent> {
        let uid = self.0.get(format!("serviceaccounts/{namespace}/{name}").as_str())?.uid().to_owned();
        Some(authn::Referent { uid, deletion_timestamp: None })
    }
    fn pod(&self, namespace: &str, name: &str) -> Option<authn::Referent> {
        let uid = self.0.get(format!("pods/{namespace}/{name}").as_str())?.uid().to_owned();
        Some(authn::Referent { uid, deletion_timestamp: None })
    }
    fn node(&self, _: &str) -> Option<authn::Referent> {
        None
    }
    fn secret(&self, _: &str, _: &str) -> Option<Arc<Value>> {
        None
    }
}

fn objects() -> Fixed {
    Fixed(HashMap::from([
        ("serviceaccounts/a/builder", json!({"metadata": {"uid": "sa-1"}})),
        (
            "pods/a/web",
            json!({"metadata": {"uid": "pod-1"}, "spec": {"serviceAccountName": "builder", "nodeName": "w1"}}),
        ),
        ("pods/a/other", json!({"metadata": {"uid": "pod-2"}, "spec": {"serviceAccountName": "default"}})),
        ("nodes//w1", json!({"metadata": {"uid": "node-1"}})),
    ]))
}

fn requests(max_expiration: Option<i64>) -> TokenRequests {
    let (key, _) = pki::signing_key().unwrap();
    let issuer = Issuer::new("https://issuer", SigningKey::from_pem(&key).unwrap());
    TokenRequests { issuer, api_audiences: vec!["api".into()], max_expiration, extend_expiration: true }
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00.5Z".parse().unwrap()
}

async fn ask(requests: &TokenRequests, account: &str, spec: Value) -> Result<Granted, Status> {
    let request = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": spec});
    requests.create(&objects(), "a", account, request, now(), "jti".into()).await
}

fn claims(granted: &Granted) -> Value {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
    let token = granted.object.str_at(&["status", "token"]).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn tokens_are_made_and_verify() {
    let requests = requests(None);
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "pod-1"});
    let granted =
        ask(&requests, "builder", json!({"boundObjectRef": bound, "expirationSeconds": 600})).await.unwrap();
    assert_eq!(granted.object["status"]["expirationTimestamp"], "2026-11-20T12:10:00Z");
    assert_eq!(granted.object["spec"]["audiences"], json!(["api"]));
    assert_eq!(granted.object["metadata"]["name"], "builder");
    assert_eq!(claims(&granted)["kubernetes.io"]["node"], json!({"name": "w1", "uid": "node-1"}));
    let keys = vec![requests.issuer.verification_key()];
    let verifier = TokenVerifier::new(keys, vec!["https://issuer".into()], Arc::new(objects()));
    let token = granted.object.str_at(&["status", "token"]).unwrap();
    let identity = verifier.verify(token, &["api".into()], now()).unwrap().unwrap();
    assert_eq!(identity.user.name, "system:serviceaccount:a:builder");
}

#[tokio::test]
async fn tokens_of_pods_that_may_not_renew_are_extended() {
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "web"});
    let spec = json!({"boundObjectRef": bound, "expirationSeconds": 3607});
    let life = |claims: &Value| claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    let granted = ask(&requests(None), "builder", spec.clone()).await.unwrap();
    let extended = claims(&granted);
    assert_eq!(life(&extended), 365 * 24 * 3600);
    assert_eq!(
        extended["kubernetes.io"]["warnafter"].as_i64().unwrap() - extended["iat"].as_i64().unwrap(),
        3607
    );
    assert_eq!(granted.object["status"]["expirationTimestamp"], "2026-11-20T13:00:07Z");
    let mut for_others = spec.clone();
    for_others["audiences"] = json!(["vault"]);
    assert_eq!(life(&claims(&ask(&requests(None), "builder", for_others).await.unwrap())), 3607);
    let unbound = json!({"expirationSeconds": 3607});
    assert_eq!(life(&claims(&ask(&requests(None), "builder", unbound).await.unwrap())), 3607);
}

#[tokio::test]
async fn long_lives_are_shortened() {
    let granted = ask(&requests(Some(7200)), "builder", json!({"expirationSeconds": 10_000})).await.unwrap();
    assert_eq!(granted.warnings, ["requested expiration of 10000 seconds shortened to 7200 seconds"]);
    assert_eq!(granted.object["spec"]["expirationSeconds"], 7200);
}

#[tokio::test]
async fn wrong_requests_are_refused_in_upstreams_words() {
    let pod = |name: &str, uid: &str| json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}});
    for (account, spec, expected) in [
        ("none", json!({}), "404 serviceaccounts \"none\" not found"),
        (
            "builder",
            json!({"expirationSeconds": 5}),
            "422 TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
        ),
        ("builder", pod("gone", ""), "404 pods \"gone\" not found"),
        (
            "builder",
            pod("other", ""),
            "400 cannot bind token for serviceaccount \"builder\" to pod running with different serviceaccount name.",
        ),
        (
            "builder",
            pod("web", "pod-0"),
            "409 Operation cannot be fulfilled on pods \"web\": the UID in the bound object reference (pod-0) does not match the UID in record. The object might have been deleted and then recreated",
        ),
        (
            "builder",
            json!({"boundObjectRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}),
            "400 cannot bind token to object of type apps/v1, Kind=Deployment",
        ),
    ] {
        let status = ask(&requests(None), account, spec).await.unwrap_err();
        assert_eq!(format!("{} {}", status.code, status.message), expected);
    }
}

//! `TokenReview`: whom does a bearer token speak for?

use apimachinery::{ObjectExt as _, Status};
use authn::Authenticator;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Answers a review.
pub async fn review(
    authenticator: &Authenticator,
    mut review: Value,
    now: Timestamp,
) -> Result<Value, Status> {
    let token = review.str_at(&["spec", "token"]).unwrap_or("");
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let asked: Vec<String> = review
        .list_at(&["spec", "audiences"])
        .iter()
        .filter_map(|audience| audience.as_str().map(str::to_owned))
        .collect();
    let audiences = if asked.is_empty() { &authenticator.api_audiences } else { &asked };
    review["status"] = match authenticator.authenticate_token(token, audiences, now).await {
        Ok(identity) => {
            let mut status = json!({"authenticated": true, "user": *identity.user});
            if !identity.audiences.is_empty() {
                status["audiences"] = json!(identity.audiences);
            }
            status
        }
        Err(error) => json!({"user": {}, "error": error.to_string()}),
    };
    Ok(review)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use authn::claims::{Grant, Reference};
    use authn::{Claims, Issuer, Lookup, Referent, SigningKey, TokenVerifier};
    use futures::executor::block_on;

    use super::*;

    struct OneAccount;

    impl Lookup for OneAccount {
        fn service_account(&self, _: &str, name: &str) -> Option<Referent> {
            (name == "builder").then(|| Referent { uid: "sa-1".into(), deletion_timestamp: None })
        }
        fn pod(&self, _: &str, _: &str) -> Option<Referent> {
            None
        }
        fn node(&self, _: &str) -> Option<Referent> {
            None
        }
        fn secret(&self, _: &str, _: &str) -> Option<Arc<Value>> {
            None
        }
    }

    #[test]
    fn reviews_tell_the_user_or_the_reason() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let issuer = Issuer::new("https://i", SigningKey::from_pem(&pki::signing_key().unwrap().0).unwrap());
        let keys = vec![issuer.verification_key()];
        let authenticator = Authenticator {
            tokens: Some(TokenVerifier::new(keys, vec!["https://i".into()], Arc::new(OneAccount))),
            api_audiences: vec!["api".into()],
            ..Authenticator::default()
        };
        let token = |name: &str, seconds: i64| {
            let grant = Grant {
                namespace: "a".into(),
                service_account: Reference::new(name, "sa-1"),
                bound: None,
                audiences: vec!["api".into()],
                expiration_seconds: seconds,
                warn_after_seconds: None,
            };
            issuer.sign(Claims::grant(grant, now, String::new())).unwrap()
        };
        let ask = |spec: Value| match block_on(review(&authenticator, json!({"spec": spec}), now)) {
            Ok(review) => review["status"].to_string(),
            Err(status) => status.message,
        };
        let user = r#""user":{"groups":["system:serviceaccounts","system:serviceaccounts:a","system:authenticated"],"uid":"sa-1","username":"system:serviceaccount:a:builder"}"#;
        for (spec, expected) in [
            (
                json!({"token": token("builder", 600)}),
                format!(r#"{{"audiences":["api"],"authenticated":true,{user}}}"#),
            ),
            (
                json!({"token": token("builder", -61)}),
                r#"{"error":"[invalid bearer token, service account token has expired]","user":{}}"#.into(),
            ),
            (
                json!({"token": token("gone", 600)}),
                r#"{"error":"[invalid bearer token, serviceaccounts \"gone\" not found]","user":{}}"#.into(),
            ),
            (
                json!({"token": token("builder", 600), "audiences": ["vault"]}),
                r#"{"error":"[invalid bearer token, token audiences [\"api\"] is invalid for the target audiences [\"vault\"]]","user":{}}"#.into(),
            ),
            (json!({"token": "x"}), r#"{"error":"invalid bearer token","user":{}}"#.into()),
            (json!({}), "token is required for TokenReview in authentication".into()),
        ] {
            assert_eq!(ask(spec), expected);
        }
    }
}

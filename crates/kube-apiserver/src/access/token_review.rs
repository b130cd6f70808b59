//! `TokenReview`: whom does a bearer token speak for?

use apimachinery::{ObjectExt as _, Status};
use authn::Authenticator;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Answers a review.
pub fn review(authenticator: &Authenticator, mut review: Value, now: Timestamp) -> Result<Value, Status> {
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
    review["status"] = match authenticator.authenticate_token(token, audiences, now) {
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

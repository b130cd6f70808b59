//! `SelfSubjectReview`: who the server takes the user for, as `kubectl auth whoami` shows.

use authn::UserInfo;
use serde_json::{Value, json};

/// Answers a review for the user who asks.
pub fn own(user: &UserInfo, mut review: Value) -> Value {
    review["status"] = json!({"userInfo": user});
    review
}

//! What a token webhook is asked, and what its answer means (`TokenReview`, v1 and v1beta1).

use peers::user::UserInfo;
use serde_json::{Value, json};

use crate::outside::Found;

/// The versions that `--authentication-token-webhook-version` may name.
pub const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// The question. It holds the token and is to be shown to nobody but the webhook.
pub fn question(version: &str, token: &str, audiences: &[String]) -> Value {
    let mut spec = json!({"token": token});
    if !audiences.is_empty() {
        spec["audiences"] = json!(audiences);
    }
    json!({
        "kind": "TokenReview", "apiVersion": format!("authentication.k8s.io/{version}"),
        "metadata": {"creationTimestamp": null}, "spec": spec, "status": {"user": {}},
    })
}

/// Reads the answer about a token that is shown to `audiences`; `api_audiences` are the server's own, which a webhook
/// that says nothing of audiences means.
pub fn answer(
    answer: &Value,
    audiences: &[String],
    api_audiences: &[String],
) -> Result<Option<Found>, String> {
    let status = &answer["status"];
    let error = status["error"].as_str().unwrap_or_default();
    if status["authenticated"].as_bool() != Some(true) {
        return if error.is_empty() { Ok(None) } else { Err(error.to_owned()) };
    }
    let user: UserInfo = serde_json::from_value(status["user"].clone())
        .map_err(|error| format!("webhook returned an invalid user: {error}"))?;
    let given: Vec<String> = match status["audiences"].as_array().map(Vec::as_slice) {
        None | Some([]) => api_audiences.to_vec(),
        Some(given) => given.iter().filter_map(|audience| audience.as_str().map(str::to_owned)).collect(),
    };
    let mut accepted = None;
    if !audiences.is_empty() {
        let of_both: Vec<String> =
            audiences.iter().filter(|audience| given.contains(audience)).cloned().collect();
        if of_both.is_empty() {
            return Ok(None);
        }
        accepted = Some(of_both);
    }
    Ok(Some(Found::new(user, accepted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_the_version_and_the_audiences() {
        assert_eq!(
            question("v1", "t", &["api".into()]),
            json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
                "metadata": {"creationTimestamp": null}, "spec": {"token": "t", "audiences": ["api"]},
                "status": {"user": {}}})
        );
        assert_eq!(question("v1beta1", "t", &[])["spec"], json!({"token": "t"}));
    }

    #[test]
    fn answers_are_read_with_their_audiences() {
        let (api, vault) = (vec!["api".to_owned()], vec!["vault".to_owned()]);
        let user = json!({"username": "jane", "uid": "1", "groups": ["dev"], "extra": {"a": ["b"]}});
        let check = |status: Value, audiences: &[String]| {
            answer(&json!({"status": status}), audiences, &api).map(|found| {
                found
                    .map(|found| format!("{} {:?} {:?}", found.user.name, found.user.groups, found.audiences))
            })
        };
        let jane = r#"jane ["dev", "system:authenticated"]"#;
        let yes = json!({"authenticated": true, "user": user});
        assert_eq!(check(yes.clone(), &api), Ok(Some(format!("{jane} Some([\"api\"])"))));
        assert_eq!(check(yes.clone(), &[]), Ok(Some(format!("{jane} None"))));
        assert_eq!(check(yes.clone(), &vault), Ok(None));
        let both = json!({"authenticated": true, "user": user, "audiences": ["vault", "other"]});
        assert_eq!(check(both.clone(), &vault), Ok(Some(format!("{jane} Some([\"vault\"])"))));
        assert_eq!(check(both, &api), Ok(None));
        assert_eq!(check(json!({"authenticated": false}), &api), Ok(None));
        assert_eq!(check(json!({"error": "no such token"}), &api), Err("no such token".into()));
        assert!(check(json!({"authenticated": true, "user": {"username": 3}}), &api).is_err());
    }
}

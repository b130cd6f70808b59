//! `SelfSubjectRulesReview`: everything that the user may do in a namespace, as `kubectl auth can-i --list` shows.

use apimachinery::{ObjectExt as _, Status};
use authn::UserInfo;
use authz::{Chain, Mode, Rule, node_name};
use serde_json::{Value, json};

use super::attributes;

/// Answers a review for the user who asks.
pub fn own(chain: &Chain, user: &UserInfo, mut review: Value) -> Result<Value, Status> {
    let namespace = review.str_at(&["spec", "namespace"]).unwrap_or("");
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let user = attributes::user(user);
    let mut errors = Vec::new();
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    let all = |field: &str| json!({"verbs": ["*"], field: ["*"]});
    if chain.has(Mode::AlwaysAllow) {
        let mut everything = all("resources");
        everything["apiGroups"] = json!(["*"]);
        resources.push(everything);
        paths.push(all("nonResourceURLs"));
    }
    if chain.has(Mode::Node) && node_name(user).is_some() {
        errors.push("node authorizer does not support user rule resolution".to_owned());
    }
    if chain.has(Mode::Webhook) {
        errors.push("webhook authorizer does not support user rule resolution".to_owned());
    }
    if chain.has(Mode::Rbac) {
        let held = chain.rbac.rules_for(user, namespace);
        for rule in held.rules() {
            if !rule.resources.is_empty() {
                resources.push(without(rule, "nonResourceURLs"));
            }
            if !rule.non_resource_urls.is_empty() {
                paths.push(json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls}));
            }
        }
        errors.extend(held.errors);
    }
    review["status"] =
        json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": !errors.is_empty()});
    if !errors.is_empty() {
        review["status"]["evaluationError"] = json!(errors.join(", "));
    }
    Ok(review)
}

fn without(rule: &Rule, field: &str) -> Value {
    let mut value = rule.to_value();
    value.remove_at(&[field]);
    value
}

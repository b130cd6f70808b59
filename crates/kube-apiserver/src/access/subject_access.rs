//! `SubjectAccessReview`, `LocalSubjectAccessReview` and `SelfSubjectAccessReview`: may somebody do something?

use apimachinery::{FieldError, ObjectExt as _, Status, fields, labels};
use authn::UserInfo;
use authz::{Attributes, Chain, Decision};
use serde_json::{Value, json};

use super::attributes;

const GROUP: &str = "authorization.k8s.io";

/// Answers a `SubjectAccessReview`.
pub async fn any(chain: &Chain, mut review: Value) -> Result<Value, Status> {
    refuse(
        &review,
        [spec_errors(&review), subject_errors(&review), metadata_errors(&review, false)].concat(),
    )?;
    answer_for_subject(chain, &mut review).await;
    Ok(review)
}

/// Answers a `LocalSubjectAccessReview`, which asks about one namespace: that of the request's path.
pub async fn local(chain: &Chain, namespace: &str, mut review: Value) -> Result<Value, Status> {
    let mut errors = [spec_errors(&review), subject_errors(&review), metadata_errors(&review, true)].concat();
    let asked = review.str_at(&["spec", "resourceAttributes", "namespace"]).unwrap_or("").to_owned();
    if review.at(&["spec", "resourceAttributes"]).is_some() && asked != review.namespace() {
        let why = "must match metadata.namespace";
        errors.push(FieldError::invalid("spec.resourceAttributes.namespace", asked.as_str(), why));
    }
    if let Some(paths) = review.at(&["spec", "nonResourceAttributes"]) {
        let why = "disallowed on this kind of request";
        errors.push(FieldError::invalid("spec.nonResourceAttributes", paths.clone(), why));
    }
    refuse(&review, errors)?;
    if asked != namespace {
        return Err(Status::bad_request(format!(
            "spec.resourceAttributes.namespace must match namespace: {namespace}"
        )));
    }
    answer_for_subject(chain, &mut review).await;
    Ok(review)
}

/// Answers a `SelfSubjectAccessReview` for the user who asks.
pub async fn own(chain: &Chain, user: &UserInfo, mut review: Value) -> Result<Value, Status> {
    refuse(&review, [spec_errors(&review), metadata_errors(&review, false)].concat())?;
    review["status"] = decide(chain, user, &review).await;
    Ok(review)
}

async fn answer_for_subject(chain: &Chain, review: &mut Value) {
    let text = |field| review.str_at(&["spec", field]).unwrap_or("").to_owned();
    let strings = |list: &[Value]| -> Vec<String> {
        list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let extra = review.map_at(&["spec", "extra"]).into_iter().flatten();
    let subject = UserInfo {
        name: text("user"),
        uid: text("uid"),
        groups: strings(review.list_at(&["spec", "groups"])),
        extra: extra
            .map(|(key, values)| (key.to_lowercase(), strings(values.as_array().map_or(&[], Vec::as_slice))))
            .collect(),
    };
    review["status"] = decide(chain, &subject, review).await;
}

fn refuse(review: &Value, errors: Vec<FieldError>) -> Result<(), Status> {
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(GROUP, review.kind(), "", errors)),
    }
}

fn spec_errors(review: &Value) -> Vec<FieldError> {
    let resource = review.at(&["spec", "resourceAttributes"]);
    let path = review.at(&["spec", "nonResourceAttributes"]);
    match (resource, path) {
        (Some(_), Some(path)) => vec![FieldError::invalid(
            "spec.nonResourceAttributes",
            path.clone(),
            "cannot be specified in combination with resourceAttributes",
        )],
        (None, None) => vec![FieldError::invalid(
            "spec.resourceAttributes",
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )],
        (Some(resource), None) => selector_errors(resource),
        (None, Some(_)) => Vec::new(),
    }
}

fn selector_errors(resource: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in ["fieldSelector", "labelSelector"] {
        let Some(selector) = resource.at(&[field]) else { continue };
        let path = format!("spec.resourceAttributes.{field}");
        let raw = selector.str_at(&["rawSelector"]).unwrap_or("");
        let requirements = selector.list_at(&["requirements"]);
        match (raw.is_empty(), requirements.is_empty()) {
            (false, false) => errors.push(FieldError::invalid(
                format!("{path}.rawSelector"),
                raw,
                "may not specified at the same time as requirements",
            )),
            (true, true) => errors.push(FieldError::required(
                format!("{path}.requirements"),
                format!("when {path} is specified, requirements or rawSelector is required"),
            )),
            _ => {}
        }
    }
    errors
}

fn subject_errors(review: &Value) -> Vec<FieldError> {
    let nobody = review.str_at(&["spec", "user"]).unwrap_or("").is_empty()
        && review.list_at(&["spec", "groups"]).is_empty();
    match nobody {
        true => vec![FieldError::invalid("spec.user", "", "at least one of user or group must be specified")],
        false => Vec::new(),
    }
}

/// Reviews are not stored, so metadata means nothing: only managed fields, which clients may add unasked, and
/// where it applies the namespace are let pass.
fn metadata_errors(review: &Value, namespaced: bool) -> Vec<FieldError> {
    let expected = |(field, value): (&String, &Value)| {
        matches!(field.as_str(), "managedFields" | "creationTimestamp")
            || field == "namespace" && namespaced
            || *value == json!("")
    };
    match review.map_at(&["metadata"]) {
        Some(metadata) if !metadata.iter().all(expected) => {
            let why = if namespaced { "must be empty except for namespace" } else { "must be empty" };
            vec![FieldError::invalid("metadata", Value::Object(metadata.clone()), why)]
        }
        _ => Vec::new(),
    }
}

async fn decide(chain: &Chain, user: &UserInfo, review: &Value) -> Value {
    let text = |path: [&str; 3]| review.str_at(&path).unwrap_or("");
    let about = Attributes {
        user: attributes::user(user),
        uid: &user.uid,
        extra: Some(&user.extra),
        ..Attributes::default()
    };
    let mut complaints = Vec::new();
    let decision = if let Some(resource) = review.at(&["spec", "resourceAttributes"]) {
        let (field_selector, label_selector) = (field_selector(resource), label_selector(resource));
        complaints.extend(field_selector.complaint("fieldSelector"));
        complaints.extend(label_selector.complaint("labelSelector"));
        let of = |field| resource.str_at(&[field]).unwrap_or("");
        let about = Attributes {
            verb: of("verb"),
            namespace: of("namespace"),
            group: of("group"),
            version: of("version"),
            resource: of("resource"),
            subresource: of("subresource"),
            name: of("name"),
            is_resource: true,
            field_selector: field_selector.selector.as_ref(),
            label_selector: label_selector.selector.as_ref(),
            ..about
        };
        chain.decide(&about).await
    } else {
        let path = text(["spec", "nonResourceAttributes", "path"]);
        let verb = text(["spec", "nonResourceAttributes", "verb"]);
        chain.decide(&Attributes { verb, path, ..about }).await
    };
    let mut status = json!({"allowed": decision.is_allowed()});
    if matches!(decision, Decision::Deny(_)) {
        status["denied"] = json!(true);
    }
    let reason = decision.reason().to_string();
    if decision.failure().is_some() {
        complaints.insert(0, reason);
    } else if !reason.is_empty() {
        status["reason"] = json!(reason);
    }
    if !complaints.is_empty() {
        status["evaluationError"] = json!(complaints.join("; "));
    }
    status
}

/// A selector of a review. What cannot be understood is left out, which asks for more, not for less.
struct Understood<T> {
    selector: Option<T>,
    is_whole: bool,
}

impl<T> Understood<T> {
    fn none() -> Self {
        Self { selector: None, is_whole: true }
    }

    fn raw<E>(parsed: Result<T, E>) -> Self {
        Self { is_whole: parsed.is_ok(), selector: parsed.ok() }
    }

    /// What the answer says of a selector that is not understood, in upstream's words.
    fn complaint(&self, field: &str) -> Option<String> {
        let partially = if self.selector.is_some() { "partially " } else { "" };
        let text = || format!("spec.resourceAttributes.{field} {partially}ignored due to parse error");
        (!self.is_whole).then(text)
    }
}

fn strings(requirement: &Value) -> Vec<String> {
    let values = requirement.list_at(&["values"]).iter();
    values.filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

fn label_selector(resource: &Value) -> Understood<labels::Selector> {
    let Some(selector) = resource.at(&["labelSelector"]) else { return Understood::none() };
    if let Some(raw) = selector.str_at(&["rawSelector"]).filter(|raw| !raw.is_empty()) {
        return Understood::raw(labels::parse(raw));
    }
    let stated = selector.list_at(&["requirements"]);
    let requirements: Vec<_> = stated
        .iter()
        .filter_map(|requirement| {
            let (key, values) = (requirement.str_at(&["key"])?.to_owned(), strings(requirement));
            let operator = match (requirement.str_at(&["operator"])?, values.is_empty()) {
                ("In", false) => labels::Operator::In,
                ("NotIn", false) => labels::Operator::NotIn,
                ("Exists", true) => labels::Operator::Exists,
                ("DoesNotExist", true) => labels::Operator::DoesNotExist,
                _ => return None,
            };
            Some(labels::Requirement { key, operator, values })
        })
        .collect();
    let is_whole = requirements.len() == stated.len();
    let made = labels::Selector { requirements, ..labels::Selector::everything() };
    Understood { selector: Some(made).filter(|selector| !selector.is_everything()), is_whole }
}

fn field_selector(resource: &Value) -> Understood<fields::Selector> {
    let Some(selector) = resource.at(&["fieldSelector"]) else { return Understood::none() };
    if let Some(raw) = selector.str_at(&["rawSelector"]).filter(|raw| !raw.is_empty()) {
        return Understood::raw(fields::parse(raw));
    }
    let stated = selector.list_at(&["requirements"]);
    let requirements: Vec<_> = stated
        .iter()
        .filter_map(|requirement| {
            let equal = match requirement.str_at(&["operator"])? {
                "In" => true,
                "NotIn" => false,
                _ => return None,
            };
            let [value] = requirement.list_at(&["values"]) else { return None };
            let field = requirement.str_at(&["key"])?.to_owned();
            Some(fields::Requirement { field, value: value.as_str()?.to_owned(), equal })
        })
        .collect();
    let is_whole = requirements.len() == stated.len();
    let made = fields::Selector { requirements };
    Understood { selector: Some(made).filter(|selector| !selector.is_everything()), is_whole }
}

#[cfg(test)]
mod tests;

//! `SubjectAccessReview`, `LocalSubjectAccessReview` and `SelfSubjectAccessReview`: may somebody do something?

use apimachinery::{FieldError, ObjectExt as _, Status, fields};
use authn::UserInfo;
use authz::{Attributes, Chain, Decision, User};
use serde_json::{Value, json};

use super::attributes;

const GROUP: &str = "authorization.k8s.io";

/// Answers a `SubjectAccessReview`.
pub fn any(chain: &Chain, mut review: Value) -> Result<Value, Status> {
    refuse(
        &review,
        [spec_errors(&review), subject_errors(&review), metadata_errors(&review, false)].concat(),
    )?;
    answer_for_subject(chain, &mut review);
    Ok(review)
}

/// Answers a `LocalSubjectAccessReview`, which asks about one namespace: that of the request's path.
pub fn local(chain: &Chain, namespace: &str, mut review: Value) -> Result<Value, Status> {
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
    answer_for_subject(chain, &mut review);
    Ok(review)
}

/// Answers a `SelfSubjectAccessReview` for the user who asks.
pub fn own(chain: &Chain, user: &UserInfo, mut review: Value) -> Result<Value, Status> {
    refuse(&review, [spec_errors(&review), metadata_errors(&review, false)].concat())?;
    review["status"] = decide(chain, attributes::user(user), &review);
    Ok(review)
}

fn answer_for_subject(chain: &Chain, review: &mut Value) {
    let groups: Vec<String> = review
        .list_at(&["spec", "groups"])
        .iter()
        .filter_map(|group| group.as_str().map(str::to_owned))
        .collect();
    let name = review.str_at(&["spec", "user"]).unwrap_or("").to_owned();
    review["status"] = decide(chain, User { name: &name, groups: &groups }, review);
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

fn decide(chain: &Chain, user: User<'_>, review: &Value) -> Value {
    let text = |path: [&str; 3]| review.str_at(&path).unwrap_or("");
    let decision = if let Some(resource) = review.at(&["spec", "resourceAttributes"]) {
        let selector = field_selector(resource);
        let of = |field| resource.str_at(&[field]).unwrap_or("");
        chain.authorize(&Attributes {
            user,
            verb: of("verb"),
            namespace: of("namespace"),
            group: of("group"),
            version: of("version"),
            resource: of("resource"),
            subresource: of("subresource"),
            name: of("name"),
            is_resource: true,
            field_selector: selector.as_ref(),
            ..Attributes::default()
        })
    } else {
        chain.authorize(&Attributes {
            user,
            verb: text(["spec", "nonResourceAttributes", "verb"]),
            path: text(["spec", "nonResourceAttributes", "path"]),
            ..Attributes::default()
        })
    };
    let mut status = json!({"allowed": decision.is_allowed()});
    if matches!(decision, Decision::Deny(_)) {
        status["denied"] = json!(true);
    }
    let reason = decision.reason().to_string();
    if !reason.is_empty() {
        status["reason"] = json!(reason);
    }
    status
}

/// The field selector of a review. What cannot be understood is left out, which asks for more, not for less.
fn field_selector(resource: &Value) -> Option<fields::Selector> {
    let selector = resource.at(&["fieldSelector"])?;
    if let Some(raw) = selector.str_at(&["rawSelector"]).filter(|raw| !raw.is_empty()) {
        return fields::parse(raw).ok();
    }
    let requirements = selector.list_at(&["requirements"]).iter().filter_map(|requirement| {
        let equal = match requirement.str_at(&["operator"])? {
            "In" => true,
            "NotIn" => false,
            _ => return None,
        };
        let [value] = requirement.list_at(&["values"]) else { return None };
        let field = requirement.str_at(&["key"])?.to_owned();
        Some(fields::Requirement { field, value: value.as_str()?.to_owned(), equal })
    });
    Some(fields::Selector { requirements: requirements.collect() })
}

#[cfg(test)]
mod tests;

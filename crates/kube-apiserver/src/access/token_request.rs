//! `serviceaccounts/token`: makes a token for a service account, bound to what it is for.

use apimachinery::status::Status;
use apimachinery::{FieldError, ObjectExt as _};
use authn::claims::{Bound, Grant, Reference};
use authn::{Claims, Issuer};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Objects;

/// What a token lives for when nothing is asked.
const DEFAULT_SECONDS: i64 = 3600;
/// Ten minutes, the shortest life that may be asked for.
const MIN_SECONDS: i64 = 600;
/// The longest, before `--service-account-max-token-expiration`.
const MAX_SECONDS: i64 = 1 << 32;
/// What kubelets ask for on behalf of pods whose clients may not know that tokens end.
const KUBE_API_ACCESS_SECONDS: i64 = 60 * 60 + 7;
/// What such a token lives for, so that those clients go on working; their use is counted after an hour.
const EXTENDED_SECONDS: i64 = 365 * 24 * 60 * 60;

/// Makes tokens.
pub struct TokenRequests {
    /// `--service-account-signing-key-file` and the first `--service-account-issuer`.
    pub issuer: Issuer,
    /// `--api-audiences`, by default the issuer: for whom a token is when nothing is asked.
    pub api_audiences: Vec<String>,
    /// `--service-account-max-token-expiration` in seconds.
    pub max_expiration: Option<i64>,
    /// `--service-account-extend-token-expiration`, on by default.
    pub extend_expiration: bool,
}

/// The answer, and what the client is to be warned of.
#[derive(Debug)]
pub struct Granted {
    /// The `TokenRequest` with its status.
    pub object: Value,
    /// Sent as `Warning` headers.
    pub warnings: Vec<String>,
}

impl TokenRequests {
    /// Answers a request for the account `namespace/name`.
    pub async fn create(
        &self,
        objects: &dyn Objects,
        namespace: &str,
        name: &str,
        mut request: Value,
        now: Timestamp,
        jti: String,
    ) -> Result<Granted, Status> {
        set_defaults(&mut request, &self.api_audiences);
        let account = objects.get("", "serviceaccounts", namespace, name).await?;
        validate(&request, namespace, name)?;
        let bound = match request.at(&["spec", "boundObjectRef"]) {
            Some(reference) => Some(bind(objects, namespace, name, reference).await?),
            None => None,
        };
        let mut warnings = Vec::new();
        let mut seconds = request.i64_at(&["spec", "expirationSeconds"]).unwrap_or(DEFAULT_SECONDS);
        if let Some(max) = self.max_expiration.filter(|max| seconds > *max) {
            warnings.push(format!("requested expiration of {seconds} seconds shortened to {max} seconds"));
            seconds = max;
            request["spec"]["expirationSeconds"] = json!(seconds);
        }
        let audiences = strings(&request, &["spec", "audiences"]);
        let for_this_server = audiences.iter().all(|audience| self.api_audiences.contains(audience));
        let extend = self.extend_expiration
            && seconds == KUBE_API_ACCESS_SECONDS
            && matches!(bound, Some(Bound::Pod { .. }))
            && for_this_server;
        let life = match extend {
            true => self.max_expiration.map_or(EXTENDED_SECONDS, |max| max.min(EXTENDED_SECONDS)),
            false => seconds,
        };
        let grant = Grant {
            namespace: namespace.into(),
            service_account: Reference::new(name, account.uid()),
            bound,
            audiences,
            expiration_seconds: life,
            warn_after_seconds: extend.then_some(seconds),
        };
        let token = self
            .issuer
            .sign(Claims::grant(grant, now, jti))
            .ok_or_else(|| Status::internal("failed to generate token"))?;
        // The client is told the shorter time, so that it renews in time even when the token is extended.
        let expires = now + SignedDuration::from_secs(seconds);
        request["status"] = json!({"token": token, "expirationTimestamp": seconds_only(expires)});
        let metadata = request.map_at_mut(&["metadata"]);
        metadata.insert("name".into(), json!(name));
        metadata.insert("namespace".into(), json!(namespace));
        metadata.insert("creationTimestamp".into(), json!(seconds_only(now)));
        Ok(Granted { object: request, warnings })
    }
}

fn seconds_only(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

fn strings(object: &Value, path: &[&str]) -> Vec<String> {
    object.list_at(path).iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn set_defaults(request: &mut Value, audiences: &[String]) {
    if request.i64_at(&["spec", "expirationSeconds"]).is_none() {
        request.set_at(&["spec", "expirationSeconds"], json!(DEFAULT_SECONDS));
    }
    if request.list_at(&["spec", "audiences"]).is_empty() {
        request.set_at(&["spec", "audiences"], json!(audiences));
    }
}

fn validate(request: &Value, namespace: &str, name: &str) -> Result<(), Status> {
    for (field, expected) in [("name", name), ("namespace", namespace)] {
        let said = request.str_at(&["metadata", field]).unwrap_or("");
        if !said.is_empty() && said != expected {
            return Err(Status::bad_request(format!(
                "the {field} in the URL ({expected}) does not match the {field} in the object ({said})"
            )));
        }
    }
    let seconds = request.i64_at(&["spec", "expirationSeconds"]).unwrap_or(DEFAULT_SECONDS);
    let mut errors = Vec::new();
    if seconds < MIN_SECONDS {
        let why = "may not specify a duration less than 10 minutes";
        errors.push(FieldError::invalid("spec.expirationSeconds", seconds, why));
    }
    if seconds > MAX_SECONDS {
        let why = "may not specify a duration larger than 2^32 seconds";
        errors.push(FieldError::invalid("spec.expirationSeconds", seconds, why));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid("authentication.k8s.io", "TokenRequest", "", errors)),
    }
}

async fn bind(
    objects: &dyn Objects,
    namespace: &str,
    account: &str,
    reference: &Value,
) -> Result<Bound, Status> {
    let of = |field| reference.str_at(&[field]).unwrap_or("");
    let (name, uid) = (of("name"), of("uid"));
    let resource = match (of("apiVersion"), of("kind")) {
        ("v1", "Pod") => "pods",
        ("v1", "Secret") => "secrets",
        ("v1", "Node") => "nodes",
        (version, kind) => {
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            return Err(Status::bad_request(format!(
                "cannot bind token to object of type {group}/{version}, Kind={kind}"
            )));
        }
    };
    let scope = if resource == "nodes" { "" } else { namespace };
    let object = objects.get("", resource, scope, name).await?;
    if !uid.is_empty() && uid != object.uid() {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(Status::conflict("", resource, name, &why));
    }
    let found = Reference::new(name, object.uid());
    match resource {
        "pods" => {
            if object.str_at(&["spec", "serviceAccountName"]) != Some(account) {
                return Err(Status::bad_request(format!(
                    "cannot bind token for serviceaccount \"{account}\" to pod running with different serviceaccount name."
                )));
            }
            let node = match object.str_at(&["spec", "nodeName"]).filter(|node| !node.is_empty()) {
                // The node's UID is for the reader of the token only: a node that is not there is no hindrance.
                Some(node) => match objects.get("", "nodes", "", node).await {
                    Ok(found) => Some(Reference::new(node, found.uid())),
                    Err(_) => Some(Reference::new(node, "")),
                },
                None => None,
            };
            Ok(Bound::Pod { pod: found, node })
        }
        "secrets" => Ok(Bound::Secret(found)),
        _ => Ok(Bound::Node(found)),
    }
}

#[cfg(test)]
mod tests;

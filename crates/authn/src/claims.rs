//! What a service-account token says: the registered claims of RFC 7519 and the private `kubernetes.io` ones.

use jiff::Timestamp;
use peers::user;
use serde::{Deserialize, Deserializer, Serialize};

/// Name and UID of an object that a token speaks of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reference {
    /// Name of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its UID when the token was made.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

impl Reference {
    /// Names an object.
    pub fn new(name: impl Into<String>, uid: impl Into<String>) -> Self {
        Self { name: name.into(), uid: uid.into() }
    }
}

/// The `kubernetes.io` claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kubernetes {
    /// Namespace of the service account and of what the token is bound to.
    pub namespace: String,
    /// The node that the pod runs on, or that the token is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    /// The pod that the token is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    /// The secret that the token is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    /// The service account.
    pub serviceaccount: Reference,
    /// From when on use of the token is worth a warning: its owner should have fetched a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnafter: Option<i64>,
}

/// The claims of a token made by TokenRequest. Field order is the order of the JSON, which is sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// Whom the token may be shown to.
    #[serde(deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    /// When it ends, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// Who made it.
    pub iss: String,
    /// Its identity.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// The private claims.
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: Kubernetes,
    /// From when on it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// The user name.
    pub sub: String,
}

/// `aud` may be a single string (RFC 7519, 4.1.3).
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// What a token is bound to: it stops being valid when that object is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// A pod, and the node it is placed on.
    Pod {
        /// The pod.
        pod: Reference,
        /// Its node; the UID is empty when the node is not known.
        node: Option<Reference>,
    },
    /// A secret.
    Secret(Reference),
    /// A node.
    Node(Reference),
}

/// What a token is to say.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Namespace of the service account.
    pub namespace: String,
    /// The service account.
    pub service_account: Reference,
    /// What it is bound to besides the service account.
    pub bound: Option<Bound>,
    /// Whom it may be shown to.
    pub audiences: Vec<String>,
    /// Seconds of validity.
    pub expiration_seconds: i64,
    /// Seconds after which use of the token is worth a warning.
    pub warn_after_seconds: Option<i64>,
}

impl Claims {
    /// The claims of a new token, without its issuer.
    pub fn grant(grant: Grant, now: Timestamp, jti: String) -> Self {
        let now = now.as_second();
        let (mut node, mut pod, mut secret) = (None, None, None);
        match grant.bound {
            Some(Bound::Pod { pod: bound, node: at }) => (pod, node) = (Some(bound), at),
            Some(Bound::Secret(bound)) => secret = Some(bound),
            Some(Bound::Node(bound)) => node = Some(bound),
            None => {}
        }
        Self {
            aud: grant.audiences,
            exp: Some(now.saturating_add(grant.expiration_seconds)),
            iat: Some(now),
            iss: String::new(),
            jti,
            sub: user::service_account_user(&grant.namespace, &grant.service_account.name),
            nbf: Some(now),
            kubernetes: Kubernetes {
                namespace: grant.namespace,
                node,
                pod,
                secret,
                serviceaccount: grant.service_account,
                warnafter: grant.warn_after_seconds.map(|seconds| now.saturating_add(seconds)),
            },
        }
    }
}

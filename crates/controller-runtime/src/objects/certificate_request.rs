//! Certificate signing requests.

use informer::{Metadata, null_is_default};
use serde::Deserialize;

use super::{Condition, resource};

/// A request for a certificate.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CertificateSigningRequest {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: RequestSpec,
    /// What came of it.
    pub status: RequestStatus,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestSpec {
    /// The request in PEM, in base64.
    pub request: String,
    /// Who is to sign.
    pub signer_name: String,
    /// How long the certificate should be good.
    pub expiration_seconds: Option<i64>,
    /// What it is to be used for.
    #[serde(deserialize_with = "null_is_default")]
    pub usages: Vec<String>,
    /// Who asked.
    pub username: String,
    /// The uid of who asked.
    pub uid: String,
    /// The groups of who asked.
    #[serde(deserialize_with = "null_is_default")]
    pub groups: Vec<String>,
    /// More about who asked.
    #[serde(deserialize_with = "null_is_default")]
    pub extra: std::collections::BTreeMap<String, Vec<String>>,
}

/// What came of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RequestStatus {
    /// `Approved`, `Denied`, `Failed`.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// The certificate, in base64.
    pub certificate: String,
}

resource!(
    CertificateSigningRequest,
    "certificates.k8s.io",
    "v1",
    "CertificateSigningRequest",
    "certificatesigningrequests"
);

impl CertificateSigningRequest {
    /// Tells whether a condition of this type is there.
    pub fn is(&self, kind: &str) -> bool {
        super::find(&self.status.conditions, kind).is_some()
    }
}

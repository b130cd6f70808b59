//! Certificates that the cluster's controller manager signs: asked for, waited for, taken.

use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use pki::Issued;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};

use super::Api;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask<'a> {
    /// Beginning of the request's name.
    pub name: &'a str,
    /// Who is to sign.
    pub signer: &'a str,
    /// The user.
    pub common_name: &'a str,
    /// Its groups.
    pub organizations: &'a [&'a str],
    /// Seconds that it is to last; the signer's own choice without.
    pub expiration_seconds: Option<i32>,
}

/// Signer of clients' certificates.
pub const CLIENT: &str = "kubernetes.io/kube-apiserver-client";

/// Asks for a client certificate with a new key, and waits until it is signed.
pub async fn request(api: &Api, ask: &Ask<'_>, within: Duration) -> anyhow::Result<Issued> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for organization in ask.organizations {
        params.distinguished_name.push(DnType::OrganizationName, *organization);
    }
    params.distinguished_name.push(DnType::CommonName, ask.common_name);
    let request = params.serialize_request(&key)?.pem()?;
    let mut asked = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"generateName": ask.name},
        "spec": {
            "request": BASE64_STANDARD.encode(request),
            "signerName": ask.signer,
            "usages": ["digital signature", "client auth"],
        },
    });
    if let Some(seconds) = ask.expiration_seconds {
        asked["spec"]["expirationSeconds"] = seconds.into();
    }
    let made = api.create(REQUESTS, &asked).await?;
    let name = made["metadata"]["name"].as_str().context("a certificate request without a name")?;
    let path = format!("{REQUESTS}/{name}");
    let signed = api
        .wait(&path, within, |request| certificate(request).is_some() || refusal(request).is_some())
        .await
        .with_context(|| {
            format!(
                "the request {name} for {} was not signed; is a kube-controller-manager running?",
                ask.common_name
            )
        })?;
    if let Some(why) = refusal(&signed) {
        bail!("the certificate request {name} for {} was {why}", ask.common_name);
    }
    let certificate = BASE64_STANDARD
        .decode(certificate(&signed).unwrap_or_default())
        .context("a certificate that is not base64")?;
    Ok(Issued { certificate: String::from_utf8(certificate)?, key: key.serialize_pem() })
}

fn certificate(request: &Value) -> Option<&str> {
    request["status"]["certificate"].as_str().filter(|certificate| !certificate.is_empty())
}

fn refusal(request: &Value) -> Option<String> {
    let conditions = request["status"]["conditions"].as_array()?;
    let refused = conditions
        .iter()
        .find(|condition| matches!(condition["type"].as_str(), Some("Denied" | "Failed")))?;
    let text = |field: &str| refused[field].as_str().unwrap_or_default().to_owned();
    Some(format!("{}: {}", text("type").to_lowercase(), text("message")))
}

//! A certificate asked of the cluster: the request made, approved and signed by others, the answer taken.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, bail};
use futures::{StreamExt, pin_mut};
use k8s_openapi::{
    ByteString,
    api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client,
    api::{PostParams, WatchEvent, WatchParams},
};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

/// How long a request is waited for before another is made; upstream's value.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What is asked for.
pub(super) struct Ask<'a> {
    pub(super) node: &'a str,
    pub(super) signer: &'a str,
    /// `client auth` or `server auth`.
    pub(super) usage: &'a str,
    /// DNS names and addresses.
    pub(super) names: &'a [SanType],
}

impl Ask<'_> {
    /// The request in PEM, in the form that approvers know nodes by.
    fn pem(&self, key: &KeyPair) -> anyhow::Result<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        params.distinguished_name.push(DnType::CommonName, format!("system:node:{}", self.node));
        params.subject_alt_names = self.names.to_vec();
        Ok(params.serialize_request(key)?.pem()?)
    }
}

/// The key of an earlier try, or a new one: the request for it may already be approved.
pub(super) fn kept_key(path: &Path) -> anyhow::Result<KeyPair> {
    if let Ok(text) = fs::read_to_string(path) {
        match KeyPair::from_pem(&text) {
            Ok(key) => return Ok(key),
            Err(error) => tracing::warn!(path = %path.display(), %error, "making a new key"),
        }
    }
    let key = KeyPair::generate()?;
    pki::write_private(path, &key.serialize_pem())?;
    Ok(key)
}

/// Asks for a certificate, and waits until it is signed.
pub(super) async fn signed(client: Client, ask: &Ask<'_>, key: &KeyPair) -> anyhow::Result<String> {
    let requests: Api<CertificateSigningRequest> = Api::all(client);
    let asked = CertificateSigningRequest {
        metadata: ObjectMeta { generate_name: Some("csr-".into()), ..ObjectMeta::default() },
        spec: CertificateSigningRequestSpec {
            request: ByteString(ask.pem(key)?.into_bytes()),
            signer_name: ask.signer.into(),
            // Keys here sign and never encrypt: upstream leaves `key encipherment` to RSA as well.
            usages: Some(vec!["digital signature".into(), ask.usage.into()]),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    };
    let made = requests
        .create(&PostParams::default(), &asked)
        .await
        .with_context(|| format!("asking {} for a certificate", ask.signer))?;
    let name = made.metadata.name.context("a certificate request without a name")?;
    tracing::info!(request = name, signer = ask.signer, "waiting for a certificate");
    tokio::time::timeout(PATIENCE, answered(&requests, &name))
        .await
        .with_context(|| format!("nobody has signed the certificate request {name}"))?
}

async fn answered(requests: &Api<CertificateSigningRequest>, name: &str) -> anyhow::Result<String> {
    loop {
        let request = requests.get(name).await.with_context(|| format!("certificate request {name}"))?;
        if let Some(answer) = answer(&request)? {
            return Ok(answer);
        }
        let version = request.metadata.resource_version.unwrap_or_default();
        let params = WatchParams::default().fields(&format!("metadata.name={name}"));
        let watch = requests.watch(&params, &version).await.context("watching the certificate request")?;
        pin_mut!(watch);
        while let Some(event) = watch.next().await {
            match event {
                Ok(WatchEvent::Added(request) | WatchEvent::Modified(request)) => {
                    if let Some(answer) = answer(&request)? {
                        return Ok(answer);
                    }
                }
                Ok(WatchEvent::Deleted(_)) => bail!("somebody deleted the certificate request {name}"),
                Ok(WatchEvent::Bookmark(_)) => {}
                Ok(WatchEvent::Error(_)) | Err(_) => break,
            }
        }
    }
}

/// The certificate, if it is there; an error where it was refused.
fn answer(request: &CertificateSigningRequest) -> anyhow::Result<Option<String>> {
    let Some(status) = &request.status else { return Ok(None) };
    if let Some(certificate) = status.certificate.as_ref().filter(|certificate| !certificate.0.is_empty()) {
        return Ok(Some(String::from_utf8(certificate.0.clone())?));
    }
    for condition in status.conditions.iter().flatten() {
        if matches!(condition.type_.as_str(), "Denied" | "Failed") {
            let name = request.metadata.name.as_deref().unwrap_or_default();
            let why = condition.message.as_deref().unwrap_or_default();
            bail!("the certificate request {name} was {}: {why}", condition.type_.to_lowercase());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_names_the_node_and_the_key_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = kept_key(&path).unwrap();
        assert_eq!(kept_key(&path).unwrap().serialize_pem(), key.serialize_pem());
        fs::write(&path, "torn").unwrap();
        assert_ne!(kept_key(&path).unwrap().serialize_pem(), key.serialize_pem());
        let names =
            [SanType::DnsName("n1".try_into().unwrap()), SanType::IpAddress("10.0.0.1".parse().unwrap())];
        let ask = Ask { node: "n1", signer: "s", usage: "server auth", names: &names };
        let request = pki::Request::from_pem(&ask.pem(&key).unwrap()).unwrap();
        assert_eq!(request.common_name, "system:node:n1");
        assert_eq!(request.organizations, ["system:nodes"]);
        assert_eq!((request.dns_names.len(), request.addresses.len()), (1, 1));
    }

    #[test]
    fn a_request_is_answered_by_a_certificate_or_a_refusal() {
        let request = |status: serde_json::Value| -> CertificateSigningRequest {
            serde_json::from_value(serde_json::json!({
                "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
                "metadata": {"name": "csr-1"}, "spec": {"request": "", "signerName": "s"}, "status": status,
            }))
            .unwrap()
        };
        let approved = serde_json::json!({"conditions": [{"type": "Approved", "status": "True"}]});
        assert_eq!(answer(&request(approved)).unwrap(), None);
        assert_eq!(
            answer(&request(serde_json::json!({"certificate": "UEVN"}))).unwrap().as_deref(),
            Some("PEM")
        );
        let denied =
            serde_json::json!({"conditions": [{"type": "Denied", "status": "True", "message": "no"}]});
        let refused = answer(&request(denied)).unwrap_err();
        assert_eq!(refused.to_string(), "the certificate request csr-1 was denied: no");
    }
}

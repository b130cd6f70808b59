//! The node's first certificate: asked for with a bootstrap token, waited for, kept.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use component::{
    cause::whole,
    client::{Connection, connect},
};
use k8s_openapi::{
    ByteString,
    api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, api::PostParams, config::Kubeconfig as BootstrapKubeconfig};
use pki::{Credentials, Kubeconfig};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

/// Where upstream keeps the node's client certificate and key together; the key has a file of its own here besides.
const CERTIFICATE: &str = "kubelet-client-current.pem";
const KEY: &str = "kubelet-client-current.key";

/// Makes sure that there is a kubeconfig, asking for a certificate where there is none. Answers when there is.
pub(crate) async fn ensure(
    kubeconfig: Option<&Path>,
    bootstrap: Option<&Path>,
    node: &str,
    certificates: &Path,
) -> anyhow::Result<()> {
    let (Some(kubeconfig), Some(bootstrap)) = (kubeconfig, bootstrap) else { return Ok(()) };
    if kubeconfig.exists() {
        return Ok(());
    }
    anyhow::ensure!(
        bootstrap.exists(),
        "neither {} nor {} exists",
        kubeconfig.display(),
        bootstrap.display()
    );
    let key = kept_key(&certificates.join(KEY))?;
    let request = request(node, &key)?;
    let client =
        connect(&Connection { kubeconfig: Some(bootstrap), user_agent: "kubelet", ..Connection::default() })
            .await?;
    let requests: Api<CertificateSigningRequest> = Api::all(client);
    let asked = CertificateSigningRequest {
        metadata: ObjectMeta { generate_name: Some("csr-".into()), ..ObjectMeta::default() },
        spec: CertificateSigningRequestSpec {
            request: ByteString(request.into_bytes()),
            signer_name: "kubernetes.io/kube-apiserver-client-kubelet".into(),
            usages: Some(vec!["digital signature".into(), "client auth".into()]),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    };
    let name = requests
        .create(&PostParams::default(), &asked)
        .await
        .context("asking for the node's certificate")?
        .metadata
        .name
        .context("a certificate request without a name")?;
    tracing::info!(request = name, "waiting for the node's certificate");
    let certificate = issued(&requests, &name).await?;
    let path = certificates.join(CERTIFICATE);
    pki::write_private(&path, &certificate)?;
    write_kubeconfig(bootstrap, kubeconfig, &path, &certificates.join(KEY)).await
}

/// The key of an earlier try, or a new one: the request for it may already be approved.
fn kept_key(path: &Path) -> anyhow::Result<KeyPair> {
    if let Ok(text) = std::fs::read_to_string(path) {
        return KeyPair::from_pem(&text).with_context(|| format!("reading {}", path.display()));
    }
    let key = KeyPair::generate()?;
    pki::write_private(path, &key.serialize_pem())?;
    Ok(key)
}

fn request(node: &str, key: &KeyPair) -> anyhow::Result<String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    params.distinguished_name.push(DnType::CommonName, format!("system:node:{node}"));
    Ok(params.serialize_request(key)?.pem()?)
}

async fn issued(requests: &Api<CertificateSigningRequest>, name: &str) -> anyhow::Result<String> {
    loop {
        match requests.get(name).await {
            Ok(request) => {
                let status = request.status.unwrap_or_default();
                if let Some(certificate) = status.certificate.filter(|certificate| !certificate.0.is_empty())
                {
                    return Ok(String::from_utf8(certificate.0)?);
                }
                for condition in status.conditions.iter().flatten() {
                    if matches!(condition.type_.as_str(), "Denied" | "Failed") {
                        let why = condition.message.clone().unwrap_or_default();
                        anyhow::bail!(
                            "the certificate request {name} was {}: {why}",
                            condition.type_.to_lowercase()
                        );
                    }
                }
            }
            Err(error) => tracing::warn!(error = whole(&error), "cannot ask for the node's certificate"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn write_kubeconfig(
    bootstrap: &Path,
    target: &Path,
    certificate: &Path,
    key: &Path,
) -> anyhow::Result<()> {
    let read = BootstrapKubeconfig::read_from(bootstrap)?;
    let cluster = read
        .clusters
        .first()
        .and_then(|named| named.cluster.clone())
        .context("a kubeconfig without a cluster")?;
    let server = cluster.server.context("a kubeconfig without a server")?;
    let authority = match (cluster.certificate_authority_data, cluster.certificate_authority) {
        (Some(data), _) => {
            use base64::Engine;
            String::from_utf8(base64::engine::general_purpose::STANDARD.decode(data)?)?
        }
        (None, Some(path)) => tokio::fs::read_to_string(PathBuf::from(path)).await?,
        (None, None) => anyhow::bail!("a kubeconfig without a certificate authority"),
    };
    Kubeconfig {
        cluster: "default-cluster",
        server: &server,
        authority: &authority,
        user: "default-auth",
        credentials: Credentials::CertificateFiles { certificate, key },
    }
    .write(target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_names_the_node_and_the_key_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY);
        let key = kept_key(&path).unwrap();
        assert_eq!(kept_key(&path).unwrap().serialize_pem(), key.serialize_pem());
        let text = request("n1", &key).unwrap();
        use base64::Engine;
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        use x509_parser::prelude::FromDer;
        let (_, parsed) =
            x509_parser::certification_request::X509CertificationRequest::from_der(&der).unwrap();
        assert_eq!(
            parsed.certification_request_info.subject.to_string(),
            "O=system:nodes, CN=system:node:n1"
        );
    }
}

//! Who may ask what: client certificates and tokens; the API server decides.

use std::sync::Arc;

use anyhow::Context;
use component::access::{Delegated, User, Wish};
use http::{HeaderMap, Method, Response, StatusCode, header};
use kube::Client;
use pki::Identity;
use rustls::{ServerConfig, pki_types::CertificateDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Body, text};
use component::cause::whole;

use crate::{Config, certificates::Store, kubelet::Kubelet};

/// The user the API server's own client certificate names, as kubeadm makes it.
const API_SERVER: &str = "kube-apiserver-kubelet-client";

/// The certificate to serve with: the one given, the one that the cluster has signed, or one signed by nobody that is
/// made and kept, also where the cluster's is still to come.
pub(super) fn identity(kubelet: &Kubelet, config: &Config) -> anyhow::Result<Arc<Identity>> {
    if let Some((certificate, key)) = &config.serving {
        return Ok(Identity::load(certificate, key)?);
    }
    let folder = &kubelet.settings.cert_dir;
    let signed = Store::server(folder);
    if config.server_tls_bootstrap && signed.load().is_some() {
        return Ok(Identity::load(&signed.current(), &signed.current())?);
    }
    let (certificate, key) = (folder.join("kubelet.crt"), folder.join("kubelet.key"));
    if !certificate.exists() || !key.exists() {
        let now = jiff::Timestamp::now();
        let name = &kubelet.settings.node_name;
        let authority = pki::Authority::new(&format!("{name}-ca"), 10, now)?;
        let addresses: Vec<_> =
            kubelet.facts.read().host_ips.iter().filter_map(|ip| ip.parse().ok()).collect();
        authority.issue(&pki::Leaf::server(name, &[name], &addresses), now)?.write(folder, "kubelet")?;
    }
    Ok(Identity::load(&certificate, &key)?)
}

/// Makes the TLS side of the server.
pub(super) fn tls(identity: Arc<Identity>, config: &Config) -> anyhow::Result<ServerConfig> {
    let verifier = match &config.client_ca_file {
        Some(path) => Some(pki::client_verifier(path).context("--client-ca-file")?),
        None => None,
    };
    let mut tls = pki::server_config(identity, verifier)?;
    // Upgrades exist in HTTP/1.1 only, and every client of a kubelet speaks it.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

/// Decides who may ask what.
pub(super) struct Access {
    delegated: Option<Arc<Delegated>>,
}

impl Access {
    pub(super) fn new(client: Option<Client>) -> Self {
        Self { delegated: client.map(|client| Arc::new(Delegated::new(client))) }
    }

    /// Finds out who asks. A certificate was checked in the handshake; a token is asked of the API server.
    pub(super) async fn user(
        &self,
        peer: Option<&CertificateDer<'_>>,
        headers: &HeaderMap,
    ) -> Result<User, Response<Body>> {
        if let Some(user) = peer.and_then(|peer| user_of(peer)) {
            return Ok(user);
        }
        let unauthorized = || text(StatusCode::UNAUTHORIZED, "Unauthorized");
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(unauthorized)?;
        let delegated = self.delegated.as_ref().ok_or_else(unauthorized)?;
        match delegated.user_of(token).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) => Err(unauthorized()),
            Err(error) => {
                tracing::warn!(error = whole(&error), "cannot ask the API server about a token");
                Err(unauthorized())
            }
        }
    }

    /// Asks whether a user may do something to this node.
    pub(super) async fn check(
        &self,
        user: &User,
        method: &Method,
        path: &str,
        node: &str,
    ) -> Result<(), Response<Body>> {
        if user.name == API_SERVER || user.groups.iter().any(|group| group == "system:masters") {
            return Ok(());
        }
        let (verb, subresource) = (verb(method), subresource(path));
        let refusal = || {
            let message = format!(
                "Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)=[{subresource}])\n",
                user.name
            );
            text(StatusCode::FORBIDDEN, message)
        };
        let delegated = self.delegated.as_ref().ok_or_else(refusal)?;
        // A right to the whole node is a right to its parts.
        for subresource in [subresource, "proxy"] {
            let wish = Wish::Resource { verb, resource: "nodes", subresource, name: node.to_owned() };
            match delegated.allows(user, &wish).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot ask the API server who may read this");
                    return Err(text(StatusCode::INTERNAL_SERVER_ERROR, "Authorization error"));
                }
            }
        }
        Err(refusal())
    }
}

/// Reads user and groups from a certificate: common name and organisations.
fn user_of(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|group| group.as_str().ok().map(str::to_owned));
    Some(User { name, groups: groups.collect(), ..User::default() })
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    }
}

/// The part of a node that a path is about; upstream's table.
fn subresource(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("stats") => "stats",
        Some("metrics") => "metrics",
        Some("logs") => "log",
        Some("healthz") => "healthz",
        Some("configz") => "configz",
        Some("pods" | "runningpods") => "pods",
        _ => "proxy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_parts_of_the_node() {
        for (path, expected) in [
            ("/stats/summary", "stats"),
            ("/metrics/resource", "metrics"),
            ("/containerLogs/a/b/c", "proxy"),
            ("/pods", "pods"),
            ("/exec/a/b/c", "proxy"),
        ] {
            assert_eq!(subresource(path), expected);
        }
    }

    #[test]
    fn a_certificate_names_user_and_groups() {
        let now = jiff::Timestamp::now();
        let authority = pki::Authority::new("ca", 1, now).unwrap();
        let issued = authority.issue(&pki::Leaf::client("alice", &["dev"]), now).unwrap();
        use rustls::pki_types::pem::PemObject;
        let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
        let user = user_of(&certificate).unwrap();
        assert_eq!((user.name.as_str(), user.groups), ("alice", vec!["dev".to_owned()]));
    }
}

//! Who may ask what: client certificates and tokens; the API server decides.

use std::sync::Arc;

use anyhow::Context;
use component::access::{Delegated, Wish};
use http::{HeaderMap, Method, Response, StatusCode};
use kube::Client;
use peers::{Subject, UserInfo};
use pki::Identity;
use rustls::{ServerConfig, pki_types::CertificateDer};

use super::{Body, text};

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
    /// Whether the API server is asked about those who show nothing, too; they are refused otherwise.
    anonymous: bool,
}

impl Access {
    pub(super) fn new(client: Option<Client>, anonymous: bool) -> Self {
        Self { delegated: client.map(|client| Arc::new(Delegated::new(client))), anonymous }
    }

    /// Finds out who asks. A certificate was checked in the handshake; a token is asked of the API server.
    pub(super) async fn user(
        &self,
        peer: Option<&CertificateDer<'_>>,
        headers: &HeaderMap,
    ) -> Result<Arc<UserInfo>, Response<Body>> {
        let certificate = peer.map(|peer| Subject::read(peer)?.user(peer).map(Arc::new));
        let user = match &self.delegated {
            Some(delegated) => delegated.identify(certificate, headers, self.anonymous).await,
            None => certificate.and_then(Result::ok),
        };
        user.ok_or_else(|| text(StatusCode::UNAUTHORIZED, "Unauthorized"))
    }

    /// Asks whether a user may do something to this node.
    pub(super) async fn check(
        &self,
        user: &UserInfo,
        method: &Method,
        path: &str,
        node: &str,
    ) -> Result<(), Response<Body>> {
        if user.name == API_SERVER || user.in_group("system:masters") {
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
            let wish = Wish::Resource {
                verb,
                group: "",
                version: "v1",
                resource: "nodes",
                subresource,
                namespace: String::new(),
                name: node.to_owned(),
            };
            match delegated.decide(user, &wish).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot ask the API server who may read this");
                    return Err(text(StatusCode::INTERNAL_SERVER_ERROR, "Authorization error"));
                }
            }
        }
        Err(refusal())
    }
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
    use http_body_util::BodyExt as _;
    use parking_lot::Mutex;
    use rustls::pki_types::pem::PemObject as _;
    use serde_json::{Value, json};

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

    /// An API server that lets nobody have anything but `jane`, and knows no token.
    fn api_server(asked: &Arc<Mutex<Vec<Value>>>) -> Client {
        let asked = Arc::clone(asked);
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let asked = Arc::clone(&asked);
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let review: Value = serde_json::from_slice(&body).unwrap();
                let spec = &review["spec"];
                asked.lock().push(spec.clone());
                let status = json!({"authenticated": false, "allowed": spec["user"] == "jane"});
                let answer = json!({"metadata": {}, "spec": spec, "status": status}).to_string();
                Ok::<_, std::io::Error>(Response::new(kube::client::Body::from(answer.into_bytes())))
            }
        });
        Client::new(service, "default")
    }

    async fn code(access: &Access, peer: Option<&CertificateDer<'_>>, token: Option<&str>) -> u16 {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert(http::header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        let user = match access.user(peer, &headers).await {
            Ok(user) => user,
            Err(refusal) => return refusal.status().as_u16(),
        };
        match access.check(&user, &Method::GET, "/metrics", "w1").await {
            Ok(()) => 200,
            Err(refusal) => refusal.status().as_u16(),
        }
    }

    #[tokio::test]
    async fn whoever_shows_nothing_may_nothing_but_what_the_api_server_lets_them() {
        let now = jiff::Timestamp::now();
        let authority = pki::Authority::new("ca", 1, now).unwrap();
        let by = |name| {
            let issued = authority.issue(&pki::Leaf::client(name, &["dev"]), now).unwrap();
            CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()
        };
        let (jane, jim) = (by("jane"), by("jim"));
        let asked = Arc::default();
        for (anonymous, peer, token, expected) in [
            (true, None, None, 403),
            (false, None, None, 401),
            (true, None, Some("other"), 401),
            (true, Some(&jane), None, 200),
            (false, Some(&jane), None, 200),
            (true, Some(&jim), None, 403),
        ] {
            let access = Access::new(Some(api_server(&asked)), anonymous);
            assert_eq!(code(&access, peer, token).await, expected, "{anonymous} {token:?}");
        }
        let asked = asked.lock().clone();
        let first = &asked[0];
        assert_eq!(first["user"], "system:anonymous");
        assert_eq!(first["groups"], json!(["system:unauthenticated"]));
        assert_eq!(first["resourceAttributes"]["subresource"], "metrics");
        let of_jane = asked.iter().find(|spec| spec["user"] == "jane").unwrap();
        assert_eq!(of_jane["groups"], json!(["dev", "system:authenticated"]));
        // Where there is nobody to ask, nobody is let in who shows nothing.
        assert_eq!(code(&Access::new(None, true), None, None).await, 401);
    }
}

//! Certificate requests: approved, signed, and removed when their time is over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use controller_runtime::context::Context;
use controller_runtime::objects::certificate_request::CertificateSigningRequest;
use informer::{Key, Object as _, Store, WorkQueue};
use pki::{KeyUse, Request};

pub mod approver;
mod authorities;
pub mod cleaner;
mod recognize;
pub mod signer;

/// The signer of kubelets' client certificates.
const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// The signer of kubelets' server certificates.
const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";
/// The signer of other clients' certificates.
const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// The signer without rules.
const LEGACY: &str = "kubernetes.io/legacy-unknown";
/// The signer of what a node whose other certificates have expired may still show (decision record 0021).
const NODE_REJOIN: &str = "magnetite.internal/node-rejoin";
/// The group of those certificates.
const REJOINING: &str = "system:bootstrappers:node-rejoin";

/// Returns the store of requests and a queue of those that changed.
fn requests(context: &Context, name: &'static str) -> (Store<CertificateSigningRequest>, WorkQueue<Key>) {
    let requests: Store<CertificateSigningRequest> = context.stores.of();
    let queue = WorkQueue::new(name);
    context.stores.close_at_shutdown(&queue);
    let on_request = queue.clone();
    requests.on_change(move |change| on_request.add(change.object().key()));
    (requests, queue)
}

/// Reads the request inside an object.
fn read(object: &CertificateSigningRequest) -> Result<Request, String> {
    let pem = STANDARD.decode(&object.spec.request).map_err(|error| error.to_string())?;
    Request::from_pem(&String::from_utf8_lossy(&pem)).map_err(|error| error.to_string())
}

/// Reads the usages; one that is not signed for is named.
fn uses(object: &CertificateSigningRequest) -> Result<Vec<KeyUse>, String> {
    let read =
        |text: &String| KeyUse::parse(text).ok_or_else(|| format!("unrecognized usage values: [{text:?}]"));
    object.spec.usages.iter().map(read).collect()
}

/// Says what is wrong with a kubelet's request for a client certificate, as upstream words it.
fn kubelet_client_faults(request: &Request, usages: &[String]) -> Result<(), String> {
    let allowed = |absent: bool, form: &str| {
        if absent { Ok(()) } else { Err(format!("{form} subjectAltNames are not allowed")) }
    };
    of_nodes(request)?;
    allowed(request.dns_names.is_empty(), "DNS")?;
    allowed(!request.has_emails, "Email")?;
    allowed(request.addresses.is_empty(), "IP")?;
    allowed(!request.has_uris, "URI")?;
    named_as_node(request)?;
    for_node(usages, "client auth")
}

/// Says what is wrong with a kubelet's request for a server certificate, as upstream words it.
fn kubelet_serving_faults(request: &Request, usages: &[String]) -> Result<(), String> {
    of_nodes(request)?;
    if request.dns_names.is_empty() && request.addresses.is_empty() {
        return Err("DNS or IP subjectAltName is required".to_owned());
    }
    if request.has_emails {
        return Err("Email subjectAltNames are not allowed".to_owned());
    }
    if request.has_uris {
        return Err("URI subjectAltNames are not allowed".to_owned());
    }
    for_node(usages, "server auth")?;
    named_as_node(request)
}

fn of_nodes(request: &Request) -> Result<(), String> {
    let is = request.organizations == ["system:nodes"];
    if is { Ok(()) } else { Err("subject organization is not system:nodes".to_owned()) }
}

fn named_as_node(request: &Request) -> Result<(), String> {
    let is = request.common_name.starts_with("system:node:");
    if is { Ok(()) } else { Err("subject common name does not begin with system:node:".to_owned()) }
}

/// A node's certificate is for one thing; a key that is not RSA's encrypts no other.
fn for_node(usages: &[String], purpose: &str) -> Result<(), String> {
    let has = |usage: &str| usages.iter().any(|one| one == usage);
    let mut wanted = [purpose, "digital signature", "key encipherment"];
    wanted.sort_unstable();
    let no_others = usages.iter().all(|usage| wanted.contains(&usage.as_str()));
    if has(purpose) && has("digital signature") && no_others {
        return Ok(());
    }
    Err(format!("usages did not match [{}]", wanted.join(" ")))
}

/// Says what is wrong with a request for a certificate by which a node may rejoin.
fn node_rejoin_faults(request: &Request, usages: &[String]) -> Result<(), String> {
    if request.organizations != [REJOINING] {
        return Err(format!("subject organization is not {REJOINING}"));
    }
    if !request.common_name.starts_with("system:node-rejoin:") {
        return Err("subject common name does not begin with system:node-rejoin:".to_owned());
    }
    without_other_names(request)?;
    for_node(usages, "client auth")
}

/// Says why a request is not for what an agent of a node shows.
fn agent_faults(request: &Request, usages: &[String]) -> Result<(), String> {
    if !["system:kube-proxy", "system:podnet"].contains(&request.common_name.as_str()) {
        return Err("subject common name is not system:kube-proxy or system:podnet".to_owned());
    }
    if !request.organizations.is_empty() {
        return Err("subject organizations are not allowed".to_owned());
    }
    without_other_names(request)?;
    for_node(usages, "client auth")
}

fn without_other_names(request: &Request) -> Result<(), String> {
    let none = request.dns_names.is_empty()
        && request.addresses.is_empty()
        && !request.has_emails
        && !request.has_uris;
    if none { Ok(()) } else { Err("subjectAltNames are not allowed".to_owned()) }
}

/// Says what is wrong with any other client's request.
fn client_faults(usages: &[String]) -> Result<(), String> {
    let optional = ["digital signature", "key encipherment"];
    if let Some(other) =
        usages.iter().find(|usage| *usage != "client auth" && !optional.contains(&usage.as_str()))
    {
        return Err(format!("invalid usage for client certificate: {other}"));
    }
    if usages.iter().any(|usage| usage == "client auth") {
        return Ok(());
    }
    Err("missing required usage for client certificate: client auth".to_owned())
}

/// Says why a signer does not sign a request.
fn faults(signer: &str, request: &Request, usages: &[String]) -> Result<(), String> {
    match signer {
        KUBELET_CLIENT => kubelet_client_faults(request, usages),
        KUBELET_SERVING => kubelet_serving_faults(request, usages),
        NODE_REJOIN => node_rejoin_faults(request, usages),
        CLIENT => client_faults(usages),
        _ => Ok(()),
    }
}

/// Tells whether this controller signs for a signer.
fn is_ours(signer: &str) -> bool {
    [KUBELET_CLIENT, KUBELET_SERVING, CLIENT, LEGACY, NODE_REJOIN].contains(&signer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl req -subj '/O=system:nodes/CN=system:node:w1' -addext subjectAltName=DNS:w1`.
    const NODE: &str = include_str!("certificates/node.csr");
    /// The same without a name beside the subject.
    const CLIENT_OF_NODE: &str = include_str!("certificates/node-client.csr");
    /// Made with `openssl req -subj '/O=developers/CN=jane'`.
    const JANE: &str = include_str!("certificates/jane.csr");

    fn check(signer: &str, request: &str, usages: &[&str], expected: Result<(), &str>) {
        let request = Request::from_pem(request).unwrap();
        let usages: Vec<String> = usages.iter().map(|usage| (*usage).to_owned()).collect();
        assert_eq!(faults(signer, &request, &usages), expected.map_err(str::to_owned), "{signer} {usages:?}");
    }

    #[test]
    fn each_signer_signs_what_is_its_own() {
        let (server, client) = (["digital signature", "server auth"], ["digital signature", "client auth"]);
        check(KUBELET_SERVING, NODE, &server, Ok(()));
        check(KUBELET_SERVING, NODE, &["digital signature", "key encipherment", "server auth"], Ok(()));
        check(KUBELET_SERVING, CLIENT_OF_NODE, &server, Err("DNS or IP subjectAltName is required"));
        check(KUBELET_SERVING, JANE, &server, Err("subject organization is not system:nodes"));
        let wanted = "usages did not match [digital signature key encipherment server auth]";
        check(KUBELET_SERVING, NODE, &client, Err(wanted));
        check(KUBELET_CLIENT, CLIENT_OF_NODE, &client, Ok(()));
        check(KUBELET_CLIENT, NODE, &client, Err("DNS subjectAltNames are not allowed"));
        let wanted = "usages did not match [client auth digital signature key encipherment]";
        check(KUBELET_CLIENT, CLIENT_OF_NODE, &["client auth"], Err(wanted));
        check(CLIENT, JANE, &["client auth"], Ok(()));
        check(CLIENT, JANE, &server, Err("invalid usage for client certificate: server auth"));
        let missing = "missing required usage for client certificate: client auth";
        check(CLIENT, JANE, &["digital signature"], Err(missing));
        check(LEGACY, JANE, &["server auth"], Ok(()));
    }
}

//! Certificate requests: approved, signed, and removed when their time is over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use controller_runtime::context::Context;
use controller_runtime::objects::certificate_request::CertificateSigningRequest;
use informer::{Key, Object as _, Store, WorkQueue};
use pki::{KeyUse, Request};

pub mod approver;
pub mod cleaner;
pub mod signer;

/// The signer of kubelets' client certificates.
const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// The signer of kubelets' server certificates.
const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";
/// The signer of other clients' certificates.
const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// The signer without rules.
const LEGACY: &str = "kubernetes.io/legacy-unknown";

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
    let read = |text: &String| KeyUse::parse(text).ok_or_else(|| format!("invalid usage for signer: {text}"));
    object.spec.usages.iter().map(read).collect()
}

/// Says what is wrong with a kubelet's request; both kinds name the node in the same way.
fn node_faults(request: &Request) -> Option<&'static str> {
    if request.organizations != ["system:nodes"] {
        return Some("subject organization is not system:nodes");
    }
    if !request.common_name.starts_with("system:node:") {
        return Some("subject common name does not begin with system:node:");
    }
    None
}

/// Says what is wrong with a kubelet's request for a client certificate.
fn kubelet_client_faults(request: &Request, uses: &[KeyUse]) -> Option<&'static str> {
    if let Some(fault) = node_faults(request) {
        return Some(fault);
    }
    if !request.dns_names.is_empty() || !request.addresses.is_empty() || request.has_other_names {
        return Some("subjectAltNames are not allowed");
    }
    let needed = [KeyUse::DigitalSignature, KeyUse::ClientAuth];
    let allowed = [KeyUse::DigitalSignature, KeyUse::ClientAuth, KeyUse::KeyEncipherment];
    usage_faults(uses, &needed, &allowed)
}

/// Says what is wrong with a kubelet's request for a server certificate.
fn kubelet_serving_faults(request: &Request, uses: &[KeyUse]) -> Option<&'static str> {
    if let Some(fault) = node_faults(request) {
        return Some(fault);
    }
    if request.dns_names.is_empty() && request.addresses.is_empty() {
        return Some("DNS or IP subjectAltName is required");
    }
    if request.has_other_names {
        return Some("email and URI subjectAltNames are not allowed");
    }
    let needed = [KeyUse::DigitalSignature, KeyUse::ServerAuth];
    let allowed = [KeyUse::DigitalSignature, KeyUse::ServerAuth, KeyUse::KeyEncipherment];
    usage_faults(uses, &needed, &allowed)
}

fn usage_faults(uses: &[KeyUse], needed: &[KeyUse], allowed: &[KeyUse]) -> Option<&'static str> {
    if !needed.iter().all(|one| uses.contains(one)) {
        return Some("usages did not include what the signer needs");
    }
    (!uses.iter().all(|one| allowed.contains(one))).then_some("usages include what the signer does not allow")
}

/// Says why a signer does not sign a request.
fn faults(signer: &str, request: &Request, uses: &[KeyUse]) -> Option<&'static str> {
    match signer {
        KUBELET_CLIENT => kubelet_client_faults(request, uses),
        KUBELET_SERVING => kubelet_serving_faults(request, uses),
        CLIENT => {
            let allowed = [KeyUse::DigitalSignature, KeyUse::ClientAuth, KeyUse::KeyEncipherment];
            usage_faults(uses, &[KeyUse::ClientAuth], &allowed)
        }
        _ => None,
    }
}

/// Tells whether this controller signs for a signer.
fn is_ours(signer: &str) -> bool {
    [KUBELET_CLIENT, KUBELET_SERVING, CLIENT, LEGACY].contains(&signer)
}

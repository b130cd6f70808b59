//! Which requests for certificates need no person's approval: those that nodes make for themselves.

use controller_runtime::objects::Node;
use controller_runtime::objects::certificate_request::CertificateSigningRequest;
use pki::Request;

use super::{
    CLIENT, KUBELET_CLIENT, KUBELET_SERVING, NODE_REJOIN, REJOINING, agent_faults, kubelet_client_faults,
    kubelet_serving_faults, node_rejoin_faults,
};

#[cfg(test)]
mod tests;

/// What a node's user is called before the node's name.
const NODE_USER: &str = "system:node:";
/// What the user of a rejoin certificate is called before the node's name.
const REJOIN_USER: &str = "system:node-rejoin:";

/// What a request is recognised as, and so what its asker must be permitted to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recognized {
    /// A node renews its own client certificate.
    OwnClient,
    /// Someone, by a bootstrap token, asks for a node's client certificate.
    Client,
    /// A node whose client certificate has expired asks for a new one by its rejoin certificate.
    Rejoining,
    /// A node asks for the certificate by which it may rejoin.
    Rejoin,
    /// A node asks for the certificate it serves with.
    OwnServing,
    /// A node asks for what kube-proxy or podnet shows.
    Agent,
}

impl Recognized {
    /// The subresource of certificate requests that the asker must be allowed to create.
    pub(super) fn permission(self) -> &'static str {
        match self {
            Recognized::OwnClient => "selfnodeclient",
            Recognized::Client => "nodeclient",
            Recognized::Rejoining => "noderejoin",
            Recognized::Rejoin => "selfnoderejoin",
            Recognized::OwnServing => "selfnodeserver",
            Recognized::Agent => "nodeagent",
        }
    }

    /// What the approval says; the first two as upstream words them.
    pub(super) fn message(self) -> &'static str {
        match self {
            Recognized::OwnClient => {
                "Auto approving self kubelet client certificate after SubjectAccessReview."
            }
            Recognized::Client => "Auto approving kubelet client certificate after SubjectAccessReview.",
            Recognized::Rejoining => {
                "Auto approving kubelet client certificate of a rejoining node after SubjectAccessReview."
            }
            Recognized::Rejoin => "Auto approving node rejoin certificate after SubjectAccessReview.",
            Recognized::OwnServing => {
                "Auto approving self kubelet server certificate after SubjectAccessReview."
            }
            Recognized::Agent => "Auto approving node agent client certificate after SubjectAccessReview.",
        }
    }
}

/// What the cluster knows about nodes.
pub(super) trait Nodes {
    /// Returns the node of this name.
    fn named(&self, name: &str) -> Option<std::sync::Arc<Node>>;
    /// Names a node other than this one that has this address.
    fn other_with(&self, address: &str, name: &str) -> Option<String>;
    /// Tells whether an address is in a range of the cluster's Services.
    fn is_service(&self, address: std::net::IpAddr) -> bool;
}

/// Says what a request may be approved as, in the order to be tried, or why no node asks so.
///
/// What depends on the Node's addresses may hold later, when the Node has changed.
pub(super) fn recognize(
    object: &CertificateSigningRequest,
    request: &Request,
    nodes: &impl Nodes,
) -> Result<Vec<Recognized>, String> {
    let spec = &object.spec;
    match spec.signer_name.as_str() {
        KUBELET_CLIENT => {
            kubelet_client_faults(request, &spec.usages)?;
            if let Some(node) = spec.username.strip_prefix(REJOIN_USER) {
                return rejoining(object, request, node, nodes).map(|()| vec![Recognized::Rejoining]);
            }
            let own = request.common_name == spec.username;
            Ok(own.then_some(Recognized::OwnClient).into_iter().chain([Recognized::Client]).collect())
        }
        KUBELET_SERVING => {
            kubelet_serving_faults(request, &spec.usages)?;
            serving(object, request, nodes)?;
            Ok(vec![Recognized::OwnServing])
        }
        NODE_REJOIN => {
            node_rejoin_faults(request, &spec.usages)?;
            let node = asking_node(object)?;
            if request.common_name.strip_prefix(REJOIN_USER) != Some(node) {
                return Err(format!("{} asks to rejoin as another node", spec.username));
            }
            Ok(vec![Recognized::Rejoin])
        }
        CLIENT => {
            asking_node(object)?;
            agent_faults(request, &spec.usages)?;
            Ok(vec![Recognized::Agent])
        }
        other => Err(format!("requests to {other} are not approved without a person")),
    }
}

/// The node that asks.
fn asking_node(object: &CertificateSigningRequest) -> Result<&str, String> {
    let name = object.spec.username.strip_prefix(NODE_USER);
    let is_node = object.spec.groups.iter().any(|group| group == "system:nodes");
    name.filter(|name| is_node && !name.is_empty()).ok_or_else(|| "the asker is not a node".to_owned())
}

/// A rejoin certificate is good for its own node, as long as the cluster has that node.
fn rejoining(
    object: &CertificateSigningRequest,
    request: &Request,
    node: &str,
    nodes: &impl Nodes,
) -> Result<(), String> {
    if !object.spec.groups.iter().any(|group| group == REJOINING) {
        return Err(format!("the asker is not in group {REJOINING}"));
    }
    if request.common_name.strip_prefix(NODE_USER) != Some(node) {
        return Err(format!("{} asks for another node's certificate", object.spec.username));
    }
    match nodes.named(node) {
        Some(_) => Ok(()),
        None => Err(format!("node {node:?} does not exist: it must join anew")),
    }
}

/// A serving certificate is for the node that asks, under its name and addresses that it alone has.
fn serving(object: &CertificateSigningRequest, request: &Request, nodes: &impl Nodes) -> Result<(), String> {
    let name = asking_node(object)?;
    if request.common_name != object.spec.username {
        return Err("subject common name is not the asker's".to_owned());
    }
    let node = nodes.named(name).ok_or_else(|| format!("node {name:?} does not exist"))?;
    // A node writes its own status, so its word alone is not enough for more names than its own.
    if let Some(other) = request.dns_names.iter().find(|dns| *dns != name) {
        return Err(format!("DNS subjectAltName {other:?} is not the node's name"));
    }
    for address in &request.addresses {
        let text = address.to_string();
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return Err(format!("IP subjectAltName {text} is of no single machine"));
        }
        if nodes.is_service(*address) {
            return Err(format!("IP subjectAltName {text} is in the range of Services"));
        }
        let known = node.status.addresses.iter().any(|known| known.is_ip() && *known.address == *text);
        if !known {
            return Err(format!("IP subjectAltName {text} is not an address of node {name:?}"));
        }
        if let Some(other) = nodes.other_with(&text, name) {
            return Err(format!("IP subjectAltName {text} is an address of node {other:?} too"));
        }
    }
    Ok(())
}

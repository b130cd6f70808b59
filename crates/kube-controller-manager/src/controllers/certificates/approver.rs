//! Approval of the certificates that nodes ask for themselves.
//!
//! Keeps true: what a node may ask for (client and server certificates, its agents' ones, rejoining) is approved.
//! Woken by: changes of certificate requests, and of the addresses of nodes that wait for a server certificate.
//! Reads: certificate requests, nodes, access reviews. Writes: the approval.
//! Gives up when: the request is no node's: a person decides then. Who may not ask is looked at again, later each time.

use std::net::IpAddr;
use std::sync::Arc;

use controller_runtime::Running;
use controller_runtime::api::Error;
use controller_runtime::context::{Context, now};
use controller_runtime::objects::Condition;
use controller_runtime::objects::Node;
use controller_runtime::objects::certificate_request::CertificateSigningRequest;
use informer::{Change, Key, Object as _, Outcome, Store, run_workers};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::read;
use super::recognize::{Nodes, Recognized, recognize};

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let (requests, queue) = super::requests(&context, "certificate_approving");
    let nodes: Store<Node> = context.stores.of();
    let (waiting, on_node) = (requests.clone(), queue.clone());
    nodes.on_change(move |change| {
        let Change::Applied { old, new } = change else { return };
        if old.as_ref().is_some_and(|old| old.status.addresses == new.status.addresses) {
            return;
        }
        // What was refused for the node's name or addresses may be right now. Requests are few: they go after an hour.
        let user = format!("system:node:{}", new.metadata.name);
        for request in waiting.list() {
            if request.spec.username == user && is_open(&request) {
                on_node.add(request.key());
            }
        }
    });
    let shell = Arc::new(Shell { context, requests, nodes });
    Some(Box::pin(async move {
        shell.requests.ready().await;
        shell.nodes.ready().await;
        run_workers("csrapproving", &queue, 1, |key| shell.reconcile(key)).await;
    }))
}

/// Whether nobody has decided yet.
fn is_open(object: &CertificateSigningRequest) -> bool {
    object.status.certificate.is_empty() && !object.is("Approved") && !object.is("Denied")
}

struct Shell {
    context: Context,
    requests: Store<CertificateSigningRequest>,
    nodes: Store<Node>,
}

impl Nodes for Shell {
    fn named(&self, name: &str) -> Option<Arc<Node>> {
        self.nodes.get(name)
    }

    fn other_with(&self, address: &str, name: &str) -> Option<String> {
        let has = |node: &Arc<Node>| node.status.addresses.iter().any(|known| &*known.address == address);
        let nodes = self.nodes.list();
        let mut others = nodes.iter().filter(|node| node.metadata.name != name);
        others.find(|node| has(node)).map(|node| node.metadata.name.clone())
    }

    fn is_service(&self, address: IpAddr) -> bool {
        self.context.options.service_cluster_ip_range.iter().any(|range| range.contains(&address))
    }
}

impl Shell {
    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(object) = self.requests.get(key.as_str()).filter(|object| is_open(object)) else {
            return Ok(Outcome::Done);
        };
        let recognized = read(&object).and_then(|request| recognize(&object, &request, self));
        let recognized = match recognized {
            Ok(recognized) => recognized,
            Err(why) => {
                tracing::debug!(request = key.as_str(), why, "left to a person to approve");
                return Ok(Outcome::Done);
            }
        };
        for one in &recognized {
            if self.may_ask(&object, *one).await? {
                return self.approve(&object, *one).await;
            }
        }
        // Who may not ask yet may soon: in a new cluster, nodes are faster than those who give them their permissions.
        Ok(if recognized.is_empty() { Outcome::Done } else { Outcome::Again })
    }

    async fn approve(&self, object: &CertificateSigningRequest, what: Recognized) -> Result<Outcome, Error> {
        let approved = Condition {
            kind: "Approved".to_owned(),
            status: "True".to_owned(),
            reason: "AutoApproved".to_owned(),
            message: what.message().to_owned(),
            last_update_time: Some(Time(now())),
            last_transition_time: Some(Time(now())),
            ..Condition::default()
        };
        let mut conditions = object.status.conditions.clone();
        conditions.push(approved);
        let status = json!({"conditions": conditions});
        let written = self
            .context
            .api
            .modify(object, "approval", |live| controller_runtime::api::merge(&mut live["status"], &status));
        match written.await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Outcome::Done),
        }
    }

    async fn may_ask(&self, object: &CertificateSigningRequest, what: Recognized) -> Result<bool, Error> {
        let spec = &object.spec;
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": spec.username,
                "uid": spec.uid,
                "groups": spec.groups,
                "extra": spec.extra,
                "resourceAttributes": {"group": "certificates.k8s.io", "resource": "certificatesigningrequests",
                    "verb": "create", "subresource": what.permission(), "version": "*"},
            },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let answer: Value = self.context.api.create(path, &review).await?;
        Ok(answer["status"]["allowed"] == true)
    }
}

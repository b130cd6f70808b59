//! Approval of kubelets' client certificates.
//!
//! Keeps true: a kubelet that may ask for its client certificate gets the request approved.
//! Woken by: changes of certificate requests.
//! Reads: certificate requests, access reviews. Writes: the approval.
//! Gives up when: the request is no kubelet's, or the asker may not ask: a person decides then.

use std::sync::Arc;

use controller_runtime::Running;
use controller_runtime::api::Error;
use controller_runtime::context::{Context, now};
use controller_runtime::objects::Condition;
use controller_runtime::objects::certificate_request::CertificateSigningRequest;
use informer::{Key, Outcome, Store, run_workers};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::{KUBELET_CLIENT, kubelet_client_faults, read};

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let (requests, queue) = super::requests(&context, "certificate_approving");
    let shell = Arc::new((context, requests));
    Some(Box::pin(async move {
        shell.1.ready().await;
        run_workers("csrapproving", &queue, 1, |key| reconcile(&shell.0, &shell.1, key)).await;
    }))
}

/// What a request is to be asked permission for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recognized {
    /// A node renews its own certificate.
    OwnNode,
    /// Someone, by a bootstrap token, asks for a node.
    Node,
}

impl Recognized {
    fn permission(self) -> &'static str {
        match self {
            Recognized::OwnNode => "selfnodeclient",
            Recognized::Node => "nodeclient",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Recognized::OwnNode => {
                "Auto approving self kubelet client certificate after SubjectAccessReview."
            }
            Recognized::Node => "Auto approving kubelet client certificate after SubjectAccessReview.",
        }
    }
}

fn recognize(object: &CertificateSigningRequest) -> Vec<Recognized> {
    if object.spec.signer_name != KUBELET_CLIENT
        || !object.status.certificate.is_empty()
        || object.is("Approved")
        || object.is("Denied")
    {
        return Vec::new();
    }
    let Ok(request) = read(object) else { return Vec::new() };
    if kubelet_client_faults(&request, &object.spec.usages).is_err() {
        return Vec::new();
    }
    let own = request.common_name == object.spec.username;
    own.then_some(Recognized::OwnNode).into_iter().chain([Recognized::Node]).collect()
}

async fn reconcile(
    context: &Context,
    requests: &Store<CertificateSigningRequest>,
    key: Key,
) -> Result<Outcome, Error> {
    let Some(object) = requests.get(key.as_str()) else { return Ok(Outcome::Done) };
    for recognized in recognize(&object) {
        if !may_ask(context, &object, recognized).await? {
            continue;
        }
        let approved = Condition {
            kind: "Approved".to_owned(),
            status: "True".to_owned(),
            reason: "AutoApproved".to_owned(),
            message: recognized.message().to_owned(),
            last_update_time: Some(Time(now())),
            last_transition_time: Some(Time(now())),
            ..Condition::default()
        };
        let mut conditions = object.status.conditions.clone();
        conditions.push(approved);
        let status = json!({"conditions": conditions});
        let written = context.api.modify(&*object, "approval", |live| {
            controller_runtime::api::merge(&mut live["status"], &status)
        });
        return match written.await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Outcome::Done),
        };
    }
    Ok(Outcome::Done)
}

async fn may_ask(
    context: &Context,
    object: &CertificateSigningRequest,
    what: Recognized,
) -> Result<bool, Error> {
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
    let answer: Value =
        context.api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).await?;
    Ok(answer["status"]["allowed"] == true)
}

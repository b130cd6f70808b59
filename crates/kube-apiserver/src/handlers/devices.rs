//! What claims for devices may ask for and tell: administrative access is its namespace's to give, and each part of a
//! claim's status has a right of its own.

use apimachinery::{FieldError, Status};
use authz::{Attributes, User};
use kinds::StatusRights;
use serde_json::Value;

use super::call::Call;

/// The fact about a service account's token that names the node it was issued for.
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
const ASSOCIATED: &str = "associated-node:";
const ARBITRARY: &str = "arbitrary-node:";

/// Whether the request writes the status of a claim, which cannot be judged without waiting: a namespace is read, and
/// an authoriser may be a webhook.
pub fn is_claim_status(call: &Call<'_>) -> bool {
    let row = &call.entry.row;
    row.group == "resource.k8s.io" && row.plural == "resourceclaims" && call.info.subresource == "status"
}

/// What is wrong with the administrative access that a new object or a changed status asks for. Old is null for what is
/// new. The namespace is read where it is stored: its label may have been put on or taken off through another server a
/// moment ago.
pub async fn judge_admin_access(
    call: &Call<'_>,
    new: &Value,
    old: &Value,
) -> Result<Option<FieldError>, Status> {
    let row = &call.entry.row;
    if row.group != "resource.k8s.io" {
        return Ok(None);
    }
    let Some(field) = kinds::asked_admin_access(&row.kind, new, old) else { return Ok(None) };
    let (name, mut namespace) = (call.namespace(), None);
    if let Some(namespaces) = call.server.registry.stored("", "namespaces") {
        let read = call.server.store.get_live(namespaces.cache(), name).await;
        if let Some(object) = read.map_err(|error| call.refuse(error))? {
            namespace = Some(object.parts().map_err(Status::internal)?.value);
        }
    }
    Ok(kinds::judge_admin_access(field, name, namespace.as_ref()))
}

/// What the client lacks the right to in a changed status of a claim.
pub async fn judge_rights(call: &Call<'_>, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !is_claim_status(call) {
        return errors;
    }
    let verb = call.info.verb;
    let StatusRights { binding, drivers, node } = kinds::status_rights(new, old);
    if binding && let Err(why) = may(call, verb, "binding", "", "").await {
        errors.push(kinds::no_binding(verb, &why));
    }
    let own = call.user.extra.get(NODE_NAME).map(Vec::as_slice).unwrap_or_default();
    let verbs = verbs(verb, kinds::is_account_on(&call.user.name, own, node.as_deref()));
    for driver in &drivers {
        let mut refused = None;
        for verb in &verbs {
            match may(call, verb, "driver", &call.info.namespace, driver).await {
                Ok(()) => {
                    refused = None;
                    break;
                }
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        errors.extend(refused.map(|why| kinds::no_driver(&verbs, &why)));
    }
    errors
}

/// The verbs of which one lets a driver be told of: those who are on its node may have a narrower one.
fn verbs(verb: &str, is_on_node: bool) -> Vec<String> {
    let arbitrary = format!("{ARBITRARY}{verb}");
    if is_on_node { vec![format!("{ASSOCIATED}{verb}"), arbitrary] } else { vec![arbitrary] }
}

/// Asks whether the client may do something to a part of claims, and says why not.
async fn may(
    call: &Call<'_>,
    verb: &str,
    subresource: &str,
    namespace: &str,
    name: &str,
) -> Result<(), String> {
    let (info, user) = (call.info, call.user);
    let attributes = Attributes {
        user: User { name: &user.name, groups: &user.groups },
        uid: &user.uid,
        extra: Some(&user.extra),
        verb,
        namespace,
        group: &info.group,
        version: &info.version,
        resource: &info.resource,
        subresource,
        name,
        path: &info.path,
        is_resource: true,
        ..Attributes::default()
    };
    let decision = call.server.authorizer.decide(&attributes).await;
    if decision.is_allowed() {
        return Ok(());
    }
    Err(authz::forbidden(&attributes, &decision.reason().to_string()).message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_on_the_node_may_have_a_narrower_verb() {
        assert_eq!(verbs("patch", true), ["associated-node:patch", "arbitrary-node:patch"]);
        assert_eq!(verbs("update", false), ["arbitrary-node:update"]);
    }
}

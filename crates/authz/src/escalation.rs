//! Keeps writers of roles and bindings from granting more than they have themselves.

use apimachinery::{ObjectExt as _, Status};
use serde_json::Value;

use crate::chain::Chain;
use crate::rbac::{RbacKind, RuleSet};
use crate::rule::{Rule, missing, quoted};
use crate::{Attributes, User};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Checks a create (`old` is `None`) or an update of a role or binding. Objects of other kinds pass.
pub fn check(chain: &Chain, user: User<'_>, new: &Value, old: Option<&Value>) -> Result<(), Status> {
    let Some(kind) = RbacKind::of(new.kind()) else { return Ok(()) };
    if user.in_group("system:masters") || old.is_some_and(|old| only_collection_fields_differ(new, old)) {
        return Ok(());
    }
    match kind {
        RbacKind::Role | RbacKind::ClusterRole => check_role(chain, user, kind, new, old),
        RbacKind::RoleBinding | RbacKind::ClusterRoleBinding => check_binding(chain, user, kind, new),
    }
}

/// The garbage collector may let go of an object without holding what the object grants.
fn only_collection_fields_differ(new: &Value, old: &Value) -> bool {
    let without = |object: &Value| {
        let mut object = object.clone();
        for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation"] {
            object.remove_at(&["metadata", field]);
        }
        object
    };
    without(new) == without(old)
}

fn may(chain: &Chain, user: User<'_>, verb: &str, kind: RbacKind, namespace: &str, name: &str) -> bool {
    let attributes = Attributes {
        user,
        verb,
        namespace,
        group: GROUP,
        version: "*",
        resource: kind.resource(),
        name,
        is_resource: true,
        ..Attributes::default()
    };
    chain.authorize(&attributes).is_allowed()
}

fn check_role(
    chain: &Chain,
    user: User<'_>,
    kind: RbacKind,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    let (namespace, name) = (new.namespace(), new.name());
    // A create has no name in its request, so a rule that is limited to names does not allow it.
    let requested = if old.is_some() { name } else { "" };
    if may(chain, user, "escalate", kind, namespace, requested) {
        return Ok(());
    }
    let refuse = |why: &str| Status::forbidden(GROUP, kind.resource(), name, why);
    let held = chain.rbac.rules_for(user, namespace);
    confirm(user, &held, &Rule::read_all(new)).map_err(|why| refuse(&why))?;
    // An aggregation gathers rules that nobody has written yet, so it takes all of them.
    let aggregates = |role: &Value| !role.list_at(&["aggregationRule", "clusterRoleSelectors"]).is_empty();
    if aggregates(new) || old.is_some_and(aggregates) {
        confirm(user, &held, &everything())
            .map_err(|_| refuse("must have cluster-admin privileges to use the aggregationRule"))?;
    }
    Ok(())
}

fn everything() -> [Rule; 2] {
    let all = || -> Box<[Box<str>]> { Box::new(["*".into()]) };
    [
        Rule { api_groups: all(), resources: all(), verbs: all(), ..Rule::default() },
        Rule { non_resource_urls: all(), verbs: all(), ..Rule::default() },
    ]
}

fn check_binding(chain: &Chain, user: User<'_>, kind: RbacKind, new: &Value) -> Result<(), Status> {
    let namespace = new.namespace();
    let role = new.str_at(&["roleRef", "name"]).unwrap_or("");
    let role_kind = match new.str_at(&["roleRef", "kind"]) {
        Some("ClusterRole") => RbacKind::ClusterRole,
        _ => RbacKind::Role,
    };
    if may(chain, user, "bind", role_kind, namespace, role) {
        return Ok(());
    }
    let role_namespace = if role_kind == RbacKind::Role { namespace } else { "" };
    let Some(rules) = chain.rbac.role(role_namespace, role) else {
        return Err(Status::not_found(GROUP, role_kind.resource(), role));
    };
    confirm(user, &chain.rbac.rules_for(user, namespace), &rules)
        .map_err(|why| Status::forbidden(GROUP, kind.resource(), new.name(), &why))
}

/// Whether the user holds everything that the rules grant; else why not, in upstream's words.
fn confirm(user: User<'_>, held: &RuleSet, wanted: &[Rule]) -> Result<(), String> {
    let own: Vec<&Rule> = held.rules().collect();
    let who = format!("user {:?} (groups={})", user.name, quoted(user.groups));
    let Some(missing) = missing(&own, wanted) else {
        return Err(format!("{who} is attempting to grant more RBAC permissions than can be compared"));
    };
    if missing.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<String> = missing.iter().map(Rule::to_string).collect();
    lines.sort();
    let mut message =
        format!("{who} is attempting to grant RBAC permissions not currently held:\n{}", lines.join("\n"));
    if !held.errors.is_empty() {
        message.push_str(&format!("; resolution errors: [{}]", held.errors.join(" ")));
    }
    Err(message)
}

#[cfg(test)]
mod tests;

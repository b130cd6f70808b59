//! ResourceQuota: what an object uses of its namespace's quotas, and whether they have that much left.
//!
//! [`charges`] decides over one state of the quotas. The server calls it last, after every other plugin, under a
//! lock of its own for each namespace, and writes the charged quotas with their resourceVersion; a conflict there
//! means to read them again and to call it again.

mod limited;
mod scopes;
mod usage;

use std::borrow::Borrow;
use std::collections::BTreeSet;

use apimachinery::status::Status;
use apimachinery::{ObjectExt, Quantity};
use jiff::Timestamp;
use pod_strategy::resources::{self, ResourceList};
use serde_json::{Value, json};
use strategy::write;

use crate::{Attributes, Operation};

pub use limited::Limited;
pub use usage::usage;

/// A quota that must be written before the object is.
#[derive(Clone, Debug, PartialEq)]
pub struct Charge {
    /// The quota in its new form: `status.used` is raised.
    pub quota: Value,
}

/// Whether a request can use more of what quotas count.
pub fn is_counted(attributes: &Attributes) -> bool {
    let (create, update) =
        (attributes.operation == Operation::Create, attributes.operation == Operation::Update);
    match (attributes.group, attributes.resource, attributes.subresource) {
        ("", "pods", "resize") => update,
        ("", "services" | "persistentvolumeclaims", "") => create || update,
        ("resource.k8s.io", "resourceclaims", "") => create || update,
        (_, _, "") => create,
        _ => false,
    }
}

/// Decides on a create or update (also `pods/resize`) against the quotas of the object's namespace: which quotas to
/// charge, none when the request uses nothing more than before, or why it is refused.
pub fn charges<Q: Borrow<Value>>(
    attributes: &Attributes,
    object: &Value,
    old: Option<&Value>,
    quotas: &[Q],
    limited: &Limited,
) -> Result<Vec<Charge>, Status> {
    let idle = quotas.is_empty() && limited.is_empty();
    if idle || attributes.namespace.is_empty() || !is_counted(attributes) {
        return Ok(Vec::new());
    }
    let (group, resource) = (attributes.group, attributes.resource);
    let refuse = |why: String| attributes.forbidden(object, why);
    let mut covered = BTreeSet::new();
    let mut covered_scopes = Vec::new();
    let mut pertinent = Vec::new();
    for quota in quotas.iter().map(Borrow::borrow) {
        let requirements = scopes::of_quota(quota);
        let holding = requirements.iter().filter(|one| scopes::holds(one, group, resource, object));
        let before = covered_scopes.len();
        covered_scopes.extend(holding.map(|requirement| requirement.scope));
        // As upstream, a quota holds from the moment on at which the controller has seen it.
        let hard = resources::list(&quota["status"], "hard");
        let names = hard.keys().map(String::as_str);
        let names: Vec<&str> = names.filter(|name| usage::counts(group, resource, name)).collect();
        if names.is_empty() || covered_scopes.len() - before < requirements.len() {
            continue;
        }
        let name = quota.name();
        if group.is_empty() && resource == "pods" {
            let missing = usage::unspecified(object, &names);
            if !missing.is_empty() {
                return Err(refuse(format!("failed quota: {name}: must specify {missing}")));
            }
        }
        let used = resources::list(&quota["status"], "used");
        if names.iter().any(|name| !used.contains_key(*name)) {
            let names = names.join(",");
            return Err(refuse(format!("status unknown for quota: {name}, resources: {names}")));
        }
        covered.extend(names.iter().map(|name| (*name).to_owned()));
        let was_counted = old.is_some_and(|old| scopes::matches(&requirements, group, resource, old));
        pertinent.push((quota, hard, used, was_counted));
    }
    let after = usage(group, resource, object, None);
    let negative: Vec<&str> =
        after.iter().filter(|(_, amount)| amount.sign() < 0).map(|(name, _)| name.as_str()).collect();
    if !negative.is_empty() {
        return Err(refuse(format!("quota usage is negative for resource(s): {}", negative.join(","))));
    }
    let before = match (attributes.operation, old) {
        (Operation::Update, Some(old)) => usage(group, resource, old, None),
        _ => ResourceList::new(),
    };
    let more = |before: &ResourceList| -> ResourceList {
        let more = after.iter().map(|(name, amount)| {
            (name.clone(), *amount - before.get(name).copied().unwrap_or(Quantity::ZERO))
        });
        more.filter(|(_, more)| more.sign() > 0).collect()
    };
    let nothing = ResourceList::new();
    if !more(&before).is_empty() {
        let uncovered: BTreeSet<&str> = limited.names(group, resource, &after).into_iter().collect();
        let uncovered: Vec<&str> = uncovered.into_iter().filter(|name| !covered.contains(*name)).collect();
        if !uncovered.is_empty() {
            return Err(refuse(format!("insufficient quota to consume: {}", uncovered.join(","))));
        }
        let mut uncovered = limited.scopes(group, resource, object);
        uncovered.retain(|requirement| !covered_scopes.contains(&requirement.scope));
        if !uncovered.is_empty() {
            let uncovered: Vec<String> = uncovered.iter().map(ToString::to_string).collect();
            let why = format!("insufficient quota to match these scopes: [{}]", uncovered.join(" "));
            // Upstream refuses this as a failure of its own.
            return Err(Status::new(500, "", why));
        }
    }
    let mut charges = Vec::new();
    for (quota, hard, used, was_counted) in pertinent {
        let mut asked = more(if was_counted { &before } else { &nothing });
        asked.retain(|name, _| hard.contains_key(name) && usage::counts(group, resource, name));
        if asked.is_empty() {
            continue;
        }
        let mut total = used.clone();
        resources::add(&mut total, &asked);
        let exceeded: Vec<&String> = asked.keys().filter(|key| total.get(*key) > hard.get(*key)).collect();
        if !exceeded.is_empty() {
            return Err(refuse(format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                quota.name(),
                amounts(&exceeded, &asked),
                amounts(&exceeded, &used),
                amounts(&exceeded, &hard)
            )));
        }
        let mut charged = quota.clone();
        let list: serde_json::Map<String, Value> =
            total.iter().map(|(key, amount)| (key.clone(), json!(amount.to_string()))).collect();
        write::set(write::ensure(&mut charged, "status"), "used", Value::Object(list));
        charges.push(Charge { quota: charged });
    }
    Ok(charges)
}

/// Tells whether objects of a resource can use anything that a quota limits.
pub fn concerns(quota: &Value, group: &str, resource: &str) -> bool {
    resources::list(&quota["spec"], "hard").keys().any(|name| usage::counts(group, resource, name))
}

/// Tells whether a name in a quota stands for devices, which claims ask for.
pub fn concerns_claims(name: &str) -> bool {
    usage::counts("resource.k8s.io", "resourceclaims", name)
}

/// Counts anew what objects, each given with its group and its resource, use of a quota: `used`, with an amount for each
/// name in `spec.hard`. A pod that should have been gone before `now` takes no room.
pub fn count<'a>(
    quota: &Value,
    objects: impl Iterator<Item = (&'a str, &'a str, &'a Value)>,
    now: Timestamp,
) -> Value {
    let requirements = scopes::of_quota(quota);
    let hard = resources::list(&quota["spec"], "hard");
    let mut used: ResourceList = hard.into_keys().map(|name| (name, Quantity::ZERO)).collect();
    for (group, resource, object) in objects {
        if !scopes::matches(&requirements, group, resource, object) {
            continue;
        }
        let mut uses = usage(group, resource, object, Some(now));
        uses.retain(|name, _| used.contains_key(name) && usage::counts(group, resource, name));
        resources::add(&mut used, &uses);
    }
    used.iter().map(|(name, amount)| (name.clone(), json!(amount.to_string()))).collect()
}

/// When, after now, a quota has to be counted again though nothing changes: when a pod that is being deleted is given up.
pub fn count_again<'a>(pods: impl Iterator<Item = &'a Value>, now: Timestamp) -> Option<Timestamp> {
    pods.filter_map(usage::given_up).filter(|end| *end >= now).min()
}

/// Tells whether one `used` has less of anything than another.
pub fn is_lower(used: &Value, than: &Value) -> bool {
    let amounts = |value: &Value| resources::list(&json!({"used": value}), "used");
    let used = amounts(used);
    amounts(than).iter().any(|(name, amount)| used.get(name).unwrap_or(&Quantity::ZERO) < amount)
}

fn amounts(names: &[&String], list: &ResourceList) -> String {
    let amount = |name: &String| list.get(name).copied().unwrap_or(Quantity::ZERO);
    names.iter().map(|name| format!("{name}={}", amount(name))).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;

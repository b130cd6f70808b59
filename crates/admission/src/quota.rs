//! ResourceQuota: what an object uses of its namespace's quotas, and whether they have that much left.
//!
//! [`charges`] decides over one state of the quotas. The server calls it last, after every other plugin, under a
//! lock of its own for each namespace, and writes the charged quotas with their resourceVersion; a conflict there
//! means to read them again and to call it again.

mod scopes;
mod usage;

use std::borrow::Borrow;

use apimachinery::status::Status;
use apimachinery::{ObjectExt, Quantity};
use pod_strategy::resources::{self, ResourceList};
use serde_json::{Value, json};
use strategy::read::is_empty;
use strategy::write;

use crate::{Attributes, Operation};

pub use usage::usage;

/// A quota that must be written before the object is.
#[derive(Clone, Debug, PartialEq)]
pub struct Charge {
    /// The quota in its new form: `status.used` is raised.
    pub quota: Value,
}

/// Decides on a create or update (also `pods/resize`) against the quotas of the object's namespace: which quotas to charge, none when the
/// request uses nothing more than before, or why it is refused.
pub fn charges<Q: Borrow<Value>>(
    attributes: &Attributes,
    object: &Value,
    old: Option<&Value>,
    quotas: &[Q],
) -> Result<Vec<Charge>, Status> {
    let counted = attributes.subresource.is_empty()
        || (attributes.group.is_empty()
            && attributes.resource == "pods"
            && attributes.subresource == "resize");
    let changes = matches!(attributes.operation, Operation::Create | Operation::Update);
    if !counted || !changes || attributes.namespace.is_empty() || quotas.is_empty() {
        return Ok(Vec::new());
    }
    let (group, resource) = (attributes.group, attributes.resource);
    let after = usage(group, resource, object);
    let before = match (attributes.operation, old) {
        (Operation::Update, Some(old)) => usage(group, resource, old),
        _ => ResourceList::new(),
    };
    let mut charges = Vec::new();
    for quota in quotas.iter().map(Borrow::borrow) {
        let hard = resources::list(&quota["status"], "hard");
        let wanted = resources::list(&quota["spec"], "hard");
        let concerned: Vec<&str> =
            wanted.keys().map(String::as_str).filter(|name| usage::counts(group, resource, name)).collect();
        if concerned.is_empty() || !scopes::matches(quota, group, resource, object) {
            continue;
        }
        let name = quota.name();
        let refuse = |why: String| Err(attributes.forbidden(object, why));
        if group.is_empty() && resource == "pods" && attributes.operation == Operation::Create {
            let missing = usage::unspecified(object, &concerned);
            if !missing.is_empty() {
                return refuse(format!("failed quota: {name}: must specify {missing}"));
            }
        }
        let mut asked = ResourceList::new();
        for key in &concerned {
            let was = before.get(*key).copied().unwrap_or(Quantity::ZERO);
            let more = after.get(*key).copied().unwrap_or(Quantity::ZERO) - was;
            if more.sign() > 0 {
                asked.insert((*key).to_owned(), more);
            }
        }
        if asked.is_empty() {
            continue;
        }
        let unknown: Vec<&str> =
            asked.keys().map(String::as_str).filter(|key| !hard.contains_key(*key)).collect();
        if !unknown.is_empty() || is_empty(&quota["status"]["hard"]) {
            return refuse(format!("status unknown for quota: {name}, resources: {}", unknown.join(",")));
        }
        let used = resources::list(&quota["status"], "used");
        let mut total = used.clone();
        resources::add(&mut total, &asked);
        let exceeded: Vec<&String> = asked.keys().filter(|key| total.get(*key) > hard.get(*key)).collect();
        if !exceeded.is_empty() {
            return refuse(format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                amounts(&exceeded, &asked),
                amounts(&exceeded, &used),
                amounts(&exceeded, &hard)
            ));
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

/// Counts anew what objects, each given with its group and its resource, use of a quota: `used`, with an amount for each
/// name in `spec.hard`.
pub fn count<'a>(quota: &Value, objects: impl Iterator<Item = (&'a str, &'a str, &'a Value)>) -> Value {
    let hard = resources::list(&quota["spec"], "hard");
    let mut used: ResourceList = hard.into_keys().map(|name| (name, Quantity::ZERO)).collect();
    for (group, resource, object) in objects {
        if !scopes::matches(quota, group, resource, object) {
            continue;
        }
        let mut uses = usage(group, resource, object);
        uses.retain(|name, _| used.contains_key(name) && usage::counts(group, resource, name));
        resources::add(&mut used, &uses);
    }
    used.iter().map(|(name, amount)| (name.clone(), json!(amount.to_string()))).collect()
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
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};

    fn quota(hard: Value, used: Value) -> Value {
        json!({"metadata": {"name": "q"}, "spec": {"hard": hard.clone()}, "status": {"hard": hard, "used": used}})
    }

    fn create(resource: &'static str, object: Value, quota: &Value) -> Result<Vec<Charge>, String> {
        let request = Request::create("", resource).inside("x").named("web");
        let (result, _) =
            request.run(&Cluster::new(), |context| charges(context.attributes, &object, None, &[quota]));
        result.map_err(|status| status.message)
    }

    fn pod(requests: Value) -> Value {
        json!({"spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]}})
    }

    #[test]
    fn a_pod_is_charged_until_the_quota_is_used_up() {
        let full =
            quota(json!({"pods": "2", "requests.cpu": "1"}), json!({"pods": "1", "requests.cpu": "500m"}));
        let charged = create("pods", pod(json!({"cpu": "500m"})), &full).unwrap();
        assert_eq!(charged[0].quota["status"]["used"], json!({"pods": "2", "requests.cpu": "1"}));
        assert_eq!(
            create("pods", pod(json!({"cpu": "600m"})), &full).unwrap_err(),
            "pods \"web\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=500m, limited: requests.cpu=1"
        );
        assert_eq!(
            create("pods", pod(json!({})), &full).unwrap_err(),
            "pods \"web\" is forbidden: failed quota: q: must specify requests.cpu for: c"
        );
    }

    #[test]
    fn objects_are_counted() {
        let counts = quota(
            json!({"configmaps": "1", "count/configmaps": "5"}),
            json!({"configmaps": "1", "count/configmaps": "1"}),
        );
        assert!(create("configmaps", json!({}), &counts).unwrap_err().contains(
            "exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1"
        ));
        assert_eq!(create("secrets", json!({}), &counts), Ok(vec![]));
    }

    #[test]
    fn services_count_by_their_type() {
        let counts = quota(json!({"services.nodeports": "1"}), json!({"services.nodeports": "0"}));
        let service = |kind: &str| json!({"spec": {"type": kind, "ports": [{"port": 1}, {"port": 2}]}});
        assert_eq!(create("services", service("ClusterIP"), &counts), Ok(vec![]));
        assert!(
            create("services", service("NodePort"), &counts)
                .unwrap_err()
                .contains("requested: services.nodeports=2")
        );
    }

    #[test]
    fn an_update_is_charged_with_the_difference() {
        let full = quota(json!({"services.nodeports": "1"}), json!({"services.nodeports": "1"}));
        let service = json!({"spec": {"type": "NodePort", "ports": [{"port": 1}]}});
        let request = Request::update("", "services", service.clone()).inside("x");
        let (result, _) = request
            .run(&Cluster::new(), |context| charges(context.attributes, &service, context.old, &[&full]));
        assert_eq!(result.unwrap(), []);
    }

    #[test]
    fn a_quota_that_nobody_has_counted_yet_refuses() {
        let new = json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}});
        assert_eq!(
            create("pods", pod(json!({})), &new).unwrap_err(),
            "pods \"web\" is forbidden: status unknown for quota: q, resources: pods"
        );
    }

    #[test]
    fn what_is_there_is_counted_anew() {
        let hard =
            json!({"pods": "9", "requests.memory": "1Gi", "count/deployments.apps": "3", "secrets": "1"});
        let quota = quota(hard, json!({"pods": "7"}));
        let (one, mut ended) = (pod(json!({"memory": "100Mi"})), pod(json!({"memory": "1Gi"})));
        ended["status"] = json!({"phase": "Succeeded"});
        let (deployment, map) = (json!({}), json!({}));
        let objects = [
            ("", "pods", &one),
            ("", "pods", &one),
            ("", "pods", &ended),
            ("apps", "deployments", &deployment),
            ("", "configmaps", &map),
        ];
        assert_eq!(
            count(&quota, objects.into_iter()),
            json!({"pods": "2", "requests.memory": "200Mi", "count/deployments.apps": "1", "secrets": "0"})
        );
        assert!(concerns(&quota, "apps", "deployments") && !concerns(&quota, "", "configmaps"));
    }

    #[test]
    fn less_of_anything_is_lower() {
        let lower = |used: Value, than: Value| is_lower(&used, &than);
        assert!(lower(json!({"pods": "1", "requests.cpu": "2"}), json!({"pods": "2", "requests.cpu": "1"})));
        assert!(lower(json!({}), json!({"pods": "1"})));
        assert!(!lower(json!({"requests.cpu": "1000m"}), json!({"requests.cpu": "1"})));
        assert!(!lower(json!({"pods": "0"}), Value::Null));
    }

    #[test]
    fn scopes_choose_pods() {
        let mut scoped = quota(json!({"pods": "0"}), json!({"pods": "0"}));
        scoped["spec"]["scopes"] = json!(["BestEffort"]);
        assert_eq!(create("pods", pod(json!({"cpu": "1"})), &scoped), Ok(vec![]));
        assert!(create("pods", pod(json!({})), &scoped).is_err());
    }
}

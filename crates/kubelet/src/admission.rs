//! Whether this node can take a pod at all: a pure decision, upstream's reasons and messages.

use std::collections::BTreeMap;

use apimachinery::Quantity;
use k8s_openapi::api::core::v1::{Node, Pod};
use podrules::{
    conditions,
    node_affinity::{self, NodeView},
    ports,
    requests::{self, Resources},
    sysctls,
    tolerations::first_untolerated,
};

use crate::{pod, status::Verdict};

/// Decides whether a pod may run beside the others. Static pods of the control plane are always let in by priority;
/// everyone else must fit.
pub fn admit<'a>(
    pod: &Pod,
    others: impl Iterator<Item = &'a Pod>,
    allocatable: &BTreeMap<String, Quantity>,
    unsafe_sysctls: &[String],
    node: Option<&Node>,
) -> Result<(), Verdict> {
    let refuse =
        |reason: String, message: String| Err(Verdict::new(reason, format!("Pod was rejected: {message}")));
    let context = pod::spec(pod).security_context.as_ref();
    for sysctl in context.and_then(|context| context.sysctls.as_ref()).into_iter().flatten() {
        let name = sysctl.name.replace('/', ".");
        let allowed = unsafe_sysctls.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => *pattern == name,
        });
        if !allowed && !sysctls::SAFE.contains(&name.as_str()) {
            return refuse("SysctlForbidden".into(), format!("forbidden sysctl: {name:?} not allowlisted"));
        }
    }
    let mut used = Resources::new();
    let (mut count, mut taken) = (0, Vec::new());
    for other in others.filter(|other| !conditions::is_terminal(other) && pod::uid(other) != pod::uid(pod)) {
        count += 1;
        requests::add(&mut used, &requests::requests(pod::spec(other)));
        taken.extend(ports::of_host(pod::spec(other)));
    }
    if let Some(most) = allocatable.get("pods").map(Quantity::value).filter(|most| count >= *most) {
        let message =
            format!("Node didn't have enough resource: pods, requested: 1, used: {count}, capacity: {most}");
        return refuse("OutOfpods".into(), message);
    }
    for (name, asked) in requests::requests(pod::spec(pod)) {
        let amount =
            |quantity: &Quantity| if name == "cpu" { quantity.milli_value() } else { quantity.value() };
        // What the node does not count it does not bound.
        let Some(capacity) = allocatable.get(&name).map(amount) else { continue };
        let (asked, used) = (amount(&asked), used.get(&name).map_or(0, amount));
        if asked > 0 && used.saturating_add(asked) > capacity {
            let message = format!(
                "Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}"
            );
            return refuse(format!("OutOf{name}"), message);
        }
    }
    let unfit = |predicate: &str, why: &str| {
        refuse(predicate.to_owned(), format!("Predicate {predicate} failed: {why}"))
    };
    // Whoever names the node itself goes past the scheduler, but not past what it asks of its node.
    if let Some(node) = node {
        let labels = node.metadata.labels.clone().unwrap_or_default();
        let name = node.metadata.name.as_deref().unwrap_or_default();
        if !node_affinity::allows(pod::spec(pod), &NodeView { name, labels: &labels }) {
            return unfit("NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
        }
    }
    if ports::of_host(pod::spec(pod)).any(|port| taken.iter().any(|other| port.conflicts(other))) {
        return unfit("NodePorts", "node(s) didn't have free ports for the requested pod ports");
    }
    let taints = node.and_then(|node| node.spec.as_ref()?.taints.as_deref()).unwrap_or_default();
    let tolerations = pod::spec(pod).tolerations.as_deref().unwrap_or_default();
    if !pod::is_static(pod) && first_untolerated(taints, tolerations, &["NoExecute"]).is_some() {
        return unfit("TaintToleration", "node(s) had taints that the pod didn't tolerate");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn a_pod(uid: &str, spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": uid, "uid": uid}, "spec": spec})).unwrap()
    }

    fn asks(uid: &str, cpu: &str) -> Pod {
        a_pod(uid, json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}))
    }

    fn check(pod: &Pod, others: &[Pod], expected: Result<(), &str>) {
        let allocatable =
            BTreeMap::from([("cpu".into(), "2".parse().unwrap()), ("pods".into(), "3".parse().unwrap())]);
        let decided = admit(pod, others.iter(), &allocatable, &["net.core.*".into()], None);
        assert_eq!(
            decided.map_err(|verdict| format!("{}: {}", verdict.reason, verdict.message)),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        check(&asks("a", "1"), &[asks("b", "1")], Ok(()));
        check(
            &asks("a", "1500m"),
            &[asks("b", "1")],
            Err(
                "OutOfcpu: Pod was rejected: Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
            ),
        );
        check(
            &asks("a", "0"),
            &[asks("b", "0"), asks("c", "0"), asks("d", "0")],
            Err(
                "OutOfpods: Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
            ),
        );
        check(&asks("a", "2"), &[asks("a", "2")], Ok(()));
    }

    #[test]
    fn who_names_the_node_itself_still_has_to_match_it() {
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": "w1", "labels": {"disk": "ssd"}},
            "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoExecute"}]},
        }))
        .unwrap();
        let neighbour = a_pod(
            "n",
            json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]}),
        );
        let told = |spec: Value| {
            let allocatable = BTreeMap::new();
            let others = std::slice::from_ref(&neighbour).iter();
            let verdict = admit(&a_pod("p", spec), others, &allocatable, &[], Some(&node));
            verdict
                .err()
                .map_or_else(String::new, |verdict| format!("{}: {}", verdict.reason, verdict.message))
        };
        let bears = json!([{"key": "b", "operator": "Exists"}]);
        assert_eq!(told(json!({"containers": [], "tolerations": bears})), "");
        assert_eq!(
            told(json!({"containers": []})),
            "TaintToleration: Pod was rejected: Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
        );
        assert_eq!(
            told(json!({"containers": [], "nodeSelector": {"disk": "hdd"}})),
            "NodeAffinity: Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        );
        let taken =
            json!({"containers": [{"name": "c", "ports": [{"containerPort": 8080, "hostPort": 80}]}]});
        assert_eq!(
            told(taken),
            "NodePorts: Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        );
    }

    #[test]
    fn only_listed_sysctls_are_set() {
        let with = |name: &str| {
            a_pod(
                "a",
                json!({"containers": [], "securityContext": {"sysctls": [{"name": name, "value": "1"}]}}),
            )
        };
        check(&with("net.ipv4.tcp_syncookies"), &[], Ok(()));
        check(&with("net/core/somaxconn"), &[], Ok(()));
        check(
            &with("kernel.msgmax"),
            &[],
            Err("SysctlForbidden: Pod was rejected: forbidden sysctl: \"kernel.msgmax\" not allowlisted"),
        );
    }
}

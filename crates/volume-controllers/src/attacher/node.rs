//! What is to be attached to one node and what is not: decided from what its pods want and what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use controller_runtime::objects::{Node, is_true};
use podrules::csi::unique_volume_name;

use crate::objects::VolumeAttachment;

/// Set by kubelets that leave attaching to the controller.
const MANAGED: &str = "volumes.kubernetes.io/controller-managed-attach-detach";
/// Set by a person on a node that does not run any more, whatever it last said.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// A volume that pods of a node use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its driver.
    pub driver: String,
    /// The driver's name for it.
    pub handle: String,
    /// Another node to which it is attached, where it may be attached to one only.
    pub elsewhere: Option<String>,
}

/// What is around a node.
pub struct View<'a> {
    /// The node; none if it is gone.
    pub node: Option<&'a Node>,
    /// The volumes that its pods use, by name.
    pub wanted: &'a BTreeMap<String, Wanted>,
    /// What is attached to it, or was to be, each with the unique name of its volume if that is still there.
    pub attachments: &'a [(Arc<VolumeAttachment>, Option<String>)],
    /// The attachments that have been waited for long enough.
    pub overdue: &'a BTreeSet<String>,
}

/// What to do about a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What the node is told to be attached to it. Said before anything is detached.
    pub attached: BTreeSet<String>,
    /// Volumes to attach.
    pub attach: Vec<String>,
    /// Attachments to undo, by name.
    pub detach: Vec<String>,
    /// Attachments that nobody wants, and that the node still uses, by name.
    pub wait: Vec<String>,
    /// Volumes that must leave another node first, with that node.
    pub refuse: Vec<(String, String)>,
}

/// Decides about a node.
pub fn decide(view: &View<'_>) -> Plan {
    let mut plan = Plan::default();
    let in_use =
        |name: &str| view.node.is_some_and(|node| node.status.volumes_in_use.iter().any(|one| one == name));
    let out_of_service =
        view.node.is_some_and(|node| node.spec.taints.iter().any(|taint| taint.key == OUT_OF_SERVICE));
    let is_healthy = view.node.is_some_and(|node| is_true(&node.status.conditions, "Ready"));
    let mut attached_or_going = BTreeSet::new();
    for (attachment, unique_name) in view.attachments {
        let (volume, name) = (&attachment.spec.source.persistent_volume_name, &attachment.metadata.name);
        attached_or_going.insert(volume.as_str());
        if attachment.metadata.is_deleting() {
            continue;
        }
        let forced = out_of_service || (!is_healthy && view.overdue.contains(name));
        let is_used = unique_name.as_deref().is_some_and(in_use);
        if !view.wanted.contains_key(volume) {
            if !is_used || forced {
                plan.detach.push(name.clone());
                continue;
            }
            plan.wait.push(name.clone());
        }
        if attachment.status.attached {
            plan.attached.extend(unique_name.clone());
        }
    }
    if !view.node.is_some_and(|node| node.metadata.annotations.contains_key(MANAGED)) {
        return plan;
    }
    for (volume, wanted) in view.wanted {
        match &wanted.elsewhere {
            _ if attached_or_going.contains(volume.as_str()) => {}
            Some(other) => plan.refuse.push((volume.clone(), other.clone())),
            None => plan.attach.push(volume.clone()),
        }
    }
    plan
}

/// The wanted volumes that the node did not yet know to be attached.
pub fn newly_attached<'a>(node: &Node, plan: &Plan, wanted: &'a BTreeMap<String, Wanted>) -> Vec<&'a str> {
    let is_new = |wanted: &Wanted| {
        let name = unique_volume_name(&wanted.driver, &wanted.handle);
        plan.attached.contains(&name)
            && !node.status.volumes_attached.iter().any(|attached| attached.name == name)
    };
    wanted.iter().filter(|(_, wanted)| is_new(wanted)).map(|(name, _)| name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(more: Value) -> Node {
        let mut node = json!({"metadata": {"name": "n", "annotations": {MANAGED: "true"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}, "spec": {}});
        for (key, value) in more.as_object().into_iter().flatten() {
            match key.as_str() {
                "taints" => node["spec"]["taints"] = value.clone(),
                _ => node["status"][key] = value.clone(),
            }
        }
        serde_json::from_value(node).unwrap()
    }

    fn wanted(names: &[&str]) -> BTreeMap<String, Wanted> {
        let each = |name: &&str| {
            let wanted = Wanted { driver: "d".into(), handle: format!("h-{name}"), elsewhere: None };
            ((*name).to_owned(), wanted)
        };
        names.iter().map(each).collect()
    }

    fn unique(volume: &str) -> String {
        unique_volume_name("d", &format!("h-{volume}"))
    }

    fn attachment(volume: &str, attached: bool, deleting: bool) -> (Arc<VolumeAttachment>, Option<String>) {
        let deleted = deleting.then_some("2026-01-01T00:00:00Z");
        let attachment = json!({"metadata": {"name": format!("csi-{volume}"), "deletionTimestamp": deleted},
            "spec": {"source": {"persistentVolumeName": volume}}, "status": {"attached": attached}});
        (Arc::new(serde_json::from_value(attachment).unwrap()), Some(unique(volume)))
    }

    fn plan(
        node: Option<&Node>,
        wanted: &BTreeMap<String, Wanted>,
        attachments: &[(Arc<VolumeAttachment>, Option<String>)],
        overdue: &[&str],
    ) -> Plan {
        let overdue = overdue.iter().map(|name| (*name).to_owned()).collect();
        decide(&View { node, wanted, attachments, overdue: &overdue })
    }

    #[test]
    fn what_pods_want_is_attached_and_told_once_it_is() {
        let ready = node(json!({}));
        let both = wanted(&["a", "b"]);
        let asked = plan(Some(&ready), &both, &[], &[]);
        assert_eq!(asked, Plan { attach: vec!["a".into(), "b".into()], ..Plan::default() });
        let begun =
            plan(Some(&ready), &both, &[attachment("a", true, false), attachment("b", false, false)], &[]);
        assert_eq!(begun, Plan { attached: [unique("a")].into(), ..Plan::default() });
        assert_eq!(newly_attached(&ready, &begun, &both), ["a"]);
        let told = node(json!({"volumesAttached": [{"name": unique("a"), "devicePath": ""}]}));
        assert!(newly_attached(&told, &begun, &both).is_empty());
        // One that is being detached must be gone before it is attached anew.
        let going = plan(Some(&ready), &wanted(&["a"]), &[attachment("a", true, true)], &[]);
        assert_eq!(going, Plan::default());
        // A node that is gone, and a kubelet that attaches by itself.
        assert_eq!(plan(None, &both, &[], &[]), Plan::default());
        let mut own = ready.clone();
        own.metadata.annotations.clear();
        assert_eq!(plan(Some(&own), &both, &[], &[]), Plan::default());
    }

    #[test]
    fn a_volume_of_one_node_leaves_the_other_first() {
        let mut one = wanted(&["a"]);
        one.insert("a".into(), Wanted { elsewhere: Some("m".into()), ..one["a"].clone() });
        let refused = plan(Some(&node(json!({}))), &one, &[], &[]);
        assert_eq!(refused, Plan { refuse: vec![("a".into(), "m".into())], ..Plan::default() });
    }

    #[test]
    fn what_nobody_wants_is_detached_once_the_node_has_let_go() {
        let attached = [attachment("a", true, false)];
        let none = BTreeMap::new();
        let using = json!({"volumesInUse": [unique("a")]});
        let not_ready =
            json!({"volumesInUse": [unique("a")], "conditions": [{"type": "Ready", "status": "Unknown"}]});
        let out = json!({"volumesInUse": [unique("a")], "taints": [{"key": OUT_OF_SERVICE, "effect": "NoExecute"}]});
        let wait = || Plan { attached: [unique("a")].into(), wait: vec!["csi-a".into()], ..Plan::default() };
        let detach = || Plan { detach: vec!["csi-a".into()], ..Plan::default() };
        for (more, overdue, expected) in [
            (json!({}), &[][..], detach()),
            (using.clone(), &[], wait()),
            // A node that answers is waited for, however long it takes.
            (using, &["csi-a"], wait()),
            (not_ready.clone(), &[], wait()),
            (not_ready, &["csi-a"], detach()),
            (out, &[], detach()),
        ] {
            assert_eq!(
                plan(Some(&node(more.clone())), &none, &attached, overdue),
                expected,
                "{more} {overdue:?}"
            );
        }
        assert_eq!(plan(None, &none, &attached, &[]), detach());
        // Its volume is gone: nobody can say whether it is in use.
        let lost = [(Arc::clone(&attached[0].0), None)];
        assert_eq!(plan(Some(&node(json!({}))), &none, &lost, &[]), detach());
    }
}

//! The Node's status.

use std::{collections::BTreeMap, sync::Arc};

use apimachinery::Quantity;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeStatus,
    },
    apimachinery::pkg::{api::resource::Quantity as Written, apis::meta::v1::Time},
};

use super::machine;
use crate::{eviction::Pressure, kubelet::Kubelet};

/// How many images the status names; upstream's.
const MAX_IMAGES: usize = 50;
/// How many names of one image; upstream's.
const MAX_NAMES: usize = 5;

/// How the runtime and the machine are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// What is wrong, in upstream's words; empty when nothing is.
    pub faults: Vec<String>,
    /// What runs short.
    pub pressure: Pressure,
    /// The runtime's version, `containerd://1.6.20`.
    pub runtime_version: String,
}

impl Health {
    /// Asks.
    pub async fn of(kubelet: &Arc<Kubelet>) -> Self {
        let mut faults = Vec::new();
        match kubelet.runtime.status(false).await {
            Ok(answer) => {
                let conditions = answer.status.map(|status| status.conditions).unwrap_or_default();
                for (kind, what) in [
                    ("RuntimeReady", "container runtime not ready"),
                    ("NetworkReady", "container runtime network not ready"),
                ] {
                    match conditions.iter().find(|condition| condition.r#type == kind) {
                        Some(condition) if condition.status => {}
                        Some(condition) => faults.push(format!(
                            "{what}: {kind}=false reason:{} message:{}",
                            condition.reason, condition.message
                        )),
                        None => faults.push(format!("{what}: condition {kind} is missing")),
                    }
                }
            }
            // Why, the kubelet's log says.
            Err(_) => faults.push("container runtime is down".to_owned()),
        }
        let version =
            kubelet.runtime.version().await.map(|answer| answer.runtime_version).unwrap_or_default();
        Self {
            faults,
            pressure: *kubelet.pressure.borrow(),
            runtime_version: format!("{}://{version}", kubelet.runtime_name),
        }
    }
}

/// What this kubelet can do that others of its age perhaps cannot, in order: changes of pods ask for it.
const DECLARED: [&str; 2] = ["GuaranteedQoSPodCPUResize", "InPlacePodLevelResourcesVerticalScaling"];

/// Computes the status.
pub async fn status(
    kubelet: &Arc<Kubelet>,
    health: &Health,
    last: Option<&NodeStatus>,
    now: Timestamp,
) -> NodeStatus {
    let settings = &kubelet.settings;
    let (capacity, mut allocatable) = machine::resources(settings);
    let node = kubelet.facts.read().node.clone();
    allocatable.extend(node.as_deref().map(extended).unwrap_or_default());
    let host_ips = machine::addresses(settings);
    {
        let mut facts = kubelet.facts.write();
        facts.host_ips.clone_from(&host_ips);
        facts.allocatable = allocatable.clone();
    }
    let mut addresses: Vec<NodeAddress> =
        host_ips.into_iter().map(|address| NodeAddress { type_: "InternalIP".into(), address }).collect();
    addresses.push(NodeAddress { type_: "Hostname".into(), address: settings.node_name.clone() });
    let mut info = machine::system();
    info.container_runtime_version.clone_from(&health.runtime_version);
    NodeStatus {
        addresses: Some(addresses),
        capacity: Some(capacity.into_iter().map(|(name, amount)| (name, Written(amount))).collect()),
        allocatable: Some(
            allocatable.into_iter().map(|(name, amount)| (name, Written(amount.to_string()))).collect(),
        ),
        conditions: Some(conditions(health, last, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(kubelet.serving_port()) }),
        }),
        declared_features: Some(DECLARED.map(str::to_owned).to_vec()),
        images: Some(images(kubelet).await),
        node_info: Some(info),
        volumes_in_use: Some(kubelet.csi.in_use().into_iter().collect::<Vec<_>>())
            .filter(|volumes| !volumes.is_empty()),
        ..NodeStatus::default()
    }
}

/// What the node is said to have beyond what the machine shows: extended resources, written into its capacity by
/// whoever knows of them. All of it is the pods'.
pub(super) fn extended(node: &Node) -> BTreeMap<String, Quantity> {
    let capacity = node.status.as_ref().and_then(|status| status.capacity.as_ref());
    let all = podrules::requests::parse(capacity);
    let is_extended = |name: &str| {
        name.split_once('/').is_some_and(|(domain, _)| {
            domain != "kubernetes.io"
                && !domain.ends_with(".kubernetes.io")
                && !domain.starts_with("requests.")
        })
    };
    all.into_iter().filter(|(name, _)| is_extended(name)).collect()
}

async fn images(kubelet: &Arc<Kubelet>) -> Vec<ContainerImage> {
    let mut images = kubelet.runtime.list_images().await.unwrap_or_default();
    images.sort_by(|one, other| other.size.cmp(&one.size).then_with(|| one.id.cmp(&other.id)));
    images
        .into_iter()
        .take(MAX_IMAGES)
        .map(|image| ContainerImage {
            names: Some(image.repo_digests.into_iter().chain(image.repo_tags).take(MAX_NAMES).collect()),
            size_bytes: i64::try_from(image.size).ok(),
        })
        .collect()
}

fn conditions(health: &Health, last: Option<&NodeStatus>, now: Timestamp) -> Vec<NodeCondition> {
    let pressure = health.pressure;
    let ready = match health.faults.is_empty() {
        true => (true, "KubeletReady", "kubelet is posting ready status".to_owned()),
        false => (false, "KubeletNotReady", format!("[{}]", health.faults.join(", "))),
    };
    // One fault stands without brackets, as upstream joins them.
    let ready = match health.faults.as_slice() {
        [only] => (false, ready.1, only.clone()),
        _ => ready,
    };
    let short = |is: bool, yes: (&'static str, &str), no: (&'static str, &str)| {
        let (reason, message) = if is { yes } else { no };
        (is, reason, message.to_owned())
    };
    let all = [
        (
            "MemoryPressure",
            short(
                pressure.memory,
                ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
                ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ),
        ),
        (
            "DiskPressure",
            short(
                pressure.disk,
                ("KubeletHasDiskPressure", "kubelet has disk pressure"),
                ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ),
        ),
        (
            "PIDPressure",
            short(
                pressure.pids,
                ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
                ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ),
        ),
        ("Ready", ready),
    ];
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    all.into_iter()
        .map(|(kind, (is, reason, message))| {
            let status = if is { "True" } else { "False" };
            let before =
                last.and_then(|last| last.conditions.iter().flatten().find(|held| held.type_ == kind));
            let since = before
                .filter(|before| before.status == status)
                .and_then(|before| before.last_transition_time.clone());
            NodeCondition {
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message),
                last_heartbeat_time: Some(Time(now)),
                last_transition_time: since.or(Some(Time(now))),
            }
        })
        .collect()
}

/// The conditions that a kubelet reports, with the reasons of the events that tell of them, false and true.
const REPORTED: [(&str, [&str; 2]); 4] = [
    ("MemoryPressure", ["NodeHasSufficientMemory", "NodeHasInsufficientMemory"]),
    ("DiskPressure", ["NodeHasNoDiskPressure", "NodeHasDiskPressure"]),
    ("PIDPressure", ["NodeHasSufficientPID", "NodeHasInsufficientPID"]),
    ("Ready", ["NodeNotReady", "NodeReady"]),
];

fn value<'a>(status: &'a NodeStatus, kind: &str) -> Option<&'a str> {
    let found = status.conditions.iter().flatten().find(|condition| condition.type_ == kind);
    found.map(|condition| condition.status.as_str())
}

/// Whether the API says otherwise than the kubelet about one of the kubelet's conditions.
pub(super) fn is_disputed(shown: &NodeStatus, own: &NodeStatus) -> bool {
    REPORTED.iter().any(|(kind, _)| value(shown, kind).is_some_and(|shown| Some(shown) != value(own, kind)))
}

/// Whether the API says that nothing is known of the node.
pub(super) fn is_unknown(node: &Node) -> bool {
    let status = node.status.as_ref();
    status.is_some_and(|status| REPORTED.iter().any(|(kind, _)| value(status, kind) == Some("Unknown")))
}

/// The reasons of the events that tell of new or changed conditions. That a new node is not ready yet is no news.
pub(super) fn news(before: Option<&NodeStatus>, now: &NodeStatus) -> Vec<&'static str> {
    let each = REPORTED.iter().filter_map(|(kind, reasons)| {
        let before = before.and_then(|before| value(before, kind));
        let value = value(now, kind).filter(|value| before != Some(*value))?;
        let tells = *kind != "Ready" || before.is_some();
        tells.then_some(reasons[usize::from(value == "True")])
    });
    each.collect()
}

/// Compares two statuses but for the time they were looked at.
pub(super) fn same(one: &NodeStatus, other: &NodeStatus) -> bool {
    let still = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
        status
    };
    still(one) == still(other)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn text(health: &Health) -> String {
        let conditions = conditions(health, None, Timestamp::UNIX_EPOCH);
        let line = |condition: &NodeCondition| {
            let of = |text: &Option<String>| text.clone().unwrap_or_default();
            format!(
                "{}={} {} {}",
                condition.type_,
                condition.status,
                of(&condition.reason),
                of(&condition.message)
            )
        };
        conditions.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_has_changed_is_told_and_what_others_say_is_disputed() {
        let status = |values: [&str; 2]| -> NodeStatus {
            let conditions = serde_json::json!([{"type": "MemoryPressure", "status": values[0]},
                {"type": "Ready", "status": values[1]}, {"type": "NetworkUnavailable", "status": "False"}]);
            serde_json::from_value(serde_json::json!({ "conditions": conditions })).unwrap()
        };
        let (calm, short) = (status(["False", "True"]), status(["True", "True"]));
        let lost = status(["Unknown", "Unknown"]);
        assert_eq!(news(None, &calm), ["NodeHasSufficientMemory"]);
        assert_eq!(news(Some(&status(["False", "False"])), &calm), ["NodeReady"]);
        assert_eq!(news(Some(&calm), &short), ["NodeHasInsufficientMemory"]);
        assert_eq!(news(Some(&lost), &calm), ["NodeHasSufficientMemory", "NodeReady"]);
        assert!(news(Some(&calm), &calm).is_empty());
        assert!(is_disputed(&lost, &calm) && !is_disputed(&calm, &calm));
        assert!(!is_disputed(&NodeStatus::default(), &calm), "not written yet");
    }

    #[test]
    fn what_others_say_of_the_node_is_kept_where_it_is_theirs_to_say() {
        let capacity = serde_json::json!({"cpu": "2", "hugepages-2Mi": "0", "example.com/seats": "3",
            "attachable-volumes.kubernetes.io/x": "1", "requests.example.com/seats": "1"});
        let node = serde_json::json!({"status": {"capacity": capacity}});
        let found = extended(&serde_json::from_value(node).unwrap());
        let found: Vec<String> = found.iter().map(|(name, amount)| format!("{name} {amount}")).collect();
        assert_eq!(found, ["example.com/seats 3"]);
    }

    #[test]
    fn reasons_and_messages_are_upstreams() {
        expect![[r#"
            MemoryPressure=False KubeletHasSufficientMemory kubelet has sufficient memory available
            DiskPressure=False KubeletHasNoDiskPressure kubelet has no disk pressure
            PIDPressure=False KubeletHasSufficientPID kubelet has sufficient PID available
            Ready=True KubeletReady kubelet is posting ready status"#]]
        .assert_eq(&text(&Health::default()));
        let health = Health {
            faults: vec!["container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:x".into()],
            pressure: Pressure { memory: true, ..Pressure::default() },
            ..Health::default()
        };
        expect![[r#"
            MemoryPressure=True KubeletHasInsufficientMemory kubelet has insufficient memory available
            DiskPressure=False KubeletHasNoDiskPressure kubelet has no disk pressure
            PIDPressure=False KubeletHasSufficientPID kubelet has sufficient PID available
            Ready=False KubeletNotReady container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:x"#]]
        .assert_eq(&text(&health));
    }
}

//! Faults of a stored pod or template: rules that came after it, which its updates need not fulfil.

use serde_json::Value;

use crate::defaults::CONTAINER_LISTS;
use crate::gates::{self, Gate, Gates};
use crate::{annotations, resources, scheduling, security};
use strategy::field::{Errors, Path};
use strategy::read::Read;

/// The rules that do not hold for an update, since what is stored breaks them already. A new object has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tolerated {
    /// The cost of deletion may be no number.
    pub deletion_cost: bool,
    /// Huge pages may be asked for in parts.
    pub parts_of_pages: bool,
    /// Selectors of affinity to pods may ask for values that no label has.
    pub pod_values: bool,
    /// Required affinity to nodes may ask for values that no label has.
    pub node_values: bool,
    /// Selectors of spreading may be wrong.
    pub spread_selectors: bool,
    /// Keys of labels in spreading may be wrong.
    pub spread_keys: bool,
    /// Tokens may be projected to paths outside of their volume.
    pub token_paths: bool,
    /// Sysctls of a namespace may be set though the namespace is the host's.
    pub host_sysctls: bool,
    /// A pod with users of its own may be on the host's network.
    pub host_network: bool,
    /// A pod with users of its own may have block devices.
    pub user_devices: bool,
    /// Tolerations may compare numbers.
    pub comparisons: bool,
    /// Labels of SELinux may be given by options of mounts.
    pub mount_options: bool,
}

impl Tolerated {
    /// What a new pod or template may have, which is what gates let in.
    pub fn of_new(gates: Gates) -> Tolerated {
        Tolerated {
            deletion_cost: !gates.has(Gate::PodDeletionCost),
            mount_options: gates.has(Gate::SELinuxMount),
            ..Tolerated::default()
        }
    }

    /// What an update of a pod, or of the template of pods, may keep.
    pub fn of(old: &Value) -> Tolerated {
        let (spec, new) = (&old["spec"], Tolerated::of_new(gates::own()));
        let own_users = spec.flag("hostUsers") == Some(false);
        let in_containers = |found: &dyn Fn(&Value) -> bool| {
            CONTAINER_LISTS.iter().any(|list| spec.items(list).iter().any(found))
        };
        let constraints = spec.items("topologySpreadConstraints");
        let operator = |toleration: &Value| matches!(toleration.text("operator"), "Lt" | "Gt");
        Tolerated {
            deletion_cost: new.deletion_cost || annotations::is_cost_wrong(&old["metadata"]["annotations"]),
            parts_of_pages: in_containers(&|container| {
                resources::has_parts_of_pages(&container["resources"])
            }) || resources::has_parts_of_pages(
                &serde_json::json!({ "limits": spec["overhead"] }),
            ),
            pod_values: scheduling::has_wrong_pod_selector(&spec["affinity"]),
            node_values: scheduling::has_wrong_node_value(&spec["affinity"]),
            spread_selectors: constraints.iter().any(scheduling::is_spread_selector_wrong),
            spread_keys: constraints.iter().any(scheduling::are_label_keys_wrong),
            token_paths: spec.items("volumes").iter().any(has_outer_token_path),
            host_sysctls: security::has_host_sysctl(spec),
            host_network: own_users && spec.flag("hostNetwork") == Some(true),
            user_devices: own_users
                && in_containers(&|container| !container.items("volumeDevices").is_empty()),
            comparisons: spec.items("tolerations").iter().any(operator),
            mount_options: new.mount_options || spec["securityContext"].has("seLinuxChangePolicy"),
        }
    }
}

fn has_outer_token_path(volume: &Value) -> bool {
    let tokens = volume["projected"].items("sources").iter().map(|source| &source["serviceAccountToken"]);
    tokens.filter(|token| token.is_object()).any(|token| {
        is_wrong(|path, errors| crate::volumes::validate_local_path(token.text("path"), true, path, errors))
    })
}

/// Whether a check finds anything.
pub(crate) fn is_wrong(check: impl FnOnce(&Path, &mut Errors)) -> bool {
    let mut errors = Errors::new();
    check(&Path::root(""), &mut errors);
    !errors.is_empty()
}

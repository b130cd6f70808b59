//! A container's security context: its own fields over the pod's.

use cri::v1;
use k8s_openapi::api::core::v1::{Capabilities, Container, Pod, SELinuxOptions, SeccompProfile};

use crate::pod::{self, Kind};

/// Paths hidden from unprivileged containers; the runtimes' common default.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// Paths unprivileged containers may only read; the runtimes' common default.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Where seccomp profiles of the node live, below the kubelet's root; upstream's default.
const SECCOMP_ROOT: &str = "/var/lib/kubelet/seccomp";

/// Describes the security context of a container to the runtime.
pub fn context(
    pod: &Pod,
    kind: Kind,
    container: &Container,
    target_id: Option<String>,
    image_user: Option<i64>,
) -> v1::LinuxContainerSecurityContext {
    let spec = pod::spec(pod);
    let of_pod = spec.security_context.as_ref();
    let own = container.security_context.as_ref();
    let privileged = own.and_then(|own| own.privileged).unwrap_or_default();
    let run_as_user = own.and_then(|own| own.run_as_user).or(of_pod.and_then(|pod| pod.run_as_user));
    let run_as_group = own.and_then(|own| own.run_as_group).or(of_pod.and_then(|pod| pod.run_as_group));
    let unmasked = own.and_then(|own| own.proc_mount.as_deref()) == Some("Unmasked");
    let mut groups: Vec<i64> = of_pod.and_then(|pod| pod.supplemental_groups.clone()).unwrap_or_default();
    groups.extend(of_pod.and_then(|pod| pod.fs_group));
    let mut namespace_options = namespaces(pod);
    if let (Kind::Ephemeral, Some(target_id)) = (kind, target_id) {
        namespace_options.set_pid(v1::NamespaceMode::Target);
        namespace_options.target_id = target_id;
    }
    // A group needs a user beside it; without one in the spec it is the image's.
    let user =
        run_as_user.or(if run_as_group.is_some() { Some(image_user.unwrap_or_default()) } else { None });
    let strict = of_pod.and_then(|pod| pod.supplemental_groups_policy.as_deref()) == Some("Strict");
    let profile = own
        .and_then(|own| own.seccomp_profile.as_ref())
        .or(of_pod.and_then(|pod| pod.seccomp_profile.as_ref()));
    let app_armor = own
        .and_then(|own| own.app_armor_profile.as_ref())
        .or(of_pod.and_then(|pod| pod.app_armor_profile.as_ref()));
    let list = |hidden: bool, paths: &[&str]| {
        if hidden { paths.iter().map(|path| (*path).to_owned()).collect() } else { Vec::new() }
    };
    v1::LinuxContainerSecurityContext {
        capabilities: own.and_then(|own| own.capabilities.as_ref()).map(capabilities),
        privileged,
        namespace_options: Some(namespace_options),
        selinux_options: own
            .and_then(|own| own.se_linux_options.as_ref())
            .or(of_pod.and_then(|pod| pod.se_linux_options.as_ref()))
            .map(selinux),
        run_as_user: user.map(|value| v1::Int64Value { value }),
        run_as_group: run_as_group.map(|value| v1::Int64Value { value }),
        readonly_rootfs: own.and_then(|own| own.read_only_root_filesystem).unwrap_or_default(),
        supplemental_groups: groups,
        supplemental_groups_policy: if strict {
            v1::SupplementalGroupsPolicy::Strict.into()
        } else {
            v1::SupplementalGroupsPolicy::Merge.into()
        },
        no_new_privs: own.and_then(|own| own.allow_privilege_escalation) == Some(false),
        masked_paths: list(!privileged && !unmasked, &MASKED),
        readonly_paths: list(!privileged && !unmasked, &READ_ONLY),
        seccomp: Some(seccomp(profile, privileged)),
        apparmor: app_armor.map(|profile| v1::SecurityProfile {
            profile_type: profile_type(&profile.type_).into(),
            localhost_ref: profile.localhost_profile.clone().unwrap_or_default(),
        }),
        ..v1::LinuxContainerSecurityContext::default()
    }
}

/// The namespaces a pod's containers run in.
pub(super) fn namespaces(pod: &Pod) -> v1::NamespaceOption {
    let spec = pod::spec(pod);
    let node_or_pod = |node: Option<bool>| {
        if node == Some(true) { v1::NamespaceMode::Node } else { v1::NamespaceMode::Pod }
    };
    let pid = match (spec.host_pid, spec.share_process_namespace) {
        (Some(true), _) => v1::NamespaceMode::Node,
        (_, Some(true)) => v1::NamespaceMode::Pod,
        _ => v1::NamespaceMode::Container,
    };
    v1::NamespaceOption {
        network: node_or_pod(spec.host_network).into(),
        ipc: node_or_pod(spec.host_ipc).into(),
        pid: pid.into(),
        ..v1::NamespaceOption::default()
    }
}

fn capabilities(capabilities: &Capabilities) -> v1::Capability {
    v1::Capability {
        add_capabilities: capabilities.add.clone().unwrap_or_default(),
        drop_capabilities: capabilities.drop.clone().unwrap_or_default(),
        add_ambient_capabilities: Vec::new(),
    }
}

pub(super) fn selinux(options: &SELinuxOptions) -> v1::SeLinuxOption {
    v1::SeLinuxOption {
        user: options.user.clone().unwrap_or_default(),
        role: options.role.clone().unwrap_or_default(),
        r#type: options.type_.clone().unwrap_or_default(),
        level: options.level.clone().unwrap_or_default(),
    }
}

pub(super) fn seccomp(profile: Option<&SeccompProfile>, privileged: bool) -> v1::SecurityProfile {
    // Upstream leaves containers unconfined unless told otherwise, and privileged ones always.
    let kind = profile
        .filter(|_| !privileged)
        .map_or(v1::security_profile::ProfileType::Unconfined, |profile| profile_type(&profile.type_));
    let path = profile.and_then(|profile| profile.localhost_profile.as_deref());
    let localhost_ref = match (kind, path) {
        (v1::security_profile::ProfileType::Localhost, Some(path)) => format!("{SECCOMP_ROOT}/{path}"),
        _ => String::new(),
    };
    v1::SecurityProfile { profile_type: kind.into(), localhost_ref }
}

fn profile_type(word: &str) -> v1::security_profile::ProfileType {
    match word {
        "RuntimeDefault" => v1::security_profile::ProfileType::RuntimeDefault,
        "Localhost" => v1::security_profile::ProfileType::Localhost,
        _ => v1::security_profile::ProfileType::Unconfined,
    }
}

/// Checks `runAsNonRoot` against the user the container will run as; the message is upstream's.
pub fn check_non_root(pod: &Pod, container: &Container, image: Option<&v1::Image>) -> Result<(), String> {
    let of_pod = pod::spec(pod).security_context.as_ref();
    let own = container.security_context.as_ref();
    let asked = own.and_then(|own| own.run_as_non_root).or(of_pod.and_then(|pod| pod.run_as_non_root));
    if asked != Some(true) {
        return Ok(());
    }
    let of = format!("(pod: \"{}\", container: {})", pod::PodRef::of(pod).full(), container.name);
    let user = own.and_then(|own| own.run_as_user).or(of_pod.and_then(|pod| pod.run_as_user));
    let image_user = image.and_then(|image| image.uid.as_ref()).map(|uid| uid.value);
    let image_name = image.map(|image| image.username.as_str()).unwrap_or_default();
    match (user, image_user) {
        (Some(0), _) => Err(format!("container's runAsUser breaks non-root policy {of}")),
        (Some(_), _) => Ok(()),
        (None, Some(uid)) if uid != 0 => Ok(()),
        (None, None) if !image_name.is_empty() => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({image_name}), cannot verify user is non-root {of}"
        )),
        // An image that names nobody runs as root.
        (None, _) => Err(format!("container has runAsNonRoot and image will run as root {of}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn a_pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec}))
            .unwrap()
    }

    fn context_of(spec: Value) -> v1::LinuxContainerSecurityContext {
        let pod = a_pod(spec);
        context(&pod, Kind::Regular, &pod::spec(&pod).containers[0], None, None)
    }

    #[test]
    fn a_containers_own_user_wins_over_the_pods() {
        let own = json!({"runAsUser": 7, "allowPrivilegeEscalation": false});
        let context = context_of(json!({
            "securityContext": {"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4]},
            "containers": [{"name": "c", "securityContext": own}],
        }));
        assert_eq!(context.run_as_user.unwrap().value, 7);
        assert_eq!(context.run_as_group.unwrap().value, 2);
        assert_eq!(context.supplemental_groups, [4, 3]);
        assert!(context.no_new_privs && !context.masked_paths.is_empty());
    }

    #[test]
    fn privileged_lifts_the_masks() {
        let context = context_of(json!({"containers": [{"name": "c", "securityContext": {"privileged": true,
            "seccompProfile": {"type": "RuntimeDefault"}}}]}));
        assert!(context.privileged && context.masked_paths.is_empty() && context.readonly_paths.is_empty());
        assert_eq!(context.seccomp.unwrap().profile_type(), v1::security_profile::ProfileType::Unconfined);
    }

    #[test]
    fn namespaces_follow_the_spec() {
        let modes = |spec| {
            let options = namespaces(&a_pod(spec));
            (options.network(), options.pid(), options.ipc())
        };
        use v1::NamespaceMode::{Container as Own, Node, Pod as Shared};
        assert_eq!(modes(json!({"containers": []})), (Shared, Own, Shared));
        let spec =
            json!({"containers": [], "hostNetwork": true, "hostIPC": true, "shareProcessNamespace": true});
        assert_eq!(modes(spec), (Node, Shared, Node));
    }

    #[test]
    fn root_is_refused_where_it_must_be() {
        let pod = a_pod(json!({"securityContext": {"runAsNonRoot": true}, "containers": [{"name": "c"}]}));
        let container = &pod::spec(&pod).containers[0];
        let root = v1::Image { uid: Some(v1::Int64Value { value: 0 }), ..v1::Image::default() };
        assert_eq!(
            check_non_root(&pod, container, Some(&root)).unwrap_err(),
            "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: c)"
        );
        let other = v1::Image { uid: Some(v1::Int64Value { value: 5 }), ..v1::Image::default() };
        assert!(check_non_root(&pod, container, Some(&other)).is_ok());
        assert!(check_non_root(&pod, container, Some(&v1::Image::default())).is_err());
    }
}

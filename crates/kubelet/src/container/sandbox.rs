//! What the runtime is told about a pod's sandbox.

use std::collections::BTreeMap;

use cri::v1;
use k8s_openapi::api::core::v1::Pod;

use super::{dns, hosts, security};
use crate::{
    observed::label,
    pod::{self, PodRef},
    settings::Settings,
};

/// Describes a pod's sandbox. An error is the message of `FailedCreatePodSandBox`.
pub fn config(
    pod: &Pod,
    attempt: u32,
    settings: &Settings,
    node_dns: v1::DnsConfig,
    cgroup_parent: String,
) -> Result<v1::PodSandboxConfig, String> {
    let names = PodRef::of(pod);
    let mut labels = pod.metadata.labels.clone().unwrap_or_default();
    labels.insert(label::POD_NAME.to_owned(), names.name.clone());
    labels.insert(label::POD_NAMESPACE.to_owned(), names.namespace.clone());
    labels.insert(label::POD_UID.to_owned(), names.uid.clone());
    // The kernel's name of a pod on the node's network is the node's.
    let hostname = if pod::is_host_network(pod) {
        String::new()
    } else {
        hosts::hostname(pod, &settings.cluster_domain)?
    };
    Ok(v1::PodSandboxConfig {
        log_directory: settings.log_dir(&names).display().to_string(),
        metadata: Some(v1::PodSandboxMetadata {
            name: names.name,
            uid: names.uid,
            namespace: names.namespace,
            attempt,
        }),
        hostname,
        dns_config: Some(dns::config(pod, &settings.cluster_dns, &settings.cluster_domain, node_dns)),
        port_mappings: port_mappings(pod),
        labels,
        annotations: pod.metadata.annotations.clone().unwrap_or_default(),
        linux: Some(v1::LinuxPodSandboxConfig {
            cgroup_parent,
            security_context: Some(security_context(pod)),
            sysctls: sysctls(pod),
            overhead: None,
            resources: None,
        }),
    })
}

fn port_mappings(pod: &Pod) -> Vec<v1::PortMapping> {
    if pod::is_host_network(pod) {
        return Vec::new();
    }
    let spec = pod::spec(pod);
    let sidecars = spec.init_containers.iter().flatten().filter(|init| podrules::requests::is_sidecar(init));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    ports
        .map(|port| v1::PortMapping {
            protocol: match port.protocol.as_deref() {
                Some("UDP") => v1::Protocol::Udp,
                Some("SCTP") => v1::Protocol::Sctp,
                _ => v1::Protocol::Tcp,
            }
            .into(),
            container_port: port.container_port,
            host_port: port.host_port.unwrap_or_default(),
            host_ip: port.host_ip.clone().unwrap_or_default(),
        })
        .collect()
}

fn sysctls(pod: &Pod) -> BTreeMap<String, String> {
    let context = pod::spec(pod).security_context.as_ref();
    let listed = context.and_then(|context| context.sysctls.as_ref()).into_iter().flatten();
    listed.map(|sysctl| (sysctl.name.replace('/', "."), sysctl.value.clone())).collect()
}

fn security_context(pod: &Pod) -> v1::LinuxSandboxSecurityContext {
    let context = pod::spec(pod).security_context.as_ref();
    let privileged = pod::containers(pod).iter().any(|(_, container)| {
        container.security_context.as_ref().and_then(|own| own.privileged) == Some(true)
    });
    let mut groups: Vec<i64> =
        context.and_then(|context| context.supplemental_groups.clone()).unwrap_or_default();
    groups.extend(context.and_then(|context| context.fs_group));
    v1::LinuxSandboxSecurityContext {
        namespace_options: Some(security::namespaces(pod)),
        selinux_options: context.and_then(|context| context.se_linux_options.as_ref()).map(security::selinux),
        run_as_user: context.and_then(|context| context.run_as_user).map(|value| v1::Int64Value { value }),
        run_as_group: context
            .filter(|context| context.run_as_user.is_some())
            .and_then(|context| context.run_as_group)
            .map(|value| v1::Int64Value { value }),
        supplemental_groups: groups,
        privileged,
        // The sandbox's own process runs nothing of the pod's: the runtime's profile fits it always.
        seccomp: Some(v1::SecurityProfile {
            profile_type: if privileged {
                v1::security_profile::ProfileType::Unconfined.into()
            } else {
                v1::security_profile::ProfileType::RuntimeDefault.into()
            },
            localhost_ref: String::new(),
        }),
        ..v1::LinuxSandboxSecurityContext::default()
    }
}

//! The baseline standard: known ways out of a container are closed.

use podrules::sysctls;
use serde_json::Value;
use strategy::read::Read;

use super::checks::{
    Finding, added_capabilities, containers, listed, names, offenders, plural, quoted, unique,
};

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Since when seccomp profiles are fields.
const SECCOMP_FIELDS: u32 = 19;
/// Since when hosts of probes and hooks are looked at.
const HOST_PROBES: u32 = 34;
/// Kernel parameters that were not safe from the beginning, and since when they are.
const SAFE_SINCE: [(&str, u32); 7] = [
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

/// Adds what breaks the standard of a minor version; `replaced` are checks in whose place stricter ones stand.
pub(super) fn check(metadata: &Value, spec: &Value, minor: u32, replaced: &[&str], found: &mut Vec<Finding>) {
    capabilities(spec, found);
    if minor >= SECCOMP_FIELDS {
        seccomp(spec, found);
    } else {
        seccomp_annotations(metadata, spec, found);
    }
    found.retain(|finding| !replaced.contains(&finding.check));
    app_armor(metadata, spec, found);
    host_namespaces(spec, found);
    host_path(spec, found);
    host_ports(spec, found);
    if minor >= HOST_PROBES {
        host_probes(spec, found);
    }
    privileged(spec, found);
    proc_mount(spec, found);
    se_linux(spec, minor, found);
    kernel_parameters(spec, minor, found);
    windows(spec, found);
}

fn capabilities(spec: &Value, found: &mut Vec<Finding>) {
    if let Some(detail) = added_capabilities(spec, &CAPABILITIES) {
        found.push(Finding { check: "capabilities_baseline", reason: "non-default capabilities", detail });
    }
}

fn seccomp(spec: &Value, found: &mut Vec<Finding>) {
    let unconfined = |context: &Value| context["seccompProfile"].text("type") == "Unconfined";
    if let Some(who) = offenders(spec, unconfined) {
        found.push(Finding {
            check: "seccompProfile_baseline",
            reason: "seccompProfile",
            detail: format!("{who} must not set securityContext.seccompProfile.type to \"Unconfined\""),
        });
    }
}

/// Profiles as they were said before there were fields for them.
fn seccomp_annotations(metadata: &Value, spec: &Value, found: &mut Vec<Finding>) {
    let of_containers = containers(spec).map(|container| {
        format!("container.seccomp.security.alpha.kubernetes.io/{}", container.text("name"))
    });
    let keys = of_containers.chain(["seccomp.security.alpha.kubernetes.io/pod".to_owned()]);
    let bad = keys.filter_map(|key| {
        let profile = metadata["annotations"].get(&key)?.as_str()?;
        let allowed =
            matches!(profile, "runtime/default" | "docker/default") || profile.starts_with("localhost/");
        (!allowed).then(|| format!("{key}={profile:?}"))
    });
    let bad = unique(bad);
    if !bad.is_empty() {
        found.push(Finding {
            check: "seccompProfile_baseline",
            reason: "seccompProfile",
            detail: format!("forbidden {} {}", plural("annotation", bad.len()), bad.join(", ")),
        });
    }
}

fn app_armor(metadata: &Value, spec: &Value, found: &mut Vec<Finding>) {
    let unconfined = |context: &Value| context["appArmorProfile"].text("type") == "Unconfined";
    let mut who: Vec<String> = Vec::new();
    if unconfined(&spec["securityContext"]) {
        who.push("pod must not set AppArmor profile type to \"Unconfined\"".to_owned());
    }
    let bad = names(spec, |container| unconfined(&container["securityContext"]));
    if !bad.is_empty() {
        who.push(format!("{} must not set AppArmor profile type to \"Unconfined\"", listed(&bad)));
    }
    for (key, value) in metadata.entries("annotations") {
        let profile = value.as_str().unwrap_or_default();
        let allowed = matches!(profile, "" | "runtime/default") || profile.starts_with("localhost/");
        if key.starts_with("container.apparmor.security.beta.kubernetes.io/") && !allowed {
            who.push(format!("annotation must not set AppArmor profile type to \"{key}={profile}\""));
        }
    }
    if !who.is_empty() {
        let reason =
            if who.len() == 1 { "forbidden AppArmor profile" } else { "forbidden AppArmor profiles" };
        found.push(Finding { check: "appArmorProfile", reason, detail: who.join(" and ") });
    }
}

fn host_namespaces(spec: &Value, found: &mut Vec<Finding>) {
    let used: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .filter(|key| spec.flag(key) == Some(true))
        .map(|key| format!("{key}=true"))
        .collect();
    if !used.is_empty() {
        found.push(Finding { check: "hostNamespaces", reason: "host namespaces", detail: used.join(", ") });
    }
}

fn host_path(spec: &Value, found: &mut Vec<Finding>) {
    let bad: Vec<&str> = spec
        .items("volumes")
        .iter()
        .filter(|volume| volume.has("hostPath"))
        .map(|volume| volume.text("name"))
        .collect();
    if !bad.is_empty() {
        found.push(Finding {
            check: "hostPathVolumes",
            reason: "hostPath volumes",
            detail: format!("{} {}", plural("volume", bad.len()), quoted(&bad)),
        });
    }
}

fn host_ports(spec: &Value, found: &mut Vec<Finding>) {
    let host_port = |port: &Value| port.int("hostPort").filter(|number| *number != 0);
    let bad = names(spec, |container| container.items("ports").iter().any(|port| host_port(port).is_some()));
    if bad.is_empty() {
        return;
    }
    let ports = unique(containers(spec).flat_map(|container| container.items("ports")).filter_map(host_port));
    let text: Vec<String> = ports.iter().map(i64::to_string).collect();
    found.push(Finding {
        check: "hostPorts",
        reason: "hostPort",
        detail: format!(
            "{} {} {} {}",
            listed(&bad),
            if bad.len() == 1 { "uses" } else { "use" },
            plural("hostPort", ports.len()),
            text.join(", ")
        ),
    });
}

fn host_probes(spec: &Value, found: &mut Vec<Finding>) {
    let handler =
        |handler: &Value| ["httpGet", "tcpSocket"].iter().any(|kind| !handler[*kind].text("host").is_empty());
    let bad = names(spec, |container| {
        ["livenessProbe", "readinessProbe", "startupProbe"].iter().any(|probe| handler(&container[*probe]))
            || ["postStart", "preStop"].iter().any(|hook| handler(&container["lifecycle"][*hook]))
    });
    if !bad.is_empty() {
        found.push(Finding {
            check: "hostProbesAndHostLifecycle",
            reason: "probe or lifecycle host",
            detail: format!("{} must not set host in probes or lifecycle hooks", listed(&bad)),
        });
    }
}

fn privileged(spec: &Value, found: &mut Vec<Finding>) {
    let bad = names(spec, |container| container["securityContext"].flag("privileged") == Some(true));
    if !bad.is_empty() {
        found.push(Finding {
            check: "privileged",
            reason: "privileged",
            detail: format!("{} must not set securityContext.privileged=true", listed(&bad)),
        });
    }
}

fn proc_mount(spec: &Value, found: &mut Vec<Finding>) {
    // Inside a user namespace the kernel guards /proc by itself.
    if spec.flag("hostUsers") == Some(false) {
        return;
    }
    let unusual =
        |container: &Value| !matches!(container["securityContext"].text("procMount"), "" | "Default");
    let bad = names(spec, unusual);
    if !bad.is_empty() {
        let kinds = containers(spec)
            .filter(|container| unusual(container))
            .map(|container| container["securityContext"].text("procMount"));
        let kinds = unique(kinds);
        found.push(Finding {
            check: "procMount",
            reason: "procMount",
            detail: format!("{} must not set securityContext.procMount to {}", listed(&bad), quoted(&kinds)),
        });
    }
}

fn se_linux(spec: &Value, minor: u32, found: &mut Vec<Finding>) {
    const TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
    // The last of them came later.
    let allowed = if minor >= 31 { &TYPES[..] } else { &TYPES[..4] };
    let options = || {
        std::iter::once(&spec["securityContext"])
            .chain(containers(spec).map(|container| &container["securityContext"]))
            .map(|context| &context["seLinuxOptions"])
    };
    let types = unique(options().map(|options| options.text("type")).filter(|kind| !allowed.contains(kind)));
    let mut details = Vec::new();
    if !types.is_empty() {
        details.push(format!("{} {}", plural("type", types.len()), quoted(&types)));
    }
    if options().any(|options| !options.text("user").is_empty()) {
        details.push("user may not be set".to_owned());
    }
    if options().any(|options| !options.text("role").is_empty()) {
        details.push("role may not be set".to_owned());
    }
    if !details.is_empty() {
        found.push(Finding { check: "seLinuxOptions", reason: "seLinuxOptions", detail: details.join("; ") });
    }
}

fn kernel_parameters(spec: &Value, minor: u32, found: &mut Vec<Finding>) {
    let bad: Vec<&str> = spec["securityContext"]
        .items("sysctls")
        .iter()
        .map(|sysctl| sysctl.text("name"))
        .filter(|name| {
            let since = SAFE_SINCE.iter().find(|(known, _)| known == name);
            !sysctls::SAFE.contains(name) || since.is_some_and(|(_, since)| minor < *since)
        })
        .collect();
    if !bad.is_empty() {
        found.push(Finding { check: "sysctls", reason: "forbidden sysctls", detail: bad.join(", ") });
    }
}

fn windows(spec: &Value, found: &mut Vec<Finding>) {
    let host = |context: &Value| context["windowsOptions"].flag("hostProcess") == Some(true);
    if let Some(who) = offenders(spec, host) {
        found.push(Finding {
            check: "windowsHostProcess",
            reason: "hostProcess",
            detail: format!("{who} must not set securityContext.windowsOptions.hostProcess=true"),
        });
    }
}

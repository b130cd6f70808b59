//! Validation of security contexts of pods and containers.

use serde_json::Value;

use crate::tolerated::Tolerated;
use crate::windows;
use strategy::field::{Errors, Path};
use strategy::read::Read;

const ID_RANGE: &str = "must be between 0 and 2147483647, inclusive";
/// The longest path that Linux takes.
const LONGEST_PROFILE: usize = 4095;

/// Validates the security context of a pod and what hangs together with it in the spec, in upstream's order.
pub(crate) fn validate_pod(spec: &Value, tolerated: Tolerated, path: &Path, errors: &mut Errors) {
    let context = &spec["securityContext"];
    let path = path.child("securityContext");
    validate_id(context, "fsGroup", &path, errors);
    validate_id(context, "runAsUser", &path, errors);
    validate_id(context, "runAsGroup", &path, errors);
    validate_groups(context, &path, errors);
    // The field stands beside the security context, but upstream keeps it in there.
    if spec.flag("shareProcessNamespace") == Some(true) && spec.flag("hostPID") == Some(true) {
        errors.invalid(
            &path.child("shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    validate_sysctls(context, spec, tolerated, &path.child("sysctls"), errors);
    let choice = |key: &str, supported: &[&str], errors: &mut Errors| {
        if context.has(key) && !supported.contains(&context.text(key)) {
            errors.unsupported(&path.child(key), context.text(key), supported);
        }
    };
    choice("fsGroupChangePolicy", &["Always", "OnRootMismatch"], errors);
    validate_seccomp(context, &path, errors);
    windows::validate_options(context, &path, errors);
    validate_app_armor(context, &path, errors);
    choice("supplementalGroupsPolicy", &["Merge", "Strict"], errors);
    // With upstream's gate `SELinuxMount` off, a pod may only say what is so anyway; one that said more may say it on.
    let policies: &[&str] =
        if tolerated.mount_options { &["MountOption", "Recursive"] } else { &["Recursive"] };
    choice("seLinuxChangePolicy", policies, errors);
}

fn validate_sysctls(context: &Value, spec: &Value, tolerated: Tolerated, path: &Path, errors: &mut Errors) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, sysctl) in context.items("sysctls").iter().enumerate() {
        let path = path.index(index);
        let name_path = path.child("name");
        let name = sysctl.text("name");
        if name.is_empty() {
            errors.required(&name_path, "");
        } else if !is_sysctl(name) {
            errors.invalid(
                &name_path,
                name,
                "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            );
        } else if seen.contains(&name) {
            errors.duplicate(&name_path, name);
        } else {
            seen.push(name);
        }
        if let Some(namespace) = host_namespace(name, spec).filter(|_| !tolerated.host_sysctls) {
            let why = format!("may not be specified when '{namespace}' is true");
            errors.invalid(&name_path, name, why);
        }
    }
}

/// The namespace of the host that a pod is in and that a sysctl would be set of.
fn host_namespace(sysctl: &str, spec: &Value) -> Option<&'static str> {
    let kernel = sysctl.replace('/', ".");
    let ipc = kernel.starts_with("kernel.shm")
        || kernel.starts_with("kernel.msg")
        || kernel == "kernel.sem"
        || kernel.starts_with("fs.mqueue.");
    let namespace = match kernel.starts_with("net.") {
        true => "hostNetwork",
        false if ipc => "hostIPC",
        false => return None,
    };
    (spec.flag(namespace) == Some(true)).then_some(namespace)
}

/// Whether a pod sets a sysctl of a namespace that is the host's.
pub(crate) fn has_host_sysctl(spec: &Value) -> bool {
    let sysctls = spec["securityContext"].items("sysctls");
    sysctls.iter().any(|sysctl| host_namespace(sysctl.text("name"), spec).is_some())
}

fn is_sysctl(name: &str) -> bool {
    let part = |part: &str| {
        let edge =
            |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        edge(part.bytes().next())
            && edge(part.bytes().last())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split(['.', '/']).all(part)
}

/// Validates the security context of a container.
pub(crate) fn validate_container(context: &Value, host_users: bool, path: &Path, errors: &mut Errors) {
    if !context.is_object() {
        return;
    }
    validate_id(context, "runAsUser", path, errors);
    validate_id(context, "runAsGroup", path, errors);
    if context.has("procMount") && !matches!(context.text("procMount"), "Default" | "Unmasked") {
        errors.unsupported(&path.child("procMount"), context.text("procMount"), &["Default", "Unmasked"]);
    }
    if host_users && context.text("procMount") == "Unmasked" {
        errors.invalid(&path.child("procMount"), "Unmasked", "`hostUsers` must be false to use `Unmasked`");
    }
    validate_seccomp(context, path, errors);
    if context.flag("allowPrivilegeEscalation") == Some(false) {
        if context.flag("privileged") == Some(true) {
            errors.invalid(
                path,
                context.clone(),
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            );
        }
        if context["capabilities"].items("add").iter().any(|name| name == "CAP_SYS_ADMIN") {
            errors.invalid(
                path,
                context.clone(),
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            );
        }
    }
    windows::validate_options(context, path, errors);
    validate_app_armor(context, path, errors);
}

fn validate_seccomp(context: &Value, path: &Path, errors: &mut Errors) {
    let profile = &context["seccompProfile"];
    if !profile.is_object() {
        return;
    }
    let path = path.child("seccompProfile");
    validate_type(profile, "seccompProfile", &path, errors);
    let local = path.child("localhostProfile");
    match (profile.text("type"), profile.has("localhostProfile")) {
        ("Localhost", true) => {
            crate::volumes::validate_local_path(profile.text("localhostProfile"), false, &local, errors);
        }
        ("Localhost", false) => errors.required(&local, "must be set when seccomp type is Localhost"),
        (_, true) => {
            errors.invalid(&local, profile.clone(), "can only be set when seccomp type is Localhost");
        }
        (_, false) => {}
    }
}

pub(crate) fn validate_app_armor(context: &Value, path: &Path, errors: &mut Errors) {
    let profile = &context["appArmorProfile"];
    if !profile.is_object() {
        return;
    }
    let path = path.child("appArmorProfile");
    let local_path = path.child("localhostProfile");
    let local = profile.text("localhostProfile");
    match profile.text("type") {
        "Localhost" => {
            if local.trim() != local {
                errors.invalid(&local_path, local, "must not be padded with whitespace");
            } else if local.is_empty() {
                errors.required(&local_path, "must be set when AppArmor type is Localhost");
            }
            if local.len() > LONGEST_PROFILE {
                errors.too_long(&local_path, LONGEST_PROFILE);
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if profile.has("localhostProfile") {
                errors.invalid(&local_path, local, "can only be set when AppArmor type is Localhost");
            }
        }
        _ => validate_type(profile, "appArmorProfile", &path, errors),
    }
}

fn validate_type(profile: &Value, key: &str, path: &Path, errors: &mut Errors) {
    const TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
    match profile.text("type") {
        "" => errors.required(&path.child("type"), format!("type is required when {key} is set")),
        known if TYPES.contains(&known) => {}
        other => errors.unsupported(&path.child("type"), other, &TYPES),
    }
}

/// Validates the groups that processes have besides their own.
pub(crate) fn validate_groups(context: &Value, path: &Path, errors: &mut Errors) {
    for (index, group) in context.items("supplementalGroups").iter().enumerate() {
        if !is_id(group) {
            errors.invalid(&path.child("supplementalGroups").index(index), group.clone(), ID_RANGE);
        }
    }
}

/// Validates the number of a user or group, where given.
pub(crate) fn validate_id(context: &Value, key: &str, path: &Path, errors: &mut Errors) {
    let id = &context[key];
    if !id.is_null() && !is_id(id) {
        errors.invalid(&path.child(key), id.clone(), ID_RANGE);
    }
}

fn is_id(value: &Value) -> bool {
    value.as_i64().is_some_and(|id| (0..=i64::from(i32::MAX)).contains(&id))
}

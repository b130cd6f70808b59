//! Validation of what security contexts say for Windows.

use serde_json::Value;

use crate::defaults::CONTAINER_LISTS;
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

const LONGEST_SPEC: usize = 64 * 1024;
const LONGEST_DOMAIN: usize = 256;
const LONGEST_USER: usize = 104;

/// Validates `windowsOptions` of the security context of a pod or container.
pub(crate) fn validate_options(context: &Value, path: &Path, errors: &mut Errors) {
    let options = &context["windowsOptions"];
    if !options.is_object() {
        return;
    }
    let path = path.child("windowsOptions");
    if options.has("gmsaCredentialSpecName") {
        let found = names::errors(NameRule::Subdomain, options.text("gmsaCredentialSpecName"));
        let value = &options["gmsaCredentialSpecName"];
        errors.invalid_each(&path.child("gmsaCredentialSpecName"), value, found);
    }
    if options.has("gmsaCredentialSpec") {
        let spec = options.text("gmsaCredentialSpec");
        let path = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            errors.invalid(&path, spec, "gmsaCredentialSpec cannot be an empty string");
        } else if spec.len() > LONGEST_SPEC {
            errors.invalid(&path, spec, "gmsaCredentialSpec size must be under 64 KiB");
        }
    }
    if options.has("runAsUserName") {
        let name = options.text("runAsUserName");
        for why in user_errors(name) {
            errors.invalid(&path.child("runAsUserName"), name, format!("runAsUserName{why}"));
        }
    }
}

/// What is wrong with the name of a user, `DOMAIN\\user` or `user`; empty when nothing is.
fn user_errors(name: &str) -> Vec<&'static str> {
    if name.is_empty() {
        return vec![" cannot be an empty string"];
    }
    if name.chars().any(char::is_control) {
        return vec![" cannot contain control characters"];
    }
    let mut parts = name.split('\\');
    let (domain, user) = match (parts.next(), parts.next(), parts.next()) {
        (Some(user), None, _) => (None, user),
        (Some(domain), Some(user), None) => (Some(domain), user),
        _ => return vec![" cannot contain more than one backslash"],
    };
    let mut found = Vec::new();
    if let Some(domain) = domain {
        if domain.len() >= LONGEST_DOMAIN {
            found.push("'s Domain length must be under 256 characters");
        }
        if !is_net_bios(domain) && !is_dns(domain) {
            found.push("'s Domain doesn't match the NetBios nor the DNS format");
        }
    }
    if user.is_empty() {
        found.push("'s User cannot be empty");
    } else if user.len() > LONGEST_USER {
        found.push("'s User length must not be longer than 104 characters");
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        found.push("'s User cannot contain only periods or spaces");
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        found.push("'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
    found
}

/// At most fifteen characters, of which the first may not be a dot.
fn is_net_bios(domain: &str) -> bool {
    const FORBIDDEN: [char; 9] = ['\\', '/', ':', '*', '?', '"', '<', '>', '|'];
    (1..=15).contains(&domain.chars().count()) && !domain.starts_with('.') && !domain.contains(FORBIDDEN)
}

/// Labels of letters, digits and dashes between dots; a dot may end them.
fn is_dns(domain: &str) -> bool {
    let label = |label: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        edge(label.bytes().next())
            && edge(label.bytes().last())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    domain.strip_suffix('.').unwrap_or(domain).split('.').all(label)
}

/// Validates that either all containers of a pod are processes of the host, or none.
pub(crate) fn validate_host_processes(spec: &Value, path: &Path, errors: &mut Errors) {
    let says = |context: &Value| context["windowsOptions"].flag("hostProcess");
    let of_pod = says(&spec["securityContext"]);
    let (mut all, mut of_host) = (0, 0);
    for list in CONTAINER_LISTS {
        let list_path = path.child(list);
        for (index, container) in spec.items(list).iter().enumerate() {
            let own = says(&container["securityContext"]);
            if let (Some(of_pod), Some(own)) = (of_pod, own)
                && of_pod != own
            {
                let container_path = list_path.index(index);
                let context_path = container_path.child("securityContext");
                errors.invalid(
                    &context_path.child("windowsOptions").child("hostProcess"),
                    own,
                    format!("pod hostProcess value must be identical if both are specified, was {of_pod}"),
                );
            }
            all += 1;
            of_host += usize::from(own.or(of_pod) == Some(true));
        }
    }
    if of_host == 0 {
        return;
    }
    if of_host != all {
        errors.invalid(
            path,
            "",
            "If pod contains any hostProcess containers then all containers must be HostProcess containers",
        );
    }
    if spec.flag("hostNetwork") != Some(true) {
        errors.invalid(
            &path.child("hostNetwork"),
            false,
            "hostNetwork must be true if pod contains any hostProcess containers",
        );
    }
}

//! The restricted standard: what hardened pods look like.

use serde_json::Value;
use strategy::read::Read;

use super::checks::{Finding, added_capabilities, listed, names, offenders, plural, quoted, unique};
use super::policy::Level;

/// The sources that a restricted pod's volumes may have.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// The first minor versions of some checks.
const ESCALATION: u32 = 8;
const SECCOMP: u32 = 19;
const CAPABILITIES: u32 = 22;
const RUN_AS_USER: u32 = 23;
/// Since when the checks that have no meaning on Windows are not made there.
const WINDOWS: u32 = 25;

/// Checks of the baseline in whose place stricter ones stand.
pub(super) fn replaces(level: Level, minor: u32) -> Vec<&'static str> {
    let stricter = [("capabilities_baseline", CAPABILITIES), ("seccompProfile_baseline", SECCOMP)];
    let replaced = stricter.iter().filter(|(_, since)| level == Level::Restricted && minor >= *since);
    replaced.map(|(name, _)| *name).collect()
}

/// Adds what breaks the standard of a minor version beyond the baseline.
pub(super) fn check(spec: &Value, minor: u32, found: &mut Vec<Finding>) {
    volumes(spec, found);
    let meaningful = minor < WINDOWS || spec["os"].text("name") != "windows";
    if minor >= ESCALATION && meaningful {
        escalation(spec, found);
    }
    if minor >= CAPABILITIES && meaningful {
        capabilities(spec, found);
    }
    if minor >= SECCOMP && meaningful {
        seccomp(spec, found);
    }
    // In a user namespace of its own, a pod's root is nobody outside.
    if spec.flag("hostUsers") != Some(false) {
        non_root(spec, found);
        if minor >= RUN_AS_USER {
            run_as_user(spec, found);
        }
    }
}

fn escalation(spec: &Value, found: &mut Vec<Finding>) {
    let bad =
        names(spec, |container| container["securityContext"].flag("allowPrivilegeEscalation") != Some(false));
    if !bad.is_empty() {
        found.push(Finding {
            check: "allowPrivilegeEscalation",
            reason: "allowPrivilegeEscalation != false",
            detail: format!("{} must set securityContext.allowPrivilegeEscalation=false", listed(&bad)),
        });
    }
}

fn capabilities(spec: &Value, found: &mut Vec<Finding>) {
    let keeping = names(spec, |container| {
        !container["securityContext"]["capabilities"].items("drop").iter().any(|name| name == "ALL")
    });
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", listed(&keeping)));
    }
    details.extend(added_capabilities(spec, &["NET_BIND_SERVICE"]));
    if !details.is_empty() {
        found.push(Finding {
            check: "capabilities_restricted",
            reason: "unrestricted capabilities",
            detail: details.join("; "),
        });
    }
}

fn volumes(spec: &Value, found: &mut Vec<Finding>) {
    let mut bad: Vec<&str> = Vec::new();
    let mut kinds: Vec<&str> = Vec::new();
    for volume in spec.items("volumes") {
        let source = volume.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        let unusual: Vec<&str> = source.filter(|key| *key != "name" && !VOLUMES.contains(key)).collect();
        if !unusual.is_empty() {
            bad.push(volume.text("name"));
            kinds.extend(unusual);
        }
    }
    if !bad.is_empty() {
        let kinds = unique(kinds);
        found.push(Finding {
            check: "restrictedVolumes",
            reason: "restricted volume types",
            detail: format!(
                "{} {} {} restricted volume {} {}",
                plural("volume", bad.len()),
                quoted(&bad),
                if bad.len() == 1 { "uses" } else { "use" },
                plural("type", kinds.len()),
                quoted(&kinds)
            ),
        });
    }
}

fn non_root(spec: &Value, found: &mut Vec<Finding>) {
    let pod = spec["securityContext"].flag("runAsNonRoot");
    let explicit = names(spec, |container| container["securityContext"].flag("runAsNonRoot") == Some(false));
    let implicit = names(spec, |container| container["securityContext"].flag("runAsNonRoot").is_none());
    let mut details = Vec::new();
    if pod == Some(false) {
        details.push("pod must not set securityContext.runAsNonRoot=false".to_owned());
    }
    if !explicit.is_empty() {
        details.push(format!("{} must not set securityContext.runAsNonRoot=false", listed(&explicit)));
    }
    if details.is_empty() && pod != Some(true) && !implicit.is_empty() {
        details.push(format!("pod or {} must set securityContext.runAsNonRoot=true", listed(&implicit)));
    }
    if !details.is_empty() {
        found.push(Finding {
            check: "runAsNonRoot",
            reason: "runAsNonRoot != true",
            detail: details.join(" and "),
        });
    }
}

fn run_as_user(spec: &Value, found: &mut Vec<Finding>) {
    let root = |context: &Value| context.int("runAsUser") == Some(0);
    if let Some(who) = offenders(spec, root) {
        found.push(Finding {
            check: "runAsUser",
            reason: "runAsUser=0",
            detail: format!("{who} must not set runAsUser=0"),
        });
    }
}

fn seccomp(spec: &Value, found: &mut Vec<Finding>) {
    let kind = |context: &Value| context["seccompProfile"].text("type").to_owned();
    let allowed = |kind: &str| matches!(kind, "RuntimeDefault" | "Localhost");
    let pod = kind(&spec["securityContext"]);
    let wrong = names(spec, |container| {
        let kind = kind(&container["securityContext"]);
        !kind.is_empty() && !allowed(&kind)
    });
    let unset = names(spec, |container| kind(&container["securityContext"]).is_empty());
    let mut details = Vec::new();
    if !pod.is_empty() && !allowed(&pod) {
        details.push(format!("pod must not set securityContext.seccompProfile.type to {pod:?}"));
    }
    if !wrong.is_empty() {
        details.push(format!(
            "{} must not set securityContext.seccompProfile.type to \"Unconfined\"",
            listed(&wrong)
        ));
    }
    if details.is_empty() && pod.is_empty() && !unset.is_empty() {
        details.push(format!(
            "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
            listed(&unset)
        ));
    }
    if !details.is_empty() {
        found.push(Finding {
            check: "seccompProfile_restricted",
            reason: "seccompProfile",
            detail: details.join(" and "),
        });
    }
}

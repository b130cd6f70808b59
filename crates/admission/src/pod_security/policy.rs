//! Which of the Pod Security Standards hold in a namespace: by its labels, and by the configuration where it has none.

use std::fmt;

use apimachinery::{FieldError, ObjectExt as _};
use serde_json::Value;

/// What the labels begin with.
pub(super) const PREFIX: &str = "pod-security.kubernetes.io/";

/// How much a namespace lets its pods do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    #[default]
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    fn parse(text: &str) -> Option<Level> {
        match text {
            "privileged" => Some(Level::Privileged),
            "baseline" => Some(Level::Baseline),
            "restricted" => Some(Level::Restricted),
            _ => None,
        }
    }
}

/// A level as it was under a version of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standard {
    pub(super) level: Level,
    pub(super) version: String,
}

impl Standard {
    /// The minor version whose checks hold; what is to come holds with the latest.
    pub(super) fn minor(&self) -> u32 {
        self.version.strip_prefix("v1.").and_then(|minor| minor.parse().ok()).unwrap_or(u32::MAX)
    }
}

impl Default for Standard {
    fn default() -> Self {
        Self { level: Level::Privileged, version: "latest".to_owned() }
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        write!(f, "{level}:{}", self.version)
    }
}

/// What is refused, what is written down, and of what the client is warned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) enforce: Standard,
    pub(super) audit: Standard,
    pub(super) warn: Standard,
}

impl Policy {
    /// Whether everything passes without a word.
    pub(super) fn is_privileged(&self) -> bool {
        [&self.enforce, &self.audit, &self.warn].iter().all(|standard| standard.level == Level::Privileged)
    }

    /// Reads the labels of a namespace. One that makes no sense is enforced as the strictest, and else lets pass.
    pub(super) fn of_namespace(namespace: &Value, defaults: &Policy) -> (Policy, Vec<FieldError>) {
        let mut policy = defaults.clone();
        let mut errors = Vec::new();
        let own = |name: &str| namespace.label(&format!("{PREFIX}{name}"));
        let field = |name: &str| format!("metadata.labels[{PREFIX}{name}]");
        for (name, standard, otherwise) in [
            ("enforce", &mut policy.enforce, Level::Restricted),
            ("audit", &mut policy.audit, Level::Privileged),
            ("warn", &mut policy.warn, Level::Privileged),
        ] {
            if let Some(text) = own(name) {
                errors.extend(check_level(&field(name), text));
                standard.level = Level::parse(text).unwrap_or(otherwise);
            }
            let name = format!("{name}-version");
            if let Some(text) = own(&name) {
                errors.extend(check_version(&field(&name), text));
                standard.version = if is_version(text) { text } else { "latest" }.to_owned();
            }
        }
        // Whoever enforces a standard wants to hear of controllers whose pods it will refuse.
        let is_enforced = own("enforce").and_then(Level::parse).is_some();
        if is_enforced && own("warn").is_none() && policy.enforce.level > policy.warn.level {
            policy.warn.level = policy.enforce.level;
            if own("warn-version").is_none() {
                policy.warn.version = policy.enforce.version.clone();
            }
        }
        (policy, errors)
    }

    /// The labels of a namespace that say something other than `privileged`: `enforce=baseline:latest, warn=…`.
    pub(super) fn told(&self, namespace: &Value) -> String {
        let modes = [("enforce", &self.enforce), ("audit", &self.audit), ("warn", &self.warn)];
        let is_given = |name: &str| {
            let label = |suffix: &str| namespace.label(&format!("{PREFIX}{name}{suffix}")).is_some();
            label("") || label("-version")
        };
        let told = modes.iter().filter(|(name, own)| own.level != Level::Privileged && is_given(name));
        told.map(|(name, own)| format!("{name}={own}")).collect::<Vec<_>>().join(", ")
    }
}

/// Reads what a configuration says, where it says something.
pub(super) fn standard(level: &str, version: &str) -> Standard {
    let version = if version.is_empty() { "latest" } else { version };
    Standard { level: Level::parse(level).unwrap_or_default(), version: version.to_owned() }
}

/// What is wrong with the name of a level.
pub(super) fn check_level(field: &str, text: &str) -> Option<FieldError> {
    let why = "must be one of privileged, baseline, restricted";
    Level::parse(text).is_none().then(|| FieldError::invalid(field, text, why))
}

/// What is wrong with a version.
pub(super) fn check_version(field: &str, text: &str) -> Option<FieldError> {
    (!is_version(text)).then(|| FieldError::invalid(field, text, "must be \"latest\" or \"v1.x\""))
}

fn is_version(text: &str) -> bool {
    text == "latest"
        || text.strip_prefix("v1.").is_some_and(|minor| {
            !minor.is_empty()
                && minor.bytes().all(|byte| byte.is_ascii_digit())
                && (minor == "0" || !minor.starts_with('0'))
        })
}

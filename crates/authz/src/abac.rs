//! `--authorization-policy-file`: who may do what by the lines of a file.

use serde_json::Value;

use crate::Attributes;
use crate::rbac::Decision;

const VERSION: &str = "abac.authorization.kubernetes.io/v1beta1";

/// The group of whoever has said who they are.
const AUTHENTICATED: &str = "system:authenticated";

/// The policies of a file.
#[derive(Debug, Default)]
pub struct Abac {
    policies: Vec<Policy>,
}

/// A line: whoever it means may do what it means.
#[derive(Debug, Default, PartialEq, Eq)]
struct Policy {
    user: String,
    group: String,
    namespace: String,
    resource: String,
    api_group: String,
    non_resource_path: String,
    readonly: bool,
}

/// A line that is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error reading policy file, line {line}: {text}: {why}")]
pub struct PolicyError {
    line: usize,
    text: String,
    why: String,
}

impl Abac {
    /// Reads lines of JSON; empty ones and comments (`#`) are passed over.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        let mut policies = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: String| PolicyError { line: index, text: line.to_owned(), why };
            let value: Value = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            policies.push(Policy::read(&value).map_err(wrong)?);
        }
        Ok(Self { policies })
    }

    /// Decides: allows, or has no opinion.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        match self.policies.iter().any(|policy| policy.allows(attributes)) {
            true => Decision::Allow("".into()),
            false => Decision::NoOpinion("No policy matched.".into()),
        }
    }
}

impl Policy {
    fn read(line: &Value) -> Result<Self, String> {
        let of = |object: &Value| Self {
            user: text(object, "user"),
            group: text(object, "group"),
            namespace: text(object, "namespace"),
            resource: text(object, "resource"),
            api_group: text(object, "apiGroup"),
            non_resource_path: text(object, "nonResourcePath"),
            readonly: object["readonly"].as_bool().unwrap_or_default(),
        };
        match (text(line, "apiVersion").as_str(), text(line, "kind").as_str()) {
            (VERSION, "Policy") => Ok(of(&line["spec"]).for_authenticated()),
            // The form that had no version: what it does not say, it means all of.
            ("" | "v0", "" | "Policy") => {
                let mut policy = of(line);
                let or_all = |field: &mut String| {
                    if field.is_empty() {
                        *field = "*".to_owned();
                    }
                };
                if policy.group.is_empty() {
                    or_all(&mut policy.user);
                }
                policy = policy.for_authenticated();
                // Of requests that are for no resource it allowed all to whoever was limited to none.
                if policy.namespace.is_empty() && policy.resource.is_empty() {
                    policy.non_resource_path = "*".to_owned();
                }
                or_all(&mut policy.namespace);
                or_all(&mut policy.resource);
                policy.api_group = "*".to_owned();
                Ok(policy)
            }
            (version, kind) => Err(format!("no kind {kind:?} is registered for version {version:?}")),
        }
    }

    /// Every user, or every group, are those who have said who they are.
    fn for_authenticated(mut self) -> Self {
        if self.user == "*" || self.group == "*" {
            self.user.clear();
            self.group = AUTHENTICATED.to_owned();
        }
        self
    }

    fn allows(&self, attributes: &Attributes<'_>) -> bool {
        self.means_user(attributes)
            && (!self.readonly || is_read_only(attributes))
            && match attributes.is_resource {
                true => {
                    is(&self.namespace, attributes.namespace)
                        && is(&self.resource, attributes.resource)
                        && is(&self.api_group, attributes.group)
                }
                false => {
                    is(&self.non_resource_path, attributes.path)
                        || self
                            .non_resource_path
                            .strip_suffix('*')
                            .is_some_and(|prefix| !prefix.is_empty() && attributes.path.starts_with(prefix))
                }
            }
    }

    fn means_user(&self, attributes: &Attributes<'_>) -> bool {
        let user = &attributes.user;
        let named = (!self.user.is_empty()).then(|| self.user == user.name);
        let grouped = (!self.group.is_empty()).then(|| user.in_group(&self.group));
        (named.is_some() || grouped.is_some()) && named.unwrap_or(true) && grouped.unwrap_or(true)
    }
}

fn is_read_only(attributes: &Attributes<'_>) -> bool {
    match attributes.is_resource {
        true => attributes.is_read_only(),
        false => matches!(attributes.verb, "get" | "list" | "watch"),
    }
}

fn is(pattern: &str, value: &str) -> bool {
    pattern == "*" || pattern == value
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::User;

    const FILE: &str = r#"
# Alice may do anything.
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"alice","namespace":"*","resource":"*","apiGroup":"*","nonResourcePath":"*"}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"bob","namespace":"shop","resource":"pods","readonly":true}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"ops","nonResourcePath":"/healthz*","readonly":true}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"*","nonResourcePath":"/version"}}
{"user":"old","readonly":true,"resource":"pods"}
{"resource":"events","readonly":true}
{"group":"sweepers","namespace":"attic"}
{"user":"root"}
"#;

    #[test]
    fn lines_allow_whom_they_mean() {
        let abac = Abac::read(FILE).unwrap();
        let groups = ["ops".to_owned()];
        let known = ["system:authenticated".to_owned()];
        let unknown = ["system:unauthenticated".to_owned()];
        let sweepers = ["sweepers".to_owned()];
        let pods = |verb, namespace, group| Attributes {
            verb,
            namespace,
            group,
            resource: "pods",
            is_resource: true,
            ..Attributes::default()
        };
        let path = |path| Attributes { verb: "get", path, ..Attributes::default() };
        for (name, groups, attributes, expected) in [
            ("alice", &[][..], pods("delete", "a", "apps"), true),
            ("alice", &[], path("/metrics"), true),
            ("bob", &[], pods("list", "shop", ""), true),
            ("bob", &[], pods("list", "shop", "metrics.k8s.io"), false),
            ("bob", &[], pods("create", "shop", ""), false),
            ("bob", &[], pods("list", "bank", ""), false),
            ("bob", &[], path("/healthz"), false),
            ("eve", &groups, path("/healthz/etcd"), true),
            ("eve", &groups, path("/metrics"), false),
            ("eve", &groups, pods("list", "shop", ""), false),
            ("old", &[], pods("list", "any", ""), true),
            ("old", &[], pods("delete", "any", ""), false),
            ("old", &[], pods("list", "any", "metrics.k8s.io"), true),
            ("old", &[], path("/version"), false),
            ("jane", &known, path("/version"), true),
            ("system:anonymous", &unknown, path("/version"), false),
            ("jane", &known, Attributes { resource: "events", ..pods("list", "any", "") }, true),
            ("jane", &known, Attributes { resource: "events", ..pods("delete", "any", "") }, false),
            ("jane", &known, path("/livez"), false),
            (
                "system:anonymous",
                &unknown,
                Attributes { resource: "events", ..pods("list", "any", "") },
                false,
            ),
            ("joe", &sweepers, pods("delete", "attic", "apps"), true),
            ("joe", &sweepers, pods("delete", "hall", "apps"), false),
            ("jane", &known, pods("delete", "attic", "apps"), false),
            ("root", &[], pods("delete", "any", "apps"), true),
            ("root", &[], path("/metrics"), true),
        ] {
            let attributes = Attributes { user: User { name, groups }, ..attributes };
            assert_eq!(abac.authorize(&attributes).is_allowed(), expected, "{attributes:?}");
        }
    }

    #[test]
    fn a_line_that_is_no_policy_is_named() {
        let error = Abac::read("{\"apiVersion\":\"x/v1\",\"kind\":\"Policy\"}").unwrap_err().to_string();
        assert!(error.ends_with("no kind \"Policy\" is registered for version \"x/v1\""), "{error}");
        assert!(Abac::read("nothing").is_err());
    }
}

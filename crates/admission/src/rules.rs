//! Which requests a rule of a webhook or a policy names.

use serde_json::Value;
use strategy::read::Read;

use crate::attributes::{Attributes, Operation};

/// A resource under one group and version, with the kind of its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// API group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural name.
    pub resource: String,
    /// Kind.
    pub kind: String,
}

/// Operations on resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    All,
    Cluster,
    Namespaced,
}

/// Resources that say what is done with requests, and that no webhook or policy is asked about: one that refuses
/// could not be taken away again.
const EXEMPT: [&str; 6] = [
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "mutatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
];

/// Whether a request is about the configuration of admission itself.
pub fn is_exempt(attributes: &Attributes) -> bool {
    attributes.group == "admissionregistration.k8s.io" && EXEMPT.contains(&attributes.resource)
}

impl Rule {
    /// Reads a rule of a webhook or, with names, of a policy.
    pub fn parse(rule: &Value) -> Self {
        let texts = |key| rule.items(key).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Self {
            operations: texts("operations"),
            groups: texts("apiGroups"),
            versions: texts("apiVersions"),
            resources: texts("resources"),
            names: texts("resourceNames"),
            scope: match rule.text("scope") {
                "Cluster" => Scope::Cluster,
                "Namespaced" => Scope::Namespaced,
                _ => Scope::All,
            },
        }
    }

    /// Whether the rule names the request as it was made.
    pub fn matches(&self, attributes: &Attributes) -> bool {
        self.matches_as(attributes, attributes.group, attributes.version, attributes.resource)
    }

    /// Whether the rule would name the request if it were made under this group, version and resource.
    pub fn matches_as(&self, attributes: &Attributes, group: &str, version: &str, resource: &str) -> bool {
        self.has_scope(attributes)
            && has(&self.operations, operation(attributes.operation))
            && has(&self.groups, group)
            && has(&self.versions, version)
            && self.resources.iter().any(|named| names_resource(named, resource, attributes.subresource))
            && (self.names.is_empty() || self.names.iter().any(|name| name == attributes.name))
    }

    fn has_scope(&self, attributes: &Attributes) -> bool {
        // A namespace's request carries its own name as its namespace.
        let clustered = attributes.namespace.is_empty()
            || (attributes.group.is_empty() && attributes.resource == "namespaces");
        match self.scope {
            Scope::All => true,
            Scope::Cluster => clustered,
            Scope::Namespaced => !clustered,
        }
    }
}

/// The first of the ways to make the request that a rule names: as it was made, or else, where equivalent requests are
/// to be found, under another group or version of the same objects.
pub fn find(
    rules: &[Rule],
    attributes: &Attributes,
    equivalent: bool,
    versions: impl FnOnce() -> Vec<Served>,
) -> Option<Option<Served>> {
    if rules.iter().any(|rule| rule.matches(attributes)) {
        return Some(None);
    }
    // Whoever names neither the operation nor the scope does not name it under another version.
    let possible =
        |rule: &Rule| rule.has_scope(attributes) && has(&rule.operations, operation(attributes.operation));
    if !equivalent || !rules.iter().any(possible) {
        return None;
    }
    versions()
        .into_iter()
        .find(|served| {
            rules
                .iter()
                .any(|rule| rule.matches_as(attributes, &served.group, &served.version, &served.resource))
        })
        .map(Some)
}

/// The operation's name in rules and reviews.
pub fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "CREATE",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Connect => "CONNECT",
    }
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

/// `pods`, `pods/exec`, `pods/*`, `*/scale`, `*` (no subresource), `*/*`.
fn names_resource(named: &str, resource: &str, subresource: &str) -> bool {
    let (own, sub) = named.split_once('/').unwrap_or((named, ""));
    (own == "*" || own == resource) && (sub == "*" || sub == subresource)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Request};

    fn matches(request: &Request, rule: Value) -> bool {
        let mut full =
            json!({"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]});
        for (key, value) in rule.as_object().unwrap() {
            full[key] = value.clone();
        }
        request.run(&Cluster::new(), |context| Rule::parse(&full).matches(context.attributes)).0
    }

    #[test]
    fn resources_are_named_with_their_subresources() {
        let pod = Request::create("", "pods").inside("x");
        let exec = Request::create("", "pods").inside("x").through("exec");
        for (named, of_pod, of_exec) in [
            ("*", true, false),
            ("*/*", true, true),
            ("pods", true, false),
            ("pods/*", true, true),
            ("pods/exec", false, true),
            ("*/exec", false, true),
            ("services", false, false),
        ] {
            assert_eq!(matches(&pod, json!({"resources": [named]})), of_pod, "{named}");
            assert_eq!(matches(&exec, json!({"resources": [named]})), of_exec, "{named}");
        }
    }

    #[test]
    fn operations_groups_versions_and_scope_count() {
        let deployment = Request::create("apps", "deployments").inside("x");
        assert!(matches(&deployment, json!({"apiGroups": ["apps"], "operations": ["CREATE"]})));
        assert!(!matches(&deployment, json!({"apiGroups": [""]})));
        assert!(!matches(&deployment, json!({"apiVersions": ["v1beta1"]})));
        assert!(!matches(&deployment, json!({"operations": ["UPDATE", "DELETE"]})));
        assert!(!matches(&deployment, json!({"scope": "Cluster"})));
        let namespace = Request::create("", "namespaces").inside("x").named("x");
        assert!(matches(&namespace, json!({"scope": "Cluster"})));
        assert!(!matches(&namespace, json!({"scope": "Namespaced"})));
        assert!(matches(&namespace, json!({"resourceNames": ["x"]})));
        assert!(!matches(&namespace, json!({"resourceNames": ["y"]})));
    }

    #[test]
    fn an_equivalent_request_is_found_under_another_version() {
        let request = Request::create("apps", "deployments").inside("x");
        let rule = Rule::parse(&json!({"operations": ["CREATE"], "apiGroups": ["extensions"],
            "apiVersions": ["v1beta1"], "resources": ["deployments"]}));
        let old = Served {
            group: "extensions".into(),
            version: "v1beta1".into(),
            resource: "deployments".into(),
            kind: "Deployment".into(),
        };
        let found = |equivalent| {
            let find = |attributes: &Attributes| {
                find(std::slice::from_ref(&rule), attributes, equivalent, || vec![old.clone()])
            };
            request.run(&Cluster::new(), |context| find(context.attributes)).0
        };
        assert_eq!(found(true), Some(Some(old.clone())));
        assert_eq!(found(false), None);
    }
}

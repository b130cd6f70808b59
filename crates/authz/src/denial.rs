//! The answer to a request that is not allowed, in upstream's words.

use apimachinery::Status;

use crate::attributes::Attributes;

/// The 403 `Status`; `reason` may be empty.
pub fn forbidden(attributes: &Attributes<'_>, reason: &str) -> Status {
    let mut message = escape(&describe(attributes));
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(reason);
    }
    Status::forbidden(attributes.group, attributes.resource, attributes.name, &message)
}

fn describe(attributes: &Attributes<'_>) -> String {
    let (user, verb) = (attributes.user.name, attributes.verb);
    if !attributes.is_resource {
        return format!("User {user:?} cannot {verb} path {:?}", attributes.path);
    }
    let (resource, group) = (attributes.qualified(), attributes.group);
    let scope = match attributes.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    format!("User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {scope}")
}

/// User names and paths come from outside, and a browser may show the message.
fn escape(message: &str) -> String {
    message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::User;

    fn check(attributes: Attributes<'_>, reason: &str, expected: &str) {
        let user = User { name: "jane", groups: &[] };
        let status = forbidden(&Attributes { user, ..attributes }, reason);
        assert_eq!(status.message, expected);
        assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    }

    #[test]
    fn refusals_read_as_upstreams() {
        let pods = Attributes { verb: "list", resource: "pods", is_resource: true, ..Attributes::default() };
        check(
            Attributes { namespace: "default", ..pods },
            "",
            r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default""#,
        );
        check(
            Attributes { verb: "get", name: "web", subresource: "log", namespace: "a", ..pods },
            "",
            r#"pods "web" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "a""#,
        );
        check(
            Attributes { group: "apps", resource: "deployments", ..pods },
            "why",
            r#"deployments.apps is forbidden: User "jane" cannot list resource "deployments" in API group "apps" at the cluster scope: why"#,
        );
        check(
            Attributes { verb: "get", path: "/metrics?<x>", ..Attributes::default() },
            "",
            r#"forbidden: User "jane" cannot get path "/metrics?&lt;x&gt;""#,
        );
    }
}

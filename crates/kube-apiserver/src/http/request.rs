//! What a request asks for, read from its method, path and query as upstream's RequestInfo reads it.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

/// What a request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// Whether it is for objects of the API, not for discovery, health or metrics.
    pub is_resource: bool,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the method in lower
    /// case for other paths.
    pub verb: &'static str,
    /// The API group, empty for the core group.
    pub group: String,
    /// The API version.
    pub version: String,
    /// The namespace, empty for cluster-wide requests. For a namespace itself, its own name.
    pub namespace: String,
    /// The resource, plural.
    pub resource: String,
    /// The subresource, empty for the object itself.
    pub subresource: String,
    /// The object's name, empty for collections.
    pub name: String,
    /// What follows the subresource: the path to proxy to.
    pub rest: String,
    /// The path, undecoded, without the query.
    pub path: String,
}

impl RequestInfo {
    /// Reads a request's head.
    pub fn parse(method: &Method, path: &str, query: &Query<'_>) -> Self {
        let mut info = Self { verb: method_verb(method), path: path.to_owned(), ..Self::default() };
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts.first() {
            Some(&"api") if parts.len() >= 3 => {
                parts.remove(0);
            }
            Some(&"apis") if parts.len() >= 4 => {
                info.group = decode(parts[1]);
                parts.drain(..2);
            }
            _ => return info,
        }
        info.is_resource = true;
        info.version = decode(parts.remove(0));
        info.verb = match *method {
            Method::POST => "create",
            Method::GET | Method::HEAD => "get",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "",
        };
        let mut forced_watch = false;
        if parts[0] == "watch" && parts.len() > 1 {
            forced_watch = true;
            parts.remove(0);
        }
        if parts[0] == "namespaces" && parts.len() > 1 {
            info.namespace = decode(parts[1]);
            if parts.len() > 2 && !matches!(parts[2], "status" | "finalize") {
                parts.drain(..2);
            }
        }
        info.resource = decode(parts[0]);
        info.name = parts.get(1).map_or_else(String::new, |part| decode(part));
        info.subresource = parts.get(2).map_or_else(String::new, |part| decode(part));
        if parts.len() > 3 {
            // The proxied path keeps its encoding and a slash at its end.
            let skip = parts[..3].iter().map(|part| part.len() + 1).sum::<usize>();
            let tail_start = path.find(&parts[..3].join("/")).map_or(path.len(), |at| at + skip);
            info.rest = path.get(tail_start..).unwrap_or_default().to_owned();
        }
        if forced_watch {
            info.verb = "watch";
        } else if info.name.is_empty() {
            match info.verb {
                "get" => info.verb = if query.flag("watch") { "watch" } else { "list" },
                "delete" => info.verb = "deletecollection",
                _ => {}
            }
        }
        // As upstream, options that cannot be read say nothing but that it is a watch.
        let readable = ["timeoutSeconds", "limit"]
            .iter()
            .all(|key| query.all(key).next().is_none_or(|text| text.parse::<i64>().is_ok()));
        if matches!(info.verb, "list" | "watch" | "deletecollection")
            && info.name.is_empty()
            && readable
            && let Some(selector) = query.get("fieldSelector")
            && let Some(name) = exact_name(selector)
        {
            info.name = name.to_owned();
        }
        info
    }

    /// `group/version`, or `v1`.
    pub fn group_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

fn method_verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "",
    }
}

/// A list of one object by its name is authorised as a request for that name.
fn exact_name(selector: &str) -> Option<&str> {
    selector.split(',').find_map(|term| {
        let name = term.strip_prefix("metadata.name=")?;
        let name = name.strip_prefix('=').unwrap_or(name);
        (!name.is_empty()).then_some(name)
    })
}

fn decode(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// A request's query parameters, decoded, in order.
#[derive(Debug, Default)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Reads the text after the question mark.
    pub fn parse(text: Option<&'a str>) -> Self {
        let pairs = text
            .into_iter()
            .flat_map(|text| text.split('&'))
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (form_decode(key), form_decode(value))
            })
            .collect();
        Self { pairs }
    }

    /// The first value of a parameter, if it is there and not empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| &**value)
            .filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub fn all<'q>(&'q self, key: &'q str) -> impl Iterator<Item = &'q str> {
        self.pairs.iter().filter(move |(name, _)| name == key).map(|(_, value)| &**value)
    }

    /// Whether the parameter is there at all.
    pub fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(name, _)| name == key)
    }

    /// Whether a parameter is set to something true; as upstream, anything but `false` and `0` is.
    pub fn flag(&self, key: &str) -> bool {
        self.pairs
            .iter()
            .find(|(name, _)| name == key)
            .is_some_and(|(_, value)| &**value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A number, if the parameter is there and is one.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }
}

fn form_decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: Method, uri: &str) -> String {
        let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
        let info = RequestInfo::parse(&method, path, &Query::parse(query));
        format!(
            "{} {}|{} ns={} {}/{}/{} {}",
            info.verb,
            info.group,
            info.version,
            info.namespace,
            info.resource,
            info.name,
            info.subresource,
            info.rest
        )
    }

    #[test]
    fn reads_requests_as_upstream_does() {
        for (method, uri, expected) in [
            (Method::GET, "/api/v1/pods", "list |v1 ns= pods// "),
            (Method::GET, "/api/v1/pods?watch=true", "watch |v1 ns= pods// "),
            (Method::GET, "/api/v1/watch/namespaces/a/pods", "watch |v1 ns=a pods// "),
            (Method::GET, "/api/v1/namespaces", "list |v1 ns= namespaces// "),
            (Method::GET, "/api/v1/namespaces/a", "get |v1 ns=a namespaces/a/ "),
            (Method::PUT, "/api/v1/namespaces/a/finalize", "update |v1 ns=a namespaces/a/finalize "),
            (Method::GET, "/api/v1/namespaces/a/pods/b/log", "get |v1 ns=a pods/b/log "),
            (
                Method::DELETE,
                "/apis/apps/v1/namespaces/a/deployments",
                "deletecollection apps|v1 ns=a deployments// ",
            ),
            (
                Method::PATCH,
                "/apis/apps/v1/namespaces/a/deployments/b/status",
                "patch apps|v1 ns=a deployments/b/status ",
            ),
            (
                Method::GET,
                "/api/v1/namespaces/a/services/b:80/proxy/x%20y/z/",
                "get |v1 ns=a services/b:80/proxy x%20y/z/",
            ),
            (
                Method::GET,
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                "get rbac.authorization.k8s.io|v1 ns= clusterroles/system:node/ ",
            ),
            (
                Method::GET,
                "/api/v1/nodes?fieldSelector=metadata.name%3Dw1&watch=1",
                "watch |v1 ns= nodes/w1/ ",
            ),
            (
                Method::GET,
                "/api/v1/nodes?fieldSelector=metadata.name%3Dw1&watch=maybe&limit=x",
                "watch |v1 ns= nodes// ",
            ),
            (Method::GET, "/api/v1/nodes?watch=", "watch |v1 ns= nodes// "),
            (Method::GET, "/api/v1/nodes?watch=0", "list |v1 ns= nodes// "),
            (Method::GET, "/apis/apps/v1", "get | ns= // "),
            (Method::POST, "/version", "post | ns= // "),
        ] {
            assert_eq!(parse(method, uri), expected, "{uri}");
        }
    }

    #[test]
    fn query_values_are_decoded() {
        let query = Query::parse(Some("labelSelector=app+in+%28a%2Cb%29&watch=false&pretty&limit=5"));
        assert_eq!(query.get("labelSelector"), Some("app in (a,b)"));
        assert!(!query.flag("watch") && query.flag("pretty") && !query.flag("other"));
        for (text, is_true) in
            [("", true), ("1", true), ("no", true), ("f", true), ("0", false), ("FaLse", false)]
        {
            let query = format!("a={text}");
            assert_eq!(Query::parse(Some(&query)).flag("a"), is_true, "{text}");
        }
        assert_eq!(query.number("limit"), Some(5));
    }
}

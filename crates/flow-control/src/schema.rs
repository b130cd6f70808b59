//! A flow schema: which requests it takes, to which level they belong, and what tells their flows apart.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

/// What a request is matched by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The user's groups.
    pub groups: &'a [String],
    /// The verb.
    pub verb: &'a str,
    /// Whether it is for objects of the API.
    pub is_resource: bool,
    /// The API group.
    pub group: &'a str,
    /// The resource.
    pub resource: &'a str,
    /// The subresource, empty for none.
    pub subresource: &'a str,
    /// The namespace, empty for none.
    pub namespace: &'a str,
    /// The path.
    pub path: &'a str,
}

/// A FlowSchema.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// Its name.
    pub name: String,
    /// Its uid, told to clients.
    pub uid: String,
    /// The name of the level that its requests belong to.
    pub level: String,
    /// Schemas of lower numbers are asked first.
    pub precedence: i64,
    distinguisher: Distinguisher,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Distinguisher {
    None,
    User,
    Namespace,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    subjects: Vec<Subject>,
    resources: Vec<ResourceRule>,
    paths: Vec<PathRule>,
}

#[derive(Debug, Clone, PartialEq)]
enum Subject {
    AnyUser,
    AnyGroup,
    User(String),
    Group(String),
    /// What the name of each service account of a namespace begins with.
    ServiceAccounts(String),
}

/// Words that a request's must be among.
#[derive(Debug, Clone, PartialEq)]
struct Words(Option<Vec<String>>);

#[derive(Debug, Clone, PartialEq)]
struct ResourceRule {
    verbs: Words,
    groups: Words,
    resources: Words,
    namespaces: Words,
    cluster_scope: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct PathRule {
    verbs: Words,
    paths: Vec<String>,
}

impl Words {
    fn read(value: &Value) -> Self {
        let words: Vec<String> = items(value).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Self((!words.iter().any(|word| word == "*")).then_some(words))
    }

    fn take(&self, word: &str) -> bool {
        self.0.as_ref().is_none_or(|words| words.iter().any(|known| known == word))
    }

    fn take_resource(&self, resource: &str, subresource: &str) -> bool {
        let Some(words) = &self.0 else { return true };
        words.iter().any(|word| match word.split_once('/') {
            None => subresource.is_empty() && word == resource,
            Some((left, right)) => left == resource && right == subresource,
        })
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

impl Schema {
    /// Reads an object that was validated; `None` if it is none.
    pub fn read(object: &Value) -> Option<Self> {
        let (metadata, spec) = (&object["metadata"], &object["spec"]);
        Some(Self {
            name: metadata["name"].as_str()?.to_owned(),
            uid: metadata["uid"].as_str().unwrap_or_default().to_owned(),
            level: spec["priorityLevelConfiguration"]["name"].as_str()?.to_owned(),
            precedence: spec["matchingPrecedence"].as_i64().unwrap_or(1000),
            distinguisher: match spec["distinguisherMethod"]["type"].as_str() {
                Some("ByUser") => Distinguisher::User,
                Some("ByNamespace") => Distinguisher::Namespace,
                _ => Distinguisher::None,
            },
            rules: items(&spec["rules"]).iter().map(Rule::read).collect(),
        })
    }

    /// Where the schema stands among others: the first that matches takes a request.
    pub fn order(&self) -> (i64, &str) {
        (self.precedence, &self.name)
    }

    /// Whether it takes a request.
    pub fn takes(&self, request: &Request<'_>) -> bool {
        self.rules.iter().any(|rule| rule.takes(request))
    }

    /// What tells the request's flow from others of the schema.
    pub fn distinguisher<'a>(&self, request: &Request<'a>) -> &'a str {
        match self.distinguisher {
            Distinguisher::None => "",
            Distinguisher::User => request.user,
            Distinguisher::Namespace => request.namespace,
        }
    }

    /// The hash of a flow, by which its queues are dealt.
    pub fn flow(&self, request: &Request<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.name.as_str(), self.distinguisher(request)).hash(&mut hasher);
        hasher.finish()
    }
}

impl Rule {
    fn read(rule: &Value) -> Self {
        Self {
            subjects: items(&rule["subjects"]).iter().filter_map(Subject::read).collect(),
            resources: items(&rule["resourceRules"])
                .iter()
                .map(|rule| ResourceRule {
                    verbs: Words::read(&rule["verbs"]),
                    groups: Words::read(&rule["apiGroups"]),
                    resources: Words::read(&rule["resources"]),
                    namespaces: Words::read(&rule["namespaces"]),
                    cluster_scope: rule["clusterScope"] == true,
                })
                .collect(),
            paths: items(&rule["nonResourceRules"])
                .iter()
                .map(|rule| PathRule {
                    verbs: Words::read(&rule["verbs"]),
                    paths: items(&rule["nonResourceURLs"])
                        .iter()
                        .filter_map(Value::as_str)
                        .map(str::to_owned)
                        .collect(),
                })
                .collect(),
        }
    }

    fn takes(&self, request: &Request<'_>) -> bool {
        if !self.subjects.iter().any(|subject| subject.is(request)) {
            return false;
        }
        if request.is_resource {
            self.resources.iter().any(|rule| rule.takes(request))
        } else {
            self.paths.iter().any(|rule| rule.takes(request))
        }
    }
}

impl Subject {
    fn read(subject: &Value) -> Option<Self> {
        let name = |kind: &str| subject[kind]["name"].as_str();
        match subject["kind"].as_str()? {
            "User" => match name("user")? {
                "*" => Some(Self::AnyUser),
                user => Some(Self::User(user.to_owned())),
            },
            "Group" => match name("group")? {
                "*" => Some(Self::AnyGroup),
                group => Some(Self::Group(group.to_owned())),
            },
            "ServiceAccount" => {
                let namespace = subject["serviceAccount"]["namespace"].as_str()?;
                match name("serviceAccount")? {
                    "*" => Some(Self::ServiceAccounts(format!("system:serviceaccount:{namespace}:"))),
                    name => Some(Self::User(format!("system:serviceaccount:{namespace}:{name}"))),
                }
            }
            _ => None,
        }
    }

    fn is(&self, request: &Request<'_>) -> bool {
        match self {
            Self::AnyUser => true,
            Self::AnyGroup => !request.groups.is_empty(),
            Self::User(name) => name == request.user,
            Self::Group(name) => request.groups.iter().any(|group| group == name),
            Self::ServiceAccounts(prefix) => request.user.starts_with(prefix.as_str()),
        }
    }
}

impl ResourceRule {
    fn takes(&self, request: &Request<'_>) -> bool {
        self.verbs.take(request.verb)
            && self.groups.take(request.group)
            && self.resources.take_resource(request.resource, request.subresource)
            && if request.namespace.is_empty() {
                self.cluster_scope
            } else {
                self.namespaces.take(request.namespace)
            }
    }
}

impl PathRule {
    fn takes(&self, request: &Request<'_>) -> bool {
        self.verbs.take(request.verb)
            && self.paths.iter().any(|path| match path.strip_suffix('*') {
                Some(prefix) => request.path.starts_with(prefix),
                None => path == request.path,
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(subject: Value, rules: Value) -> Schema {
        let mut rule = json!({"subjects": [subject]});
        rule.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
        Schema::read(&json!({
            "metadata": {"name": "s", "uid": "u"},
            "spec": {"priorityLevelConfiguration": {"name": "l"}, "rules": [rule]},
        }))
        .unwrap()
    }

    #[test]
    fn requests_are_matched_by_who_and_what() {
        let user = json!({"kind": "User", "user": {"name": "jane"}});
        let group = json!({"kind": "Group", "group": {"name": "system:nodes"}});
        let any = json!({"kind": "Group", "group": {"name": "*"}});
        let account = json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "n", "name": "a"}});
        let accounts = json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "n", "name": "*"}});
        let all = json!({"resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"],
            "namespaces": ["*"], "clusterScope": true}]});
        let part = json!({"resourceRules": [{"verbs": ["get", "list"], "apiGroups": ["", "apps"],
            "resources": ["pods", "pods/log"], "namespaces": ["n"]}]});
        let paths =
            json!({"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/metrics/*"]}]});
        let groups = ["system:nodes".to_owned()];
        let request = Request {
            user: "jane",
            groups: &groups,
            verb: "get",
            is_resource: true,
            resource: "pods",
            namespace: "n",
            ..Request::default()
        };
        let path = |path| Request { is_resource: false, path, ..request };
        for (subject, rules, request, expected) in [
            (&user, &all, request, true),
            (&user, &all, Request { user: "joe", ..request }, false),
            (&user, &all, path("/healthz"), false),
            (&group, &all, request, true),
            (&group, &all, Request { groups: &[], ..request }, false),
            (&any, &all, request, true),
            (&account, &all, Request { user: "system:serviceaccount:n:a", ..request }, true),
            (&account, &all, Request { user: "system:serviceaccount:n:ab", ..request }, false),
            (&accounts, &all, Request { user: "system:serviceaccount:n:ab", ..request }, true),
            (&accounts, &all, Request { user: "system:serviceaccount:nn:ab", ..request }, false),
            (&user, &part, request, true),
            (&user, &part, Request { verb: "update", ..request }, false),
            (&user, &part, Request { group: "apps", ..request }, true),
            (&user, &part, Request { group: "batch", ..request }, false),
            (&user, &part, Request { subresource: "log", ..request }, true),
            (&user, &part, Request { subresource: "status", ..request }, false),
            (&user, &part, Request { namespace: "m", ..request }, false),
            (&user, &part, Request { namespace: "", ..request }, false),
            (&user, &all, Request { namespace: "", ..request }, true),
            (&user, &paths, path("/healthz"), true),
            (&user, &paths, path("/healthzz"), false),
            (&user, &paths, path("/metrics/slis"), true),
            (&user, &paths, request, false),
        ] {
            assert_eq!(
                schema(subject.clone(), rules.clone()).takes(&request),
                expected,
                "{rules} {request:?}"
            );
        }
    }

    #[test]
    fn flows_are_told_apart_by_the_method() {
        let mut schema = schema(json!({"kind": "User", "user": {"name": "*"}}), json!({}));
        let one = Request { user: "a", namespace: "n", ..Request::default() };
        let other = Request { user: "b", namespace: "n", ..Request::default() };
        for (method, same) in
            [(Distinguisher::None, true), (Distinguisher::User, false), (Distinguisher::Namespace, true)]
        {
            schema.distinguisher = method;
            assert_eq!(schema.flow(&one) == schema.flow(&other), same, "{method:?}");
        }
    }
}

//! The schemas and levels that a cluster has from the start, and what becomes of them when they are changed.
//!
//! The mandatory ones are always as they must be. The suggested ones are made once, and kept as suggested for as long
//! as their annotation says so.

use serde_json::{Value, json};

/// What says whether the server keeps an object's spec.
pub const ANNOTATION: &str = "apf.kubernetes.io/autoupdate-spec";
/// The API version of both kinds.
pub const API_VERSION: &str = "flowcontrol.apiserver.k8s.io/v1";

/// An object that a cluster has from the start.
#[derive(Debug, Clone)]
pub struct Made {
    /// The object.
    pub object: Value,
    /// Whether it must be as it is here.
    pub mandatory: bool,
}

/// What to do with the object of this name that is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Upkeep {
    /// It is as it should be.
    Nothing,
    /// It is missing.
    Create(Value),
    /// It should be this.
    Update(Value),
    /// The server made it once and no longer does.
    Delete,
}

/// The levels, the mandatory ones first.
pub fn levels() -> Vec<Made> {
    let exempt = json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}});
    let catch_all = json!({"type": "Limited", "limited": {
        "nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}});
    let mut levels = vec![made_level("exempt", exempt, true), made_level("catch-all", catch_all, true)];
    // Name, shares, how much may be lent, queues, size of a hand.
    for (name, shares, lendable, queues, hand) in [
        ("system", 30, 33, 64, 6),
        ("node-high", 40, 25, 64, 6),
        ("leader-election", 10, 0, 16, 4),
        ("workload-high", 40, 50, 128, 6),
        ("workload-low", 100, 90, 128, 6),
        ("global-default", 20, 50, 128, 6),
    ] {
        let queuing = json!({"queues": queues, "handSize": hand, "queueLengthLimit": 50});
        let spec = json!({"type": "Limited", "limited": {
            "nominalConcurrencyShares": shares, "lendablePercent": lendable,
            "limitResponse": {"type": "Queue", "queuing": queuing}}});
        levels.push(made_level(name, spec, false));
    }
    levels
}

fn made_level(name: &str, spec: Value, mandatory: bool) -> Made {
    Made { object: object("PriorityLevelConfiguration", name, spec), mandatory }
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": kind,
        "metadata": {"name": name, "annotations": {ANNOTATION: "true"}}, "spec": spec,
    })
}

/// Who is meant by a schema's rule.
enum Who {
    Groups(&'static [&'static str]),
    Users(&'static [&'static str]),
    /// Users, and service accounts of kube-system.
    UsersAnd(&'static [&'static str], &'static [&'static str]),
}

const EVERYONE: &[&str] = &["system:unauthenticated", "system:authenticated"];
const ALL: &[&str] = &["*"];
const WRITERS: &[&str] = &["get", "create", "update"];

impl Who {
    fn subjects(&self) -> Value {
        let group = |name: &&str| json!({"kind": "Group", "group": {"name": name}});
        let user = |name: &&str| json!({"kind": "User", "user": {"name": name}});
        let account = |name: &&str| json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": name}});
        match self {
            Self::Groups(names) => names.iter().map(group).collect(),
            Self::Users(names) => names.iter().map(user).collect(),
            Self::UsersAnd(users, accounts) => {
                users.iter().map(user).chain(accounts.iter().map(account)).collect()
            }
        }
    }
}

fn resources(verbs: &[&str], group: &str, names: &[&str], everywhere: bool) -> Value {
    let mut rule = json!({"verbs": verbs, "apiGroups": [group], "resources": names, "namespaces": ["*"]});
    if everywhere {
        rule["clusterScope"] = true.into();
    }
    rule
}

fn paths(verbs: &[&str], urls: &[&str]) -> Value {
    json!({"verbs": verbs, "nonResourceURLs": urls})
}

/// The schemas, in the order in which they match.
pub fn schemas() -> Vec<Made> {
    let anything = || (json!([resources(ALL, "*", ALL, true)]), json!([paths(ALL, ALL)]));
    let only = |rules: Vec<Value>| (Value::from(rules), Value::Null);
    let leases = || resources(WRITERS, "coordination.k8s.io", &["leases"], false);
    let manager: &[&str] = &["system:kube-controller-manager"];
    let by = |name| Some(name);
    let list = vec![
        ("exempt", "exempt", 1, None, Who::Groups(&["system:masters"]), anything()),
        (
            "probes",
            "exempt",
            2,
            None,
            Who::Groups(EVERYONE),
            (Value::Null, json!([paths(&["get"], &["/healthz", "/readyz", "/livez"])])),
        ),
        (
            "system-leader-election",
            "leader-election",
            100,
            by("ByUser"),
            Who::UsersAnd(&["system:kube-controller-manager", "system:kube-scheduler"], ALL),
            only(vec![leases()]),
        ),
        (
            "endpoint-controller",
            "workload-high",
            150,
            by("ByUser"),
            Who::UsersAnd(manager, &["endpoint-controller", "endpointslicemirroring-controller"]),
            only(vec![resources(WRITERS, "", &["endpoints"], false)]),
        ),
        (
            "workload-leader-election",
            "leader-election",
            200,
            by("ByUser"),
            Who::UsersAnd(&[], ALL),
            only(vec![resources(WRITERS, "", &["endpoints", "configmaps"], false), leases()]),
        ),
        (
            "system-node-high",
            "node-high",
            400,
            by("ByUser"),
            Who::Groups(&["system:nodes"]),
            only(vec![
                resources(ALL, "", &["nodes", "nodes/status"], true),
                resources(ALL, "coordination.k8s.io", &["leases"], false),
            ]),
        ),
        ("system-nodes", "system", 500, by("ByUser"), Who::Groups(&["system:nodes"]), anything()),
        ("kube-controller-manager", "workload-high", 800, by("ByNamespace"), Who::Users(manager), anything()),
        (
            "kube-scheduler",
            "workload-high",
            800,
            by("ByNamespace"),
            Who::Users(&["system:kube-scheduler"]),
            anything(),
        ),
        (
            "kube-system-service-accounts",
            "workload-high",
            900,
            by("ByNamespace"),
            Who::UsersAnd(&[], ALL),
            anything(),
        ),
        (
            "service-accounts",
            "workload-low",
            9000,
            by("ByUser"),
            Who::Groups(&["system:serviceaccounts"]),
            anything(),
        ),
        ("global-default", "global-default", 9900, by("ByUser"), Who::Groups(EVERYONE), anything()),
        ("catch-all", "catch-all", 10000, by("ByUser"), Who::Groups(EVERYONE), anything()),
    ];
    list.into_iter()
        .map(|(name, level, precedence, method, who, (resource_rules, path_rules))| {
            let mut rule = json!({"subjects": who.subjects()});
            for (key, rules) in [("resourceRules", resource_rules), ("nonResourceRules", path_rules)] {
                if !rules.is_null() {
                    rule[key] = rules;
                }
            }
            let mut spec = json!({
                "priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rule],
            });
            if let Some(method) = method {
                spec["distinguisherMethod"] = json!({"type": method});
            }
            let mandatory = matches!(name, "exempt" | "catch-all");
            Made { object: object("FlowSchema", name, spec), mandatory }
        })
        .collect()
}

/// What to do about an object that a cluster has from the start.
pub fn upkeep(wanted: &Made, found: Option<&Value>) -> Upkeep {
    let Some(found) = found else { return Upkeep::Create(wanted.object.clone()) };
    let annotated = found["metadata"]["annotations"][ANNOTATION].as_str();
    let keeps = match annotated {
        _ if wanted.mandatory => true,
        Some(text) => text == "true",
        // Made before there was an annotation: kept if nobody has changed it.
        None => found["metadata"]["generation"] == 1,
    };
    let mut new = found.clone();
    if annotated != Some(if keeps { "true" } else { "false" }) {
        if !new["metadata"]["annotations"].is_object() {
            new["metadata"]["annotations"] = json!({});
        }
        new["metadata"]["annotations"][ANNOTATION] = keeps.to_string().into();
    }
    if keeps {
        let mut spec = wanted.object["spec"].clone();
        // What the exempt take and lend is for the operator to say.
        if wanted.mandatory && found["spec"]["exempt"].is_object() && spec["exempt"].is_object() {
            spec["exempt"] = found["spec"]["exempt"].clone();
        }
        new["spec"] = spec;
    }
    if new == *found { Upkeep::Nothing } else { Upkeep::Update(new) }
}

/// What to do about an object of a name that is not among those that a cluster has from the start.
pub fn upkeep_of_other(found: &Value) -> Upkeep {
    if found["metadata"]["annotations"][ANNOTATION] == "true" { Upkeep::Delete } else { Upkeep::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Request, Schema};

    #[test]
    fn requests_find_the_level_that_upstream_gives_them() {
        let schemas: Vec<Schema> = schemas().iter().filter_map(|made| Schema::read(&made.object)).collect();
        assert!(schemas.is_sorted_by_key(|schema| schema.precedence));
        let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let account = "system:serviceaccount:kube-system:job-controller";
        for (user, of, verb, group, resource, namespace, expected) in [
            ("admin", "system:masters", "get", "", "pods", "n", "exempt"),
            ("system:anonymous", "system:unauthenticated", "get", "", "", "/livez", "probes"),
            (
                "system:kube-scheduler",
                "",
                "update",
                "coordination.k8s.io",
                "leases",
                "n",
                "system-leader-election",
            ),
            ("system:kube-scheduler", "", "list", "", "pods", "n", "kube-scheduler"),
            ("system:kube-controller-manager", "", "update", "", "endpoints", "n", "endpoint-controller"),
            ("system:kube-controller-manager", "", "delete", "", "pods", "n", "kube-controller-manager"),
            (
                "system:node:a",
                "system:nodes",
                "update",
                "coordination.k8s.io",
                "leases",
                "n",
                "system-node-high",
            ),
            ("system:node:a", "system:nodes", "patch", "", "nodes", "", "system-node-high"),
            ("system:node:a", "system:nodes", "get", "", "pods", "n", "system-nodes"),
            (account, "system:serviceaccounts", "update", "", "configmaps", "n", "workload-leader-election"),
            (account, "system:serviceaccounts", "list", "", "pods", "", "kube-system-service-accounts"),
            (
                "system:serviceaccount:n:x",
                "system:serviceaccounts",
                "list",
                "",
                "pods",
                "",
                "service-accounts",
            ),
            ("jane", "system:authenticated", "list", "", "pods", "", "global-default"),
            ("jane", "system:authenticated", "get", "", "", "/version", "global-default"),
        ] {
            let groups = groups(&[of]);
            let is_resource = !resource.is_empty();
            let (path, namespace) = if is_resource { ("", namespace) } else { (namespace, "") };
            let request = Request {
                user,
                groups: &groups,
                verb,
                is_resource,
                group,
                resource,
                subresource: "",
                namespace,
                path,
            };
            let found =
                schemas.iter().find(|schema| schema.takes(&request)).map(|schema| schema.name.as_str());
            assert_eq!(found, Some(expected), "{user} {verb} {resource}");
        }
    }

    #[test]
    fn an_operators_changes_stay_where_the_annotation_says_so() {
        let system = levels().into_iter().find(|made| made.object["metadata"]["name"] == "system").unwrap();
        let catch_all = levels().swap_remove(1);
        let exempt = levels().swap_remove(0);
        assert!(matches!(upkeep(&system, None), Upkeep::Create(_)));
        assert_eq!(upkeep(&system, Some(&system.object)), Upkeep::Nothing);
        let mut changed = system.object.clone();
        changed["spec"]["limited"]["nominalConcurrencyShares"] = 1.into();
        assert_eq!(upkeep(&system, Some(&changed)), Upkeep::Update(system.object.clone()));
        changed["metadata"]["annotations"][ANNOTATION] = "false".into();
        assert_eq!(upkeep(&system, Some(&changed)), Upkeep::Nothing);
        // Without the annotation: by whether anybody has changed it.
        changed["metadata"] = json!({"name": "system", "generation": 2});
        let Upkeep::Update(kept) = upkeep(&system, Some(&changed)) else { panic!("it is annotated") };
        assert_eq!(kept["metadata"]["annotations"][ANNOTATION], "false");
        assert_eq!(kept["spec"], changed["spec"]);
        changed["metadata"]["generation"] = 1.into();
        let Upkeep::Update(mended) = upkeep(&system, Some(&changed)) else { panic!("it is mended") };
        assert_eq!(mended["spec"], system.object["spec"]);

        let mut bent = catch_all.object.clone();
        bent["metadata"]["annotations"][ANNOTATION] = "false".into();
        bent["spec"]["limited"]["nominalConcurrencyShares"] = 500.into();
        assert_eq!(upkeep(&catch_all, Some(&bent)), Upkeep::Update(catch_all.object.clone()));
        let mut generous = exempt.object.clone();
        generous["spec"]["exempt"]["lendablePercent"] = 50.into();
        assert_eq!(upkeep(&exempt, Some(&generous)), Upkeep::Nothing);

        assert_eq!(upkeep_of_other(&json!({"metadata": {"name": "mine"}})), Upkeep::Nothing);
        let old = json!({"metadata": {"name": "old", "annotations": {ANNOTATION: "true"}}});
        assert_eq!(upkeep_of_other(&old), Upkeep::Delete);
    }
}

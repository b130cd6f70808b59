//! `kubectl create role|clusterrole|rolebinding|clusterrolebinding`.

use serde_json::{Value, json};

use crate::{MANAGER, generated};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::errln;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

/// What can be done to resources. A role may allow any other verb too, which then is most likely misspelt.
const VERBS: [&str; 14] = [
    "*",
    "get",
    "delete",
    "list",
    "create",
    "update",
    "patch",
    "watch",
    "proxy",
    "deletecollection",
    "use",
    "bind",
    "escalate",
    "impersonate",
];
const RULES: &[Flag] = &[
    Flag::list(
        "resource",
        "What the rule is about: resource, resource.group, with /subresource if one is meant.",
    ),
    Flag::array("resource-name", "Name of an object that the rule is limited to; may be repeated."),
    Flag::list("verb", "What is allowed."),
];
const CLUSTER_RULES: &[Flag] = &[
    Flag::text("aggregation-rule", "", "Label query of cluster roles whose rules it takes on."),
    Flag::list("non-resource-url", "Path of the server that the rule is about."),
];
const SUBJECTS: &[Flag] = &[
    Flag::text("clusterrole", "", "Cluster role to bind."),
    Flag::array("group", "Group that gets the role."),
    Flag::array("serviceaccount", "Service account that gets the role (namespace:name)."),
    Flag::array("user", "User that gets the role."),
];
const ROLE_REF: &[Flag] = &[Flag::text("role", "", "Role to bind.")];

/// Creates a role.
pub static ROLE: Command = Command {
    name: "role",
    short: "Create a role with single rule",
    examples: "
# May look at pods
kubectl create role pod-reader --verb=get,list,watch --resource=pods",
    usage: "role NAME --verb=verb --resource=resource.group/subresource [--resource-name=resourcename] [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, RULES],
    run: Some(|invocation| Box::pin(role(invocation, "Role"))),
    ..Command::NONE
};

/// Creates a cluster role.
pub static CLUSTERROLE: Command = Command {
    name: "clusterrole",
    short: "Create a cluster role",
    examples: "
# May look at nodes
kubectl create clusterrole node-reader --verb=get,list,watch --resource=nodes

# May ask whether the server is well
kubectl create clusterrole health --verb=get --non-resource-url=/healthz",
    usage: "clusterrole NAME --verb=verb --resource=resource.group [--resource-name=resourcename] [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, RULES, CLUSTER_RULES],
    run: Some(|invocation| Box::pin(role(invocation, "ClusterRole"))),
    ..Command::NONE
};

/// Creates a role binding.
pub static ROLEBINDING: Command = Command {
    name: "rolebinding",
    short: "Create a role binding for a particular role or cluster role",
    examples: "
# A user may do what the cluster role admin allows, in this namespace
kubectl create rolebinding admin --clusterrole=admin --user=jane",
    usage: "rolebinding NAME --clusterrole=NAME|--role=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname] [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, SUBJECTS, ROLE_REF],
    run: Some(|invocation| Box::pin(binding(invocation, "RoleBinding"))),
    ..Command::NONE
};

/// Creates a cluster role binding.
pub static CLUSTERROLEBINDING: Command = Command {
    name: "clusterrolebinding",
    short: "Create a cluster role binding for a particular cluster role",
    examples: "
# A user may do everything
kubectl create clusterrolebinding root --clusterrole=cluster-admin --user=jane",
    usage: "clusterrolebinding NAME --clusterrole=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname] [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, SUBJECTS],
    run: Some(|invocation| Box::pin(binding(invocation, "ClusterRoleBinding"))),
    ..Command::NONE
};

async fn role(invocation: Invocation, kind: &'static str) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    let mut object =
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}});
    let plural = if kind == "Role" { "roles" } else { "clusterroles" };
    let aggregation = invocation.text("aggregation-rule");
    if !aggregation.is_empty() {
        object["aggregationRule"] =
            json!({"clusterRoleSelectors": [crate::selector::label_selector(aggregation)?]});
        object["rules"] = Value::Null;
        return generated(&invocation, object, plural, false, "").await;
    }
    let verbs = unique(invocation.list("verb"));
    let urls = invocation.list("non-resource-url");
    if verbs.is_empty() {
        return Err(Error::message("at least one verb must be specified"));
    }
    if invocation.list("resource").is_empty() && urls.is_empty() {
        return Err(Error::message("at least one resource must be specified"));
    }
    let mut rules = Vec::new();
    if !invocation.list("resource").is_empty() {
        for verb in verbs.iter().filter(|verb| !VERBS.contains(&verb.as_str())) {
            errln!("Warning: '{verb}' is not a standard resource verb");
        }
        let session = Session::open(&invocation).await?;
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for word in unique(invocation.list("resource")) {
            let (word, subresource) =
                word.split_once('/').map_or((word.as_str(), None), |(word, sub)| (word, Some(sub)));
            let (group, plural) = if word == "*" {
                (String::new(), "*".to_string())
            } else {
                let resource = session.mapper.resource(word).await?;
                (resource.group.clone(), resource.plural.clone())
            };
            let plural = subresource.map_or(plural.clone(), |sub| format!("{plural}/{sub}"));
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, resources)) => resources.push(plural),
                None => groups.push((group, vec![plural])),
            }
        }
        groups.sort();
        for (group, resources) in groups {
            let mut rule = json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
            if !invocation.list("resource-name").is_empty() {
                rule["resourceNames"] = unique(invocation.list("resource-name")).into();
            }
            rules.push(rule);
        }
    }
    if !urls.is_empty() {
        rules.push(json!({"nonResourceURLs": urls, "verbs": verbs}));
    }
    object["rules"] = rules.into();
    generated(&invocation, object, plural, kind == "Role", "").await
}

async fn binding(invocation: Invocation, kind: &'static str) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    let cluster_role = invocation.text("clusterrole");
    let role = if kind == "RoleBinding" { invocation.text("role") } else { "" };
    let (role_kind, role_name) = match (cluster_role, role) {
        ("", "") if kind == "RoleBinding" => {
            return Err(Error::message("exactly one of clusterrole or role must be specified"));
        }
        ("", "") => return Err(Error::message("required flag(s) \"clusterrole\" not set")),
        (cluster_role, "") => ("ClusterRole", cluster_role),
        ("", role) => ("Role", role),
        _ => return Err(Error::message("exactly one of clusterrole or role must be specified")),
    };
    let mut object = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role_name},
    });
    let subjects = subjects(&invocation)?;
    if !subjects.is_empty() {
        object["subjects"] = subjects.into();
    }
    match kind {
        "RoleBinding" => generated(&invocation, object, "rolebindings", true, "rolebinding:").await,
        _ => generated(&invocation, object, "clusterrolebindings", false, "clusterrolebinding:").await,
    }
}

/// The subjects that `--user`, `--group` and `--serviceaccount` name.
pub fn subjects(invocation: &Invocation) -> Result<Vec<Value>> {
    let mut subjects = Vec::new();
    for (flag, kind) in [("user", "User"), ("group", "Group")] {
        for name in invocation.list(flag) {
            subjects.push(json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}));
        }
    }
    for account in invocation.list("serviceaccount") {
        let (namespace, name) = account
            .split_once(':')
            .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
            .ok_or_else(|| Error::message("serviceaccount must be <namespace>:<name>"))?;
        subjects.push(json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}));
    }
    Ok(subjects)
}

fn unique(words: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for word in words {
        if word == "*" {
            return vec!["*".into()];
        }
        if !kept.contains(word) {
            kept.push(word.clone());
        }
    }
    kept
}

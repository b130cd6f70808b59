//! `Policy` of `audit.k8s.io/v1`: of which requests how much is written down.

use apimachinery::{FieldError, User};
use serde::Deserialize;
use serde_json::Value;

use crate::event::{Level, Stage};

/// What a policy is asked about.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// Who asks; nobody's name, where nobody is known.
    pub user: User<'a>,
    /// The verb.
    pub verb: &'a str,
    /// Whether it is for a resource.
    pub is_resource: bool,
    /// API group.
    pub group: &'a str,
    /// Resource.
    pub resource: &'a str,
    /// Subresource.
    pub subresource: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// Path, where it is for no resource.
    pub path: &'a str,
}

/// Of which requests how much is written down: the first rule that means a request holds.
#[derive(Debug, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    omit_stages: Vec<Stage>,
    omit_managed_fields: bool,
}

/// How much of one request is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) level: Level,
    pub(crate) omit_stages: Vec<Stage>,
    pub(crate) omit_managed_fields: bool,
}

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    omit_stages: Vec<String>,
    #[serde(default)]
    omit_managed_fields: bool,
    #[serde(default, rename = "metadata")]
    _metadata: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Rule {
    level: String,
    users: Vec<String>,
    user_groups: Vec<String>,
    verbs: Vec<String>,
    resources: Vec<GroupResources>,
    namespaces: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    omit_stages: Vec<String>,
    omit_managed_fields: Option<bool>,
    #[serde(skip)]
    read: Option<(Level, Vec<Stage>)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct GroupResources {
    group: String,
    resources: Vec<String>,
    resource_names: Vec<String>,
}

impl Policy {
    /// Reads a policy, YAML or JSON.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        let wrong = |error: &dyn std::fmt::Display| PolicyError(format!("failed decoding: {error}"));
        let mut value: Value = serde_saphyr::from_str(text).map_err(|error| wrong(&error))?;
        let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (field("apiVersion"), field("kind"));
        if api_version != "audit.k8s.io/v1" || kind != "Policy" {
            return Err(PolicyError(format!("unknown group version field {api_version:?} in policy")));
        }
        if let Some(fields) = value.as_object_mut() {
            fields.remove("apiVersion");
            fields.remove("kind");
        }
        let mut file: File = serde_json::from_value(value).map_err(|error| wrong(&error))?;
        if file.rules.is_empty() {
            return Err(PolicyError("loaded illegal policy with 0 rules".to_owned()));
        }
        let mut errors = Vec::new();
        let omit_stages = stages(&file.omit_stages, "omitStages", &mut errors);
        for (index, rule) in file.rules.iter_mut().enumerate() {
            rule.settle(&format!("rules[{index}]"), &mut errors);
        }
        match errors.as_slice() {
            [] => Ok(Self { rules: file.rules, omit_stages, omit_managed_fields: file.omit_managed_fields }),
            [one] => Err(PolicyError(one.to_string())),
            many => {
                let many: Vec<String> = many.iter().map(ToString::to_string).collect();
                Err(PolicyError(format!("[{}]", many.join(", "))))
            }
        }
    }

    /// Says how much of a request is written down.
    pub(crate) fn decide(&self, about: &About<'_>) -> Verdict {
        let mut verdict = Verdict {
            level: Level::None,
            omit_stages: self.omit_stages.clone(),
            omit_managed_fields: self.omit_managed_fields,
        };
        if let Some(rule) = self.rules.iter().find(|rule| rule.means(about))
            && let Some((level, omitted)) = &rule.read
        {
            verdict.level = *level;
            verdict.omit_stages.extend(omitted.iter().copied());
            verdict.omit_managed_fields = rule.omit_managed_fields.unwrap_or(self.omit_managed_fields);
        }
        verdict
    }
}

fn stages(names: &[String], field: &str, errors: &mut Vec<FieldError>) -> Vec<Stage> {
    let known = Stage::ALL.map(Stage::name);
    let mut stages = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match Stage::ALL.into_iter().find(|stage| stage.name() == name) {
            Some(stage) => stages.push(stage),
            None => {
                errors.push(FieldError::not_supported(format!("{field}[{index}]"), name.as_str(), &known));
            }
        }
    }
    stages
}

impl Rule {
    fn settle(&mut self, path: &str, errors: &mut Vec<FieldError>) {
        let level = Level::ALL.into_iter().find(|level| level.name() == self.level);
        match level {
            None if self.level.is_empty() => {
                errors.push(FieldError::required(format!("{path}.level"), ""));
            }
            None => errors.push(FieldError::not_supported(
                format!("{path}.level"),
                self.level.as_str(),
                &Level::ALL.map(Level::name),
            )),
            Some(_) => {}
        }
        let field = format!("{path}.nonResourceURLs");
        let of_resources = !self.resources.is_empty() || !self.namespaces.is_empty();
        if of_resources && !self.non_resource_urls.is_empty() {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(&field, self.non_resource_urls.clone(), why));
        }
        for (index, url) in self.non_resource_urls.iter().enumerate() {
            let field = format!("{field}[{index}]");
            if url == "*" {
                continue;
            }
            if !url.starts_with('/') {
                let why = "non-resource URL rules must begin with a '/' character";
                errors.push(FieldError::invalid(&field, url.as_str(), why));
            }
            if url.trim_end_matches('*').contains('*') || url.ends_with("**") {
                let why = "non-resource URL wildcards '*' must be the final character of the rule";
                errors.push(FieldError::invalid(&field, url.as_str(), why));
            }
        }
        for (index, of_group) in self.resources.iter().enumerate() {
            if of_group.resources.is_empty() && !of_group.resource_names.is_empty() {
                let field = format!("{path}.resources[{index}].resourceNames");
                let why = "using resourceNames requires at least one resource";
                errors.push(FieldError::invalid(field, of_group.resource_names.clone(), why));
            }
        }
        let omitted = stages(&self.omit_stages, &format!("{path}.omitStages"), errors);
        self.read = level.map(|level| (level, omitted));
    }

    fn means(&self, about: &About<'_>) -> bool {
        let has = |list: &[String], item: &str| list.is_empty() || list.iter().any(|one| one == item);
        if !has(&self.users, about.user.name) || !has(&self.verbs, about.verb) {
            return false;
        }
        if !self.user_groups.is_empty() && !self.user_groups.iter().any(|group| about.user.in_group(group)) {
            return false;
        }
        if !self.resources.is_empty() || !self.namespaces.is_empty() {
            return about.is_resource
                && has(&self.namespaces, about.namespace)
                && (self.resources.is_empty() || self.resources.iter().any(|some| some.mean(about)));
        }
        if !self.non_resource_urls.is_empty() {
            let means = |url: &String| match url.strip_suffix('*') {
                Some(prefix) => about.path.starts_with(prefix),
                None => url == about.path,
            };
            return !about.is_resource && self.non_resource_urls.iter().any(means);
        }
        true
    }
}

impl GroupResources {
    fn mean(&self, about: &About<'_>) -> bool {
        if self.group != about.group {
            return false;
        }
        if self.resources.is_empty() {
            return true;
        }
        if !self.resource_names.is_empty() && !self.resource_names.iter().any(|name| name == about.name) {
            return false;
        }
        self.resources.iter().any(|resource| {
            if resource == "*" {
                return true;
            }
            match resource.split_once('/') {
                None => resource == about.resource && about.subresource.is_empty(),
                Some(("*", sub)) => !about.subresource.is_empty() && sub == about.subresource,
                Some((of, "*")) => of == about.resource,
                Some((of, sub)) => of == about.resource && sub == about.subresource,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:kube-proxy"]
  verbs: ["watch"]
- level: None
  nonResourceURLs: ["/healthz*", "/version"]
- level: Metadata
  resources: [{group: "", resources: ["secrets", "pods/log", "serviceaccounts/token"]}]
  omitManagedFields: true
- level: Request
  userGroups: ["dev"]
  namespaces: ["shop", ""]
  omitStages: [ResponseStarted]
- level: RequestResponse
  resources: [{group: apps}, {group: "", resources: ["configmaps"], resourceNames: ["one"]}, {group: batch, resources: ["*/status", "jobs/*"]}]
- level: Metadata
"#;

    #[test]
    fn the_first_rule_that_means_a_request_holds() {
        let policy = Policy::read(POLICY).unwrap();
        let groups = ["dev".to_owned()];
        let check = |user: &str, groups: &[String], what: &str, expected: Expect| {
            let words: Vec<&str> = what.split(' ').collect();
            let (verb, place) = (words[0], words[1]);
            let user = User { name: user, groups };
            let about = match place.starts_with('/') {
                true => About { user, verb, path: place, ..About::default() },
                false => {
                    let (group, resource) = place.split_once(':').unwrap();
                    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                    let namespace = words.get(2).copied().unwrap_or_default();
                    let name = words.get(3).copied().unwrap_or_default();
                    let is_resource = true;
                    About { user, verb, is_resource, group, resource, subresource, namespace, name, path: "" }
                }
            };
            let verdict = policy.decide(&about);
            let managed = if verdict.omit_managed_fields { " bare" } else { "" };
            expected.assert_eq(&format!("{:?} {:?}{managed}", verdict.level, verdict.omit_stages));
        };
        check("system:kube-proxy", &[], "watch :services", expect!["None [RequestReceived]"]);
        check("system:kube-proxy", &[], "list :services", expect!["Metadata [RequestReceived]"]);
        check("jane", &[], "get /healthz/etcd", expect!["None [RequestReceived]"]);
        check("jane", &[], "get /versions", expect!["Metadata [RequestReceived]"]);
        check("jane", &groups, "get :secrets shop a", expect!["Metadata [RequestReceived] bare"]);
        check("jane", &groups, "get :pods shop a", expect!["Request [RequestReceived, ResponseStarted]"]);
        check("jane", &groups, "get :nodes", expect!["Request [RequestReceived, ResponseStarted]"]);
        check("jane", &[], "get :pods/log shop a", expect!["Metadata [RequestReceived] bare"]);
        check("jane", &[], "get apps:deployments/scale bank a", expect!["RequestResponse [RequestReceived]"]);
        check("jane", &[], "get :configmaps bank one", expect!["RequestResponse [RequestReceived]"]);
        check("jane", &[], "get :configmaps bank two", expect!["Metadata [RequestReceived]"]);
        check(
            "jane",
            &[],
            "update batch:cronjobs/status bank a",
            expect!["RequestResponse [RequestReceived]"],
        );
        check("jane", &[], "update batch:jobs bank a", expect!["RequestResponse [RequestReceived]"]);
        check("jane", &[], "update batch:cronjobs bank a", expect!["Metadata [RequestReceived]"]);
    }

    #[test]
    fn a_wrong_policy_says_where() {
        let check = |rules: &str, expected: Expect| {
            let text = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: {rules}");
            expected.assert_eq(&Policy::read(&text).unwrap_err().to_string());
        };
        check("[]", expect!["loaded illegal policy with 0 rules"]);
        check(
            "[{level: All}, {}, {level: None, omitStages: [Never]}]",
            expect![[
                r#"[rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", "Request", "RequestResponse", rules[1].level: Required value, rules[2].omitStages[0]: Unsupported value: "Never": supported values: "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]"#
            ]],
        );
        check(
            "[{level: None, nonResourceURLs: ['a', '/a*b'], namespaces: [x]}]",
            expect![[
                r#"[rules[0].nonResourceURLs: Invalid value: ["a","/a*b"]: rules cannot apply to both regular resources and non-resource URLs, rules[0].nonResourceURLs[0]: Invalid value: "a": non-resource URL rules must begin with a '/' character, rules[0].nonResourceURLs[1]: Invalid value: "/a*b": non-resource URL wildcards '*' must be the final character of the rule]"#
            ]],
        );
        check(
            "[{level: None, resources: [{group: '', resourceNames: [a]}]}]",
            expect![[
                r#"rules[0].resources[0].resourceNames: Invalid value: ["a"]: using resourceNames requires at least one resource"#
            ]],
        );
        let other = Policy::read("apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: []").unwrap_err();
        assert_eq!(other.to_string(), "unknown group version field \"audit.k8s.io/v1beta1\" in policy");
    }
}

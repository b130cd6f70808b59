//! One rule of a role: what it matches, and whether it covers another.

use std::collections::BTreeMap;
use std::fmt;

use apimachinery::ObjectExt as _;
use serde_json::{Value, json};

use crate::attributes::Attributes;

type List = Box<[Box<str>]>;

/// A `PolicyRule`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// API groups.
    pub api_groups: List,
    /// Resources, such as `pods`, `pods/log`, `*/scale`.
    pub resources: List,
    /// Paths, which may end in `*`.
    pub non_resource_urls: List,
    /// Names; none means all.
    pub resource_names: List,
    /// Verbs.
    pub verbs: List,
}

fn has(list: &[Box<str>], item: &str) -> bool {
    list.iter().any(|member| &**member == item)
}

fn has_or_all(list: &[Box<str>], item: &str) -> bool {
    list.iter().any(|member| &**member == "*" || &**member == item)
}

fn path_matches(pattern: &str, path: &str) -> bool {
    pattern == "*"
        || pattern == path
        || pattern.ends_with('*') && path.starts_with(pattern.trim_end_matches('*'))
}

/// `*/scale` covers `deployments/scale`.
fn is_any_with(pattern: &str, subresource: &str) -> bool {
    pattern.strip_prefix("*/").is_some_and(|of| of == subresource)
}

impl Rule {
    /// Reads a rule; fields that are no lists of strings read as empty.
    pub fn read(rule: &Value) -> Self {
        let list = |field: &str| {
            rule.list_at(&[field]).iter().filter_map(Value::as_str).map(Box::from).collect::<List>()
        };
        Self {
            api_groups: list("apiGroups"),
            resources: list("resources"),
            non_resource_urls: list("nonResourceURLs"),
            resource_names: list("resourceNames"),
            verbs: list("verbs"),
        }
    }

    /// Reads the `rules` of a role.
    pub fn read_all(role: &Value) -> Vec<Self> {
        role.list_at(&["rules"]).iter().map(Self::read).collect()
    }

    /// The rule as the API shows it.
    pub fn to_value(&self) -> Value {
        let mut rule = json!({"verbs": self.verbs});
        for (field, list) in [
            ("apiGroups", &self.api_groups),
            ("resources", &self.resources),
            ("nonResourceURLs", &self.non_resource_urls),
            ("resourceNames", &self.resource_names),
        ] {
            if !list.is_empty() {
                rule[field] = json!(list);
            }
        }
        rule
    }

    /// Whether the rule allows a request.
    pub fn allows(&self, attributes: &Attributes<'_>) -> bool {
        if !has_or_all(&self.verbs, attributes.verb) {
            return false;
        }
        if !attributes.is_resource {
            return self.non_resource_urls.iter().any(|pattern| path_matches(pattern, attributes.path));
        }
        has_or_all(&self.api_groups, attributes.group)
            && self.resources.iter().any(|pattern| names_resource(pattern, attributes))
            && (self.resource_names.is_empty() || has(&self.resource_names, attributes.name))
    }

    /// Whether everything that `other`, a single permission, allows is allowed by this rule.
    fn covers(&self, other: &Self) -> bool {
        let all =
            |own: &[Box<str>], others: &[Box<str>]| has(own, "*") || others.iter().all(|item| has(own, item));
        all(&self.verbs, &other.verbs)
            && all(&self.api_groups, &other.api_groups)
            && other.resources.iter().all(|resource| self.covers_resource(resource))
            && other
                .non_resource_urls
                .iter()
                .all(|path| self.non_resource_urls.iter().any(|pattern| path_matches(pattern, path)))
            && (self.resource_names.is_empty()
                || !other.resource_names.is_empty()
                    && other.resource_names.iter().all(|name| has(&self.resource_names, name)))
    }

    fn covers_resource(&self, resource: &str) -> bool {
        has_or_all(&self.resources, resource)
            || resource.split_once('/').is_some_and(|(_, subresource)| {
                self.resources.iter().any(|own| is_any_with(own, subresource))
            })
    }

    /// Takes the rule apart into single permissions.
    fn permissions(&self) -> impl Iterator<Item = Self> + '_ {
        let one = |item: &str| -> List { Box::new([Box::from(item)]) };
        let names: Vec<List> = match self.resource_names.is_empty() {
            true => vec![List::default()],
            false => self.resource_names.iter().map(|name| one(name)).collect(),
        };
        let resources = self.api_groups.iter().flat_map(move |group| {
            let names = names.clone();
            self.resources.iter().flat_map(move |resource| {
                let names = names.clone();
                self.verbs.iter().flat_map(move |verb| {
                    names.clone().into_iter().map(move |resource_names| Self {
                        api_groups: one(group),
                        resources: one(resource),
                        verbs: one(verb),
                        resource_names,
                        ..Self::default()
                    })
                })
            })
        });
        let paths = self.non_resource_urls.iter().flat_map(move |path| {
            self.verbs.iter().map(move |verb| Self {
                non_resource_urls: one(path),
                verbs: one(verb),
                ..Self::default()
            })
        });
        resources.chain(paths)
    }

    /// How many single permissions the rule has.
    fn size(&self) -> usize {
        let names = self.resource_names.len().max(1);
        self.api_groups
            .len()
            .saturating_mul(self.resources.len())
            .saturating_mul(names)
            .saturating_add(self.non_resource_urls.len())
            .saturating_mul(self.verbs.len())
    }
}

fn names_resource(pattern: &str, attributes: &Attributes<'_>) -> bool {
    if pattern == "*" {
        return true;
    }
    if attributes.subresource.is_empty() {
        return pattern == attributes.resource;
    }
    match pattern.split_once('/') {
        Some((resource, subresource)) => {
            subresource == attributes.subresource && (resource == "*" || resource == attributes.resource)
        }
        None => false,
    }
}

/// The most single permissions that a comparison takes apart; built-in roles have a few hundred.
pub(crate) const MAX_PERMISSIONS: usize = 200_000;

/// The permissions of `wanted` that `held` does not have, those of one resource joined; `None` when there are
/// too many to compare.
pub(crate) fn missing(held: &[&Rule], wanted: &[Rule]) -> Option<Vec<Rule>> {
    let sizes = wanted.iter().map(Rule::size);
    if sizes.fold(0, usize::saturating_add) > MAX_PERMISSIONS {
        return None;
    }
    let mut missing = Vec::new();
    for rule in wanted {
        // Most rules are held whole, by themselves or by `*`.
        if held.contains(&rule) || held.iter().any(|own| own.resource_names.is_empty() && own.covers(rule)) {
            continue;
        }
        missing
            .extend(rule.permissions().filter(|permission| !held.iter().any(|own| own.covers(permission))));
    }
    Some(join(missing))
}

/// Joins the verbs of permissions that differ in nothing else.
fn join(permissions: Vec<Rule>) -> Vec<Rule> {
    let mut verbs: BTreeMap<[List; 4], Vec<Box<str>>> = BTreeMap::new();
    for rule in permissions {
        let key = [rule.api_groups, rule.resources, rule.non_resource_urls, rule.resource_names];
        let joined = verbs.entry(key).or_default();
        for verb in rule.verbs {
            if !joined.contains(&verb) {
                joined.push(verb);
            }
        }
    }
    verbs
        .into_iter()
        .map(|([api_groups, resources, non_resource_urls, resource_names], verbs)| Rule {
            api_groups,
            resources,
            non_resource_urls,
            resource_names,
            verbs: verbs.into(),
        })
        .collect()
}

/// Prints as upstream's messages do: `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        f.write_str("{")?;
        for (field, list) in [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ] {
            if !list.is_empty() {
                write!(f, "{comma}{field}:{}", quoted(list))?;
                comma = ", ";
            }
        }
        f.write_str("}")
    }
}

/// Strings as Go's `%q` prints a slice.
pub(crate) fn quoted(list: &[impl fmt::Debug]) -> String {
    let quoted: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

#[cfg(test)]
mod tests;

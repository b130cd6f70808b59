//! The groups of aggregated servers in the documents of discovery.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use apimachinery::ObjectExt as _;
use serde_json::{Map, Value, json};

use super::description::Description;

/// A version that another server serves.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteVersion {
    /// The group.
    pub group: String,
    /// The version.
    pub version: String,
    /// `spec.groupPriorityMinimum`
    pub group_priority: i64,
    /// `spec.versionPriority`
    pub version_priority: i64,
    /// The resources in aggregated discovery's form; `None` while the server does not answer.
    pub resources: Option<Arc<Value>>,
    /// What the server says of itself in OpenAPI, where it does.
    pub description: Option<Arc<Description>>,
}

/// A group of which other servers serve versions.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteGroup {
    /// The group.
    pub name: String,
    /// Its place among all groups: higher comes first.
    pub priority: i64,
    /// Its versions, preferred first.
    pub versions: Vec<RemoteVersion>,
}

/// Gathers versions into groups, best first.
pub(super) fn groups(mut versions: Vec<RemoteVersion>) -> Vec<RemoteGroup> {
    versions.sort_by(|a, b| {
        (Reverse(a.version_priority), &a.version).cmp(&(Reverse(b.version_priority), &b.version))
    });
    let mut groups: Vec<RemoteGroup> = Vec::new();
    for version in versions {
        match groups.iter_mut().find(|group| group.name == version.group) {
            Some(group) => {
                group.priority = group.priority.max(version.group_priority);
                group.versions.push(version);
            }
            None => groups.push(RemoteGroup {
                name: version.group.clone(),
                priority: version.group_priority,
                versions: vec![version],
            }),
        }
    }
    groups.sort_by(|a, b| (Reverse(a.priority), &a.name).cmp(&(Reverse(b.priority), &b.name)));
    groups
}

impl RemoteGroup {
    /// The names of the versions, preferred first.
    pub fn version_names(&self) -> Vec<&str> {
        self.versions.iter().map(|version| version.version.as_str()).collect()
    }

    /// What the versions' servers say of them in OpenAPI.
    pub fn descriptions(&self) -> impl Iterator<Item = (&RemoteVersion, &Description)> {
        self.versions.iter().filter_map(|version| Some((version, version.description.as_deref()?)))
    }

    /// The versions in aggregated discovery's form. A server that does not answer has the form that makes clients
    /// say so and go on.
    pub fn aggregated_versions(&self) -> Vec<Value> {
        let of_version = |version: &RemoteVersion| match &version.resources {
            Some(resources) => {
                json!({"version": version.version, "resources": **resources, "freshness": "Current"})
            }
            None => json!({"version": version.version, "freshness": "Stale"}),
        };
        self.versions.iter().map(of_version).collect()
    }
}

/// Turns an `APIResourceList` into the `resources` of aggregated discovery; `None` if it is no such list.
pub fn resources(list: &Value, group: &str, version: &str) -> Option<Value> {
    let listed = list.get("resources")?.as_array()?;
    let kind = |entry: &Value| {
        let or = |key, default: &str| match entry.str_at(&[key]) {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => default.to_owned(),
        };
        json!({"group": or("group", group), "version": or("version", version), "kind": or("kind", "")})
    };
    let mut resources: Vec<Map<String, Value>> = Vec::new();
    for entry in listed.iter().filter(|entry| !entry.name_of().contains('/')) {
        let mut resource = Map::new();
        resource.insert("resource".to_owned(), entry.name_of().into());
        resource.insert("responseKind".to_owned(), kind(entry));
        let namespaced = entry.bool_at(&["namespaced"]) == Some(true);
        resource.insert("scope".to_owned(), if namespaced { "Namespaced" } else { "Cluster" }.into());
        let singular = entry.str_at(&["singularName"]).unwrap_or_default();
        resource.insert("singularResource".to_owned(), singular.into());
        resource.insert("verbs".to_owned(), entry.list_at(&["verbs"]).into());
        for key in ["shortNames", "categories"] {
            if !entry.list_at(&[key]).is_empty() {
                resource.insert(key.to_owned(), entry.list_at(&[key]).into());
            }
        }
        resources.push(resource);
    }
    // The list may be long, and whoever serves it may have made it so.
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, entry) in listed.iter().filter(|entry| !entry.name_of().contains('/')).enumerate() {
        places.entry(entry.name_of()).or_insert(place);
    }
    for entry in listed {
        let Some((parent, name)) = entry.name_of().split_once('/') else { continue };
        let sub =
            json!({"subresource": name, "responseKind": kind(entry), "verbs": entry.list_at(&["verbs"])});
        let Some(parent) = places.get(parent).and_then(|place| resources.get_mut(*place)) else { continue };
        let subs = parent.entry("subresources").or_insert_with(|| json!([]));
        if let Some(subs) = subs.as_array_mut() {
            subs.push(sub);
        }
    }
    Some(resources.into())
}

trait Named {
    fn name_of(&self) -> &str;
}

impl Named for Value {
    fn name_of(&self) -> &str {
        self.str_at(&["name"]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(group: &str, version: &str, priorities: (i64, i64)) -> RemoteVersion {
        RemoteVersion {
            group: group.into(),
            version: version.into(),
            group_priority: priorities.0,
            version_priority: priorities.1,
            resources: None,
            description: None,
        }
    }

    #[test]
    fn groups_and_versions_are_ordered_by_their_priorities() {
        let groups = groups(vec![
            version("b.io", "v1beta1", (100, 10)),
            version("a.io", "v1", (100, 1)),
            version("b.io", "v1", (50, 20)),
            version("c.io", "v1", (2000, 1)),
        ]);
        let order: Vec<String> =
            groups.iter().map(|group| format!("{} {:?}", group.name, group.version_names())).collect();
        assert_eq!(order, [r#"c.io ["v1"]"#, r#"a.io ["v1"]"#, r#"b.io ["v1", "v1beta1"]"#]);
        assert_eq!(groups[0].aggregated_versions(), [json!({"version": "v1", "freshness": "Stale"})]);
    }

    #[test]
    fn a_resource_list_becomes_aggregated_discovery() {
        let list = json!({"kind": "APIResourceList", "groupVersion": "m.io/v1", "resources": [
            {"name": "nodes", "singularName": "", "namespaced": false, "kind": "NodeMetrics", "verbs": ["get"]},
            {"name": "things/scale", "namespaced": true, "kind": "Scale", "group": "autoscaling", "version": "v1", "verbs": ["get"]},
            {"name": "things", "namespaced": true, "kind": "Thing", "verbs": ["get", "list"], "shortNames": ["th"]},
        ]});
        let resources = resources(&list, "m.io", "v1").unwrap();
        assert_eq!(
            resources[0],
            json!({"resource": "nodes", "responseKind": {"group": "m.io", "version": "v1", "kind": "NodeMetrics"},
                "scope": "Cluster", "singularResource": "", "verbs": ["get"]})
        );
        assert_eq!(resources[1]["subresources"][0]["responseKind"]["group"], "autoscaling");
        assert_eq!(super::resources(&json!({"kind": "Status"}), "m.io", "v1"), None);
    }

    #[test]
    fn a_long_list_is_read_once_and_grows_by_nothing() {
        let named = |name: String| json!({"name": name, "kind": "Thing"});
        let twice = ["a", "a", "a/x", "a/y", "b/x"].map(|name| named(name.to_owned()));
        let twice = json!({"resources": twice});
        let resources = super::resources(&twice, "m.io", "v1").unwrap();
        let counts: Vec<_> =
            resources.as_array().unwrap().iter().map(|one| one.list_at(&["subresources"]).len()).collect();
        assert_eq!(counts, [2, 0]);
        // Looking for the parent of each among all would take minutes.
        let many: Vec<Value> =
            (0..60_000).flat_map(|n| [named(format!("r{n}")), named(format!("r{n}/s"))]).collect();
        let resources = super::resources(&json!({"resources": many}), "m.io", "v1").unwrap();
        assert_eq!(resources[59_999]["subresources"][0]["subresource"], "s");
    }
}

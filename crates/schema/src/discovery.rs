//! Discovery documents: what groups, versions and resources there are.
//!
//! All functions work on rows, so that custom resources and aggregated groups can be among them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::catalogue::groups;
use crate::resource::{Names, Resource, Verbs};

/// The content type parameters of the aggregated form, `as=APIGroupDiscoveryList`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregated {
    /// `application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`
    V2,
    /// `application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList`
    V2Beta1,
}

impl Aggregated {
    /// Says the `Content-Type` of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Aggregated::V2 => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            Aggregated::V2Beta1 => {
                "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
            }
        }
    }
}

/// `/api`: the versions of the core group. `server_address` is `host:port` as clients reach it.
pub fn api_versions(server_address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    })
}

/// `/apis`: all groups but the core group.
pub fn api_group_list<'a>(rows: impl IntoIterator<Item = &'a Resource>) -> Value {
    let groups: Vec<Value> = groups(rows)
        .into_iter()
        .filter(|group| !group.name.is_empty())
        .map(|group| Value::Object(group_entry(group.name, &group.versions)))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`: one group; `None` where no row is of it.
pub fn api_group<'a>(rows: impl IntoIterator<Item = &'a Resource>, name: &str) -> Option<Value> {
    let group = groups(rows).into_iter().find(|group| group.name == name)?;
    let mut entry = group_entry(name, &group.versions);
    entry.insert("kind".to_owned(), "APIGroup".into());
    entry.insert("apiVersion".to_owned(), "v1".into());
    Some(Value::Object(entry))
}

/// Makes a group's entry of `/apis` from its versions, preferred first.
pub fn group_entry(name: &str, versions: &[&str]) -> Map<String, Value> {
    let version = |version: &&str| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let mut entry = Map::new();
    entry.insert("name".to_owned(), name.into());
    entry.insert("versions".to_owned(), versions.iter().map(version).collect());
    entry.insert("preferredVersion".to_owned(), versions.first().map_or(Value::Null, version));
    entry
}

/// `/api/v1` and `/apis/<group>/<version>`: the resources of a version; `None` where no row is of it.
pub fn api_resource_list<'a>(
    rows: impl IntoIterator<Item = &'a Resource>,
    group: &str,
    version: &str,
) -> Option<Value> {
    let mut of_version = rows_of(rows, group, version).peekable();
    let api_version = of_version.peek()?.api_version();
    let mut resources = Vec::new();
    for resource in of_version {
        resources.push(resource_entry(resource));
        for subresource in resource.subresources.iter() {
            let (kind_group, kind_version, kind) = resource.subresource_kind(subresource);
            let mut entry = Map::new();
            entry.insert("name".to_owned(), format!("{}/{}", resource.plural, subresource.name).into());
            entry.insert("singularName".to_owned(), "".into());
            entry.insert("namespaced".to_owned(), resource.namespaced.into());
            if (kind_group, kind_version) != (group, version) {
                entry.insert("group".to_owned(), kind_group.into());
                entry.insert("version".to_owned(), kind_version.into());
            }
            entry.insert("kind".to_owned(), kind.into());
            entry.insert("verbs".to_owned(), verbs(subresource.verbs));
            resources.push(entry);
        }
    }
    resources.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    let mut list = json!({"kind": "APIResourceList", "groupVersion": api_version, "resources": resources});
    if !group.is_empty() {
        list["apiVersion"] = "v1".into();
    }
    Some(list)
}

fn resource_entry(resource: &Resource) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("name".to_owned(), (&*resource.plural).into());
    entry.insert("singularName".to_owned(), (&*resource.singular).into());
    entry.insert("namespaced".to_owned(), resource.namespaced.into());
    entry.insert("kind".to_owned(), (&*resource.kind).into());
    entry.insert("verbs".to_owned(), verbs(resource.verbs));
    insert_names(&mut entry, "shortNames", &resource.short_names);
    insert_names(&mut entry, "categories", &resource.categories);
    if resource.stored() {
        entry.insert("storageVersionHash".to_owned(), storage_version_hash(resource).into());
    }
    entry
}

/// Hashes the form that a resource is stored in, as upstream does: clients see storage migrations by it.
pub fn storage_version_hash(resource: &Resource) -> String {
    let stored = format!("{}/{}/{}", resource.storage_group, resource.storage_version, resource.kind);
    STANDARD.encode(&Sha256::digest(stored.as_bytes())[..8])
}

/// Makes a list of group entries; those of aggregated servers can be among them.
pub fn aggregated(form: Aggregated, groups: Vec<Value>) -> Value {
    let version = match form {
        Aggregated::V2 => "apidiscovery.k8s.io/v2",
        Aggregated::V2Beta1 => "apidiscovery.k8s.io/v2beta1",
    };
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": version, "metadata": {}, "items": groups})
}

/// The entries of the aggregated form for the groups of rows, the core group's name being empty.
pub fn aggregated_groups<'a>(rows: impl IntoIterator<Item = &'a Resource>) -> Vec<Value> {
    let rows: Vec<&Resource> = rows.into_iter().collect();
    groups(rows.iter().copied())
        .into_iter()
        .map(|group| {
            let versions: Vec<Value> = group
                .versions
                .iter()
                .map(|version| {
                    let mut resources: Vec<Value> =
                        rows_of(rows.iter().copied(), group.name, version).map(aggregated_resource).collect();
                    resources.sort_by(|a, b| a["resource"].as_str().cmp(&b["resource"].as_str()));
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let mut metadata = Map::new();
            if !group.name.is_empty() {
                metadata.insert("name".to_owned(), group.name.into());
            }
            metadata.insert("creationTimestamp".to_owned(), Value::Null);
            json!({"metadata": metadata, "versions": versions})
        })
        .collect()
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind =
        |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut entry = Map::new();
    entry.insert("resource".to_owned(), (&*resource.plural).into());
    entry.insert("responseKind".to_owned(), kind(&resource.group, &resource.version, &resource.kind));
    entry.insert("scope".to_owned(), if resource.namespaced { "Namespaced" } else { "Cluster" }.into());
    entry.insert("singularResource".to_owned(), (&*resource.singular).into());
    entry.insert("verbs".to_owned(), verbs(resource.verbs));
    insert_names(&mut entry, "shortNames", &resource.short_names);
    insert_names(&mut entry, "categories", &resource.categories);
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|subresource| {
            let (of_group, of_version, of_kind) = resource.subresource_kind(subresource);
            json!({
                "subresource": subresource.name,
                "responseKind": kind(of_group, of_version, of_kind),
                "verbs": verbs(subresource.verbs),
            })
        })
        .collect();
    if !subresources.is_empty() {
        entry.insert("subresources".to_owned(), subresources.into());
    }
    Value::Object(entry)
}

fn rows_of<'a>(
    rows: impl IntoIterator<Item = &'a Resource>,
    group: &str,
    version: &str,
) -> impl Iterator<Item = &'a Resource> {
    rows.into_iter().filter(move |resource| resource.group == group && resource.version == version)
}

fn verbs(verbs: Verbs) -> Value {
    verbs.names().map(Value::from).collect()
}

fn insert_names(entry: &mut Map<String, Value>, name: &str, names: &Names) {
    if !names.is_empty() {
        entry.insert(name.to_owned(), names.iter().map(Value::from).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn hashes_storage_versions_as_upstream_does() {
        for (group, version, plural, expected) in [
            ("", "v1", "pods", "xPOwRZ+Yhw8="),
            ("", "v1", "services", "0/CO1lhkEBI="),
            ("", "v1", "nodes", "XwShjMxG9Fs="),
            ("", "v1", "configmaps", "qFsyl6wFWjQ="),
            ("apps", "v1", "deployments", "8aSe+NMegvE="),
        ] {
            let resource = catalogue().lookup(group, version, plural).unwrap();
            assert_eq!(storage_version_hash(resource), expected, "{plural}");
        }
    }

    #[test]
    fn lists_the_resources_of_a_version() {
        let list = api_resource_list(catalogue().resources(), "apps", "v1").unwrap();
        let names: Vec<&str> = list["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["name"].as_str().unwrap())
            .collect();
        assert!(names.is_sorted());
        let scale = &list["resources"][names.iter().position(|name| *name == "deployments/scale").unwrap()];
        assert_eq!(
            *scale,
            json!({
                "name": "deployments/scale", "singularName": "", "namespaced": true,
                "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"],
            })
        );
        assert!(api_resource_list(catalogue().resources(), "apps", "v2").is_none());
        assert!(api_resource_list(catalogue().resources(), "storagemigration.k8s.io", "v1beta1").is_none());
    }

    #[test]
    fn lists_groups_without_the_core_group() {
        let list = api_group_list(catalogue().resources());
        let autoscaling =
            list["groups"].as_array().unwrap().iter().find(|group| group["name"] == "autoscaling").unwrap();
        assert_eq!(autoscaling["preferredVersion"]["groupVersion"], "autoscaling/v2");
        assert_eq!(autoscaling["versions"].as_array().unwrap().len(), 2);
        assert_eq!(list["groups"][0]["name"], "apiregistration.k8s.io");
        assert_eq!(api_group(catalogue().resources(), "apps").unwrap()["kind"], "APIGroup");
    }

    #[test]
    fn aggregates_resources_with_their_subresources() {
        let core = catalogue().resources().filter(|resource| resource.group.is_empty());
        let list = aggregated(Aggregated::V2, aggregated_groups(core));
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        let resources = list["items"][0]["versions"][0]["resources"].as_array().unwrap();
        let pods = resources.iter().find(|resource| resource["resource"] == "pods").unwrap();
        assert_eq!(pods["scope"], "Namespaced");
        assert_eq!(pods["shortNames"], json!(["po"]));
        let eviction = pods["subresources"]
            .as_array()
            .unwrap()
            .iter()
            .find(|sub| sub["subresource"] == "eviction")
            .unwrap();
        assert_eq!(eviction["responseKind"], json!({"group": "policy", "version": "v1", "kind": "Eviction"}));
    }
}

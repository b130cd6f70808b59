//! Asks the server what it serves: aggregated discovery in two requests, classic discovery where it is older.

use std::collections::HashMap;

use serde_json::Value;

use super::Resource;
use crate::client::Client;
use crate::error::Result;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// All resources, in the server's order: the core group first, preferred versions first.
pub async fn resources(client: &Client) -> Result<Vec<Resource>> {
    let mut found = Vec::new();
    for root in ["/api", "/apis"] {
        let reply = client.get_as(root, AGGREGATED).await?;
        if reply["kind"] == "APIGroupDiscoveryList" {
            aggregated(&reply, &mut found);
            continue;
        }
        for version in group_versions(&reply) {
            // A group whose server is down must not hide the others.
            if let Ok(list) = client.get(&format!("{root}/{version}")).await {
                classic(&list, &version, &mut found);
            }
        }
    }
    Ok(found)
}

/// The groups and versions that a document of classic discovery names, each group's preferred version first.
pub fn group_versions(reply: &Value) -> Vec<String> {
    if let Some(versions) = reply["versions"].as_array() {
        return versions.iter().filter_map(|version| version.as_str().map(str::to_string)).collect();
    }
    let groups = reply["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut all = Vec::new();
    for group in groups {
        let preferred = group["preferredVersion"]["groupVersion"].as_str().unwrap_or("");
        let mut versions: Vec<&str> = group["versions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v["groupVersion"].as_str())
            .collect();
        versions.sort_by_key(|version| *version != preferred);
        all.extend(versions.into_iter().map(str::to_string));
    }
    all
}

/// Reads the resources of a document of aggregated discovery.
pub fn aggregated(list: &Value, found: &mut Vec<Resource>) {
    for group in list["items"].as_array().into_iter().flatten() {
        let name = group["metadata"]["name"].as_str().unwrap_or("");
        for version in group["versions"].as_array().into_iter().flatten() {
            for resource in version["resources"].as_array().into_iter().flatten() {
                let kind = &resource["responseKind"];
                found.push(Resource {
                    group: name.into(),
                    version: text(&version["version"]),
                    plural: text(&resource["resource"]),
                    singular: text(&resource["singularResource"]),
                    kind: text(&kind["kind"]),
                    namespaced: resource["scope"] == "Namespaced",
                    verbs: texts(&resource["verbs"]),
                    short_names: texts(&resource["shortNames"]),
                    categories: texts(&resource["categories"]),
                    subresources: resource["subresources"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|subresource| text(&subresource["subresource"]))
                        .collect(),
                });
            }
        }
    }
}

/// Reads the resources of a group version in a document of classic discovery.
pub fn classic(list: &Value, group_version: &str, found: &mut Vec<Resource>) {
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    let resources = list["resources"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut subresources: HashMap<&str, Vec<String>> = HashMap::new();
    for name in resources.iter().filter_map(|resource| resource["name"].as_str()) {
        if let Some((parent, subresource)) = name.split_once('/') {
            subresources.entry(parent).or_default().push(subresource.to_owned());
        }
    }
    for resource in resources {
        let name = text(&resource["name"]);
        if name.contains('/') {
            continue;
        }
        found.push(Resource {
            group: group.into(),
            version: version.into(),
            singular: text(&resource["singularName"]),
            kind: text(&resource["kind"]),
            namespaced: resource["namespaced"] == true,
            verbs: texts(&resource["verbs"]),
            short_names: texts(&resource["shortNames"]),
            categories: texts(&resource["categories"]),
            // Of two of one name the first has them, so that no list makes more of itself than it is.
            subresources: subresources.remove(name.as_str()).unwrap_or_default(),
            plural: name,
        });
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_string()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_string)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn subresources_are_their_resources_and_none_twice() {
        let names = ["a", "a/x", "a", "a/y/z", "b/x", "c"].map(|name| json!({"name": name}));
        let mut found = Vec::new();
        classic(&json!({"resources": names}), "g.io/v1", &mut found);
        let read: Vec<String> = found
            .iter()
            .map(|one| format!("{} {:?} {}", one.plural, one.subresources, one.api_version()))
            .collect();
        assert_eq!(read, [r#"a ["x", "y/z"] g.io/v1"#, "a [] g.io/v1", "c [] g.io/v1"]);
    }
}

//! What the API serves: every resource, in the version that the server prefers.

use controller_runtime::api::path::collection_path;
use controller_runtime::api::{Api, Error};
use informer::null_is_default;
use serde::Deserialize;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// One resource that the API serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    /// The group, empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The plural name.
    pub plural: String,
    /// The kind.
    pub kind: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// What can be done with it.
    pub verbs: Vec<String>,
}

impl Served {
    /// Tells whether all these verbs are served.
    pub fn can(&self, verbs: &[&str]) -> bool {
        verbs.iter().all(|verb| self.verbs.iter().any(|served| served == verb))
    }

    /// Returns the path of its collection; an empty namespace gives all of them, or the cluster's.
    pub fn path(&self, namespace: &str) -> String {
        collection_path(
            &self.group,
            &self.version,
            &self.plural,
            if self.namespaced { namespace } else { "" },
        )
    }

    /// Returns `resource.group`, as messages name it; with a closing point in the core group, as upstream does.
    pub fn name(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }
}

/// What was discovered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// The resources, each in one version.
    pub resources: Vec<Served>,
    /// Groups and versions whose server does not answer.
    pub failed: Vec<String>,
}

/// Asks the server for everything that it serves.
pub async fn discover(api: &Api) -> Result<Discovered, Error> {
    let mut discovered = Discovered::default();
    for path in ["/api", "/apis"] {
        let list = api.get_as(path, AGGREGATED).await?;
        let groups: Groups =
            serde_json::from_value(list).map_err(|error| Error::Malformed(error.to_string()))?;
        read(groups, &mut discovered);
    }
    Ok(discovered)
}

#[derive(Deserialize)]
struct Groups {
    #[serde(default, deserialize_with = "null_is_default")]
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: GroupMetadata,
    #[serde(default, deserialize_with = "null_is_default")]
    versions: Vec<Version>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroupMetadata {
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    freshness: String,
    #[serde(default, deserialize_with = "null_is_default")]
    resources: Vec<WireResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireResource {
    resource: String,
    #[serde(default)]
    response_kind: ResponseKind,
    #[serde(default)]
    scope: String,
    #[serde(default, deserialize_with = "null_is_default")]
    verbs: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResponseKind {
    kind: String,
}

/// Versions come in the order of preference: the first that has a resource counts.
fn read(groups: Groups, discovered: &mut Discovered) {
    for group in groups.items {
        let group_name = group.metadata.name;
        for version in group.versions {
            if version.freshness == "Stale" {
                let name = format!("{group_name}/{}", version.version);
                discovered.failed.push(name.trim_start_matches('/').to_owned());
            }
            for resource in version.resources {
                let known = discovered
                    .resources
                    .iter()
                    .any(|one| one.group == group_name && one.plural == resource.resource);
                if known {
                    continue;
                }
                discovered.resources.push(Served {
                    group: group_name.clone(),
                    version: version.version.clone(),
                    plural: resource.resource,
                    kind: resource.response_kind.kind,
                    namespaced: resource.scope == "Namespaced",
                    verbs: resource.verbs,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_each_resource_in_the_preferred_version() {
        let pods = json!({"resource": "pods", "responseKind": {"kind": "Pod"}, "scope": "Namespaced",
            "verbs": ["delete", "list", "watch"]});
        let scalers = json!({"resource": "scalers", "responseKind": {"kind": "Scaler"}, "scope": "Cluster", "verbs": ["get"]});
        let groups = json!({"items": [
            {"versions": [{"version": "v1", "freshness": "Current", "resources": [pods]}]},
            {"metadata": {"name": "x.io"}, "versions": [
                {"version": "v2", "resources": [scalers]},
                {"version": "v1", "freshness": "Stale", "resources": [scalers]}]}]});
        let mut discovered = Discovered::default();
        read(serde_json::from_value(groups).unwrap(), &mut discovered);
        let paths: Vec<String> = discovered.resources.iter().map(|one| one.path("a")).collect();
        assert_eq!(paths, ["/api/v1/namespaces/a/pods", "/apis/x.io/v2/scalers"]);
        assert_eq!(discovered.failed, ["x.io/v1"]);
        assert!(discovered.resources[0].can(&["list", "delete"]) && !discovered.resources[1].can(&["list"]));
    }
}

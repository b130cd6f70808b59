//! Files of one volume that come to lie over each other.

use serde_json::Value;
use strategy::read::Read;

/// What may be brought together in one volume.
const SOURCES: [&str; 6] =
    ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];

/// Where a file comes to lie, and what it is of where a volume has several sources.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    path: String,
    source: String,
}

impl Place {
    fn new(path: &str, source: &str) -> Self {
        Self { path: path.trim_end_matches('/').to_owned(), source: source.to_owned() }
    }

    fn shown(&self) -> String {
        match self.source.as_str() {
            "" => format!("{:?}", self.path),
            source => format!("{:?} ({source})", self.path),
        }
    }

    /// Whether one is the other or in it.
    fn meets(&self, other: &Place) -> bool {
        let (own, other) = (format!("{}/", self.path), format!("{}/", other.path));
        own != "/" && other != "/" && (own.starts_with(&other) || other.starts_with(&own))
    }
}

/// Warns of volumes whose files come to lie over each other.
pub(super) fn of(volumes: &[Value], found: &mut Vec<String>) {
    for volume in volumes {
        let name = volume.text("name");
        for (kind, own) in [("configMap", "name"), ("secret", "secretName"), ("downwardAPI", "")] {
            if volume.has(kind) {
                let what = described(kind, volume[kind].text(own));
                warn(name, &what, items(&volume[kind], ""), found);
            }
        }
        let mut places = Vec::new();
        for source in volume["projected"].items("sources") {
            if !SOURCES.iter().any(|kind| source.has(kind)) {
                found.push(format!("volume {name:?} (Projected) has no sources provided"));
            }
            places.extend(projected(source));
        }
        warn(name, "Projected", places, found);
    }
}

fn warn(volume: &str, what: &str, places: Vec<Place>, found: &mut Vec<String>) {
    for (index, place) in places.iter().enumerate() {
        for other in places[..index].iter().filter(|other| place.meets(other)) {
            found.push(format!(
                "volume {volume:?} ({what}): overlapping paths: {} with {}",
                place.shown(),
                other.shown()
            ));
        }
    }
}

fn described(kind: &str, name: &str) -> String {
    match kind {
        "configMap" => format!("ConfigMap {name:?}"),
        "secret" => format!("Secret {name:?}"),
        _ => "DownwardAPI".to_owned(),
    }
}

fn items(source: &Value, described: &str) -> Vec<Place> {
    source.items("items").iter().map(|item| Place::new(item.text("path"), described)).collect()
}

/// The files of one source among several.
fn projected(source: &Value) -> Vec<Place> {
    for kind in ["configMap", "secret", "downwardAPI"] {
        if source.has(kind) {
            return items(&source[kind], &described(kind, source[kind].text("name")));
        }
    }
    if source.has("serviceAccountToken") {
        return vec![Place::new(source["serviceAccountToken"].text("path"), "ServiceAccountToken")];
    }
    let bundle = &source["clusterTrustBundle"];
    if bundle.is_object() {
        let name = if bundle.has("name") { bundle.text("name") } else { bundle.text("signerName") };
        return vec![Place::new(bundle.text("path"), &format!("ClusterTrustBundle {name:?}"))];
    }
    let certificate = &source["podCertificate"];
    if certificate.is_object() {
        return [
            ("certificateChainPath", "PodCertificate chain"),
            ("keyPath", "PodCertificate key"),
            ("credentialBundlePath", "PodCertificate credential bundle"),
        ]
        .into_iter()
        .filter(|(key, _)| !certificate.text(key).is_empty())
        .map(|(key, what)| Place::new(certificate.text(key), what))
        .collect();
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(volume: Value) -> String {
        let mut found = Vec::new();
        of(&[volume], &mut found);
        found.join("|")
    }

    #[test]
    fn files_that_meet_are_told_of() {
        let map = |paths: [&str; 2]| {
            let items: Vec<Value> = paths.iter().map(|path| json!({"key": "k", "path": path})).collect();
            json!({"name": "v", "configMap": {"name": "m", "items": items}})
        };
        assert_eq!(told(map(["a", "b"])), "");
        assert_eq!(told(map(["a", "ab"])), "");
        let expected = "volume \"v\" (ConfigMap \"m\"): overlapping paths: \"a/b\" with \"a\"";
        assert_eq!(told(map(["a", "a/b"])), expected);
        let projected = json!({"name": "v", "projected": {"sources": [{}, {"podCertificate":
            {"keyPath": "a/key", "certificateChainPath": "a"}}]}});
        assert_eq!(
            told(projected),
            "volume \"v\" (Projected) has no sources provided|volume \"v\" (Projected): overlapping paths: \"a/key\" (PodCertificate key) with \"a\" (PodCertificate chain)"
        );
        let projected = json!({"name": "v", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token"}},
            {"secret": {"name": "s", "items": [{"key": "k", "path": "token"}]}},
            {"clusterTrustBundle": {"signerName": "a.example/b", "path": "token/x"}}]}});
        assert_eq!(
            told(projected),
            "volume \"v\" (Projected): overlapping paths: \"token\" (Secret \"s\") with \"token\" (ServiceAccountToken)|volume \"v\" (Projected): overlapping paths: \"token/x\" (ClusterTrustBundle \"a.example/b\") with \"token\" (ServiceAccountToken)|volume \"v\" (Projected): overlapping paths: \"token/x\" (ClusterTrustBundle \"a.example/b\") with \"token\" (Secret \"s\")"
        );
    }
}

//! What other servers add to the document of version 2: their own paths, and the definitions that these refer to.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

const REFERENCE: &str = "#/definitions/";

/// The part of another server's document that is about one group version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Added {
    paths: Map<String, Value>,
    definitions: Map<String, Value>,
}

impl Added {
    /// Takes from a server's document what is about a group version; all else is not that server's to say here.
    pub fn of(mut document: Value, group: &str, version: &str) -> Self {
        let prefix = format!("/apis/{group}/{version}");
        let wanted = |path: &str| {
            path.strip_prefix(&prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut paths = taken(&mut document, "paths");
        paths.retain(|path, _| wanted(path));
        let mut definitions = taken(&mut document, "definitions");
        let mut reached = BTreeSet::new();
        let mut open: Vec<String> = Vec::new();
        paths.values().for_each(|path| references(path, &mut open));
        while let Some(name) = open.pop() {
            if let Some(definition) = definitions.get(&name)
                && reached.insert(name)
            {
                references(definition, &mut open);
            }
        }
        definitions.retain(|name, _| reached.contains(name));
        Self { paths, definitions }
    }

    /// The paths, none of which this server has itself.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.paths.iter().map(|(path, item)| (path.as_str(), item))
    }

    /// The definitions, some of which this server and others have too.
    pub(super) fn definitions(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.definitions.iter().map(|(name, definition)| (name.as_str(), definition))
    }
}

fn taken(document: &mut Value, key: &str) -> Map<String, Value> {
    match document.get_mut(key).map(Value::take) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// The definitions that a part of a document refers to.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(name) =
                members.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix(REFERENCE))
            {
                found.push(name.to_owned());
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_group_version_needs_is_taken() {
        let refers = |name: &str| json!({"$ref": format!("#/definitions/{name}")});
        let document = json!({
            "swagger": "2.0",
            "paths": {
                "/apis/a.io/v1": {"get": {}},
                "/apis/a.io/v1/things": {"get": {"responses": {"200": {"schema": refers("Thing")}}}},
                "/apis/a.io/v1beta1/things": {"get": refers("Old")},
                "/api/v1/pods": {"get": refers("Pod")},
            },
            "definitions": {
                "Thing": {"properties": {"items": {"type": "array", "items": refers("Part")}}},
                "Part": {"properties": {"whole": refers("Thing"), "lost": refers("Nowhere")}},
                "Old": {}, "Pod": {},
            },
        });
        let added = Added::of(document, "a.io", "v1");
        assert_eq!(
            added.paths().map(|(path, _)| path).collect::<Vec<_>>(),
            ["/apis/a.io/v1", "/apis/a.io/v1/things"]
        );
        assert_eq!(added.definitions().map(|(name, _)| name).collect::<Vec<_>>(), ["Part", "Thing"]);
        for odd in [json!([]), json!({"paths": [1], "definitions": "x"}), Value::Null] {
            assert_eq!(Added::of(odd, "a.io", "v1"), Added::default());
        }
    }
}

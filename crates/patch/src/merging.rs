//! How the objects of a kind merge: by their schema when the kind is built in, as plain JSON when it is not.

use schema::{Type, catalogue};
use serde_json::Value;

use crate::{
    PatchError, create_merge_patch, create_three_way, create_three_way_merge_patch, create_two_way,
    merge_patch, strategic_merge_patch,
};

/// The way in which a client makes and applies patches of an object.
#[derive(Clone, Copy)]
pub enum Merging {
    /// Strategic merge patch, by the type's merge keys.
    Strategic(Type<'static>),
    /// JSON merge patch, as for custom resources.
    Json,
}

impl Merging {
    /// Chooses by an object's `apiVersion` and `kind`.
    pub fn of(object: &Value) -> Self {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let api_version = text("apiVersion");
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        match catalogue().by_kind(group, version, text("kind")) {
            Some(resource) => Merging::Strategic(resource.ty()),
            None => Merging::Json,
        }
    }

    /// Makes the patch that turns `original` into `modified`.
    pub fn two_way(self, original: &Value, modified: &Value) -> Result<Value, PatchError> {
        match self {
            Merging::Strategic(ty) => create_two_way(ty, original, modified),
            Merging::Json => Ok(create_merge_patch(original, modified)),
        }
    }

    /// Makes the patch that brings `current` to `modified`, and deletes only what `original` (the last applied
    /// configuration) had and `modified` has no more.
    pub fn three_way(self, original: &Value, modified: &Value, current: &Value) -> Result<Value, PatchError> {
        match self {
            Merging::Strategic(ty) => create_three_way(ty, original, modified, current),
            Merging::Json => Ok(create_three_way_merge_patch(original, modified, current)),
        }
    }

    /// Applies a patch to a copy of an object.
    pub fn patched(self, object: &Value, patch: &Value) -> Result<Value, PatchError> {
        let mut object = object.clone();
        match self {
            Merging::Strategic(ty) => strategic_merge_patch(ty, &mut object, patch.clone())?,
            Merging::Json => merge_patch(&mut object, patch),
        }
        Ok(object)
    }
}

/// Finds a field that both sides changed since `original`, each to something else. Lists are not compared.
pub fn conflict(original: &Value, modified: &Value, current: &Value) -> Option<String> {
    let (old, new, now) = (original.as_object()?, modified.as_object()?, current.as_object()?);
    new.iter().find_map(|(field, value)| {
        let (was, is) = (old.get(field)?, now.get(field)?);
        match value.is_object() {
            true => conflict(was, value, is).map(|inner| format!("{field}.{inner}")),
            false => (was != value && was != is && value != is && !value.is_array()).then(|| field.clone()),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(api_version: &str, kind: &str, spec: Value) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "spec": spec})
    }

    #[test]
    fn merges_built_in_kinds_by_key_and_custom_ones_whole() {
        let spec = |ports: Value| object("v1", "Service", json!({"ports": ports}));
        let original = spec(json!([{"port": 80}, {"port": 443}]));
        let modified = spec(json!([{"port": 80}, {"port": 443, "name": "tls"}]));
        let patch = Merging::of(&original).two_way(&original, &modified).unwrap();
        assert_eq!(patch["spec"]["ports"], json!([{"port": 443, "name": "tls"}]));
        assert_eq!(Merging::of(&original).patched(&original, &patch).unwrap(), modified);

        let custom = |ports: Value| object("example.org/v1", "Service", json!({"ports": ports}));
        let (original, modified) = (custom(json!([1])), custom(json!([1, 2])));
        assert!(matches!(Merging::of(&original), Merging::Json));
        let patch = Merging::of(&original).two_way(&original, &modified).unwrap();
        assert_eq!(patch, json!({"spec": {"ports": [1, 2]}}));
    }

    /// A slice of upstream's merge keys, one for each way of merging.
    #[test]
    fn knows_the_merge_key_of_each_list() {
        let pod = |spec: Value| json!({"template": {"spec": spec}});
        for (api_version, kind, original, modified, expected) in [
            (
                "networking.k8s.io/v1",
                "NetworkPolicy",
                json!({"ingress": [{"ports": [{"port": 1}]}]}),
                json!({"ingress": [{"ports": [{"port": 2}]}]}),
                json!({"ingress": [{"ports": [{"port": 2}]}]}),
            ),
            (
                "apps/v1",
                "Deployment",
                pod(json!({"containers": [{"name": "a", "ports": [{"containerPort": 1}]}]})),
                pod(json!({"containers": [{"name": "a", "ports": [{"containerPort": 1, "name": "x"}]}]})),
                pod(json!({
                    "$setElementOrder/containers": [{"name": "a"}],
                    "containers": [{
                        "$setElementOrder/ports": [{"containerPort": 1}],
                        "name": "a",
                        "ports": [{"containerPort": 1, "name": "x"}],
                    }],
                })),
            ),
            (
                "apps/v1",
                "Deployment",
                pod(json!({"volumes": [{"name": "v", "emptyDir": {}}]})),
                pod(json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})),
                pod(json!({
                    "$setElementOrder/volumes": [{"name": "v"}],
                    "volumes": [{
                        "$retainKeys": ["hostPath", "name"],
                        "name": "v",
                        "emptyDir": null,
                        "hostPath": {"path": "/"},
                    }],
                })),
            ),
            (
                "apps/v1",
                "Deployment",
                pod(json!({"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1}]})),
                pod(json!({"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 2}]})),
                pod(json!({
                    "$setElementOrder/topologySpreadConstraints": [{"topologyKey": "zone"}],
                    "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 2}],
                })),
            ),
        ] {
            let (original, modified) =
                (object(api_version, kind, original), object(api_version, kind, modified));
            let merging = Merging::of(&original);
            let mut patch = merging.two_way(&original, &modified).unwrap();
            assert_eq!(merging.patched(&original, &patch).unwrap(), modified, "{kind}");
            sort_retained(&mut patch);
            assert_eq!(patch["spec"], expected, "{kind}");
        }
    }

    fn sort_retained(patch: &mut Value) {
        match patch {
            Value::Object(map) => {
                for (key, value) in map {
                    match value.as_array_mut() {
                        Some(keys) if key == "$retainKeys" => keys.sort_by_key(Value::to_string),
                        _ => sort_retained(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(sort_retained),
            _ => {}
        }
    }

    #[test]
    fn finds_what_both_sides_changed() {
        let of = |a: i64, b: i64| json!({"spec": {"a": a, "b": b}});
        assert_eq!(conflict(&of(1, 1), &of(2, 1), &of(3, 1)).as_deref(), Some("spec.a"));
        assert_eq!(conflict(&of(1, 1), &of(2, 1), &of(1, 2)), None);
        assert_eq!(conflict(&of(1, 1), &of(2, 1), &of(2, 1)), None);
    }
}

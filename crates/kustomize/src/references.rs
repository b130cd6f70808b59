//! Names that other objects mention.

use serde_json::Value;

/// Follows renamed objects in the places that name them.
pub fn references(value: &mut Value, renamed: &[(String, String, String)]) {
    let rename = |kind: &str, place: &mut Value| {
        if let Some(name) = place.as_str()
            && let Some((_, _, new)) = renamed.iter().find(|(known, old, _)| known == kind && old == name)
        {
            *place = new.clone().into();
        }
    };
    match value {
        Value::Object(fields) => {
            for (field, inner) in fields.iter_mut() {
                match field.as_str() {
                    "configMap" | "configMapRef" | "configMapKeyRef" if inner.is_object() => {
                        rename("ConfigMap", &mut inner["name"])
                    }
                    "secretRef" | "secretKeyRef" if inner.is_object() => rename("Secret", &mut inner["name"]),
                    "secret" if inner.is_object() => {
                        for name in ["secretName", "name"] {
                            if inner.get(name).is_some() {
                                rename("Secret", &mut inner[name]);
                            }
                        }
                    }
                    "secretName" => rename("Secret", inner),
                    "serviceAccountName" => rename("ServiceAccount", inner),
                    "serviceName" => rename("Service", inner),
                    "claimName" => rename("PersistentVolumeClaim", inner),
                    "service" if inner.get("name").is_some() => rename("Service", &mut inner["name"]),
                    "roleRef" | "scaleTargetRef" => {
                        let kind = inner["kind"].as_str().unwrap_or("").to_string();
                        rename(&kind, &mut inner["name"]);
                    }
                    _ => {}
                }
                references(inner, renamed);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| references(item, renamed)),
        _ => {}
    }
}

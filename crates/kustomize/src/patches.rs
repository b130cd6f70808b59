//! Patches: which objects they are for, and what they change.

use apimachinery::object::ObjectExt;
use formats::yaml;
use patch::Merging;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::files::Files;

/// A change and the objects that it is for.
pub struct Patch {
    target: Value,
    change: Value,
}

/// Reads every patch of a kustomization.
pub(crate) fn patches(files: &Files<'_>, config: &Value) -> Result<Vec<Patch>> {
    let mut found = Vec::new();
    let mut add = |target: &Value, text: &str| -> Result<()> {
        for change in yaml::documents(text)? {
            let target = if target.is_object() {
                target.clone()
            } else {
                json!({"kind": change["kind"], "name": change["metadata"]["name"]})
            };
            found.push(Patch { target, change });
        }
        Ok(())
    };
    for field in ["patches", "patchesJson6902"] {
        for entry in config.list_at(&[field]) {
            let text = match entry["path"].as_str() {
                Some(path) => files.read_text(path)?,
                None => entry["patch"].as_str().unwrap_or("").to_string(),
            };
            add(&entry["target"], &text)?;
        }
    }
    for entry in config.list_at(&["patchesStrategicMerge"]).iter().filter_map(Value::as_str) {
        let text = if entry.contains('\n') { entry.to_string() } else { files.read_text(entry)? };
        add(&Value::Null, &text)?;
    }
    Ok(found)
}

impl Patch {
    fn matches(&self, object: &Value) -> bool {
        let same = |wanted: &Value, known: &str| {
            wanted.as_str().is_none_or(|wanted| wanted.is_empty() || wanted == known || wanted == ".*")
        };
        let (group, version) = object.api_version().split_once('/').unwrap_or(("", object.api_version()));
        let labels = self.target["labelSelector"].as_str().is_none_or(|selector| {
            apimachinery::labels::parse(selector)
                .is_ok_and(|selector| selector.matches_value(object["metadata"]["labels"].as_object()))
        });
        same(&self.target["kind"], object.kind())
            && same(&self.target["name"], object.name())
            && same(&self.target["namespace"], object.namespace())
            && same(&self.target["group"], group)
            && same(&self.target["version"], version)
            && labels
    }

    /// Changes every object that it is for.
    pub fn apply(&self, objects: &mut Vec<Value>) -> Result<()> {
        let mut hit = false;
        let mut removed = Vec::new();
        for (index, object) in objects.iter_mut().enumerate() {
            if !self.matches(object) {
                continue;
            }
            hit = true;
            if self.change.is_array() {
                patch::json_patch(object, &self.change)?;
            } else if self.change["$patch"] == "delete" {
                removed.push(index);
            } else {
                let (kind, name) = (object["kind"].clone(), object["metadata"]["name"].clone());
                *object = Merging::of(object).patched(object, &self.change)?;
                object.set_at(&["kind"], kind);
                object.set_at(&["metadata", "name"], name);
            }
        }
        for index in removed.into_iter().rev() {
            objects.remove(index);
        }
        if hit {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "no resource matches the patch for {} \"{}\"",
            self.target["kind"].as_str().unwrap_or(""),
            self.target["name"].as_str().unwrap_or("")
        )))
    }
}

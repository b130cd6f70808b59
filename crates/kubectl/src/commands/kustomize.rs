//! `kubectl kustomize` and `-k`: resources, names, namespaces, labels, images, generators and patches.

use std::path::Path;

use apimachinery::object::ObjectExt;
use base64::Engine;
use patch::Merging;
use serde_json::{Value, json};

use crate::cli::{Command, Flag, Invocation};
use crate::error::{Error, Result, go_io_error};
use formats::yaml;

/// Builds a kustomization.
pub static COMMAND: Command = Command {
    name: "kustomize",
    short: "Build a kustomization target from a directory or URL",
    long: "Build a set of KRM resources using a 'kustomization.yaml' file.\n\nThe argument is a local directory that holds the file; without one, the current directory.",
    examples: "
# This directory
kubectl kustomize

# Another
kubectl kustomize overlays/production",
    usage: "kustomize DIR [flags]",
    flags: &[&[
        Flag::switch("enable-helm", "Accepted for compatibility."),
        Flag::text("load-restrictor", "LoadRestrictionsRootOnly", "Accepted for compatibility."),
        Flag::text("output", "", "File to write to.").short('o'),
    ]],
    run: Some(|invocation| Box::pin(async move { run(&invocation) })),
    ..Command::NONE
};

fn run(invocation: &Invocation) -> Result<()> {
    let directory = match invocation.args.as_slice() {
        [] => ".",
        [directory] => directory,
        _ => return Err(Error::message("specify one path to kustomization.yaml")),
    };
    let text: Vec<String> = build(Path::new(directory))?.iter().map(formats::yaml::text).collect();
    let text = text.join("---\n");
    match invocation.text("output") {
        "" => out!("{text}"),
        path => std::fs::write(path, text)?,
    }
    Ok(())
}

/// The objects that the kustomization of a directory builds.
pub fn build(directory: &Path) -> Result<Vec<Value>> {
    build_at(directory, 0)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::message(format!("open {}: {}", path.display(), go_io_error(&error))))
}

fn build_at(directory: &Path, depth: usize) -> Result<Vec<Value>> {
    if depth > 32 {
        return Err(Error::message(format!("kustomizations include each other: {}", directory.display())));
    }
    let names = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
    let file = names.iter().map(|name| directory.join(name)).find(|path| path.exists()).ok_or_else(|| {
        Error::message(format!(
            "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{}'",
            std::path::absolute(directory).unwrap_or_default().display()
        ))
    })?;
    let config = yaml::one(&read(&file)?)?;
    let known = [
        "apiVersion",
        "kind",
        "metadata",
        "resources",
        "bases",
        "components",
        "namespace",
        "namePrefix",
        "nameSuffix",
        "commonLabels",
        "labels",
        "commonAnnotations",
        "images",
        "replicas",
        "patches",
        "patchesStrategicMerge",
        "patchesJson6902",
        "configMapGenerator",
        "secretGenerator",
        "generatorOptions",
    ];
    if let Some(field) = config
        .as_object()
        .into_iter()
        .flatten()
        .map(|(field, _)| field)
        .find(|field| !known.contains(&field.as_str()))
    {
        return Err(Error::message(format!("{}: the field {field} is not supported", file.display())));
    }
    let mut objects = Vec::new();
    for field in ["resources", "bases", "components"] {
        for entry in config.list_at(&[field]) {
            let path = directory.join(entry.as_str().unwrap_or(""));
            if path.is_dir() {
                objects.extend(build_at(&path, depth + 1)?);
            } else {
                objects.extend(
                    yaml::documents(&read(&path)?)
                        .map_err(|error| Error::message(format!("{}: {error}", path.display())))?,
                );
            }
        }
    }
    let mut renamed: Vec<(String, String, String)> = Vec::new();
    for (field, kind) in [("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")] {
        for generator in config.list_at(&[field]) {
            let object = generate(directory, &config, generator, kind)?;
            let plain = generator["name"].as_str().unwrap_or("").to_string();
            renamed.push((kind.into(), plain, object.name().to_string()));
            objects.push(object);
        }
    }
    for patch in patches(directory, &config)? {
        patch.apply(&mut objects)?;
    }
    let affix = |name: &str| {
        format!(
            "{}{name}{}",
            config["namePrefix"].as_str().unwrap_or(""),
            config["nameSuffix"].as_str().unwrap_or("")
        )
    };
    for object in &mut objects {
        transform(&config, object);
        if !matches!(object.kind(), "Namespace" | "CustomResourceDefinition") && !affix("").is_empty() {
            let name = object.name().to_string();
            let new = affix(&name);
            if let Some(entry) =
                renamed.iter_mut().find(|(kind, _, new)| *kind == object.kind() && *new == name)
            {
                entry.2.clone_from(&new);
            } else {
                renamed.push((object.kind().to_string(), name, new.clone()));
            }
            object["metadata"]["name"] = new.into();
        }
    }
    for object in &mut objects {
        references(object, &renamed);
    }
    Ok(objects)
}

fn generate(directory: &Path, config: &Value, generator: &Value, kind: &str) -> Result<Value> {
    let name = generator["name"].as_str().unwrap_or("");
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
    let mut add = |key: &str, value: &[u8]| {
        let encoded = || base64::engine::general_purpose::STANDARD.encode(value);
        match (kind, std::str::from_utf8(value)) {
            ("ConfigMap", Ok(text)) => object["data"][key] = text.into(),
            ("ConfigMap", Err(_)) => object["binaryData"][key] = encoded().into(),
            _ => object["data"][key] = encoded().into(),
        }
    };
    for literal in generator.list_at(&["literals"]).iter().filter_map(Value::as_str) {
        let (key, value) =
            literal.split_once('=').ok_or_else(|| Error::message(format!("invalid literal {literal}")))?;
        add(key, value.trim_matches(['"', '\'']).as_bytes());
    }
    for file in generator.list_at(&["files"]).iter().filter_map(Value::as_str) {
        let (key, path) = file.split_once('=').unwrap_or((file.rsplit('/').next().unwrap_or(file), file));
        let bytes = std::fs::read(directory.join(path))
            .map_err(|error| Error::message(format!("open {path}: {}", go_io_error(&error))))?;
        add(key, &bytes);
    }
    for file in generator.list_at(&["envs"]).iter().filter_map(Value::as_str) {
        for line in read(&directory.join(file))?
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            add(key, value.as_bytes());
        }
    }
    if kind == "Secret" {
        object["type"] = generator["type"].as_str().unwrap_or("Opaque").into();
    }
    if !generator["namespace"].is_null() {
        object["metadata"]["namespace"] = generator["namespace"].clone();
    }
    let options = [&config["generatorOptions"], &generator["options"]];
    for option in options {
        for field in ["labels", "annotations"] {
            for (key, value) in option[field].as_object().into_iter().flatten() {
                object["metadata"][field][key] = value.clone();
            }
        }
    }
    if !options.iter().any(|options| options["disableNameSuffixHash"] == true) {
        let mut content = json!({"kind": kind, "name": name, "data": object["data"]});
        if content["data"].is_null() {
            content["data"] = "".into();
        }
        if kind == "Secret" {
            content["type"] = object["type"].clone();
        } else if !object["binaryData"].is_null() {
            content["binaryData"] = object["binaryData"].clone();
        }
        object["metadata"]["name"] = format!("{name}-{}", super::create::configmap::hash(&content)).into();
    }
    Ok(object)
}

struct Patch {
    target: Value,
    change: Value,
}

fn patches(directory: &Path, config: &Value) -> Result<Vec<Patch>> {
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
                Some(path) => read(&directory.join(path))?,
                None => entry["patch"].as_str().unwrap_or("").to_string(),
            };
            add(&entry["target"], &text)?;
        }
    }
    for entry in config.list_at(&["patchesStrategicMerge"]).iter().filter_map(Value::as_str) {
        let text = if entry.contains('\n') { entry.to_string() } else { read(&directory.join(entry))? };
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

    fn apply(&self, objects: &mut Vec<Value>) -> Result<()> {
        let mut hit = false;
        let mut removed = Vec::new();
        for (index, object) in objects.iter_mut().enumerate() {
            if !self.matches(object) {
                continue;
            }
            hit = true;
            if self.change.is_array() {
                *object = super::change::locally(object, crate::client::JSON_PATCH, &self.change)?;
            } else if self.change["$patch"] == "delete" {
                removed.push(index);
            } else {
                let (kind, name) = (object["kind"].clone(), object["metadata"]["name"].clone());
                *object = Merging::of(object).patched(object, &self.change)?;
                object["kind"] = kind;
                object["metadata"]["name"] = name;
            }
        }
        for index in removed.into_iter().rev() {
            objects.remove(index);
        }
        if hit {
            return Ok(());
        }
        Err(Error::message(format!(
            "no resource matches the patch for {} \"{}\"",
            self.target["kind"].as_str().unwrap_or(""),
            self.target["name"].as_str().unwrap_or("")
        )))
    }
}

const CLUSTER_WIDE: &[&str] = &[
    "Namespace",
    "Node",
    "PersistentVolume",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "StorageClass",
    "PriorityClass",
    "IngressClass",
    "RuntimeClass",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "CSIDriver",
    "VolumeAttributesClass",
];

fn transform(config: &Value, object: &mut Value) {
    let kind = object.kind().to_string();
    if let Some(namespace) = config["namespace"].as_str() {
        if kind == "Namespace" {
            object["metadata"]["name"] = namespace.into();
        } else if !CLUSTER_WIDE.contains(&kind.as_str()) {
            object["metadata"]["namespace"] = namespace.into();
        }
        for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
            if subject["kind"] == "ServiceAccount" {
                subject["namespace"] = namespace.into();
            }
        }
    }
    let template = |kind: &str| {
        matches!(
            kind,
            "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" | "Job" | "ReplicationController"
        )
    };
    let mut label = |labels: &Value, selectors: bool, templates: bool| {
        for (key, value) in labels.as_object().into_iter().flatten() {
            object["metadata"]["labels"][key] = value.clone();
            if templates && template(&kind) {
                object["spec"]["template"]["metadata"]["labels"][key] = value.clone();
            }
            if selectors && template(&kind) && kind != "Job" {
                object["spec"]["selector"]["matchLabels"][key] = value.clone();
            }
            if selectors && kind == "Service" && object["spec"]["selector"].is_object() {
                object["spec"]["selector"][key] = value.clone();
            }
        }
    };
    label(&config["commonLabels"], true, true);
    for entry in config.list_at(&["labels"]) {
        let selectors = entry["includeSelectors"] == true;
        label(&entry["pairs"], selectors, selectors || entry["includeTemplates"] == true);
    }
    for (key, value) in config["commonAnnotations"].as_object().into_iter().flatten() {
        object["metadata"]["annotations"][key] = value.clone();
        if template(&kind) {
            object["spec"]["template"]["metadata"]["annotations"][key] = value.clone();
        }
    }
    for entry in config.list_at(&["replicas"]) {
        if entry["name"] == object.name()
            && matches!(kind.as_str(), "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController")
        {
            object["spec"]["replicas"] = entry["count"].clone();
        }
    }
    images(object, config.list_at(&["images"]));
}

fn images(value: &mut Value, changes: &[Value]) {
    match value {
        Value::Object(fields) => {
            for (field, inner) in fields.iter_mut() {
                if matches!(field.as_str(), "containers" | "initContainers") {
                    for container in inner.as_array_mut().into_iter().flatten() {
                        if let Some(image) = container["image"].as_str() {
                            container["image"] = changed_image(image, changes).into();
                        }
                    }
                } else {
                    images(inner, changes);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| images(item, changes)),
        _ => {}
    }
}

fn changed_image(image: &str, changes: &[Value]) -> String {
    let (base, digest) = image.split_once('@').map_or((image, None), |(base, digest)| (base, Some(digest)));
    let (name, tag) = match base.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (base, None),
    };
    let Some(change) = changes.iter().find(|change| change["name"] == name) else { return image.to_string() };
    let new = change["newName"].as_str().unwrap_or(name);
    match (change["digest"].as_str(), change["newTag"].as_str(), digest, tag) {
        (Some(digest), ..) => format!("{new}@{digest}"),
        (None, Some(tag), ..) => format!("{new}:{tag}"),
        (None, None, Some(digest), _) => format!("{new}@{digest}"),
        (None, None, None, Some(tag)) => format!("{new}:{tag}"),
        _ => new.to_string(),
    }
}

/// Follows renamed objects in the places that name them.
fn references(value: &mut Value, renamed: &[(String, String, String)]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kustomization_is_built() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write(
            "deploy.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n  template:\n    spec:\n      containers:\n      - {name: c, image: nginx:1, envFrom: [{configMapRef: {name: conf}}]}\n",
        );
        write(
            "kustomization.yaml",
            "namePrefix: a-\nnamespace: team\nresources: [deploy.yaml]\nimages:\n- {name: nginx, newTag: '2'}\nreplicas:\n- {name: web, count: 3}\nconfigMapGenerator:\n- name: conf\n  literals: [x=1]\n",
        );
        let objects = build(directory.path()).unwrap();
        let deployment = &objects[0];
        assert_eq!(deployment["metadata"]["name"], "a-web");
        assert_eq!(deployment["metadata"]["namespace"], "team");
        assert_eq!(deployment["spec"]["replicas"], 3);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "nginx:2");
        assert_eq!(container["envFrom"][0]["configMapRef"]["name"], objects[1]["metadata"]["name"]);
        assert!(objects[1].name().starts_with("a-conf-"));
    }
}

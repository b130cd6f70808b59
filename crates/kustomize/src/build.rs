//! Building a directory: what it names, then what it generates, patches, transforms and renames.

use std::path::Path;

use apimachinery::object::ObjectExt;
use formats::yaml;
use serde_json::Value;

use crate::error::{Error, Result, read_text};
use crate::files::{Files, Restriction};
use crate::generate::generate;
use crate::order;
use crate::patches::patches;
use crate::references::references;
use crate::transform::transform;

/// The objects that the kustomization of a directory builds, from files that may lie where the restriction says.
pub fn build(directory: &Path, restriction: Restriction) -> Result<Vec<Value>> {
    let mut objects = build_at(&Files { directory, restriction }, 0)?;
    order::sort(&mut objects);
    Ok(objects)
}

fn build_at(files: &Files<'_>, depth: usize) -> Result<Vec<Value>> {
    let directory = files.directory;
    if depth > 32 {
        return Err(Error::invalid(format!("kustomizations include each other: {}", directory.display())));
    }
    let names = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
    let file = names.iter().map(|name| directory.join(name)).find(|path| path.exists()).ok_or_else(|| {
        Error::invalid(format!(
            "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{}'",
            std::path::absolute(directory).unwrap_or_default().display()
        ))
    })?;
    let config = yaml::one(&read_text(&file)?)?;
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
        return Err(Error::invalid(format!("{}: the field {field} is not supported", file.display())));
    }
    let mut objects = Vec::new();
    for field in ["resources", "bases", "components"] {
        for entry in config.list_at(&[field]) {
            let name = entry.as_str().unwrap_or("");
            let path = directory.join(name);
            if path.is_dir() {
                let inner = Files { directory: &path, restriction: files.restriction };
                objects.extend(build_at(&inner, depth + 1)?);
            } else {
                objects.extend(
                    yaml::documents(&files.read_text(name)?)
                        .map_err(|reason| Error::Syntax { path: path.clone(), reason })?,
                );
            }
        }
    }
    let mut renamed: Vec<(String, String, String)> = Vec::new();
    for (field, kind) in [("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")] {
        for generator in config.list_at(&[field]) {
            let object = generate(files, &config, generator, kind)?;
            let plain = generator["name"].as_str().unwrap_or("").to_string();
            renamed.push((kind.into(), plain, object.name().to_string()));
            objects.push(object);
        }
    }
    for patch in patches(files, &config)? {
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
            object.set_at(&["metadata", "name"], new.into());
        }
    }
    for object in &mut objects {
        references(object, &renamed);
    }
    Ok(objects)
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
        let objects = build(directory.path(), Restriction::RootOnly).unwrap();
        let (map, deployment) = (&objects[0], &objects[1]);
        assert_eq!(deployment["metadata"]["name"], "a-web");
        assert_eq!(deployment["metadata"]["namespace"], "team");
        assert_eq!(deployment["spec"]["replicas"], 3);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "nginx:2");
        assert_eq!(container["envFrom"][0]["configMapRef"]["name"], map["metadata"]["name"]);
        assert!(map.name().starts_with("a-conf-"));
    }

    #[test]
    fn files_outside_of_a_kustomization_are_not_read_unless_that_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("inside");
        std::fs::create_dir_all(inside.join("base")).unwrap();
        std::fs::write(directory.path().join("secret"), "word").unwrap();
        std::os::unix::fs::symlink("../secret", inside.join("link")).unwrap();
        let outside = directory.path().join("secret").display().to_string();
        for name in ["../secret", "link", "base/../../secret", &outside] {
            for text in [
                format!("resources: ['{name}']"),
                format!("configMapGenerator: [{{name: m, files: [a={name}]}}]"),
                format!("secretGenerator: [{{name: m, envs: ['{name}']}}]"),
                format!("patches: [{{path: '{name}'}}]"),
                format!("patchesStrategicMerge: ['{name}']"),
            ] {
                std::fs::write(inside.join("kustomization.yaml"), &text).unwrap();
                let error = build(&inside, Restriction::RootOnly).unwrap_err().to_string();
                assert!(
                    error.starts_with("security; file '") && error.contains("/secret' is not in or below '"),
                    "{text}: {error}"
                );
            }
        }
        // Another kustomization may be anywhere; its files are its own.
        std::fs::write(
            directory.path().join("kustomization.yaml"),
            "configMapGenerator: [{name: m, files: [secret]}]",
        )
        .unwrap();
        std::fs::write(inside.join("base/kustomization.yaml"), "resources: [../..]").unwrap();
        assert_eq!(build(&inside.join("base"), Restriction::RootOnly).unwrap()[0]["data"]["secret"], "word");
        std::fs::write(
            inside.join("kustomization.yaml"),
            "configMapGenerator: [{name: m, files: [../secret]}]",
        )
        .unwrap();
        assert_eq!(build(&inside, Restriction::None).unwrap()[0]["data"]["secret"], "word");
        assert!(Restriction::named("none").is_err());
    }
}

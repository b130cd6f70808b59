//! What a class says beyond what is the driver's: the file system, and the secrets for each step.

use provisioning::objects::{Claim, SecretRef, StorageClass};
use std::collections::BTreeMap;

/// What begins like this is said to the sidecar and not to the driver.
const OWN: &str = "csi.storage.k8s.io/";

/// The steps that may have a secret, each with its older name in a class's parameters.
const STEPS: [(Step, &str); 6] = [
    (Step::Provisioner, "provisioner"),
    (Step::ControllerPublish, "controller-publish"),
    (Step::ControllerExpand, "controller-expand"),
    (Step::NodeStage, "node-stage"),
    (Step::NodePublish, "node-publish"),
    (Step::NodeExpand, "node-expand"),
];

/// A step for which a driver may want a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Making and deleting.
    Provisioner,
    /// Attaching and detaching.
    ControllerPublish,
    /// Making larger.
    ControllerExpand,
    /// Mounting for a node.
    NodeStage,
    /// Mounting for a pod.
    NodePublish,
    /// Growing what is in it.
    NodeExpand,
}

/// A class's parameters, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// What the driver is told.
    pub driver: BTreeMap<String, String>,
    /// The file system; empty leaves it open.
    pub fs_type: String,
    /// Secrets by step.
    pub secrets: BTreeMap<Step, SecretRef>,
}

/// Sorts a class's parameters for one claim and the volume that is made for it.
pub fn read(class: &StorageClass, claim: &Claim, volume: &str) -> Result<Parameters, String> {
    let mut parameters = Parameters::default();
    for (key, value) in &class.parameters {
        match key.strip_prefix(OWN) {
            None if key == "fstype" => parameters.fs_type.clone_from(value),
            None => drop(parameters.driver.insert(key.clone(), value.clone())),
            Some("fstype") => parameters.fs_type.clone_from(value),
            Some(own) if is_secret(own) => {}
            Some(_) => {
                return Err(format!("found unknown parameter key \"{key}\" with reserved namespace {OWN}"));
            }
        }
    }
    for (step, name) in STEPS {
        let of = |part: &str| class.parameters.get(&format!("{OWN}{name}-secret-{part}"));
        match (of("name"), of("namespace")) {
            (None, None) => {}
            (Some(secret), Some(namespace)) => {
                let secret = SecretRef {
                    name: resolve(secret, claim, volume)?,
                    namespace: resolve(namespace, claim, volume)?,
                };
                parameters.secrets.insert(step, secret);
            }
            _ => {
                return Err(format!(
                    "either name and namespace for {name} secrets specified, both must be specified"
                ));
            }
        }
    }
    Ok(parameters)
}

fn is_secret(own: &str) -> bool {
    STEPS.iter().any(|(_, name)| {
        own.strip_prefix(name).is_some_and(|rest| matches!(rest, "-secret-name" | "-secret-namespace"))
    })
}

/// Fills in what may stand for a volume's and a claim's names.
fn resolve(template: &str, claim: &Claim, volume: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| format!("error resolving value {template:?}: no closing brace"))?;
        text += before;
        text += match name {
            "pv.name" => volume,
            "pvc.name" => &claim.metadata.name,
            "pvc.namespace" => &claim.metadata.namespace,
            _ => {
                let key = name.strip_prefix("pvc.annotations['").and_then(|name| name.strip_suffix("']"));
                let value = key.and_then(|key| claim.metadata.annotations.get(key));
                value.ok_or_else(|| format!("error resolving value {template:?}: {name} is not known"))?
            }
        };
        rest = after;
    }
    Ok(text + rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim() -> Claim {
        serde_json::from_value(
            json!({"metadata": {"name": "data", "namespace": "web", "annotations": {"team": "a"}}}),
        )
        .unwrap()
    }

    fn read(parameters: serde_json::Value) -> Result<Parameters, String> {
        let class = serde_json::from_value(json!({"parameters": parameters})).unwrap();
        super::read(&class, &claim(), "pvc-1")
    }

    #[test]
    fn the_driver_is_told_what_is_its_own() {
        let read = read(json!({"pool": "fast", "csi.storage.k8s.io/fstype": "xfs",
            "csi.storage.k8s.io/node-stage-secret-name": "${pvc.name}-${pvc.annotations['team']}",
            "csi.storage.k8s.io/node-stage-secret-namespace": "${pvc.namespace}"}))
        .unwrap();
        assert_eq!(read.driver, BTreeMap::from([("pool".to_owned(), "fast".to_owned())]));
        assert_eq!(read.fs_type, "xfs");
        let secret = SecretRef { namespace: "web".into(), name: "data-a".into() };
        assert_eq!(read.secrets, BTreeMap::from([(Step::NodeStage, secret)]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(read(json!({"csi.storage.k8s.io/fs": "xfs"})).unwrap_err().contains("unknown parameter key"));
        assert!(read(json!({"csi.storage.k8s.io/provisioner-secret-name": "s"})).is_err());
        let secret = |name: &str| {
            read(json!({"csi.storage.k8s.io/provisioner-secret-name": name,
                "csi.storage.k8s.io/provisioner-secret-namespace": "n"}))
        };
        assert!(secret("${pvc.annotations['no']}").is_err());
        assert!(secret("${pv.name").is_err());
        assert_eq!(secret("${pv.name}").unwrap().secrets[&Step::Provisioner].name, "pvc-1");
    }
}

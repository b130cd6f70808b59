//! CSIDrivers, CSINodes, CSIStorageCapacities, VolumeAttachments and VolumeAttributesClasses.

use serde_json::Value;

use pod_strategy::resources::quantity;
use pod_strategy::warnings;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::selectors;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of CSIDrivers.
pub struct CsiDriver;
/// The rules of CSINodes.
pub struct CsiNode;
/// The rules of CSIStorageCapacities.
pub struct CsiStorageCapacity;
/// The rules of VolumeAttachments.
pub struct VolumeAttachment;
/// The rules of VolumeAttributesClasses.
pub struct VolumeAttributesClass;

const SPEC: Path<'static> = Path::root("spec");

fn validate_driver_name(name: &str, path: &Path, errors: &mut Errors) {
    if name.is_empty() {
        errors.required(path, "");
        return;
    }
    if name.len() > 63 {
        errors.too_long(path, 63);
    }
    errors.invalid_each(path, &Value::from(name), names::errors(NameRule::Subdomain, &name.to_lowercase()));
}

impl Strategy for CsiDriver {
    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn keeps(&self) -> Keeps {
        Keeps::Generation
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        write::missing(spec, "attachRequired", true);
        write::missing(spec, "podInfoOnMount", false);
        write::missing(spec, "storageCapacity", false);
        write::missing(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
        if spec.items("volumeLifecycleModes").is_empty() {
            write::set(spec, "volumeLifecycleModes", serde_json::json!(["Persistent"]));
        }
        write::missing(spec, "requiresRepublish", false);
        write::missing(spec, "seLinuxMount", false);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_driver_name(object["metadata"].text("name"), &Path::root("metadata.name"), errors);
        let spec = &object["spec"];
        if !spec.has("attachRequired") {
            errors.required(&SPEC.child("attachedRequired"), "");
        }
        let policy = spec.text("fsGroupPolicy");
        if !matches!(policy, "ReadWriteOnceWithFSType" | "File" | "None") {
            errors.unsupported(
                &SPEC.child("fsGroupPolicy"),
                policy,
                &["File", "None", "ReadWriteOnceWithFSType"],
            );
        }
        for mode in spec.items("volumeLifecycleModes") {
            if mode != "Persistent" && mode != "Ephemeral" {
                errors.unsupported(
                    &SPEC.child("volumeLifecycleModes"),
                    mode.clone(),
                    &["Ephemeral", "Persistent"],
                );
            }
        }
        const PERIOD: &str = "nodeAllocatableUpdatePeriodSeconds";
        if let Some(seconds) = spec.int(PERIOD).filter(|seconds| *seconds < 10) {
            errors.invalid(&SPEC.child(PERIOD), seconds, "must be greater than or equal to 10 seconds");
        }
        let tokens = spec.items("tokenRequests");
        for (index, token) in tokens.iter().enumerate() {
            let list_path = SPEC.child("tokenRequests");
            let path = list_path.index(index);
            if tokens[..index].iter().any(|other| other.text("audience") == token.text("audience")) {
                errors.duplicate(&path.child("audience"), token.text("audience"));
            }
            if let Some(seconds) = token.int("expirationSeconds").filter(|seconds| *seconds < 600) {
                errors.invalid(
                    &path.child("expirationSeconds"),
                    seconds,
                    "may not specify a duration less than 10 minutes",
                );
            }
            if let Some(seconds) = token.int("expirationSeconds").filter(|seconds| *seconds > 1 << 32) {
                errors.invalid(
                    &path.child("expirationSeconds"),
                    seconds,
                    "may not specify a duration larger than 2^32 seconds",
                );
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        for key in ["attachRequired", "volumeLifecycleModes"] {
            errors.immutable(&SPEC.child(key), &new["spec"][key], &old["spec"][key]);
        }
    }
}

impl Strategy for CsiNode {
    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let drivers = object["spec"].items("drivers");
        for (index, driver) in drivers.iter().enumerate() {
            let list_path = SPEC.child("drivers");
            let path = list_path.index(index);
            let name = driver.text("name");
            validate_driver_name(name, &path.child("name"), errors);
            let id = driver.text("nodeID");
            if id.is_empty() {
                errors.required(&path.child("nodeID"), "");
            } else if id.len() > 192 {
                errors.too_long(&path.child("nodeID"), 192);
            }
            if let Some(count) = driver["allocatable"].int("count").filter(|count| *count < 0) {
                errors.invalid(
                    &path.child("allocatable").child("count"),
                    count,
                    "must be greater than or equal to 0",
                );
            }
            let keys = driver.items("topologyKeys");
            for (index, key) in keys.iter().enumerate() {
                let found = names::qualified_name_errors(key.as_str().unwrap_or_default());
                errors.invalid_each(&path, key, found);
                if keys[..index].contains(key) {
                    errors.duplicate(&path.child("topologyKeys"), key.clone());
                }
            }
            if drivers[..index].iter().any(|other| other.text("name") == name) {
                errors.duplicate(&path.child("name"), name);
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        for before in old["spec"].items("drivers") {
            let after =
                new["spec"].items("drivers").iter().find(|driver| driver.text("name") == before.text("name"));
            let mut comparable = after.cloned().unwrap_or(Value::Null);
            // How many volumes a node takes may be learned anew.
            if after.is_some() {
                write::copy(&mut comparable, "allocatable", before);
            }
            if after.is_some() && !same(&comparable, before) {
                errors.invalid(&Path::root("CSINodeDriver"), comparable, "field is immutable");
            }
        }
    }
}

impl Strategy for CsiStorageCapacity {
    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        selectors::validate(&object["nodeTopology"], &Path::root("nodeTopology"), errors);
        let class = object.text("storageClassName");
        let path = Path::root("storageClassName");
        errors.invalid_each(&path, &Value::from(class), names::errors(NameRule::Subdomain, class));
        for key in ["capacity", "maximumVolumeSize"] {
            if quantity(&object[key]).is_some_and(|amount| amount.sign() < 0) {
                errors.invalid(&Path::root(key), object[key].clone(), "must be greater than or equal to 0");
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        for key in ["nodeTopology", "storageClassName"] {
            errors.immutable(&Path::root(key), &new[key], &old[key]);
        }
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        capacity_warnings(object)
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        capacity_warnings(new)
    }
}

fn capacity_warnings(capacity: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let topology = &capacity["nodeTopology"];
    warnings::node_term(topology, "nodeTopology", &mut found);
    for (label, _) in topology.entries("matchLabels") {
        if let Some(advice) = warnings::old_node_label(label) {
            found.push(format!("nodeTopology.matchLabels.{label}: {advice}"));
        }
    }
    found
}

impl Strategy for VolumeAttachment {
    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn status_alone(&self) -> bool {
        true
    }

    fn prepare_for_create(&self, object: &mut Value) {
        write::set(object, "status", serde_json::json!({"attached": false}));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        validate_driver_name(spec.text("attacher"), &SPEC.child("attacher"), errors);
        let source = &spec["source"];
        let path = SPEC.child("source");
        match (source.has("inlineVolumeSpec"), source.has("persistentVolumeName")) {
            (false, false) => {
                errors
                    .required(&path, "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
            }
            (true, true) => errors
                .forbidden(&path, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"),
            (false, true) if source.text("persistentVolumeName").is_empty() => {
                errors.required(
                    &path.child("persistentVolumeName"),
                    "must specify non empty persistentVolumeName",
                );
            }
            _ => {}
        }
        let node = spec.text("nodeName");
        let found = names::errors(NameRule::Subdomain, node);
        errors.invalid_each(&SPEC.child("nodeName"), &Value::from(node), found);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        if !same(&new["spec"], &old["spec"]) {
            errors.invalid(&SPEC, new["spec"].clone(), "field is immutable");
        }
    }
}

impl Strategy for VolumeAttributesClass {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_driver_name(object.text("driverName"), &Path::root("driverName"), errors);
        if object.entries("parameters").next().is_none() {
            errors.required(&Path::root("parameters"), "must contain at least one key/value pair");
        }
        crate::storage_class::validate_parameters(object, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        for key in ["driverName", "parameters"] {
            if !same(&new[key], &old[key]) {
                errors.forbidden(&Path::root(key), format!("updates to {key} are forbidden."));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::{created, updated};

    #[test]
    fn old_node_labels_are_told_of_where_they_are() {
        let (old, label) = ("beta.kubernetes.io/os", "beta.kubernetes.io/arch");
        let topology = json!({"matchLabels": {old: "linux", "a": "b"}, "matchExpressions": [{"key": label, "operator": "Exists"}]});
        assert_eq!(
            CsiStorageCapacity.create_warnings(&json!({ "nodeTopology": topology })).join("|"),
            "nodeTopology.matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use \"kubernetes.io/arch\" instead|nodeTopology.matchLabels.beta.kubernetes.io/os: deprecated since v1.14; use \"kubernetes.io/os\" instead"
        );
        assert_eq!(
            crate::runtime_class::RuntimeClass
                .create_warnings(&json!({"scheduling": {"nodeSelector": {old: "linux"}}})),
            ["scheduling.nodeSelector: deprecated since v1.14; use \"kubernetes.io/os\" instead"]
        );
    }

    #[test]
    fn attachments_name_one_volume() {
        let attachment =
            |source: Value| json!({"spec": {"attacher": "a.example", "nodeName": "w1", "source": source}});
        assert_eq!(created(&VolumeAttachment, attachment(json!({"persistentVolumeName": "v"}))), "");
        assert!(created(&VolumeAttachment, attachment(json!({}))).contains("must specify exactly one of"));
        assert!(
            updated(
                &VolumeAttachment,
                attachment(json!({"persistentVolumeName": "w"})),
                attachment(json!({"persistentVolumeName": "v"}))
            )
            .ends_with("field is immutable")
        );
    }

    #[test]
    fn drivers_have_names() {
        assert_eq!(created(&CsiDriver, json!({"metadata": {"name": "a.example"}})), "");
        assert_eq!(
            created(&CsiNode, json!({"spec": {"drivers": [{"name": "a.example"}]}})),
            "spec.drivers[0].nodeID: Required value"
        );
    }
}

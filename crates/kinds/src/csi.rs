//! CSIDrivers, CSINodes, CSIStorageCapacities, VolumeAttachments and VolumeAttributesClasses.

use serde_json::Value;

use crate::inline_volume;
use crate::storage_class::{validate_parameters, validate_provisioner};
use pod_strategy::resources::quantity;
use pod_strategy::volume_defaults;
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
const LONGEST_NODE_ID: usize = 256;
/// Bytes of what an attacher tells for those who mount.
const LONGEST_FACTS: usize = 256 * 1024;
const LONGEST_MESSAGE: usize = 1024;

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
        validate_tokens(spec.items("tokenRequests"), &SPEC.child("tokenRequests"), errors);
        for mode in spec.items("volumeLifecycleModes") {
            if mode != "Persistent" && mode != "Ephemeral" {
                errors.unsupported(
                    &SPEC.child("volumeLifecycleModes"),
                    mode.clone(),
                    &["Persistent", "Ephemeral"],
                );
            }
        }
        const PERIOD: &str = "nodeAllocatableUpdatePeriodSeconds";
        if let Some(seconds) = spec.int(PERIOD).filter(|seconds| *seconds < 10) {
            errors.invalid(&SPEC.child(PERIOD), seconds, "must be greater than or equal to 10 seconds");
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        // Upstream's name of the first.
        for (key, told) in
            [("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes")]
        {
            errors.immutable(&SPEC.child(told), &new["spec"][key], &old["spec"][key]);
        }
    }
}

/// Validates the tokens that a driver wants, one for each audience. One that is there twice is not looked at further.
fn validate_tokens(tokens: &[Value], path: &Path, errors: &mut Errors) {
    for (index, token) in tokens.iter().enumerate() {
        let path = path.index(index);
        if tokens[..index].iter().any(|other| other.text("audience") == token.text("audience")) {
            errors.duplicate(&path.child("audience"), token.text("audience"));
            continue;
        }
        let why = match token.int("expirationSeconds") {
            Some(seconds) if seconds < 600 => "may not specify a duration less than 10 minutes",
            Some(seconds) if seconds > 1 << 32 => "may not specify a duration larger than 2^32 seconds",
            _ => continue,
        };
        errors.invalid(&path.child("expirationSeconds"), token["expirationSeconds"].clone(), why);
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
            } else if id.len() > LONGEST_NODE_ID {
                let why = format!("must be {LONGEST_NODE_ID} characters or less");
                errors.invalid(&path.child("nodeID"), id, why);
            }
            if let Some(count) = driver["allocatable"].int("count").filter(|count| *count < 0) {
                errors.invalid(
                    &path.child("allocatable").child("count"),
                    count,
                    "must be greater than or equal to 0",
                );
            }
            if drivers[..index].iter().any(|other| other.text("name") == name) {
                errors.duplicate(&path.child("name"), name);
            }
            // Of the keys, upstream tells at the driver.
            let keys = driver.items("topologyKeys");
            for (index, key) in keys.iter().enumerate() {
                if key == "" {
                    errors.required(&path, "");
                }
                if keys[..index].contains(key) {
                    errors.duplicate(&path, key.clone());
                }
                let found = names::qualified_name_errors(key.as_str().unwrap_or_default());
                errors.invalid_each(&path, key, found);
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate(new, errors);
        for before in old["spec"].items("drivers") {
            let after =
                new["spec"].items("drivers").iter().find(|driver| driver.text("name") == before.text("name"));
            let Some(mut after) = after.cloned() else { continue };
            // How many volumes a node takes may be learned anew.
            let mut before = before.clone();
            for driver in [&mut after, &mut before] {
                write::remove(driver, "allocatable");
            }
            errors.immutable(&SPEC.child("drivers"), &after, &before);
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
        let capacity = &object["capacity"];
        if quantity(capacity).is_some_and(|amount| amount.sign() < 0) {
            errors.invalid(&Path::root("capacity"), capacity.clone(), "must be greater than or equal to 0");
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

    fn default(&self, object: &mut Value) {
        if let Some(spec) = write::object(object, "spec")
            && let Some(source) = write::object(spec, "source")
            && let Some(volume) = write::object(source, "inlineVolumeSpec")
        {
            volume_defaults::source(volume);
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_attachment(object, errors);
        let spec = &object["spec"];
        validate_driver_name(spec.text("attacher"), &SPEC.child("attacher"), errors);
        if spec["source"].has("persistentVolumeName") {
            let (name, path) = (spec["source"].text("persistentVolumeName"), SPEC.child("source"));
            let found = names::errors(NameRule::Subdomain, name);
            errors.invalid_each(&path.child("persistentVolumeName"), &Value::from(name), found);
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_attachment(new, errors);
        errors.immutable(&SPEC, &new["spec"], &old["spec"]);
    }

    fn validate_status_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        self.validate_update(new, old, errors);
    }
}

/// Validates what of an attachment was always asked for.
fn validate_attachment(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    if spec.text("attacher").is_empty() {
        errors.required(&SPEC.child("attacher"), "");
    }
    let source = &spec["source"];
    let path = SPEC.child("source");
    let one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (source.has("inlineVolumeSpec"), source.has("persistentVolumeName")) {
        (false, false) => errors.required(&path, one),
        (true, true) => errors.forbidden(&path, one),
        (true, false) => {
            inline_volume::validate(&source["inlineVolumeSpec"], &path.child("inlineVolumeSpec"), errors)
        }
        (false, true) if source.text("persistentVolumeName").is_empty() => errors
            .required(&path.child("persistentVolumeName"), "must specify non empty persistentVolumeName"),
        (false, true) => {}
    }
    let node = spec.text("nodeName");
    let found = names::errors(NameRule::Subdomain, node);
    errors.invalid_each(&SPEC.child("nodeName"), &Value::from(node), found);
    validate_attachment_status(&object["status"], errors);
}

fn validate_attachment_status(status: &Value, errors: &mut Errors) {
    const STATUS: Path<'static> = Path::root("status");
    let facts = status.entries("attachmentMetadata");
    let size: usize = facts.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if size > LONGEST_FACTS {
        errors.too_long(&STATUS.child("attachmentMetadata"), LONGEST_FACTS);
    }
    for key in ["attachError", "detachError"] {
        let (error, path) = (&status[key], STATUS.child(key));
        if error.text("message").len() > LONGEST_MESSAGE {
            // Upstream tells of the other bound.
            errors.too_long(&path.child("message"), LONGEST_FACTS);
        }
        if let Some(code) = error.int("errorCode").filter(|code| *code < 0) {
            errors.invalid(&path.child("errorCode"), code, "must be between 0 and 2147483647, inclusive");
        }
    }
}

impl Strategy for VolumeAttributesClass {
    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_provisioner(object.text("driverName"), &Path::root("driverName"), errors);
        validate_parameters(object, errors);
        if object.entries("parameters").next().is_none() {
            errors.required(&Path::root("parameters"), "must contain at least one key/value pair");
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        for key in ["driverName", "parameters"] {
            if !same(&new[key], &old[key]) {
                errors.forbidden(&Path::root(key), format!("updates to {key} are forbidden."));
            }
        }
        self.validate(new, errors);
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

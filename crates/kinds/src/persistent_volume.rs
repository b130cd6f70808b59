//! PersistentVolumes.

use serde_json::{Value, json};

use pod_strategy::defaults::round_up;
use pod_strategy::persistent_volume_claim::{
    validate_access_modes, validate_basic, validate_more_than_nothing,
};
use pod_strategy::volume_defaults;
use pod_strategy::volume_sources;
use pod_strategy::warnings;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::{Read, same};
use strategy::selectors;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of PersistentVolumes.
pub struct PersistentVolume;

const SPEC: Path<'static> = Path::root("spec");

const ATTRIBUTES: &str = "volumeAttributesClassName";

/// Sources of which nothing good will come.
const OLD_SOURCES: [(&str, &str); 6] = [
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// The fields of the spec that say where the volume is.
const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

impl Strategy for PersistentVolume {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn default(&self, object: &mut Value) {
        write::zero(write::ensure(object, "status"), "phase", "Pending");
        let spec = write::ensure(object, "spec");
        write::zero(spec, "persistentVolumeReclaimPolicy", "Retain");
        write::missing(spec, "volumeMode", "Filesystem");
        round_up(spec, "capacity");
        volume_defaults::source(spec);
    }

    fn prepare_for_create(&self, object: &mut Value) {
        write::set(object, "status", json!({"phase": "Pending"}));
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_spec(&object["spec"], errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], errors);
        let (spec, before) = (&new["spec"], &old["spec"]);
        let mut allowed = spec.clone();
        // A volume may learn later on which secret its expansion needs.
        if let Some(csi) = write::object(&mut allowed, "csi")
            && before.has("csi")
            && !before["csi"].has("controllerExpandSecretRef")
        {
            write::remove(csi, "controllerExpandSecretRef");
        }
        if SOURCES.iter().any(|source| !same(&allowed[*source], &before[*source])) {
            errors.forbidden(
                &SPEC.child("persistentvolumesource"),
                "spec.persistentvolumesource is immutable after creation\n",
            );
        }
        // Upstream leaves `spec` out of the paths that follow.
        errors.immutable(&Path::root("volumeMode"), &spec["volumeMode"], &before["volumeMode"]);
        if before.has("nodeAffinity")
            && !same(&renamed(&spec["nodeAffinity"], &before["nodeAffinity"]), &before["nodeAffinity"])
        {
            errors.invalid(
                &Path::root("nodeAffinity"),
                spec["nodeAffinity"].clone(),
                "field is immutable, except for updating from beta label to GA",
            );
        }
        if before.has(ATTRIBUTES) && !spec.has(ATTRIBUTES) {
            errors.forbidden(&SPEC.child(ATTRIBUTES), "update from non-nil value to nil is forbidden");
        }
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        volume_warnings(object)
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        volume_warnings(new)
    }
}

/// Writes down when the phase of a volume changed, where its writer did not.
pub(crate) fn date_phase(new: &mut Value, old: &Value, now: &str) {
    const SINCE: &str = "lastPhaseTransitionTime";
    let (status, before) = (&new["status"], &old["status"]);
    let changed = old.is_null() || status.text("phase") != before.text("phase");
    let said = status.has(SINCE) && status[SINCE] != before[SINCE];
    if changed && !said {
        write::set(write::ensure(new, "status"), SINCE, now);
    } else if !changed && !status.has(SINCE) && before.has(SINCE) {
        write::copy(write::ensure(new, "status"), SINCE, before);
    }
}

/// Labels of nodes by the names that they had before the ones that are kept.
const RENAMED: [(&str, &str); 5] = [
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
];

/// An affinity in which labels that were only given their newer names have the older ones again.
fn renamed(affinity: &Value, before: &Value) -> Value {
    let mut affinity = affinity.clone();
    let Some(required) = write::object(&mut affinity, "required") else { return affinity };
    let terms = before["required"].items("nodeSelectorTerms");
    for (term, before) in write::items(required, "nodeSelectorTerms").zip(terms) {
        let before = before.items("matchExpressions");
        for (expression, before) in write::items(term, "matchExpressions").zip(before) {
            let keys = (before.text("key"), expression.text("key"));
            if RENAMED.contains(&keys) {
                write::copy(expression, "key", before);
            }
        }
    }
    affinity
}

fn volume_warnings(volume: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let spec = &volume["spec"];
    for (annotation, advice) in [
        (
            "volume.beta.kubernetes.io/storage-class",
            "deprecated since v1.8; use \"storageClassName\" attribute instead",
        ),
        (
            "volume.beta.kubernetes.io/mount-options",
            "deprecated since v1.31; use \"mountOptions\" attribute instead",
        ),
    ] {
        if volume["metadata"]["annotations"].get(annotation).is_some() {
            found.push(format!("metadata.annotations[{annotation}]: {advice}"));
        }
    }
    if spec.text("persistentVolumeReclaimPolicy") == "Recycle" {
        found.push("spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.".to_owned());
    }
    for (index, term) in spec["nodeAffinity"]["required"].items("nodeSelectorTerms").iter().enumerate() {
        let path = format!("spec.nodeAffinity.required.nodeSelectorTerms[{index}]");
        warnings::node_term(term, &path, &mut found);
    }
    for (kind, why) in OLD_SOURCES {
        if spec.has(kind) {
            // Named as upstream names it there.
            let kind = if kind == "storageos" { "storageOS" } else { kind };
            found.push(format!("spec.{kind}: {why}"));
        }
    }
    warnings::fraction_of_bytes(&spec["capacity"]["storage"], "spec.capacity[storage]", &mut found);
    found
}

fn validate_spec(spec: &Value, errors: &mut Errors) {
    validate_access_modes(spec, &SPEC, "", errors);
    let capacity_path = SPEC.child("capacity");
    let capacity = &spec["capacity"];
    if capacity.as_object().is_none_or(serde_json::Map::is_empty) {
        errors.required(&capacity_path, "");
    }
    if capacity.get("storage").is_none() || spec.entries("capacity").count() > 1 {
        errors.unsupported(&capacity_path, capacity.clone(), &["storage"]);
    }
    for (name, value) in spec.entries("capacity") {
        let path = capacity_path.key(name);
        validate_basic(value, &path, errors);
        validate_more_than_nothing(value, &path, errors);
    }
    let policy = spec.text("persistentVolumeReclaimPolicy");
    if !matches!(policy, "Delete" | "Recycle" | "Retain") {
        errors.unsupported(
            &SPEC.child("persistentVolumeReclaimPolicy"),
            policy,
            &["Delete", "Recycle", "Retain"],
        );
    }
    if spec.has("nodeAffinity") {
        let path = SPEC.child("nodeAffinity");
        if spec["nodeAffinity"].has("required") {
            selectors::validate_node_selector(
                &spec["nodeAffinity"]["required"],
                &path.child("required"),
                errors,
            );
        } else {
            errors.required(&path.child("required"), "must specify required node constraints");
        }
    }
    let mut count = 0;
    for kind in SOURCES {
        if !spec.has(kind) {
            continue;
        }
        count += 1;
        // Upstream has two paths that are no fields, and lets flexVolume stand beside another.
        let path = match kind {
            "gcePersistentDisk" if count == 1 => SPEC.child("persistentDisk"),
            "cephfs" if count > 1 => SPEC.child("cephFS"),
            _ => SPEC.child(kind),
        };
        if count > 1 && kind != "flexVolume" {
            errors.forbidden(&path, "may not specify more than 1 volume type");
            continue;
        }
        volume_sources::validate(kind, &spec[kind], &path, errors);
        match kind {
            "local" if !spec.has("nodeAffinity") => {
                errors.required(&SPEC.child("nodeAffinity"), "Local volume requires node affinity");
            }
            "csi" => validate_csi(&spec["csi"], &path, errors),
            _ => {}
        }
    }
    if count == 0 {
        errors.required(&SPEC, "must specify a volume type");
    }
    let root = spec["hostPath"].text("path").split('/').all(|part| matches!(part, "" | "."));
    if spec.has("hostPath") && root && policy == "Recycle" {
        errors.forbidden(
            &SPEC.child("persistentVolumeReclaimPolicy"),
            "may not be 'recycle' for a hostPath mount of '/'",
        );
    }
    let class = spec.text("storageClassName");
    if !class.is_empty() {
        let found = names::errors(NameRule::Subdomain, class);
        errors.invalid_each(&SPEC.child("storageClassName"), &spec["storageClassName"], found);
    }
    if spec.has("volumeMode") && !matches!(spec.text("volumeMode"), "Block" | "Filesystem") {
        errors.unsupported(&SPEC.child("volumeMode"), spec.text("volumeMode"), &["Block", "Filesystem"]);
    }
    if spec.has(ATTRIBUTES) {
        let path = SPEC.child(ATTRIBUTES);
        if spec.text(ATTRIBUTES).is_empty() {
            errors.required(&path, "an empty string is disallowed");
        } else {
            let found = names::errors(NameRule::Subdomain, spec.text(ATTRIBUTES));
            errors.invalid_each(&path, &spec[ATTRIBUTES], found);
        }
        if !spec.has("csi") {
            errors.required(&SPEC.child("csi"), "has to be specified when using volumeAttributesClassName");
        }
    }
}

fn validate_csi(csi: &Value, path: &Path, errors: &mut Errors) {
    if csi.text("volumeHandle").is_empty() {
        errors.required(&path.child("volumeHandle"), "");
    }
    for key in [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ] {
        let path = path.child(key);
        for (part, rule) in [("name", NameRule::Subdomain), ("namespace", NameRule::Label)] {
            match csi[key].text(part) {
                _ if !csi.has(key) => {}
                "" => errors.required(&path.child(part), ""),
                name => errors.invalid_each(&path.child(part), &csi[key][part], names::errors(rule, name)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{agree, created, defaulted, updated};

    fn volume() -> Value {
        json!({"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}})
    }

    #[test]
    fn volumes_are_somewhere_and_stay_there() {
        assert_eq!(created(&PersistentVolume, volume()), "");
        let mut moved = volume();
        moved["spec"]["hostPath"]["path"] = json!("/y");
        assert!(
            updated(&PersistentVolume, moved, volume())
                .starts_with("spec.persistentvolumesource: Forbidden: ")
        );
        let mut root = volume();
        root["spec"]["hostPath"]["path"] = json!("/./");
        root["spec"]["persistentVolumeReclaimPolicy"] = json!("Recycle");
        root["spec"]["volumeAttributesClassName"] = json!("");
        assert_eq!(
            created(&PersistentVolume, root),
            "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'\nspec.volumeAttributesClassName: Required value: an empty string is disallowed\nspec.csi: Required value: has to be specified when using volumeAttributesClassName"
        );
        let mut block = volume();
        block["spec"]["volumeMode"] = json!("Block");
        assert_eq!(
            updated(&PersistentVolume, block, volume()),
            "volumeMode: Invalid value: \"Block\": field is immutable"
        );
        let mut nowhere = volume();
        nowhere["spec"]["hostPath"] = Value::Null;
        assert_eq!(created(&PersistentVolume, nowhere), "spec: Required value: must specify a volume type");
    }

    #[test]
    fn one_source_and_some_capacity() {
        let with = |change: Value| {
            let mut volume = volume();
            for (key, value) in change.as_object().unwrap() {
                volume["spec"][key] = value.clone();
            }
            volume
        };
        let only = |change: Value| {
            let mut volume = with(change);
            volume["spec"]["hostPath"] = Value::Null;
            volume
        };
        let cases = [
            (only(json!({"gcePersistentDisk": {}})), "spec.persistentDisk.pdName: Required value"),
            (with(json!({"flexVolume": {"driver": "a/b"}})), ""),
            (with(json!({"cephfs": {}})), "spec.cephFS: Forbidden: may not specify more than 1 volume type"),
            (
                with(json!({"csi": {}, "local": {}})),
                "spec.local: Forbidden: may not specify more than 1 volume type\n\
                 spec.csi: Forbidden: may not specify more than 1 volume type",
            ),
            (
                only(json!({"local": {"path": "/a"}})),
                "spec.nodeAffinity: Required value: Local volume requires node affinity",
            ),
            (
                with(json!({"capacity": {"storage": "-1"}})),
                "spec.capacity[storage]: Invalid value: -1: must be a valid resource quantity\n\
                 spec.capacity[storage]: Invalid value: \"-1\": must be greater than zero",
            ),
            (
                with(json!({"capacity": {"storage": "0"}})),
                "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero",
            ),
        ];
        agree(
            cases
                .into_iter()
                .map(|(volume, expected)| (volume.to_string(), created(&PersistentVolume, volume), expected)),
        );
        let fine = defaulted(&PersistentVolume, with(json!({"capacity": {"storage": "1n"}})));
        assert_eq!(fine["spec"]["capacity"]["storage"], "1m");
    }

    #[test]
    fn the_time_of_a_phase_is_its_writers_or_the_servers() {
        let volume = |phase: &str, since: Option<&str>| match since {
            Some(since) => json!({"status": {"phase": phase, "lastPhaseTransitionTime": since}}),
            None => json!({"status": {"phase": phase}}),
        };
        let old = volume("Pending", Some("old"));
        for (new, old, since) in [
            (volume("Pending", None), Value::Null, Some("now")),
            (volume("Pending", None), old.clone(), Some("old")),
            (volume("Pending", Some("other")), old.clone(), Some("other")),
            (volume("Bound", None), old.clone(), Some("now")),
            (volume("Bound", Some("old")), old.clone(), Some("now")),
            (volume("Bound", Some("other")), old, Some("other")),
            (volume("Pending", None), volume("Pending", None), None),
        ] {
            let mut dated = new.clone();
            date_phase(&mut dated, &old, "now");
            assert_eq!(dated["status"]["lastPhaseTransitionTime"].as_str(), since, "{old} {new}");
        }
    }

    #[test]
    fn a_driver_learns_the_secret_of_expansion_later() {
        let with = |csi: Value| json!({"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "csi": csi}});
        let old = with(json!({"driver": "a.example", "volumeHandle": "v"}));
        let secret = |name: &str| {
            with(
                json!({"driver": "a.example", "volumeHandle": "v", "controllerExpandSecretRef": {"name": name, "namespace": "n"}}),
            )
        };
        assert_eq!(updated(&PersistentVolume, secret("s"), old), "");
        assert!(
            updated(&PersistentVolume, secret("t"), secret("s"))
                .starts_with("spec.persistentvolumesource: Forbidden: ")
        );
        assert_eq!(
            created(&PersistentVolume, secret("")),
            "spec.csi.controllerExpandSecretRef.name: Required value"
        );
    }

    #[test]
    fn secrets_of_drivers_are_named() {
        let with = |csi: Value| {
            let mut csi = csi;
            csi["driver"] = json!("a.example");
            csi["volumeHandle"] = json!("v");
            created(
                &PersistentVolume,
                json!({"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "csi": csi}}),
            )
        };
        assert_eq!(with(json!({"nodeStageSecretRef": {}})), "");
        assert_eq!(
            with(
                json!({"nodePublishSecretRef": {}, "controllerPublishSecretRef": {"name": "A", "namespace": "a.b"}})
            ),
            "spec.csi.controllerPublishSecretRef.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n\
             spec.csi.controllerPublishSecretRef.namespace: Invalid value: \"a.b\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')\n\
             spec.csi.nodePublishSecretRef.name: Required value\n\
             spec.csi.nodePublishSecretRef.namespace: Required value"
        );
        let mut empty = volume();
        empty["spec"]["capacity"] = json!({});
        assert_eq!(
            created(&PersistentVolume, empty),
            "spec.capacity: Required value\nspec.capacity: Unsupported value: {}: supported values: \"storage\""
        );
    }

    #[test]
    fn labels_of_nodes_may_be_given_their_newer_names() {
        let with = |key: &str| {
            let mut volume = volume();
            volume["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "Exists"}]}]}});
            volume
        };
        let (older, newer) = (with("beta.kubernetes.io/os"), with("kubernetes.io/os"));
        assert_eq!(updated(&PersistentVolume, newer.clone(), older.clone()), "");
        let told = updated(&PersistentVolume, older, newer);
        assert!(told.ends_with(": field is immutable, except for updating from beta label to GA"), "{told}");
        assert!(told.starts_with("nodeAffinity: Invalid value: "), "{told}");
    }

    #[test]
    fn old_volumes_are_warned_of() {
        let mut old = volume();
        old["metadata"] = json!({"annotations": {"volume.beta.kubernetes.io/storage-class": "a"}});
        let expression = json!({"key": "beta.kubernetes.io/os", "operator": "Exists"});
        old["spec"] = json!({"rbd": {}, "storageos": {}, "capacity": {"storage": "1500m"},
            "persistentVolumeReclaimPolicy": "Recycle",
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}});
        assert_eq!(
            PersistentVolume.create_warnings(&old),
            [
                "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \"storageClassName\" attribute instead",
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
                "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/os is deprecated since v1.14; use \"kubernetes.io/os\" instead",
                "spec.storageOS: deprecated in v1.22, non-functional in v1.25+",
                "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
                "spec.capacity[storage]: fractional byte value \"1500m\" is invalid, must be an integer",
            ]
        );
    }
}

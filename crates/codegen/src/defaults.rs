//! Defaults that upstream declares in the schema itself (`+default`), as JSON text. Other defaults are code.

/// The types, the field and its default.
pub const DEFAULTS: &[(&str, &str, &str)] = &[
    ("core.v1.ContainerPort+ServicePort", "protocol", "\"TCP\""),
    ("core.v1.LocalObjectReference", "name", "\"\""),
    ("core.v1.ConfigMapKeySelector+SecretKeySelector", "name", "\"\""),
    ("core.v1.ConfigMapEnvSource+SecretEnvSource", "name", "\"\""),
    ("core.v1.ConfigMapProjection+SecretProjection+ConfigMapVolumeSource", "name", "\"\""),
    ("core.v1.GRPCAction", "service", "\"\""),
    ("core.v1.AzureDiskVolumeSource", "cachingMode", "\"ReadWrite\""),
    ("core.v1.AzureDiskVolumeSource", "fsType", "\"ext4\""),
    ("core.v1.AzureDiskVolumeSource", "kind", "\"Shared\""),
    ("core.v1.AzureDiskVolumeSource", "readOnly", "false"),
    ("core.v1.ISCSIVolumeSource+ISCSIPersistentVolumeSource", "iscsiInterface", "\"default\""),
    ("core.v1.RBDVolumeSource+RBDPersistentVolumeSource", "keyring", "\"/etc/ceph/keyring\""),
    ("core.v1.RBDVolumeSource+RBDPersistentVolumeSource", "pool", "\"rbd\""),
    ("core.v1.RBDVolumeSource+RBDPersistentVolumeSource", "user", "\"admin\""),
    ("core.v1.ScaleIOVolumeSource+ScaleIOPersistentVolumeSource", "storageMode", "\"ThinProvisioned\""),
    ("core.v1.ScaleIOVolumeSource+ScaleIOPersistentVolumeSource", "fsType", "\"xfs\""),
];

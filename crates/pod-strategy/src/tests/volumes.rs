//! What is said of volumes that are not as they must be.

use serde_json::{Value, json};

use super::containers::check;
use super::refusals::pod;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Rows of one volume, and what is told below `spec.volumes[0].`.
fn volumes(cases: &[(Value, &[&str])]) {
    let rows: Vec<(Value, String)> = cases
        .iter()
        .map(|(source, expected)| {
            let mut volume = json!({"name": "v"});
            for (key, value) in source.as_object().unwrap() {
                volume[key] = value.clone();
            }
            let told: Vec<String> = expected.iter().map(|line| format!("spec.volumes[0].{line}")).collect();
            (pod(json!({"serviceAccountName": "s", "volumes": [volume]})), told.join("\n"))
        })
        .collect();
    check(&rows);
}

#[test]
fn sources_say_what_they_need() {
    let pairs = "must be a host:port pair or multiple pairs separated by commas";
    volumes(&[
        (
            json!({"emptyDir": {}, "cephfs": {}}),
            &["cephFS: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            json!({"emptyDir": {}, "downwardAPI": {}}),
            &["downwarAPI: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            json!({"emptyDir": {"sizeLimit": "-1"}}),
            &["emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"],
        ),
        (json!({"gcePersistentDisk": {}}), &["persistentDisk.pdName: Required value"]),
        (
            json!({"awsElasticBlockStore": {"volumeID": "a", "partition": 256}}),
            &["awsElasticBlockStore.partition: Invalid value: 256: must be between 1 and 255, inclusive"],
        ),
        (json!({"awsElasticBlockStore": {"volumeID": "a", "partition": 0}}), &[]),
        (json!({"hostPath": {"type": "Some"}}), &["hostPath.path: Required value"]),
        (
            json!({"nfs": {}}),
            &[
                "nfs.server: Required value",
                "nfs.path: Required value",
                "nfs.path: Invalid value: \"\": must be an absolute path",
            ],
        ),
        (json!({"rbd": {}}), &["rbd.monitors: Required value", "rbd.image: Required value"]),
        (json!({"cephfs": {}}), &["cephfs.monitors: Required value"]),
        (
            json!({"cinder": {"secretRef": {}}}),
            &["cinder.volumeID: Required value", "cinder.secretRef.name: Required value"],
        ),
        (json!({"cinder": {"volumeID": "a", "secretRef": {"name": "s"}}}), &[]),
        (
            json!({"glusterfs": {}}),
            &["glusterfs.endpoints: Required value", "glusterfs.path: Required value"],
        ),
        (
            json!({"azureFile": {}}),
            &["azureFile.secretName: Required value", "azureFile.shareName: Required value"],
        ),
        (json!({"vsphereVolume": {}}), &["vsphereVolume.volumePath: Required value"]),
        (json!({"photonPersistentDisk": {}}), &["photonPersistentDisk.pdID: Required value"]),
        (json!({"portworxVolume": {}}), &["portworxVolume.volumeID: Required value"]),
        (
            json!({"scaleIO": {}}),
            &[
                "scaleIO.gateway: Required value",
                "scaleIO.system: Required value",
                "scaleIO.volumeName: Required value",
            ],
        ),
        (
            json!({"quobyte": {}}),
            &[&format!("quobyte.registry: Required value: {pairs}"), "quobyte.volume: Required value"],
        ),
        (json!({"quobyte": {"registry": "a:1,[::1]:2", "volume": "v", "tenant": "a".repeat(64)}}), &[]),
        (
            json!({"quobyte": {"registry": "a", "volume": "v", "tenant": "a".repeat(65)}}),
            &["quobyte.tenant: Required value: must be a UUID and may not exceed a length of 64 characters"],
        ),
        (
            json!({"quobyte": {"registry": "a,b:1,::1", "volume": "v"}}),
            &[
                &format!("quobyte.registry: Invalid value: \"a,b:1,::1\": {pairs}"),
                &format!("quobyte.registry: Invalid value: \"a,b:1,::1\": {pairs}"),
            ],
        ),
        (json!({"storageos": {}}), &["storageos.volumeName: Required value"]),
        (
            json!({"storageos": {"volumeName": "A", "volumeNamespace": "B", "secretRef": {}}}),
            &[
                &format!("storageos.volumeName: Invalid value: \"A\": {LABEL}"),
                &format!("storageos.volumeNamespace: Invalid value: \"B\": {LABEL}"),
                "storageos.secretRef.name: Required value",
            ],
        ),
        (json!({"flexVolume": {"driver": "d", "options": {"a.example/b": "c", "fsType": "x"}}}), &[]),
        (
            json!({"flexVolume": {"options": {"K8s.io/b": "c", "a.kubernetes.io/b": "c"}}}),
            &[
                "flexVolume.driver: Required value",
                "flexVolume.options[K8s.io/b]: Invalid value: \"K8s.io/b\": kubernetes.io and k8s.io namespaces are reserved",
                "flexVolume.options[a.kubernetes.io/b]: Invalid value: \"a.kubernetes.io/b\": kubernetes.io and k8s.io namespaces are reserved",
            ],
        ),
        (
            json!({"csi": {"driver": "d".repeat(64), "nodePublishSecretRef": {"name": "A"}}}),
            &[
                "csi.driver: Too long: may not be more than 63 bytes",
                &format!("csi.name: Invalid value: \"A\": {SUBDOMAIN}"),
            ],
        ),
        (
            json!({"csi": {"driver": "D.example", "nodePublishSecretRef": {}}}),
            &["csi.nodePublishSecretRef.name: Required value"],
        ),
        (
            json!({"azureDisk": {"kind": "Managed"}}),
            &[
                "azureDisk.diskName: Required value",
                "azureDisk.diskURI: Required value",
                "azureDisk.diskURI: Unsupported value: \"\": supported values: \"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}\"",
            ],
        ),
        (
            json!({"azureDisk": {"diskName": "d", "diskURI": "u", "kind": "Shared"}}),
            &[
                "azureDisk.diskURI: Unsupported value: \"u\": supported values: \"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd\"",
            ],
        ),
        (
            json!({"fc": {"targetWWNs": ["a"], "wwids": ["b"]}}),
            &[
                "fc.targetWWNs: Invalid value: [\"a\"]: targetWWNs and wwids can not be specified simultaneously",
                "fc.lun: Required value: lun is required if targetWWNs is specified",
            ],
        ),
    ]);
}

#[test]
fn initiators() {
    let iqn = "iqn.2001-04.com.example:a";
    let prefix = "must be valid format starting with iqn, eui, or naa";
    volumes(&[
        (
            json!({"iscsi": {"targetPortal": "p".repeat(62), "iqn": iqn, "lun": 0, "initiatorName": iqn, "secretRef": {}}}),
            &[],
        ),
        (
            json!({"iscsi": {"targetPortal": "p".repeat(63), "iqn": "a", "lun": 0, "initiatorName": "b"}}),
            &[
                &format!("iscsi.iqn: Invalid value: \"a\": {prefix}"),
                &format!("iscsi.initiatorname: Invalid value: \"b\": {prefix}"),
                "name: Invalid value: \"v\": Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.",
            ],
        ),
        (json!({"iscsi": {"targetPortal": "p".repeat(63), "iqn": iqn, "lun": 0}}), &[]),
    ]);
}

#[test]
fn claims_made_for_volumes() {
    let template =
        json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}});
    let mut named = template.clone();
    named["metadata"] =
        json!({"finalizers": ["a"], "uid": "u", "namespace": "n", "generateName": "g", "name": "n"});
    let at = "ephemeral.volumeClaimTemplate.metadata";
    let cannot: Vec<String> = ["name", "generateName", "namespace", "uID", "finalizers"]
        .iter()
        .map(|key| format!("{at}.{key}: Forbidden: cannot be set"))
        .collect();
    let cannot: Vec<&str> = cannot.iter().map(String::as_str).collect();
    volumes(&[
        (json!({"ephemeral": {"volumeClaimTemplate": named}}), &cannot),
        (
            json!({"ephemeral": {"volumeClaimTemplate": template}, "name": "V"}),
            &[
                &format!("name: Invalid value: \"V\": PVC name \"p-V\": {SUBDOMAIN}"),
                &format!("name: Invalid value: \"V\": {LABEL}"),
            ],
        ),
    ]);
}

#[test]
fn paths_stay_below_where_they_start() {
    let file = |path: &str| json!({"configMap": {"name": "c", "items": [{"key": "k", "path": path}]}});
    let at = "configMap.items[0].path: Invalid value";
    volumes(&[
        (file("..."), &[&format!("{at}: \"...\": must not start with '..'")]),
        (file("../a"), &[&format!("{at}: \"../a\": must not contain '..'")]),
        (
            file("..a/.."),
            &[
                &format!("{at}: \"..a/..\": must not contain '..'"),
                &format!("{at}: \"..a/..\": must not start with '..'"),
            ],
        ),
        (file("a/..b"), &[]),
    ]);
}

#[test]
fn bundles_of_trust() {
    let bundle = |bundle: Value| json!({"projected": {"sources": [{"clusterTrustBundle": bundle}]}});
    let at = "projected.sources[0].clusterTrustBundle";
    volumes(&[
        (bundle(json!({"name": "a.example:b:c", "path": "p"})), &[]),
        (
            bundle(
                json!({"signerName": "a.example/b", "labelSelector": {"matchLabels": {"a": "b"}}, "path": "p"}),
            ),
            &[],
        ),
        (
            bundle(json!({"name": "", "path": "p"})),
            &[
                &format!("{at}.name: Required value: must be a valid object name"),
                &format!("{at}.name: Invalid value: \"\": not a valid clustertrustbundlename: {SUBDOMAIN}"),
            ],
        ),
        (
            bundle(json!({"name": "a:B", "labelSelector": {}, "path": "/p"})),
            &[
                &format!(
                    "{at}.name: Invalid value: \"a:B\": not a valid clustertrustbundlename: {SUBDOMAIN}"
                ),
                &format!(
                    "{at}.labelSelector: Invalid value: {{}}: labelSelector must be unset if name is specified"
                ),
                &format!("{at}.path: Invalid value: \"/p\": must be a relative path"),
            ],
        ),
        (
            bundle(json!({"signerName": "", "path": "p"})),
            &[
                &format!("{at}.signerName: Required value: must be a valid signer name"),
                &format!("{at}.signerName: Required value"),
            ],
        ),
        (
            bundle(
                json!({"signerName": "a", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Some"}]}}),
            ),
            &[
                &format!(
                    "{at}.signerName: Invalid value: \"a\": must be a fully qualified domain and path of the form 'example.com/signer-name'"
                ),
                &format!(
                    "{at}.labelSelector.matchExpressions[0].operator: Invalid value: \"Some\": not a valid selector operator"
                ),
                &format!("{at}.path: Required value"),
            ],
        ),
    ]);
}

#[test]
fn certificates_of_pods() {
    let certificate = |fields: Value| {
        let mut full = json!({"signerName": "a.example/b", "keyType": "ED25519", "credentialBundlePath": "p", "maxExpirationSeconds": 3600});
        for (key, value) in fields.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"projected": {"sources": [{"podCertificate": full}]}})
    };
    let at = "projected.sources[0].podCertificate";
    volumes(&[
        (
            certificate(
                json!({"maxExpirationSeconds": 7_862_400, "keyPath": "q", "certificateChainPath": "r"}),
            ),
            &[],
        ),
        (
            certificate(json!({"maxExpirationSeconds": 3599})),
            &[&format!(
                "{at}.maxExpirationSeconds: Invalid value: 3599: if provided, maxExpirationSeconds must be >= 3600"
            )],
        ),
        (
            certificate(json!({"maxExpirationSeconds": 7_862_401})),
            &[&format!(
                "{at}.maxExpirationSeconds: Invalid value: 7862401: if provided, maxExpirationSeconds must be <= 7862400"
            )],
        ),
        (
            certificate(json!({"maxExpirationSeconds": 86401, "signerName": "x.kubernetes.io/b"})),
            &[&format!(
                "{at}.maxExpirationSeconds: Invalid value: 86401: if provided, maxExpirationSeconds must be <= 86400"
            )],
        ),
        (certificate(json!({"maxExpirationSeconds": 86401, "signerName": "akubernetes.io/b"})), &[]),
        (
            certificate(
                json!({"keyType": "RSA", "credentialBundlePath": "../p", "keyPath": "q", "certificateChainPath": "q"}),
            ),
            &[
                &format!(
                    "{at}.keyType: Unsupported value: \"RSA\": supported values: \"RSA3072\", \"RSA4096\", \"ECDSAP256\", \"ECDSAP384\", \"ECDSAP521\", \"ED25519\""
                ),
                &format!("{at}.credentialBundlePath: Invalid value: \"../p\": must not contain '..'"),
                "projected: Invalid value: \"q\": conflicting duplicate paths",
            ],
        ),
        (
            certificate(json!({"signerName": "Example/a_b", "credentialBundlePath": ""})),
            &[
                &format!(
                    "{at}.signerName: Invalid value: \"Example\": validating label \"Example\": {LABEL}"
                ),
                &format!(
                    "{at}.signerName: Invalid value: \"Example\": should be a domain with at least two segments separated by dots"
                ),
                &format!("{at}.signerName: Invalid value: \"a_b\": validating label \"a_b\": {SUBDOMAIN}"),
                &format!(
                    "{at}: Required value: specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
                ),
            ],
        ),
        (
            certificate(json!({"signerName": format!("{}.b/c", "a.".repeat(127))})),
            &[
                &format!("{at}.signerName: Too long: may not be more than 253 bytes"),
                &format!(
                    "{at}.signerName: Invalid value: \"{}.b\": validating label \"\": {LABEL}",
                    "a.".repeat(127)
                ),
            ],
        ),
    ]);
}

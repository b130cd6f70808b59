//! Layers: crates import their own or lower ones, and components never meet.

/// The layer of each crate. A crate imports crates of its own layer or below; binaries of layer 3 import no other
/// binary. Layer 4 is development: it may import everything and nothing may import it.
const LAYERS: [(u8, &[&str]); 5] = [
    (
        0,
        &[
            "apimachinery",
            "schema",
            "strategy",
            "pod-strategy",
            "cel",
            "custom-resources",
            "kinds",
            "patch",
            "managed-fields",
            "printing",
            "podrules",
            "wire",
            "formats",
            "ecdsa-p521",
            "flow-control",
        ],
    ),
    (1, &["pki", "peers", "component", "httpstream", "informer", "kustomize"]),
    (2, &["storage", "authn", "authz", "audit", "admission", "webhooks"]),
    (
        3,
        &[
            "cri",
            "csi",
            "cgroups",
            "volumes",
            "netrules",
            "kube-apiserver",
            "kube-scheduler",
            "controller-runtime",
            "workload-controllers",
            "volume-controllers",
            "kube-controller-manager",
            "cloud-controller-manager",
            "kubelet",
            "kube-proxy",
            "podnet",
            "cluster-dns",
            "metrics-server",
            "provisioning",
            "local-path-provisioner",
            "csi-sidecar",
            "csi-hostpath-driver",
            "cli-runtime",
            "describe",
            "generators",
            "streams",
            "kubectl",
            "pause",
            "chk-hn",
            "kubeadm",
        ],
    ),
    (
        4,
        &[
            "images",
            "lab",
            "machines",
            "testkit",
            "control-plane",
            "link-order",
            "bench",
            "dist",
            "xtask",
            "codegen",
            "fuzz",
            "cluster-tests",
            "vagrant-test",
        ],
    ),
];

/// Programs of the cluster: they meet only through the API server.
const COMPONENTS: [&str; 14] = [
    "kube-apiserver",
    "kube-scheduler",
    "kube-controller-manager",
    "cloud-controller-manager",
    "kubelet",
    "kube-proxy",
    "podnet",
    "cluster-dns",
    "metrics-server",
    "local-path-provisioner",
    "csi-sidecar",
    "csi-hostpath-driver",
    "kubectl",
    "kubeadm",
];

/// Layer 0 is vocabulary: none of these.
const NOT_IN_VOCABULARY: [&str; 6] = ["tokio", "hyper", "kube", "tonic", "etcd-client", "nix"];

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(_, crates)| crates.contains(&name)).map(|(layer, _)| *layer)
}

/// What is wrong with a crate's dependencies (dev-dependencies excepted: tests may use the test kit).
pub fn breaches(name: &str, dependencies: &[String]) -> Vec<String> {
    let Some(own) = layer(name) else {
        return vec![format!("{name}: has no layer; give it one in crates/xtask/src/tidy/layers.rs")];
    };
    let mut breaches = Vec::new();
    for dependency in dependencies {
        if own == 0 && NOT_IN_VOCABULARY.contains(&dependency.as_str()) {
            breaches.push(format!("{name}: layer 0 does no I/O, but depends on {dependency}"));
        }
        let Some(other) = layer(dependency) else { continue };
        if other > own {
            breaches.push(format!("{name} (layer {own}) imports {dependency} (layer {other})"));
        }
        if own < 4 && COMPONENTS.contains(&dependency.as_str()) {
            breaches.push(format!("{name} imports the component {dependency}"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_point_one_way() {
        let of = |name: &str, dependency: &str| breaches(name, &[dependency.to_owned()]).len();
        assert_eq!(of("kubelet", "cri"), 0);
        assert_eq!(of("component", "pki"), 0);
        assert_eq!(of("schema", "component"), 1);
        assert_eq!(of("schema", "tokio"), 1);
        assert_eq!(of("kubelet", "kube-proxy"), 1);
        assert_eq!(of("unheard-of", "tokio"), 1);
        assert_eq!(of("bench", "kube-apiserver"), 0);
    }
}

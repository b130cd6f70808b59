//! The configurations of kubelet and kube-proxy: what a cluster needs, under what the operator wants.

use serde_json::{Value, json};

use super::ClusterSettings;

/// Group of `KubeletConfiguration`.
pub const KUBELET_GROUP: &str = "kubelet.config.k8s.io";
/// Group of `KubeProxyConfiguration`.
pub const PROXY_GROUP: &str = "kubeproxy.config.k8s.io";

/// The configuration of every kubelet; `given` wins where it says something.
pub fn kubelet(cluster: &ClusterSettings, given: Option<&Value>) -> Value {
    let mut configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "clusterDNS": [cluster.dns_service().to_string()],
        "clusterDomain": cluster.configuration.networking.dns_domain,
        "rotateCertificates": true,
        "serverTLSBootstrap": true,
        "staticPodPath": "/etc/kubernetes/manifests",
    });
    if let Some(given) = given {
        merge(&mut configuration, given);
    }
    configuration
}

/// The configuration of every kube-proxy; `given` wins where it says something.
pub fn kube_proxy(cluster: &ClusterSettings, given: Option<&Value>) -> Value {
    let mut configuration = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": "/etc/kubernetes/kube-proxy.conf"},
        "clusterCIDR": ClusterSettings::joined(&cluster.pods),
        "mode": "iptables",
    });
    if let Some(given) = given {
        merge(&mut configuration, given);
        // Where the credentials are is not the operator's to say: kubeadm writes and renews them.
        configuration["clientConnection"]["kubeconfig"] = "/etc/kubernetes/kube-proxy.conf".into();
    }
    configuration
}

/// Puts fields over others; maps are merged, everything else is replaced.
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                merge(base.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

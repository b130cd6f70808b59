//! What runs in the cluster from the start: the manifests of `deploy/manifests`, with a cluster's own addresses.

use serde_json::{Value, json};

use crate::{cluster::objects::config_map, configuration::ClusterSettings};

/// An add-on: its phase's name, its manifest, the namespace and name of the Deployment to wait for.
#[derive(Debug, Clone, Copy)]
pub struct AddOn {
    /// Name of the phase `addon/<name>`.
    pub phase: &'static str,
    /// What it is called in the output.
    pub title: &'static str,
    manifest: &'static str,
}

/// The add-ons in the order in which they are written.
pub const ADD_ONS: &[AddOn] = &[
    AddOn {
        phase: "coredns",
        title: "cluster-dns",
        manifest: include_str!("../../../deploy/manifests/cluster-dns.yaml"),
    },
    AddOn {
        phase: "metrics-server",
        title: "metrics-server",
        manifest: include_str!("../../../deploy/manifests/metrics-server.yaml"),
    },
    AddOn {
        phase: "local-path-storage",
        title: "local-path-storage",
        manifest: include_str!("../../../deploy/manifests/local-path-storage.yaml"),
    },
];

/// What the manifests say of a cluster with the addresses of the lab, for which they are written.
const LAB: [&str; 4] = ["cluster.local", "10.96.0.0/12", "172.16.0.0/16", "10.96.0.10"];

impl AddOn {
    /// Its objects for a cluster.
    pub fn objects(&self, cluster: &ClusterSettings) -> anyhow::Result<Vec<Value>> {
        let own = [
            cluster.configuration.networking.dns_domain.clone(),
            ClusterSettings::joined(&cluster.services),
            ClusterSettings::joined(&cluster.pods),
            cluster.dns_service().to_string(),
        ];
        let mut text = self.manifest.to_owned();
        // Through marks, as an own value may hold what another one of the lab's is called.
        for (index, value) in LAB.iter().enumerate() {
            text = text.replace(value, &format!("\u{1}{index}\u{1}"));
        }
        for (index, value) in own.iter().enumerate() {
            text = text.replace(&format!("\u{1}{index}\u{1}"), value);
        }
        Ok(formats::yaml::documents(&text)?)
    }
}

/// The images that a cluster's own pods run, for `config images list`.
pub fn images() -> anyhow::Result<Vec<String>> {
    let mut images: Vec<String> = vec!["registry.k8s.io/pause:3.10".into()];
    for add_on in ADD_ONS {
        for object in formats::yaml::documents(add_on.manifest)? {
            let containers = object["spec"]["template"]["spec"]["containers"].as_array().cloned();
            let named = containers.unwrap_or_default();
            images
                .extend(named.iter().filter_map(|container| container["image"].as_str()).map(str::to_owned));
        }
    }
    images.sort();
    images.dedup();
    Ok(images)
}

/// The pool of addresses of load balancers.
pub fn load_balancer(addresses: &str) -> Value {
    config_map("kube-system", "load-balancer", &[("addresses", addresses)])
}

/// Who may reach the API without a name: for its health, and machines that join for the public kubeconfig.
pub fn authentication() -> Value {
    let paths = ["/livez", "/readyz", "/healthz", "/api/v1/namespaces/kube-public/configmaps/cluster-info"];
    let conditions: Vec<Value> = paths.iter().map(|path| json!({ "path": path })).collect();
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": true, "conditions": conditions},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::v1beta4::ClusterConfiguration;

    #[test]
    fn manifests_take_the_clusters_addresses() {
        let mut configuration = ClusterConfiguration::default();
        configuration.networking.service_subnet = "10.32.0.0/24".into();
        configuration.networking.dns_domain = "example.local".into();
        let cluster = ClusterSettings::new(configuration).unwrap();
        let all: Vec<Value> = ADD_ONS.iter().flat_map(|add_on| add_on.objects(&cluster).unwrap()).collect();
        let service = all.iter().find(|object| object["metadata"]["name"] == "kube-dns").unwrap();
        assert_eq!(service["spec"]["clusterIP"], "10.32.0.10");
        let text = serde_json::to_string(&all).unwrap();
        assert!(text.contains("--cluster-domain=example.local"));
        assert!(text.contains("--cluster-networks=10.32.0.0/24,10.244.0.0/16"));
        assert!(!text.contains("10.96.") && !text.contains("172.16.") && !text.contains("cluster.local\""));
        for object in &all {
            crate::cluster::objects::path(object).unwrap();
        }
    }

    #[test]
    fn every_image_of_a_cluster_is_listed() {
        assert_eq!(
            images().unwrap(),
            [
                "docker.io/magnetite/cluster-dns:v1.36.0",
                "docker.io/magnetite/local-path-provisioner:v1.36.0",
                "docker.io/magnetite/metrics-server:v1.36.0",
                "registry.k8s.io/pause:3.10"
            ]
        );
    }
}

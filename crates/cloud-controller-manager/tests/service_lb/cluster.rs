//! A control plane with the cloud controller manager under its own identity.

use std::ops::Deref;
use std::path::Path;

use clap::Parser;
use cloud_controller_manager::Config;
use component::Runtime;
use control_plane::ControlPlane;
use serde_json::{Value, json};

const USER: &str = "system:cloud-controller-manager";

/// A control plane of nothing but the API server and this manager.
pub struct Cluster {
    plane: ControlPlane,
    manager: Runtime,
}

impl Deref for Cluster {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        &self.plane
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.manager.shutdown().cancel();
    }
}

impl Cluster {
    /// Starts it with a configuration of the provider.
    pub async fn start(cloud: &str) -> Cluster {
        let plane = ControlPlane::start().await;
        let cloud = format!("apiVersion: magnetite/v1\nkind: CloudConfiguration\n{cloud}");
        std::fs::write(plane.directory().join("cloud.yaml"), cloud).unwrap();
        plane.kubeconfig(USER, &[]);
        let manager = manager(plane.directory()).await;
        Cluster { plane, manager }
    }

    /// Ends the manager and starts another, which knows nothing but what the API server has.
    pub async fn restart_manager(&mut self) {
        self.manager.shutdown().cancel();
        self.manager = manager(self.directory()).await;
    }
}

async fn manager(directory: &Path) -> Runtime {
    let runtime = Runtime::detached();
    let config = Config::parse_from([
        "cloud-controller-manager".to_owned(),
        format!("--kubeconfig={}", directory.join("system-cloud-controller-manager.conf").display()),
        format!("--cloud-config={}", directory.join("cloud.yaml").display()),
        "--secure-port=0".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
    ]);
    cloud_controller_manager::run(config, runtime.clone()).await.unwrap();
    runtime
}

/// A Service of type LoadBalancer, with more of a spec.
pub fn balancer(name: &str, more: Value) -> Value {
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}]}});
    if let (Some(spec), Some(more)) = (service["spec"].as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    service
}

/// The addresses that a Service has.
pub fn addresses(service: &Value) -> Vec<String> {
    let ingress = service["status"]["loadBalancer"]["ingress"].as_array();
    ingress.into_iter().flatten().filter_map(|one| Some(one["ip"].as_str()?.to_owned())).collect()
}

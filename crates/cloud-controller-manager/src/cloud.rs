//! The provider's configuration: the file that `--cloud-config` names.

use std::path::Path;

use component::flags;
use serde::Deserialize;

use crate::pool::Pool;

/// What the file says; every part of it may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CloudConfiguration {
    /// Addresses for Services.
    pub load_balancer: LoadBalancer,
}

/// Addresses for Services.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LoadBalancer {
    /// The pool, where no ConfigMap holds one.
    pub addresses: Pool,
    /// Where nodes are asked whether they can take traffic.
    pub health_check: HealthCheck,
}

/// Where nodes are asked whether they can take traffic: kube-proxy's own answer by default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HealthCheck {
    /// The port at the node's address.
    pub port: u16,
    /// The path, asked by HTTP.
    pub path: String,
}

impl Default for HealthCheck {
    fn default() -> Self {
        HealthCheck { port: 10256, path: "/healthz".to_owned() }
    }
}

/// Reads the file; without one, everything is as by default.
pub fn read(path: Option<&Path>) -> anyhow::Result<CloudConfiguration> {
    match path {
        Some(path) => flags::config_file(path, "magnetite", "CloudConfiguration"),
        None => Ok(CloudConfiguration::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> anyhow::Result<CloudConfiguration> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cloud.yaml");
        std::fs::write(&path, format!("apiVersion: magnetite/v1\nkind: CloudConfiguration\n{text}")).unwrap();
        read(Some(&path))
    }

    #[test]
    fn holds_a_pool_as_list_or_as_text() {
        let one: Pool = "192.168.1.11-192.168.1.19".parse().unwrap();
        assert_eq!(
            check("loadBalancer: {addresses: [192.168.1.11-192.168.1.19]}").unwrap().load_balancer.addresses,
            one
        );
        assert_eq!(
            check("loadBalancer: {addresses: 192.168.1.11-192.168.1.19}").unwrap().load_balancer.addresses,
            one
        );
        let asked = check("loadBalancer: {healthCheck: {port: 1}}").unwrap().load_balancer.health_check;
        assert_eq!((asked.port, &*asked.path), (1, "/healthz"));
        assert_eq!(check("").unwrap(), CloudConfiguration::default());
    }

    #[test]
    fn what_is_misspelt_or_no_address_is_refused() {
        assert!(check("loadbalancer: {}").is_err());
        let error = check("loadBalancer: {addresses: [192.168.1.300]}").unwrap_err();
        assert!(format!("{error:#}").contains("192.168.1.300"), "{error:#}");
    }
}

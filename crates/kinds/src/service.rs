//! Services.

mod addresses;
mod update;
mod validate;
mod warnings;

pub(crate) use validate::{non_special_address, not_special};

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::{Value, json};

use strategy::field::Errors;
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy, field_text};

/// The rules of Services. Addresses and node ports are given out by the server.
pub struct Service;

impl Strategy for Service {
    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        write::zero(spec, "sessionAffinity", "None");
        if spec.text("sessionAffinity") == "None" {
            write::remove(spec, "sessionAffinityConfig");
        } else if spec.text("sessionAffinity") == "ClientIP" {
            let config = write::ensure(write::ensure(spec, "sessionAffinityConfig"), "clientIP");
            write::missing(config, "timeoutSeconds", 10800);
        }
        write::zero(spec, "type", "ClusterIP");
        for port in write::items(spec, "ports") {
            write::zero(port, "protocol", "TCP");
            let number = port["port"].clone();
            write::zero(port, "targetPort", number);
        }
        let kind = spec.text("type").to_owned();
        let external_addresses = kind == "ClusterIP" && !spec.items("externalIPs").is_empty();
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer") || external_addresses {
            write::zero(spec, "externalTrafficPolicy", "Cluster");
        }
        if needs_cluster_ip(spec) {
            write::missing(spec, "internalTrafficPolicy", "Cluster");
        }
        if kind == "LoadBalancer" {
            write::missing(spec, "allocateLoadBalancerNodePorts", true);
            if let Some(balancer) =
                write::object(object, "status").and_then(|status| write::object(status, "loadBalancer"))
            {
                for ingress in write::items(balancer, "ingress") {
                    if !ingress.text("ip").is_empty() {
                        write::missing(ingress, "ipMode", "VIP");
                    }
                }
            }
        }
    }

    fn prepare_for_create(&self, object: &mut Value) {
        write::set(object, "status", json!({"loadBalancer": {}}));
        update::normalise_cluster_ips(write::ensure(object, "spec"), None);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate::service(object, None, errors);
    }

    fn prepare_for_update(&self, new: &mut Value, old: &Value) {
        write::copy(new, "status", old);
        let spec = write::ensure(new, "spec");
        update::normalise_cluster_ips(spec, Some(&old["spec"]));
        update::keep_allocated(spec, &old["spec"]);
        update::drop_for_type(spec, &old["spec"]);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate::change(&new["spec"], &old["spec"], errors);
        validate::service(new, Some(old), errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate::status(new, errors);
    }

    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.clusterIP", "spec.type"]
    }

    fn selectable_field<'a>(&self, object: &'a Value, name: &str) -> Option<Cow<'a, str>> {
        self.selectable_fields().contains(&name).then(|| field_text(object, name))
    }

    fn create_warnings(&self, object: &Value) -> Vec<String> {
        warnings::of(object)
    }

    fn update_warnings(&self, new: &Value, _old: &Value) -> Vec<String> {
        warnings::of(new)
    }
}

/// Whether the service has no virtual address of its own.
pub fn is_headless(spec: &Value) -> bool {
    spec.items("clusterIPs").first().map_or(spec.text("clusterIP") == "None", |first| first == "None")
}

/// Whether services of this type have a virtual address.
pub fn needs_cluster_ip(spec: &Value) -> bool {
    matches!(spec.text("type"), "ClusterIP" | "NodePort" | "LoadBalancer")
}

/// Whether each port of this service gets a port on every node.
pub fn needs_node_ports(spec: &Value) -> bool {
    spec.text("type") == "NodePort"
        || (spec.text("type") == "LoadBalancer" && spec.flag("allocateLoadBalancerNodePorts") != Some(false))
}

/// Whether the service needs a node port on which nodes tell whether they have endpoints of it.
pub fn needs_health_check_port(spec: &Value) -> bool {
    spec.text("type") == "LoadBalancer" && spec.text("externalTrafficPolicy") == "Local"
}

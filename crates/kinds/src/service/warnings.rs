//! What clients are told about services that are accepted all the same.

use serde_json::Value;

use pod_strategy::warnings::{address, range};
use strategy::read::Read;

/// Warnings on a service.
pub(super) fn of(service: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let (spec, annotations) = (&service["spec"], &service["metadata"]["annotations"]);
    if annotations.get("service.kubernetes.io/topology-aware-hints").is_some() {
        found.push("annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead".to_owned());
    }
    let addresses = |list: &str, found: &mut Vec<String>| {
        for (index, text) in spec.items(list).iter().enumerate() {
            address(text.as_str().unwrap_or_default(), &format!("spec.{list}[{index}]"), found);
        }
    };
    if !matches!(spec.text("clusterIP"), "" | "None") {
        addresses("clusterIPs", &mut found);
    }
    let external = spec.text("type") == "ExternalName";
    let headless = spec.text("type") == "ClusterIP" && spec.text("clusterIP") == "None";
    if headless {
        if !spec.text("loadBalancerIP").is_empty() {
            found.push("spec.loadBalancerIP is ignored for headless services".to_owned());
        }
        if !spec.items("externalIPs").is_empty() {
            found.push("spec.externalIPs is ignored for headless services".to_owned());
        }
        if spec.text("sessionAffinity") != "None" {
            found.push("spec.SessionAffinity is ignored for headless services".to_owned());
        }
    }
    addresses("externalIPs", &mut found);
    if !spec.items("externalIPs").is_empty() && !headless && !external {
        found.push(
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned(),
        );
    }
    address(spec.text("loadBalancerIP"), "spec.loadBalancerIP", &mut found);
    for (index, text) in spec.items("loadBalancerSourceRanges").iter().enumerate() {
        let path = format!("spec.loadBalancerSourceRanges[{index}]");
        range(text.as_str().unwrap_or_default(), &path, &mut found);
    }
    if external && !spec.items("externalIPs").is_empty() {
        found.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if !external && !spec.text("externalName").is_empty() {
        found.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if spec.text("trafficDistribution") == "PreferClose" {
        found.push(
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned(),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_ignored_is_said() {
        let check = |spec: Value| of(&json!({ "spec": spec })).join("|");
        assert_eq!(check(json!({"type": "ClusterIP", "clusterIPs": ["10.0.0.1"]})), "");
        assert_eq!(
            check(json!({"type": "ClusterIP", "externalName": "x"})),
            "spec.externalName is ignored when spec.type is not \"ExternalName\""
        );
        assert_eq!(
            check(json!({"type": "ClusterIP", "externalIPs": ["fd00:0::1"]})),
            "spec.externalIPs[0]: IPv6 address \"fd00:0::1\" should be in RFC 5952 canonical format (\"fd00::1\")|spec.externalIPs is deprecated and may no longer be implemented in some clusters"
        );
        assert_eq!(
            check(json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.1/24"]})),
            "spec.loadBalancerSourceRanges[0]: CIDR value \"10.0.0.1/24\" is ambiguous in this context (should be \"10.0.0.0/24\" or \"10.0.0.1/32\"?)"
        );
        assert_eq!(
            check(json!({"type": "ClusterIP", "clusterIP": "None", "sessionAffinity": "ClientIP"})),
            "spec.SessionAffinity is ignored for headless services"
        );
        assert_eq!(
            check(
                json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["fd00:0::1"], "sessionAffinity": "None",
                "loadBalancerIP": "10.0.0.1", "externalIPs": ["10.0.0.2"]})
            ),
            "spec.loadBalancerIP is ignored for headless services|spec.externalIPs is ignored for headless services"
        );
        assert_eq!(
            check(json!({"type": "ExternalName", "externalIPs": ["10.0.0.2"]})),
            "spec.externalIPs is ignored when spec.type is \"ExternalName\""
        );
        assert_eq!(
            check(
                json!({"type": "ClusterIP", "clusterIP": "fd00:0::1", "clusterIPs": ["fd00:0::1"], "trafficDistribution": "PreferClose"})
            ),
            "spec.clusterIPs[0]: IPv6 address \"fd00:0::1\" should be in RFC 5952 canonical format (\"fd00::1\")|spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\""
        );
        assert_eq!(check(json!({"type": "ClusterIP", "trafficDistribution": "PreferSameZone"})), "");
    }
}

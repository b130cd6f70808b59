use super::*;
use strategy::testing::{created, defaulted, updated};

fn service(spec: Value) -> Value {
    json!({"metadata": {"name": "web", "namespace": "x"}, "spec": spec})
}

#[test]
fn defaults_follow_the_type() {
    let object = defaulted(&Service, service(json!({"ports": [{"port": 80}], "type": "NodePort"})));
    assert_eq!(
        object["spec"],
        json!({"type": "NodePort", "sessionAffinity": "None", "externalTrafficPolicy": "Cluster",
               "internalTrafficPolicy": "Cluster", "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}]})
    );
    let object =
        defaulted(&Service, service(json!({"ports": [{"port": 80}], "sessionAffinity": "ClientIP"})));
    assert_eq!(object["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"], 10800);
    assert!(object["spec"].get("externalTrafficPolicy").is_none());
}

#[test]
fn ports_are_named_and_different() {
    for (spec, expected) in [
        (json!({"ports": [{"port": 80}]}), ""),
        (json!({}), "spec.ports: Required value"),
        (json!({"clusterIP": "None"}), ""),
        (json!({"ports": [{"port": 80, "name": "a"}, {"port": 81}]}), "spec.ports[1].name: Required value"),
        (
            json!({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}),
            "spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}",
        ),
        (
            json!({"ports": [{"port": 0}]}),
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\nspec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080, "name": "a"}, {"port": 80, "nodePort": 30080, "name": "b"}, {"port": 80, "nodePort": 30080, "protocol": "UDP", "name": "c"}]}),
            "spec.ports[1].nodePort: Duplicate value: 30080\nspec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}",
        ),
        (
            json!({"ports": [{"port": 80, "name": "a"}, {"port": 80, "nodePort": 30080, "name": "b"}, {"port": 81, "nodePort": 30081, "name": "c"}]}),
            "spec.ports[1].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'\nspec.ports[2].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'\nspec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}",
        ),
        (
            json!({"ports": [{"port": 80}], "loadBalancerSourceRanges": ["10.0.0.0/8"], "loadBalancerClass": "a/b", "trafficDistribution": "x"}),
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'\nspec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'\nspec.trafficDistribution: Unsupported value: \"x\": supported values: \"PreferClose\", \"PreferSameZone\", \"PreferSameNode\"",
        ),
        (
            json!({"ports": [{"port": 80, "nodePort": 30080}]}),
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            json!({"ports": [{"port": 80}], "type": "Wrong"}),
            "spec.type: Unsupported value: \"Wrong\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ),
        (
            json!({"ports": [{"port": 80}], "clusterIP": "ten"}),
            "spec.clusterIPs[0]: Invalid value: \"ten\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ),
        (json!({"type": "ExternalName"}), "spec.externalName: Required value"),
        (json!({"type": "ExternalName", "externalName": "example.com."}), ""),
        (
            json!({"ports": [{"port": 80}], "loadBalancerSourceRanges": ["ten"]}),
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'\nspec.LoadBalancerSourceRanges[0]: Invalid value: \"ten\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        ),
        (
            json!({"ports": [{"port": 80}], "trafficDistribution": ""}),
            "spec.trafficDistribution: Unsupported value: \"\": supported values: \"PreferClose\", \"PreferSameZone\", \"PreferSameNode\"",
        ),
        (
            json!({"ports": [{"port": 10250}], "type": "LoadBalancer", "loadBalancerSourceRanges": [" 10.0.0.0/8 "]}),
            "",
        ),
        (
            json!({"ports": [{"port": 80}], "externalIPs": ["127.0.0.1"]}),
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
    ] {
        assert_eq!(created(&Service, service(spec.clone())), expected, "{spec}");
    }
}

fn stored() -> Value {
    service(json!({"type": "NodePort", "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"],
        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "ports": [{"port": 80, "nodePort": 30080}]}))
}

#[test]
fn an_update_keeps_what_was_given_out() {
    let old = defaulted(&Service, stored());
    let mut new =
        defaulted(&Service, service(json!({"type": "NodePort", "ports": [{"port": 80}, {"port": 81}]})));
    Service.prepare_for_update(&mut new, &old);
    assert_eq!(new["spec"]["clusterIP"], "10.96.0.5");
    assert_eq!(new["spec"]["ports"][0]["nodePort"], 30080);
    assert!(new["spec"]["ports"][1].get("nodePort").is_none());
}

#[test]
fn a_change_of_type_drops_what_the_new_one_lacks() {
    let old = defaulted(&Service, stored());
    let mut new = old.clone();
    new["spec"]["type"] = json!("ClusterIP");
    Service.prepare_for_update(&mut new, &old);
    assert!(new["spec"]["ports"][0].get("nodePort").is_none());
    assert!(new["spec"].get("externalTrafficPolicy").is_none());
    assert_eq!(new["spec"]["clusterIP"], "10.96.0.5");
    let mut new = old.clone();
    new["spec"]["type"] = json!("ExternalName");
    new["spec"]["externalName"] = json!("example.com");
    Service.prepare_for_update(&mut new, &old);
    assert!(new["spec"].get("clusterIP").is_none() && new["spec"].get("clusterIPs").is_none());
    assert_eq!(strategy::testing::found(|errors| Service.validate_update(&new, &old, errors)), "");
}

#[test]
fn the_address_stays() {
    let mut new = stored();
    new["spec"]["clusterIP"] = json!("10.96.0.6");
    assert_eq!(
        updated(&Service, new, stored()),
        "spec.clusterIPs[0]: Invalid value: [\"10.96.0.6\"]: may not change once set"
    );
}

#[test]
fn an_annotation_of_ranges_is_looked_at_once() {
    let with = |ranges: &str, port: i64| {
        let mut service = service(
            json!({"type": "LoadBalancer", "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"], "ports": [{"port": port}]}),
        );
        service["metadata"]["annotations"] =
            json!({"service.beta.kubernetes.io/load-balancer-source-ranges": ranges});
        service
    };
    let why = "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: Invalid value: \"ten\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    assert_eq!(created(&Service, with("ten", 80)), why);
    assert_eq!(updated(&Service, with("ten", 81), with("ten", 80)), "");
    assert_eq!(updated(&Service, with("ten", 80), with("10.0.0.0/8", 80)), why);
}

//! What is said of Services.

use serde_json::{Value, json};

use super::{check, check_updates};

#[test]
fn services() {
    let service = |spec: Value| {
        let mut full = json!({"ports": [{"port": 80}]});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"metadata": {"name": "s"}, "spec": full})
    };
    check(
        "",
        "Service",
        &[
            (
                service(
                    json!({"type": "NodePort", "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local", "trafficDistribution": "PreferSameNode"}),
                ),
                "",
            ),
            (
                service(
                    json!({"type": "LoadBalancer", "loadBalancerClass": "a/b", "loadBalancerSourceRanges": [" 10.0.0.0/8 "], "allocateLoadBalancerNodePorts": false}),
                ),
                "",
            ),
            (service(json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": []})), ""),
            (service(json!({"type": "ExternalName", "externalName": "a.example.", "ports": []})), ""),
            (
                service(
                    json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86400}}}),
                ),
                "",
            ),
            (
                service(
                    json!({"ports": [{"port": 53, "name": "t"}, {"port": 53, "name": "u", "protocol": "UDP"}]}),
                ),
                "",
            ),
            (service(json!({"ports": []})), "spec.ports: Required value"),
            (
                service(
                    json!({"type": "Some", "ports": [{"port": 0, "protocol": "ICMP", "appProtocol": "-"}, {"port": 65536, "name": "A", "targetPort": "-"}]}),
                ),
                "spec.ports[0].name: Required value\n\
                spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\n\
                spec.ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"\n\
                spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive\n\
                spec.ports[0].appProtocol: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.ports[1].name: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')\n\
                spec.ports[1].port: Invalid value: 65536: must be between 1 and 65535, inclusive\n\
                spec.ports[1].targetPort: Invalid value: \"-\": must contain at least one letter (a-z)\n\
                spec.ports[1].targetPort: Invalid value: \"-\": must not begin or end with a hyphen\n\
                spec.type: Unsupported value: \"Some\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ),
            (
                service(
                    json!({"ports": [{"port": 80, "name": "a", "nodePort": 30000}, {"port": 80, "name": "a"}], "selector": {"-": "x"}}),
                ),
                "spec.ports[1].name: Duplicate value: \"a\"\n\
                spec.selector: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')\n\
                spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'\n\
                spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}",
            ),
            (
                service(
                    json!({"type": "NodePort", "ports": [{"port": 80, "name": "a", "nodePort": 30000}, {"port": 81, "name": "b", "nodePort": 30000}], "externalTrafficPolicy": "Some"}),
                ),
                "spec.ports[1].nodePort: Duplicate value: 30000\n\
                spec.externalTrafficPolicy: Unsupported value: \"Some\": supported values: \"Cluster\", \"Local\"",
            ),
            (
                service(json!({"type": "LoadBalancer", "clusterIP": "None", "clusterIPs": ["None"]})),
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services",
            ),
            (
                service(json!({"type": "NodePort", "clusterIP": "None", "clusterIPs": ["None"]})),
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
            ),
            (
                service(
                    json!({"type": "ExternalName", "externalName": "", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "ports": []}),
                ),
                "spec.clusterIPs: Forbidden: may not be set for ExternalName services\n\
                spec.ipFamilies: Forbidden: may not be set for ExternalName services\n\
                spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services\n\
                spec.externalName: Required value",
            ),
            (
                service(json!({"type": "ExternalName", "externalName": "A_", "ports": []})),
                "spec.externalName: Invalid value: \"A_\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
            (
                service(json!({"sessionAffinity": "Some"})),
                "spec.sessionAffinity: Unsupported value: \"Some\": supported values: \"ClientIP\", \"None\"",
            ),
            (
                service(
                    json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}}),
                ),
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
            ),
            (
                service(
                    json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}}),
                ),
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400",
            ),
            (
                service(
                    json!({"externalIPs": ["0.0.0.0", "127.0.0.1", "169.254.0.1", "224.0.0.1", "::", "::1", "fe80::1", "ff02::1", "x", "10.0.0.1"]}),
                ),
                "spec.externalIPs[0]: Invalid value: \"0.0.0.0\": may not be unspecified (0.0.0.0)\n\
                spec.externalIPs[1]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)\n\
                spec.externalIPs[2]: Invalid value: \"169.254.0.1\": may not be in the link-local range (169.254.0.0/16, fe80::/10)\n\
                spec.externalIPs[3]: Invalid value: \"224.0.0.1\": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)\n\
                spec.externalIPs[4]: Invalid value: \"::\": may not be unspecified (::)\n\
                spec.externalIPs[5]: Invalid value: \"::1\": may not be in the loopback range (127.0.0.0/8, ::1/128)\n\
                spec.externalIPs[6]: Invalid value: \"fe80::1\": may not be in the link-local range (169.254.0.0/16, fe80::/10)\n\
                spec.externalIPs[7]: Invalid value: \"ff02::1\": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)\n\
                spec.externalIPs[8]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ),
            (
                service(
                    json!({"allocateLoadBalancerNodePorts": true, "loadBalancerClass": "a", "loadBalancerSourceRanges": ["10.0.0.0/8"], "externalTrafficPolicy": "Local",
                    "healthCheckNodePort": 30000, "internalTrafficPolicy": "Some", "trafficDistribution": "Some"}),
                ),
                "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'\n\
                spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'\n\
                spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'\n\
                spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services\n\
                spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'\n\
                spec.internalTrafficPolicy: Unsupported value: \"Some\": supported values: \"Cluster\", \"Local\"\n\
                spec.trafficDistribution: Unsupported value: \"Some\": supported values: \"PreferClose\", \"PreferSameZone\", \"PreferSameNode\"",
            ),
            (
                service(
                    json!({"type": "LoadBalancer", "loadBalancerClass": "-", "loadBalancerSourceRanges": ["x"]}),
                ),
                "spec.LoadBalancerSourceRanges[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)\n\
                spec.loadBalancerClass: Invalid value: \"-\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ),
        ],
    );
    let balancer = |spec: Value| {
        let mut full = json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "externalTrafficPolicy": "Local",
            "loadBalancerClass": "a/b", "healthCheckNodePort": 30001});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        service(full)
    };
    check_updates(
        "",
        "Service",
        &[
            (balancer(json!({})), balancer(json!({"sessionAffinity": "ClientIP"})), ""),
            (
                balancer(json!({})),
                balancer(json!({"loadBalancerClass": "c/d", "healthCheckNodePort": 30002})),
                "spec.loadBalancerClass: Invalid value: \"c/d\": may not change once set\n\
                spec.healthCheckNodePort: Forbidden: field is immutable",
            ),
        ],
    );
}

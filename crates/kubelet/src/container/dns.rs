//! A pod's resolver configuration.

use cri::v1::DnsConfig;
use k8s_openapi::api::core::v1::Pod;

use crate::pod;

/// Limits of the resolver library that upstream keeps to.
const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARS: usize = 2048;

/// The node's own resolver configuration, read from its `resolv.conf`.
pub fn parse(text: &str) -> DnsConfig {
    let mut config = DnsConfig::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => config.servers.extend(words.next().map(str::to_owned)),
            // The last search line holds, as in the library.
            Some("search") => {
                config.searches = words.map(|domain| domain.trim_end_matches('.').to_owned()).collect()
            }
            Some("options") => config.options = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    config
}

/// What a pod's containers resolve by: the cluster's, the node's, or only what the pod gives.
pub fn config(pod: &Pod, servers: &[String], domain: &str, node: DnsConfig) -> DnsConfig {
    let spec = pod::spec(pod);
    let host_network = spec.host_network == Some(true);
    let cluster = match spec.dns_policy.as_deref() {
        Some("None") => None,
        Some("Default") => Some(false),
        Some("ClusterFirstWithHostNet") => Some(true),
        _ => Some(!host_network),
    };
    let mut config = match cluster {
        None => DnsConfig::default(),
        // Without a cluster DNS address upstream falls back to the node's.
        Some(true) if !servers.is_empty() => {
            let mut searches: Vec<String> = Vec::new();
            if !domain.is_empty() {
                searches.push(format!("{}.svc.{domain}", pod::namespace(pod)));
                searches.push(format!("svc.{domain}"));
                searches.push(domain.to_owned());
            }
            searches.extend(node.searches);
            DnsConfig { servers: servers.to_vec(), searches, options: vec!["ndots:5".into()] }
        }
        Some(_) => node,
    };
    if let Some(own) = &spec.dns_config {
        config.servers.extend(own.nameservers.clone().unwrap_or_default());
        config.searches.extend(own.searches.clone().unwrap_or_default());
        for option in own.options.iter().flatten() {
            let name = option.name.as_deref().unwrap_or_default();
            config.options.retain(|present| present.split(':').next() != Some(name));
            match option.value.as_deref().filter(|value| !value.is_empty()) {
                Some(value) => config.options.push(format!("{name}:{value}")),
                None => config.options.push(name.to_owned()),
            }
        }
    }
    unique(&mut config.servers);
    unique(&mut config.searches);
    config.servers.truncate(MAX_NAMESERVERS);
    config.searches.truncate(MAX_SEARCHES);
    let mut length = 0;
    config.searches.retain(|search| {
        length += search.len() + 1;
        length <= MAX_SEARCH_CHARS
    });
    config
}

fn unique(list: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|entry| seen.insert(entry.clone()));
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::*;

    fn check(spec: Value, expected: Expect) {
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec}))
                .unwrap();
        let node = parse("# c\nnameserver 1.1.1.1\nnameserver 1.1.1.2\nsearch corp.\noptions edns0\n");
        let config = config(&pod, &["10.96.0.10".into()], "cluster.local", node);
        let text = format!("{:?} {:?} {:?}", config.servers, config.searches, config.options);
        expected.assert_eq(&text);
    }

    #[test]
    fn policies() {
        let cluster = || {
            expect![[
                r#"["10.96.0.10"] ["n.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp"] ["ndots:5"]"#
            ]]
        };
        let node = || expect![[r#"["1.1.1.1", "1.1.1.2"] ["corp"] ["edns0"]"#]];
        check(json!({"containers": []}), cluster());
        check(
            json!({"containers": [], "dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}),
            cluster(),
        );
        check(json!({"containers": [], "dnsPolicy": "ClusterFirst", "hostNetwork": true}), node());
        check(json!({"containers": [], "dnsPolicy": "Default"}), node());
    }

    #[test]
    fn the_pods_own_settings_are_merged() {
        let own = json!({"nameservers": ["9.9.9.9"], "searches": ["a", "a"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}]});
        check(
            json!({"containers": [], "dnsPolicy": "None", "dnsConfig": own}),
            expect![[r#"["9.9.9.9"] ["a"] ["ndots:2", "rotate"]"#]],
        );
        check(
            json!({"containers": [], "dnsConfig": own}),
            expect![[
                r#"["10.96.0.10", "9.9.9.9"] ["n.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp", "a"] ["ndots:2", "rotate"]"#
            ]],
        );
    }
}

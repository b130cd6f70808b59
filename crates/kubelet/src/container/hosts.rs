//! A pod's name and its hosts file.

use k8s_openapi::api::core::v1::Pod;

use crate::pod;

/// The longest host name the kernel takes.
const MAX_HOSTNAME: usize = 63;
/// The first line of a hosts file that the kubelet writes; people and tests look for it.
const HEADER: &str = "# Kubernetes-managed hosts file.\n";
const HEADER_HOST_NETWORK: &str = "# Kubernetes-managed hosts file (host network).\n";

/// What a pod calls itself: host name and domain, the domain empty without a subdomain.
pub fn names(pod: &Pod, cluster_domain: &str) -> (String, String) {
    let spec = pod::spec(pod);
    if let Some(name) = spec.hostname_override.as_deref().filter(|name| !name.is_empty()) {
        return (name.to_owned(), String::new());
    }
    let hostname = match spec.hostname.as_deref() {
        Some(hostname) if !hostname.is_empty() => hostname.to_owned(),
        _ => truncate(pod::name(pod)),
    };
    let domain = match spec.subdomain.as_deref() {
        Some(subdomain) if !subdomain.is_empty() => {
            format!("{subdomain}.{}.svc.{cluster_domain}", pod::namespace(pod))
        }
        _ => String::new(),
    };
    (hostname, domain)
}

/// The name the kernel is told: the plain one, or with its domain where the pod asks for that. A name that does not
/// fit is an error with upstream's message.
pub fn hostname(pod: &Pod, cluster_domain: &str) -> Result<String, String> {
    let (hostname, domain) = names(pod, cluster_domain);
    if pod::spec(pod).set_hostname_as_fqdn != Some(true) || domain.is_empty() {
        return Ok(hostname);
    }
    let full = format!("{hostname}.{domain}");
    if full.len() > 64 {
        return Err(format!(
            "failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long (64 characters is the max, {} characters requested)",
            full.len()
        ));
    }
    Ok(full)
}

fn truncate(name: &str) -> String {
    let short: String = name.chars().take(MAX_HOSTNAME).collect();
    short.trim_end_matches(['-', '.']).to_owned()
}

/// The pod's hosts file. A pod on the node's network gets the node's own, which is `node_hosts`.
pub fn file(pod: &Pod, pod_ips: &[String], cluster_domain: &str, node_hosts: &str) -> String {
    let mut text = String::new();
    if pod::is_host_network(pod) {
        text.push_str(HEADER_HOST_NETWORK);
        text.push_str(node_hosts);
    } else {
        text.push_str(HEADER);
        text.push_str("127.0.0.1\tlocalhost\n");
        text.push_str("::1\tlocalhost ip6-localhost ip6-loopback\n");
        text.push_str("fe00::0\tip6-localnet\n");
        text.push_str("fe00::0\tip6-mcastprefix\n");
        text.push_str("fe00::1\tip6-allnodes\n");
        text.push_str("fe00::2\tip6-allrouters\n");
        let (hostname, domain) = names(pod, cluster_domain);
        for ip in pod_ips {
            if domain.is_empty() {
                text.push_str(&format!("{ip}\t{hostname}\n"));
            } else {
                text.push_str(&format!("{ip}\t{hostname}.{domain}\t{hostname}\n"));
            }
        }
    }
    let aliases = pod::spec(pod).host_aliases.as_deref().unwrap_or_default();
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
        for alias in aliases {
            text.push_str(&format!(
                "{}\t{}\n",
                alias.ip,
                alias.hostnames.clone().unwrap_or_default().join("\t")
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::{Value, json};

    use super::*;

    fn a_pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "web-0", "namespace": "n"}, "spec": spec}))
            .unwrap()
    }

    #[test]
    fn a_pod_finds_itself_and_its_aliases() {
        let pod = a_pod(json!({"containers": [], "subdomain": "web",
            "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]}));
        expect![[r#"
            # Kubernetes-managed hosts file.
            127.0.0.1	localhost
            ::1	localhost ip6-localhost ip6-loopback
            fe00::0	ip6-localnet
            fe00::0	ip6-mcastprefix
            fe00::1	ip6-allnodes
            fe00::2	ip6-allrouters
            10.0.0.1	web-0.web.n.svc.cluster.local	web-0

            # Entries added by HostAliases.
            1.2.3.4	a	b
        "#]]
        .assert_eq(&file(&pod, &["10.0.0.1".into()], "cluster.local", ""));
    }

    #[test]
    fn the_kernels_name_is_plain_unless_asked() {
        let plain = a_pod(json!({"containers": [], "subdomain": "web"}));
        assert_eq!(hostname(&plain, "cluster.local").unwrap(), "web-0");
        let full = a_pod(json!({"containers": [], "subdomain": "web", "setHostnameAsFQDN": true}));
        assert_eq!(hostname(&full, "cluster.local").unwrap(), "web-0.web.n.svc.cluster.local");
        assert!(hostname(&full, &"x".repeat(60)).is_err());
    }

    #[test]
    fn long_names_are_cut_where_a_name_may_end() {
        assert_eq!(truncate(&format!("{}-.b", "a".repeat(61))), "a".repeat(61));
    }
}

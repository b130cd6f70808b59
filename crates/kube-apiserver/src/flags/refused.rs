//! Upstream's flags that are refused, as a server that took them and did something else would do harm.

/// Each of them ends the server with the reason.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RefusedFlags {
    /// Refused: see --enable-admission-plugins
    #[arg(long, value_name = "PLUGINS", value_parser = |_: &str| refused("name plugins by --enable-admission-plugins and --disable-admission-plugins"))]
    admission_control: Option<String>,
    /// Refused: profiles are behind authorization, at /debug/pprof/
    #[arg(long, value_name = "PATH", value_parser = |_: &str| refused("profiles are behind authorization, at /debug/pprof/ of the secure port"))]
    debug_socket_path: Option<String>,
    /// Refused: nodes, Services and etcd are reached without a proxy
    #[arg(long, value_name = "FILE", value_parser = |_: &str| refused("this server reaches nodes, Services and etcd directly, and never through a proxy"))]
    egress_selector_config_file: Option<String>,
    /// Refused: all resources are in --etcd-servers
    #[arg(long, value_name = "GROUP/RESOURCE#SERVERS", value_parser = |_: &str| refused("all resources are kept in --etcd-servers"))]
    etcd_servers_overrides: Option<String>,
    /// Refused: the Service kubernetes has no node port
    #[arg(long, value_name = "PORT", value_parser = zero)]
    kubernetes_service_node_port: Option<String>,
    /// Refused: tokens are signed with --service-account-signing-key-file
    #[arg(long, value_name = "PATH", value_parser = |_: &str| refused("tokens are signed with the key of --service-account-signing-key-file"))]
    service_account_signing_endpoint: Option<String>,
    /// The store: etcd3
    #[arg(long, value_name = "NAME", value_parser = etcd)]
    storage_backend: Option<String>,
}

fn refused(why: &'static str) -> Result<String, &'static str> {
    Err(why)
}

fn zero(port: &str) -> Result<String, &'static str> {
    match port {
        "0" => Ok(port.to_owned()),
        _ => Err("make a Service of type NodePort in front of the Service kubernetes"),
    }
}

fn etcd(backend: &str) -> Result<String, &'static str> {
    match backend {
        "" | "etcd3" => Ok(backend.to_owned()),
        _ => Err("objects are kept in etcd3"),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};

    use super::*;

    #[test]
    fn a_refused_flag_says_why() {
        let parse = |argument: &str| {
            RefusedFlags::augment_args(Command::new("p")).try_get_matches_from(["p", argument])
        };
        let error = parse("--egress-selector-config-file=x").unwrap_err().to_string();
        assert!(error.contains("never through a proxy"), "{error}");
        assert!(parse("--kubernetes-service-node-port=30443").is_err());
        assert!(
            parse("--kubernetes-service-node-port=0").is_ok() && parse("--storage-backend=etcd3").is_ok()
        );
    }
}

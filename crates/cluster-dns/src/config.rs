//! What the server is told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use component::logging::LoggingFlags;
use hickory_proto::rr::Name;
use ipnet::IpNet;

use crate::answer::Zones;
use crate::resolv_conf;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "cluster-dns", about = "DNS for Services and pods")]
pub struct Flags {
    /// The address to answer at
    #[arg(long, default_value_t = Ipv4Addr::UNSPECIFIED.into(), value_name = "IP")]
    pub bind_address: IpAddr,
    /// The port to answer at, by UDP and TCP
    #[arg(long, default_value_t = 53)]
    pub port: u16,
    /// The domain of the cluster's names
    #[arg(long, default_value = "cluster.local", value_name = "DOMAIN")]
    pub cluster_domain: String,
    /// Networks of Services and pods: addresses there without a name do not exist, and nobody else is asked
    #[arg(long, value_delimiter = ',', value_name = "CIDR")]
    pub cluster_networks: Vec<IpNet>,
    /// The file with the name servers that are asked for all other names
    #[arg(long, default_value = "/etc/resolv.conf", value_name = "FILE")]
    pub resolv_conf: PathBuf,
    /// Path to the kubeconfig; without it, the pod's service account is used
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Where /health is served
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub health_bind_address: SocketAddr,
    /// Where /ready is served
    #[arg(long, default_value = "0.0.0.0:8181", value_name = "ADDRESS")]
    pub ready_bind_address: SocketAddr,
    /// Where /metrics is served
    #[arg(long, default_value = "0.0.0.0:9153", value_name = "ADDRESS")]
    pub metrics_bind_address: SocketAddr,
    /// How long to answer after being told to stop, until nobody asks any more
    #[arg(long, default_value = "5s", value_parser = component::flags::duration, value_name = "DURATION")]
    pub lameduck: Duration,
    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

/// What the server is told, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to answer.
    pub address: SocketAddr,
    /// The cluster's part of the name space.
    pub zones: Zones,
    /// Who is asked for all other names.
    pub upstreams: Vec<SocketAddr>,
    /// The kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// Where health, readiness and metrics are served.
    pub endpoints: [SocketAddr; 3],
    /// How long to answer after being told to stop.
    pub lameduck: Duration,
}

impl Config {
    /// Checks the flags and reads the name servers.
    pub fn new(flags: Flags) -> anyhow::Result<Self> {
        let domain = flags.cluster_domain.trim_end_matches('.').to_ascii_lowercase();
        let domain = Name::from_ascii(format!("{domain}."))
            .ok()
            .filter(|domain| !domain.is_root())
            .with_context(|| format!("--cluster-domain {:?} is no domain", flags.cluster_domain))?;
        let address = SocketAddr::new(flags.bind_address, flags.port);
        let path = flags.resolv_conf.display();
        let upstreams = match std::fs::read_to_string(&flags.resolv_conf) {
            Ok(text) => resolv_conf::name_servers(&text),
            Err(error) => {
                tracing::warn!("{path}: {error}; only the cluster's names will be answered");
                Vec::new()
            }
        };
        let (own, upstreams): (Vec<_>, Vec<_>) =
            upstreams.into_iter().partition(|upstream| is_own(address, *upstream));
        if !own.is_empty() {
            tracing::warn!(?own, "{path} names this very server, which will not ask itself");
        }
        Ok(Config {
            address,
            zones: Zones { domain, networks: flags.cluster_networks.iter().map(IpNet::trunc).collect() },
            upstreams,
            kubeconfig: flags.kubeconfig,
            endpoints: [flags.health_bind_address, flags.ready_bind_address, flags.metrics_bind_address],
            lameduck: flags.lameduck,
        })
    }
}

/// Tells whether what is sent to `upstream` comes in at `address`, as far as addresses tell.
fn is_own(address: SocketAddr, upstream: SocketAddr) -> bool {
    let everywhere = address.ip().is_unspecified() && upstream.ip().is_loopback();
    address.port() == upstream.port() && (everywhere || address.ip() == upstream.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> anyhow::Result<Config> {
        let arguments = std::iter::once("cluster-dns").chain(arguments.iter().copied());
        Config::new(Flags::try_parse_from(arguments)?)
    }

    #[test]
    fn domains_are_lower_case_with_or_without_the_last_dot() {
        for domain in ["Cluster.Local", "cluster.local."] {
            let config = read(&["--cluster-domain", domain, "--resolv-conf=/nowhere"]).unwrap();
            assert_eq!(config.zones.domain.to_string(), "cluster.local.");
            assert_eq!(config.address.to_string(), "0.0.0.0:53");
        }
        assert!(read(&["--cluster-domain=."]).is_err());
        assert!(read(&["--cluster-networks=10.96"]).is_err());
    }

    #[test]
    fn the_server_does_not_ask_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        std::fs::write(&path, "nameserver 127.0.0.1\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n").unwrap();
        let file = format!("--resolv-conf={}", path.display());
        let shown = |arguments: &[&str]| -> Vec<String> {
            read(arguments).unwrap().upstreams.iter().map(ToString::to_string).collect()
        };
        assert_eq!(shown(&[&file]), ["10.0.0.1:53", "10.0.0.2:53"]);
        assert_eq!(shown(&[&file, "--bind-address=10.0.0.2"]), ["127.0.0.1:53", "10.0.0.1:53"]);
        assert_eq!(shown(&[&file, "--port=1053"]).len(), 3);
    }
}

//! Kubeconfigs of further users, with certificates or tokens.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use pki::{Leaf, cluster::Signer};

use crate::{
    certificates,
    configuration::{ClusterSettings, Documents, duration_days},
    discovery,
    kubeconfigs::Target,
    paths::Paths,
};

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Output a kubeconfig file for an additional user
    User {
        /// The name of user. It will be used as the CN if client certificates are created
        #[arg(long, value_name = "NAME")]
        client_name: String,
        /// Path to a kubeadm configuration file; what this control plane has, if absent
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The organizations of the client certificate. It will be used as the O if client certificates are created
        #[arg(long, value_name = "GROUP", value_delimiter = ',')]
        org: Vec<String>,
        /// The token that should be used as the authentication mechanism for this kubeconfig, instead of client certificates
        #[arg(long, value_name = "TOKEN")]
        token: Option<String>,
        /// The validity period of the client certificate
        #[arg(long, value_name = "DURATION", default_value = "8760h0m0s")]
        validity_period: String,
    },
}

/// Runs the command.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let Command::User { client_name, config, org, token, validity_period } = flags.command;
    let paths = Paths::system();
    let target = target(&paths, config)?;
    let text = match token {
        Some(token) => target.with_token(&client_name, &token)?,
        None => {
            let groups: Vec<&str> = org.iter().map(String::as_str).collect();
            let mut leaf = Leaf::client(&client_name, &groups);
            leaf.days = duration_days(&validity_period).map_err(anyhow::Error::msg)?;
            let authority = certificates::authority(&paths.pki(), Signer::Cluster)
                .context("a user's certificate is signed on a control plane, by root")?;
            target.with_certificate(&client_name, &authority.issue(&leaf, jiff::Timestamp::now())?)?
        }
    };
    print!("{text}");
    Ok(())
}

/// The cluster as the administrator's kubeconfig has it, or as a configuration says.
fn target(paths: &Paths, config: Option<PathBuf>) -> anyhow::Result<Target> {
    let Some(config) = config else {
        let path = paths.kubeconfig("admin");
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("reading {}; this is typed on a control plane, by root", path.display())
        })?;
        return discovery::target(&text);
    };
    let documents = Documents::read(Some(&config))?;
    let cluster = ClusterSettings::new(documents.cluster.unwrap_or_default())?;
    let local = documents.init.unwrap_or_default().local_api_endpoint;
    let server = match &cluster.endpoint {
        Some(endpoint) => endpoint.url(),
        None if local.advertise_address.is_empty() => {
            bail!(
                "{} has neither controlPlaneEndpoint nor localAPIEndpoint.advertiseAddress",
                config.display()
            )
        }
        None => {
            let port = if local.bind_port == 0 { 6443 } else { local.bind_port };
            crate::configuration::Endpoint { host: local.advertise_address, port }.url()
        }
    };
    let path = paths.pki().join("ca.crt");
    let authority = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Target { cluster: cluster.configuration.cluster_name, server, authority })
}

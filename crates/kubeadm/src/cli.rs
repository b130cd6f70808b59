//! The command line: upstream's subcommands, each with a module of its own.

use clap::{Parser, Subcommand};
use component::flags::{Ignored, ignored, ignored_switch};

use crate::{backup, certs, config, init, join, kubeconfig, reset, restore, token, upgrade};

/// Upstream's flags that mean nothing here.
pub(crate) const IGNORED: &[Ignored] = &[
    ignored("v"),
    ignored("vmodule"),
    ignored("log-file"),
    ignored("feature-gates"),
    ignored("image-repository"),
    ignored("patches"),
    ignored_switch("add-dir-header"),
    ignored_switch("skip-headers"),
];

/// Makes a machine a node of a cluster.
#[derive(Debug, Parser)]
#[command(name = "kubeadm", about = "Easily bootstrap a secure Kubernetes cluster")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run this command in order to set up the Kubernetes control plane
    Init(init::Flags),
    /// Run this on any machine you wish to join an existing cluster
    Join(join::Flags),
    /// Performs a best effort revert of changes made to this host by 'kubeadm init' or 'kubeadm join'
    Reset(reset::Flags),
    /// Manage bootstrap tokens
    Token(token::Flags),
    /// Manage configuration for a kubeadm cluster persisted in a ConfigMap in the cluster
    Config(config::Flags),
    /// Commands related to handling Kubernetes certificates
    Certs(certs::Flags),
    /// Kubeconfig file utilities
    Kubeconfig(kubeconfig::Flags),
    /// Upgrade your cluster smoothly to a newer version with this command
    Upgrade(upgrade::Flags),
    /// Save the cluster's objects and keys of this control plane in one file
    Backup(backup::Flags),
    /// Bring a control plane back from a file that 'kubeadm backup' wrote
    Restore(restore::Flags),
    /// Print the version of kubeadm
    Version(VersionFlags),
}

#[derive(Debug, clap::Args)]
struct VersionFlags {
    /// Output format; available options are 'yaml', 'json' and 'short'
    #[arg(short, long)]
    output: Option<String>,
}

impl Cli {
    /// Does what was typed.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Init(flags) => init::run(flags).await,
            Command::Join(flags) => join::run(flags).await,
            Command::Reset(flags) => reset::run(flags).await,
            Command::Token(flags) => token::run(flags).await,
            Command::Config(flags) => config::run(flags).await,
            Command::Certs(flags) => certs::run(flags).await,
            Command::Kubeconfig(flags) => kubeconfig::run(flags).await,
            Command::Upgrade(flags) => upgrade::run(flags).await,
            Command::Backup(flags) => backup::run(flags).await,
            Command::Restore(flags) => restore::run(flags).await,
            Command::Version(flags) => version(flags.output.as_deref()),
        }
    }
}

fn version(output: Option<&str>) -> anyhow::Result<()> {
    let version = component::VERSION;
    let platform = format!("linux/{}", go_architecture());
    match output {
        None | Some("") => println!("kubeadm version: {version} ({platform})"),
        Some("short") => println!("{version}"),
        Some("json") => {
            println!(r#"{{"clientVersion":{{"gitVersion":"{version}","platform":"{platform}"}}}}"#);
        }
        Some("yaml") => println!("clientVersion:\n  gitVersion: {version}\n  platform: {platform}"),
        Some(other) => anyhow::bail!("invalid output format: {other}"),
    }
    Ok(())
}

/// The processor as Go and Kubernetes name it.
fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

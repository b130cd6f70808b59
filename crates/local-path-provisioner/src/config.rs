//! What the provisioner is told.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Parser;
use component::logging::LoggingFlags;

/// The command line.
#[derive(Debug, Clone, Parser)]
#[command(name = "local-path-provisioner", about = "Makes volumes that are directories of the node")]
pub struct Flags {
    /// The name by which storage classes ask for it
    #[arg(long, default_value = "rancher.io/local-path", env = "PROVISIONER_NAME", value_name = "NAME")]
    pub provisioner_name: String,
    /// The node whose volumes it makes
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub node_name: String,
    /// The directory of the node that volumes are made in; the same path must lead to it here
    #[arg(long, default_value = "/opt/local-path-provisioner", value_name = "DIRECTORY")]
    pub directory: PathBuf,
    /// Path to the kubeconfig; without it, the pod's service account is used
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

/// What the provisioner is told, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name by which storage classes ask for it.
    pub provisioner: String,
    /// The node whose volumes it makes.
    pub node: String,
    /// Where volumes are made.
    pub directory: PathBuf,
    /// The kubeconfig.
    pub kubeconfig: Option<PathBuf>,
}

impl Config {
    /// Checks the flags.
    pub fn new(flags: Flags) -> anyhow::Result<Self> {
        ensure!(!flags.node_name.is_empty(), "--node-name: must not be empty");
        ensure!(
            flags.directory.is_absolute() && flags.directory.parent().is_some(),
            "--directory: must be an absolute path and not the root"
        );
        Ok(Self {
            provisioner: flags.provisioner_name,
            node: flags.node_name,
            directory: flags.directory,
            kubeconfig: flags.kubeconfig,
        })
    }
}

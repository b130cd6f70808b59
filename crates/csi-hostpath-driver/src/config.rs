//! What the driver is told.

use std::path::PathBuf;

use anyhow::ensure;
use clap::{ArgAction, Parser};
use component::logging::LoggingFlags;

/// The command line; flags are named as those of upstream's driver of this kind.
#[derive(Debug, Clone, Parser)]
#[command(name = "csi-hostpath-driver", about = "A CSI driver whose volumes are directories")]
pub struct Flags {
    /// The socket to serve on
    #[arg(long, default_value = "unix:///csi/csi.sock", value_name = "ADDRESS")]
    pub endpoint: String,
    /// The driver's name
    #[arg(long, default_value = "hostpath.csi.k8s.io", value_name = "NAME")]
    pub drivername: String,
    /// The name of this node
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub nodeid: String,
    /// The directory that volumes are in; where nodes share volumes, the same on all of them
    #[arg(long, default_value = "/csi-data-dir", value_name = "DIRECTORY")]
    pub statedir: PathBuf,
    /// Whether volumes are of one node; without, every node reaches all of them
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    pub enable_topology: bool,
    /// Whether volumes must be attached to a node before it can stage them
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    pub enable_attach: bool,
    /// Whether a volume that has grown must be made known to its node
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    pub node_expand_required: bool,
    /// How many volumes a node takes; 0: no limit
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub maxvolumespernode: i64,
    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

/// What the driver is told, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The socket.
    pub socket: PathBuf,
    /// The driver's name.
    pub driver: String,
    /// The node's.
    pub node: String,
    /// Where volumes are.
    pub state: PathBuf,
    /// Whether each volume is of one node.
    pub topology: bool,
    /// Whether volumes are attached.
    pub attach: bool,
    /// Whether nodes hear of growth.
    pub node_expansion: bool,
    /// How many volumes a node takes.
    pub max_volumes: i64,
}

impl Config {
    /// Checks the flags.
    pub fn new(flags: Flags) -> anyhow::Result<Self> {
        ensure!(!flags.nodeid.is_empty(), "--nodeid: must not be empty");
        ensure!(flags.statedir.is_absolute(), "--statedir: must be an absolute path");
        ensure!(flags.maxvolumespernode >= 0, "--maxvolumespernode: must not be negative");
        Ok(Self {
            socket: csi::socket_path(&flags.endpoint),
            driver: flags.drivername,
            node: flags.nodeid,
            state: flags.statedir,
            topology: flags.enable_topology,
            attach: flags.enable_attach,
            node_expansion: flags.node_expand_required,
            max_volumes: flags.maxvolumespernode,
        })
    }
}

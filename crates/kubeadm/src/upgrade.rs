//! Replaces the components by those of another release: files first, then the units that run older ones, one at a time.

mod apply;
mod install;
mod plan;
mod release;
mod running;

use std::path::PathBuf;

use clap::Subcommand;

use crate::paths::Paths;

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check what runs here, what is installed, and what a release would bring
    Plan {
        /// The version to upgrade to, such as v1.36.0 or 1.36.0-2
        version: Option<String>,
        #[command(flatten)]
        source: Source,
    },
    /// Upgrade this control plane, and what the cluster runs of kubeadm's add-ons
    Apply {
        /// The version to upgrade to, such as v1.36.0 or 1.36.0-2
        version: Option<String>,
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        way: Way,
    },
    /// Upgrade this machine only: a worker, or a further control plane
    Node {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        way: Way,
    },
    /// Show which programs a release would replace
    Diff {
        #[command(flatten)]
        source: Source,
    },
}

/// Where a release is.
#[derive(Debug, Clone, Default, clap::Args)]
struct Source {
    /// Directory of a release: its packages, or its unpacked archive; without it, what is installed is taken into use
    #[arg(long, value_name = "DIRECTORY")]
    release: Option<PathBuf>,
}

/// How an upgrade is done.
#[derive(Debug, Clone, Default, clap::Args)]
struct Way {
    /// Perform the upgrade and do not prompt for confirmation (non-interactive mode)
    #[arg(long, short)]
    yes: bool,
    /// Do not change any state, just output what actions would be performed
    #[arg(long)]
    dry_run: bool,
    /// Upgrade although this machine is not healthy; this also implies non-interactive mode
    #[arg(long, short)]
    force: bool,
}

/// Runs the command.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let paths = Paths::system();
    match flags.command {
        Command::Plan { version, source } => plan::run(&paths, version.as_deref(), &source).await,
        Command::Apply { version, source, way } => {
            apply::run(&paths, apply::Scope::Cluster, version.as_deref(), &source, &way).await
        }
        Command::Node { source, way } => apply::run(&paths, apply::Scope::Machine, None, &source, &way).await,
        Command::Diff { source } => plan::diff(&paths, &source),
    }
}

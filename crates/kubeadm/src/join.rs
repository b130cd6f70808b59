//! Makes this machine a node of a cluster that is there.

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {}

/// Runs the command.
pub async fn run(_flags: Flags) -> anyhow::Result<()> {
    anyhow::bail!("kubeadm join is not there yet")
}

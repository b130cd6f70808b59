//! Brings a control plane back from a backup.

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {}

/// Runs the command.
pub async fn run(_flags: Flags) -> anyhow::Result<()> {
    anyhow::bail!("kubeadm restore is not there yet")
}

//! Sets up the control plane on this machine.

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {}

/// Runs the command.
pub async fn run(_flags: Flags) -> anyhow::Result<()> {
    anyhow::bail!("kubeadm init is not there yet")
}

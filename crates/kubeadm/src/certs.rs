//! Says when certificates expire and renews them.

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {}

/// Runs the command.
pub async fn run(_flags: Flags) -> anyhow::Result<()> {
    anyhow::bail!("kubeadm certs is not there yet")
}

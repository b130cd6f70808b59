//! Prints, checks and migrates configurations; lists images.

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {}

/// Runs the command.
pub async fn run(_flags: Flags) -> anyhow::Result<()> {
    anyhow::bail!("kubeadm config is not there yet")
}

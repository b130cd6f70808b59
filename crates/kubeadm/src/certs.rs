//! Says when certificates expire and renews them.

mod expiration;
pub mod held;
mod renewal;

use clap::Subcommand;
use jiff::Timestamp;

use crate::{paths::Paths, sealed::CertificateKey};

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check certificates expiration for a Kubernetes cluster
    CheckExpiration(expiration::Flags),
    /// Renew certificates for a Kubernetes cluster, and restart what uses them
    Renew(renewal::Flags),
    /// Generate certificate keys
    CertificateKey,
}

/// Renews what is due of a control plane's certificates and returns it; nothing is restarted.
pub fn renew_due(paths: &Paths, now: Timestamp) -> anyhow::Result<Vec<held::Held>> {
    renewal::renew_due(paths, now)
}

/// Runs the command.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let paths = Paths::system();
    match flags.command {
        Command::CheckExpiration(flags) => expiration::run(&paths, &flags),
        Command::Renew(flags) => renewal::run(&paths, &flags).await,
        Command::CertificateKey => {
            println!("{}", CertificateKey::generate()?.text());
            Ok(())
        }
    }
}

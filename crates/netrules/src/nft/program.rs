//! The nft program, and the border that a test's double stands at.

use std::future::Future;
use std::time::Duration;

use crate::kernel::Error;
use crate::program;

/// A transaction of thousands of elements takes milliseconds; minutes mean that the program hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Whoever takes the transactions of nftables.
pub trait Load: Send + Sync {
    /// Applies an input of `nft -f` as a whole or not at all.
    fn load(&self, input: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Tells whether a table of family `inet` has a chain.
    fn has_chain(&self, table: &str, chain: &str) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// The nft program; it is looked up in `PATH` at each run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nft;

impl Load for Nft {
    async fn load(&self, input: &str) -> Result<(), Error> {
        program::succeed("nft", &["-f", "-"], input.as_bytes(), TIMEOUT).await.map(drop)
    }

    async fn has_chain(&self, table: &str, chain: &str) -> Result<bool, Error> {
        let arguments = ["list", "chain", "inet", table, chain];
        let output = program::run("nft", &arguments, b"", TIMEOUT).await?;
        match output.code {
            Some(0) => Ok(true),
            Some(1) if output.stderr.contains("No such file or directory") => Ok(false),
            code => Err(Error::Failed {
                program: format!("nft {}", arguments.join(" ")),
                code,
                stderr: output.stderr,
            }),
        }
    }
}

//! The command line: the registry of a machine's loopback.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::registry;

#[derive(Parser)]
#[command(name = "image-registry", about = "Serve OCI archives as a read-only registry", version)]
struct Cli {
    /// Directory of the archives
    directory: PathBuf,
    /// Where to listen
    #[arg(default_value = "127.0.0.1:5000")]
    address: SocketAddr,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match registry::run(&cli.directory, &cli.address.to_string()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

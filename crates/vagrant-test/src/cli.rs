//! The command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{apart, journey};

#[derive(Parser)]
#[command(name = "cargo xtask vagrant-test", about = "Run the Vagrant lab under QEMU, start to end")]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What the lab is made from.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Directory of the release
    #[arg(long, default_value = "target/dist", value_name = "DIR", global = true)]
    pub release: PathBuf,
    /// Directory for the box and all that is made
    #[arg(long, default_value = "target/vagrant-test", value_name = "DIR", global = true)]
    pub work: PathBuf,
    /// Keep the box that an earlier run made
    #[arg(long, global = true)]
    pub keep_box: bool,
}

#[derive(Subcommand)]
enum Part {
    /// What runs in the namespaces
    #[command(hide = true)]
    Inside,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = absolute(cli.settings).and_then(|settings| match cli.part {
        None => apart::run(&settings),
        Some(Part::Inside) => journey::run(&settings),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn absolute(settings: Settings) -> anyhow::Result<Settings> {
    Ok(Settings {
        release: std::path::absolute(&settings.release)?,
        work: std::path::absolute(&settings.work)?,
        ..settings
    })
}

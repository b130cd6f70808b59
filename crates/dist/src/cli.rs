//! The command line.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::Context as _;
use clap::Parser;

use crate::{Options, build};

#[derive(Parser)]
#[command(
    name = "cargo xtask dist",
    about = "Make a release: packages, archive, checksums, bill of materials"
)]
struct Cli {
    /// Number of the build, which sets apart releases of one version
    #[arg(long, default_value_t = 1, value_name = "N")]
    build: u32,
    /// Where the release goes
    #[arg(long, default_value = "target/dist", value_name = "DIR")]
    out: PathBuf,
    /// Pack the programs of the development build, and pack them quickly
    #[arg(long)]
    debug: bool,
    /// Say which programs a release is made of, and no more
    #[arg(long, hide = true)]
    programs: bool,
    /// Where the built programs are
    #[arg(long, hide = true)]
    binaries: Option<PathBuf>,
}

/// Runs the program.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    if cli.programs {
        crate::programs().for_each(|program| println!("{program}"));
        return Ok(());
    }
    let own = std::env::current_exe()?;
    let beside = own.parent().context("a program has a directory")?;
    let profile = if cli.debug { "debug" } else { "release" };
    let sources = sources();
    let options = Options {
        time: time(&sources),
        binaries: cli.binaries.unwrap_or_else(|| beside.with_file_name(profile)),
        out: std::path::absolute(&cli.out)?,
        build: cli.build,
        small: !cli.debug,
        sources,
    };
    for file in build(&options)? {
        let size = file.metadata()?.len();
        println!("{:>9.1} MiB  {}", size as f64 / f64::from(1 << 20), file.display());
    }
    Ok(())
}

/// The workspace's directory.
pub fn sources() -> PathBuf {
    // crates/dist lies two levels below it.
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).into()
}

/// `SOURCE_DATE_EPOCH`, else the time of the last commit.
pub fn time(sources: &Path) -> i64 {
    let asked = std::env::var("SOURCE_DATE_EPOCH").ok().or_else(|| {
        let git =
            Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(sources).output().ok()?;
        String::from_utf8(git.stdout).ok()
    });
    asked.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

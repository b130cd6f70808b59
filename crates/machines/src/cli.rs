//! The command line of the machines.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::{Site, Software, boot, home, site, topology::COURSE};

#[derive(Parser)]
#[command(name = "machines", about = "Debian machines that boot with systemd, on one machine", version)]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(clap::Args)]
struct Which {
    /// Name of the site; sites with other names can run side by side
    #[arg(long, default_value = "magnetite")]
    name: String,
}

impl Which {
    fn attach(&self) -> anyhow::Result<Site> {
        Site::attach(&home(&binaries()?), &self.name)
    }
}

#[derive(Subcommand)]
enum Cmd {
    /// Make machines and boot them; those of an earlier site of this name are removed
    Up {
        #[command(flatten)]
        which: Which,
        /// Directory of Debian packages to install; without it the machines see the build's own binaries
        #[arg(long)]
        packages: Option<PathBuf>,
        /// Install nothing beyond Debian
        #[arg(long, conflicts_with = "packages")]
        bare: bool,
        /// The machines' names
        #[arg(default_values_t = COURSE.map(String::from))]
        machines: Vec<String>,
    },
    /// Remove every trace of the machines
    Down {
        #[command(flatten)]
        which: Which,
    },
    /// Run a command as root on a machine, or in `fabric`: outside all machines, on their network
    Exec {
        #[command(flatten)]
        which: Which,
        /// Machine, or `fabric`
        place: String,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Reboot a machine and wait until it is back
    Reboot {
        #[command(flatten)]
        which: Which,
        /// Machine
        machine: String,
    },
    /// Pull a machine's plug
    Off {
        #[command(flatten)]
        which: Which,
        /// Machine
        machine: String,
    },
    /// Switch a machine on again
    On {
        #[command(flatten)]
        which: Which,
        /// Machine
        machine: String,
    },
    /// A machine's power supply
    #[command(hide = true)]
    Hold { state: PathBuf, machine: String },
    /// A machine
    #[command(hide = true)]
    Boot { state: PathBuf, machine: String },
}

/// Directory of this program, where the other binaries are too.
fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().context("a program has a directory")?.to_owned())
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Cmd) -> anyhow::Result<ExitCode> {
    match command {
        Cmd::Up { which, packages, bare, machines } => {
            let binaries = binaries()?;
            let software = match packages {
                Some(packages) => Software::Packages(std::path::absolute(packages)?),
                None if bare => Software::None,
                None => Software::Build { binaries: binaries.clone(), workspace: workspace() },
            };
            let begun = Instant::now();
            let options = site::Options {
                name: which.name,
                home: home(&binaries),
                machines,
                software,
                shared: Vec::new(),
            };
            let site = Site::up(&options)?;
            for machine in &site.topology().machines {
                println!("{:<12} {}", machine.name, machine.address);
            }
            println!("booted after {:.1?}", begun.elapsed());
        }
        Cmd::Down { which } => Site::down(&home(&binaries()?), &which.name)?,
        Cmd::Exec { which, place, command } => {
            let (program, arguments) = command.split_first().context("a command")?;
            let status = which.attach()?.command(&place, program)?.args(arguments).status()?;
            return Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)));
        }
        Cmd::Reboot { which, machine } => which.attach()?.reboot(&machine)?,
        Cmd::Off { which, machine } => which.attach()?.power_off(&machine)?,
        Cmd::On { which, machine } => {
            let site = which.attach()?;
            site.power_on(&machine)?;
            site.wait_booted(&machine)?;
        }
        Cmd::Hold { state, machine } => boot::hold(&state, &machine)?,
        Cmd::Boot { state, machine } => match boot::boot(&state, &machine)? {},
    }
    Ok(ExitCode::SUCCESS)
}

/// Directory of the workspace that this program was built from.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

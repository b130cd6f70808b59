//! Inputs that nobody wrote, for every decoder of what comes from outside.
//!
//! A target is a function of bytes that must end, soon, without a panic and within a bound of memory. Each runs in a
//! process of its own, whose memory is limited, on a stack as small as a server's tasks have. The input of the moment
//! lies in a file, so that whatever ends the process, its cause is known. Inputs are mutations of seeds and of earlier
//! inputs that came to something new: another result, another error.

mod entropy;
mod mutate;
mod session;
pub mod targets;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

pub use entropy::Dice;
pub use targets::{TARGETS, Target};

/// What a process may map beyond the program itself: no input of three MiB may take more.
const MEMORY: u64 = 512 << 20;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "fuzz", about = "Feed every decoder with inputs that nobody wrote")]
pub struct Flags {
    /// How long all of it takes, in seconds
    #[arg(default_value_t = 60)]
    seconds: u64,
    /// Only targets whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Where the random numbers begin
    #[arg(long)]
    seed: Option<u64>,
    /// Where inputs are kept that a target did not bear
    #[arg(long, default_value = "target/fuzz")]
    findings: PathBuf,
    /// Run one input again and do nothing else
    #[arg(long)]
    input: Option<PathBuf>,
    /// Run one target in this process, keeping the input of the moment in this file
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
}

/// Runs what the command line says; `false` where something was found.
pub fn run(flags: Flags) -> anyhow::Result<bool> {
    let chosen: Vec<&Target> = TARGETS.iter().filter(|target| target.name.contains(&flags.only)).collect();
    anyhow::ensure!(!chosen.is_empty(), "no target's name contains {:?}", flags.only);
    let seed = flags.seed.unwrap_or_else(|| jiff::Timestamp::now().as_nanosecond() as u64);
    if let Some(path) = &flags.input {
        let input = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        for target in &chosen {
            println!("{:<16} {:016x}", target.name, (target.run)(&input));
        }
        return Ok(true);
    }
    if let Some(current) = &flags.inside {
        let told = session::run(chosen[0], current, Duration::from_secs(flags.seconds), seed)?;
        println!("{:<16} {:>9} inputs, {:>5} of a kind of their own", chosen[0].name, told.runs, told.kinds);
        return Ok(true);
    }
    let each = (flags.seconds / chosen.len() as u64).max(1);
    println!("{} targets, {each} s each, seed {seed}", chosen.len());
    let mut sound = true;
    for target in chosen {
        sound &= supervise(target, each, seed, &flags.findings)?;
    }
    Ok(sound)
}

/// Runs a target in a process of its own and keeps the input that ended it, if one did.
fn supervise(target: &Target, seconds: u64, seed: u64, findings: &Path) -> anyhow::Result<bool> {
    let directory = tempfile::tempdir()?;
    let current = directory.path().join("input");
    let program = std::env::current_exe()?;
    let text = std::fs::metadata(&program)?.len();
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {}; exec \"$0\" \"$@\"", (MEMORY + text) >> 10))
        .arg(&program)
        .arg(seconds.to_string())
        .args(["--only", target.name, "--seed", &seed.to_string(), "--inside"])
        .arg(&current)
        .stdin(Stdio::null())
        .output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    if output.status.success() {
        return Ok(true);
    }
    std::fs::create_dir_all(findings)?;
    let input = std::fs::read(&current).unwrap_or_default();
    let kept = findings.join(format!("{}-{:016x}", target.name, session::hash(&input)));
    std::fs::write(&kept, &input)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().take(6).collect();
    println!("{:<16} FOUND, {}: {}", target.name, output.status, said.join("\n                 "));
    println!("{:<16} input of {} bytes kept as {}", "", input.len(), kept.display());
    Ok(false)
}

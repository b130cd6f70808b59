//! Feeding decoders by libFuzzer: `cargo fuzz` builds, every decoder then runs in a process of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::cargo::{self, root};

/// What an input may not take more of.
const MEMORY_MIB: u64 = 512;
const SECONDS: u64 = 5;
const LONGEST: usize = 64 << 10;
/// As much as a task of a server has.
const STACK_KIB: u64 = 2048;
/// What a process may map: memory that is asked for and never written shows in no resident set.
const MAPPED_KIB: u64 = 2 << 20;

/// The command line.
#[derive(Args)]
pub struct Fuzz {
    /// How long all of it takes, in seconds
    #[arg(default_value_t = 60)]
    seconds: u64,
    /// Only decoders whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Run one input again and do nothing else
    #[arg(long)]
    input: Option<PathBuf>,
}

/// Builds the decoders and runs those that are wanted, one after another.
pub fn run(wanted: &Fuzz) -> anyhow::Result<()> {
    let home = root().join("target/fuzz");
    let program = build(&home)?;
    let names = names(&program, &wanted.only)?;
    if let Some(input) = &wanted.input {
        return names.iter().try_for_each(|name| again(&program, name, input));
    }
    let each = (wanted.seconds / names.len() as u64).max(1);
    println!("{} decoders, {each} s each", names.len());
    let mut found = 0;
    for name in &names {
        found += usize::from(!feed(&program, &home, name, each)?);
    }
    if found > 0 {
        bail!("{found} decoders did not bear an input; it is in {}", home.join("findings").display());
    }
    Ok(())
}

/// Builds with cargo-fuzz, which is installed below the build's directory where it is missing.
fn build(home: &Path) -> anyhow::Result<PathBuf> {
    let tool = home.join("tool");
    let tool_text = tool.to_string_lossy();
    if !tool.join("bin/cargo-fuzz").is_file() {
        cargo::run(&["install", "--locked", "--version", "0.13.2", "--root", &tool_text, "cargo-fuzz"])?;
    }
    // The decoders are built of what the project is built of.
    fs::copy(root().join("Cargo.lock"), root().join("fuzz/Cargo.lock"))?;
    let target = home.join("build");
    let status = Command::new(tool.join("bin/cargo-fuzz"))
        .args(["fuzz", "build", "--sanitizer", "none", "--codegen-units", "16", "--fuzz-dir", "fuzz"])
        .arg("--target-dir")
        .arg(&target)
        .arg("decoders")
        .current_dir(root())
        .status()
        .context("running cargo-fuzz")?;
    if !status.success() {
        bail!("cargo fuzz build: {status}");
    }
    // Below the directory of the machine's kind, which the program need not know.
    let mut kinds = fs::read_dir(&target)?.flatten().map(|entry| entry.path().join("release/decoders"));
    kinds.find(|program| program.is_file()).context("cargo fuzz built no program")
}

fn names(program: &Path, only: &str) -> anyhow::Result<Vec<String>> {
    let output = Command::new(program).env_remove("DECODER").output()?;
    let names = String::from_utf8(output.stdout)?;
    let names: Vec<String> = names.lines().filter(|name| name.contains(only)).map(str::to_owned).collect();
    if names.is_empty() {
        bail!("no decoder's name contains {only:?}");
    }
    Ok(names)
}

/// The program for one decoder, under the bounds of an input.
fn bounded(program: &Path, name: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -s {STACK_KIB}; ulimit -v {MAPPED_KIB}; exec \"$0\" \"$@\""))
        .arg(program)
        .args([format!("-timeout={SECONDS}"), format!("-rss_limit_mb={MEMORY_MIB}")])
        .env("DECODER", name)
        .stdin(Stdio::null());
    command
}

fn again(program: &Path, name: &str, input: &Path) -> anyhow::Result<()> {
    let status = bounded(program, name).arg(input).status()?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    Ok(())
}

/// Feeds one decoder; tells whether it bore all of it.
fn feed(program: &Path, home: &Path, name: &str, seconds: u64) -> anyhow::Result<bool> {
    let (corpus, findings) = (home.join("corpus").join(name), home.join("findings"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&findings)?;
    let artifacts = findings.join(format!("{name}-"));
    let output = bounded(program, name)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST}"))
        .arg(format!("-dict={}", root().join("fuzz/words.dict").display()))
        .arg(format!("-artifact_prefix={}", artifacts.display()))
        .arg("-print_final_stats=1")
        .arg(&corpus)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    println!("{name:<20} {}", summary(&said));
    if output.status.success() {
        return Ok(true);
    }
    let lines: Vec<&str> = said.lines().filter(|line| is_about_a_finding(line)).take(8).collect();
    println!("{name:<20} FOUND, {}:\n  {}", output.status, lines.join("\n  "));
    Ok(false)
}

/// How many inputs there were, what they reached, how many are kept.
fn summary(said: &str) -> String {
    let number = |name: &str| {
        let line = said.lines().rev().find_map(|line| line.strip_prefix(name));
        line.map_or("?", str::trim).to_owned()
    };
    // `#1234 DONE cov: 56 ft: 78 corp: 9/10Kb …`
    let last = said.lines().rev().find_map(|line| line.split_once(" cov: "));
    let reached = last.and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or("?");
    let runs = number("stat::number_of_executed_units:");
    let (a_second, memory) = (number("stat::average_exec_per_sec:"), number("stat::peak_rss_mb:"));
    format!("{runs:>9} inputs, {a_second:>6}/s, {reached:>6} places reached, {memory:>4} MiB")
}

fn is_about_a_finding(line: &str) -> bool {
    let words =
        ["panicked at", "ERROR:", "SUMMARY", "Test unit written to", "memory allocation of", "assertion"];
    words.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_summed_up_in_a_line() {
        let said = "INFO: seed corpus: files: 4\n#4\tINITED cov: 310 ft: 311 corp: 4/9b\n#2097152\tpulse  cov: 335 ft: 402 corp: 60/2Kb\n\
                    #2500000\tDONE   cov: 336 ft: 402 corp: 60/2Kb lim: 4096 exec/s: 500000 rss: 90Mb\n\
                    stat::number_of_executed_units: 2500000\nstat::average_exec_per_sec:     500000\nstat::peak_rss_mb:              90\n";
        assert_eq!(summary(said), "  2500000 inputs, 500000/s,    336 places reached,   90 MiB");
        assert_eq!(summary(""), "        ? inputs,      ?/s,      ? places reached,    ? MiB");
    }
}

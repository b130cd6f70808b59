//! Programs run for their effect, and the lab's own long-lived processes found by their command lines.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Runs a program and returns what it printed; a failure carries the command line and its standard error.
pub fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let line = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {}", line()))?;
    if !output.status.success() {
        bail!("{}: {}: {}", line(), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Tries until `ready` gives something, or the time is over; then the last refusal is the error.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ready: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        let last = match ready() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if begun.elapsed() > limit {
            return match last {
                Some(error) => Err(error.context(format!("{what}: not within {limit:?}"))),
                None => bail!("{what}: not within {limit:?}"),
            };
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// The process ids whose command line has `program` as its first word's file name, `word` as another, and the
/// lab's state directory as a third. Finding them this way needs no pid file, so a crash half-way loses none.
pub fn find(program: &str, word: &str, state: &Path) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let state = state.to_string_lossy();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            let named = words
                .first()
                .is_some_and(|first| first.rsplit(|byte| *byte == b'/').next() == Some(program.as_bytes()));
            named && words.contains(&word.as_bytes()) && words.contains(&state.as_bytes())
        })
        .map(Pid::from_raw)
        .collect()
}

/// The processes that a process started and that are still there.
pub fn children(of: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    threads
        .flat_map(|thread| {
            let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
        })
        .map(Pid::from_raw)
        .collect()
}

/// Whether a process is gone, or has only its exit code left for a parent that may be this process.
fn has_ended(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, after)| after.trim_start().starts_with(['Z', 'X']))
}

/// Ends processes: asks, waits, and kills those that stay.
pub fn end(pids: &[Pid], patience: Duration) -> anyhow::Result<()> {
    for pid in pids {
        let _ = kill(*pid, Signal::SIGTERM);
    }
    let gone = |pids: &[Pid]| pids.iter().all(|pid| has_ended(*pid));
    let begun = Instant::now();
    while !gone(pids) && begun.elapsed() < patience {
        std::thread::sleep(Duration::from_millis(10));
    }
    for pid in pids {
        let _ = kill(*pid, Signal::SIGKILL);
    }
    wait_for("processes to end", Duration::from_secs(10), || Ok(gone(pids).then_some(())))
}

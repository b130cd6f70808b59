//! One target in this process: inputs one after another until the time is over.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::mutate::mutate;
use crate::{Dice, Target};

/// As much as a task of a server has.
const STACK: usize = 2 << 20;
/// No input of a few KiB may take longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many inputs are kept to go on from.
const KEPT: usize = 4096;

/// What a session came to.
#[derive(Debug)]
pub struct Told {
    /// How many inputs there were.
    pub runs: u64,
    /// How many came to something that no other came to.
    pub kinds: usize,
}

/// A number for a value.
pub fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Runs a target. The input of the moment lies in the file `current`.
pub fn run(target: &'static Target, current: &Path, lasts: Duration, seed: u64) -> anyhow::Result<Told> {
    let file = std::fs::File::create(current)?;
    let runs = Arc::new(AtomicU64::new(0));
    watch(runs.clone());
    let worker = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let mut dice = Dice::new(hash((seed, target.name)));
        let mut kept: Vec<Vec<u8>> = (target.seeds)();
        let mut seen = HashSet::new();
        let mut try_one = |input: &[u8]| -> std::io::Result<bool> {
            file.write_all_at(input, 0)?;
            file.set_len(input.len() as u64)?;
            runs.fetch_add(1, Ordering::Relaxed);
            Ok(seen.insert((target.run)(input)))
        };
        for input in &kept {
            try_one(input)?;
        }
        let begun = Instant::now();
        while begun.elapsed() < lasts {
            let mut input = dice.one(&kept).clone();
            let other = dice.one(&kept).clone();
            mutate(&mut input, &other, &mut dice);
            if try_one(&input)? && kept.len() < KEPT {
                kept.push(input);
            }
        }
        Ok(Told { runs: runs.load(Ordering::Relaxed), kinds: seen.len() })
    })?;
    match worker.join() {
        Ok(told) => told,
        Err(_) => anyhow::bail!("the target panicked"),
    }
}

/// Ends the process when one input takes too long.
fn watch(runs: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut last = (0, Instant::now());
        loop {
            std::thread::sleep(PATIENCE / 10);
            let now = runs.load(Ordering::Relaxed);
            if now != last.0 {
                last = (now, Instant::now());
            } else if now > 0 && last.1.elapsed() > PATIENCE {
                eprintln!("one input takes longer than {PATIENCE:?}");
                std::process::exit(3);
            }
        }
    });
}

//! Progress for a person at a terminal: what is done now, and how long each step took.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Instant,
};

/// Prints one line for each step.
pub struct Progress {
    started: Instant,
    terminal: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self { started: Instant::now(), terminal: std::io::stderr().is_terminal() }
    }
}

impl Progress {
    /// Does a step, saying first what is waited for and then how long it took.
    pub fn step<T>(&self, what: &str, step: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let begun = Instant::now();
        let mut out = std::io::stderr();
        if self.terminal {
            let _ = write!(out, "  … {what}");
            let _ = out.flush();
        }
        let result = step();
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        let mark = if result.is_ok() { "✓" } else { "✗" };
        let _ = writeln!(out, "{clear}  {mark} {what}  {:.1}s", begun.elapsed().as_secs_f32());
        result
    }

    /// Seconds since the first step.
    pub fn elapsed(&self) -> f32 {
        self.started.elapsed().as_secs_f32()
    }
}

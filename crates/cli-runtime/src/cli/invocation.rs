//! One command line after parsing: the command, its arguments and the values of its flags.

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::Duration;

use super::{Command, Run};
use crate::error::{Error, Result};

/// A command that is to be run, with its arguments and flags.
pub struct Invocation {
    path: Vec<&'static Command>,
    run: Run,
    flags: BTreeMap<&'static str, Vec<String>>,
    /// The arguments that are not flags.
    pub args: Vec<String>,
    /// How many arguments stand before `--`.
    pub dash_at: Option<usize>,
}

/// Whether a change is made, only shown, or only tried on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// Really do it.
    None,
    /// Send nothing.
    Client,
    /// Send it, store nothing.
    Server,
}

impl DryRun {
    /// The value of the request's `dryRun` parameter.
    pub fn parameter(self) -> &'static str {
        match self {
            DryRun::None | DryRun::Client => "",
            DryRun::Server => "All",
        }
    }

    /// What is added to the message of what was done.
    pub fn suffix(self) -> &'static str {
        match self {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        }
    }
}

impl Invocation {
    /// An invocation of the last command of a path.
    pub fn new(
        path: Vec<&'static Command>,
        run: Run,
        flags: BTreeMap<&'static str, Vec<String>>,
        args: Vec<String>,
        dash_at: Option<usize>,
    ) -> Self {
        Self { path, run, flags, args, dash_at }
    }

    /// What runs it.
    pub fn run_function(&self) -> Run {
        self.run
    }

    /// The command as typed, without flags: `kubectl create deployment`.
    pub fn command_path(&self) -> String {
        self.path.iter().map(|command| command.name).collect::<Vec<_>>().join(" ")
    }

    /// The commands from the root to this one.
    pub fn path(&self) -> &[&'static Command] {
        &self.path
    }

    /// A usage error of this command.
    pub fn usage(&self, text: impl AsRef<str>) -> Error {
        Error::usage(&self.command_path(), text)
    }

    /// Whether the flag was given.
    pub fn changed(&self, name: &str) -> bool {
        self.flags.contains_key(name)
    }

    /// A text flag's value, or its default.
    pub fn text(&self, name: &str) -> &str {
        match self.flags.get(name).and_then(|values| values.last()) {
            Some(value) => value,
            None => self.default(name),
        }
    }

    /// A global flag's value; a command's own flag of the same name (`--user` of a role binding) is not meant.
    pub fn global(&self, name: &str) -> &str {
        let shadowed = self.path.last().is_some_and(|command| command.flag(name).is_some());
        if shadowed { "" } else { self.text(name) }
    }

    /// A switch's value.
    pub fn is(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// A number flag's value.
    pub fn int(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// A repeatable flag's values.
    pub fn list(&self, name: &str) -> &[String] {
        self.flags.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// A duration flag's value; zero when it is not a duration.
    pub fn duration(&self, name: &str) -> Duration {
        duration(self.text(name)).unwrap_or_default()
    }

    /// What `--dry-run` says.
    pub fn dry_run(&self) -> Result<DryRun> {
        match self.text("dry-run") {
            "none" | "" => Ok(DryRun::None),
            "client" => Ok(DryRun::Client),
            "server" => Ok(DryRun::Server),
            "unchanged" => {
                static WARNED: Once = Once::new();
                WARNED.call_once(|| {
                    errln!("W: --dry-run is deprecated and can be replaced with --dry-run=client.");
                });
                Ok(DryRun::Client)
            }
            other => Err(Error::message(format!(
                "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
            ))),
        }
    }

    /// Exactly this many arguments, or the error that upstream gives.
    pub fn exactly_one_name(&self) -> Result<&str> {
        match self.args.as_slice() {
            [name] => Ok(name),
            args => Err(self.usage(format!("exactly one NAME is required, got {}", args.len()))),
        }
    }

    /// Refuses arguments where there must be none.
    pub fn no_args(&self) -> Result<()> {
        match self.args.is_empty() {
            true => Ok(()),
            false => Err(self.usage(format!("unexpected arguments: [{}]", self.args.join(" ")))),
        }
    }

    /// Refuses a command line that lacks a required flag.
    pub fn require(&self, names: &[&str]) -> Result<()> {
        let missing: Vec<String> =
            names.iter().filter(|name| !self.changed(name)).map(|name| format!("\"{name}\"")).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Error::message(format!("required flag(s) {} not set", missing.join(", ")))),
        }
    }

    /// Turns on the log on standard error when `-v` asks for it.
    pub fn start_logging(&self) {
        use tracing_subscriber::filter::{LevelFilter, Targets};
        use tracing_subscriber::prelude::*;
        // The libraries' own lines only help those who ask for everything.
        let targets = match self.int("v") {
            ..=3 => return,
            4..=7 => Targets::new()
                .with_target("kubectl", LevelFilter::DEBUG)
                .with_target("cli_runtime", LevelFilter::DEBUG),
            8..=9 => Targets::new().with_default(LevelFilter::DEBUG),
            _ => Targets::new().with_default(LevelFilter::TRACE),
        };
        let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour);
        let _ = tracing_subscriber::registry().with(lines).with(targets).try_init();
    }

    fn default(&self, name: &str) -> &'static str {
        let own = self.path.last().and_then(|command| command.flag(name));
        own.or_else(|| super::globals::GLOBALS.iter().find(|flag| flag.name == name))
            .map_or("", |flag| flag.default)
    }
}

/// Reads a Go duration (`1h2m3.5s`, `250ms`); a bare number is seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Ok(seconds) = text.parse::<f64>() {
        // A negative wait means a week upstream; anything so long is as good.
        return if seconds < 0.0 {
            Some(Duration::from_secs(7 * 24 * 3600))
        } else {
            Duration::try_from_secs_f64(seconds).ok()
        };
    }
    if let Some(positive) = text.strip_prefix('-') {
        return duration(positive).map(|_| Duration::from_secs(7 * 24 * 3600));
    }
    let mut total = 0.0;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += number
            * match &rest[..unit_end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_gos() {
        for (text, millis) in [("1m30s", 90_000), ("250ms", 250), ("30", 30_000), ("1.5h", 5_400_000)] {
            assert_eq!(duration(text).unwrap().as_millis(), millis, "{text}");
        }
        for wrong in ["", "x", "1y", "s"] {
            assert!(duration(wrong).is_none(), "{wrong}");
        }
    }
}

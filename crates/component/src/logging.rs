//! Structured logs on stderr: text for people, JSON for machines.

mod journal;

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use tracing::Level;
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One readable line each.
    Text,
    /// One JSON object each.
    Json,
}

/// The logging flags that every component takes.
#[derive(Debug, Clone, Args)]
pub struct LoggingFlags {
    /// Verbosity: 0–3 information, 4–5 debugging, 6 and more everything
    #[arg(long = "v", short = 'v', default_value_t = 0, value_name = "LEVEL")]
    pub verbosity: u8,
    /// Form of the log lines
    #[arg(long = "logging-format", visible_alias = "log-format", value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

impl Default for LoggingFlags {
    fn default() -> Self {
        Self { verbosity: 0, format: Format::Text }
    }
}

/// Installs the process's subscriber. Libraries log from information upwards only at verbosity 6.
pub fn init(flags: &LoggingFlags) {
    let (own, libraries) = match flags.verbosity {
        0..=3 => (Level::INFO, Level::WARN),
        4..=5 => (Level::DEBUG, Level::WARN),
        6..=7 => (Level::TRACE, Level::INFO),
        _ => (Level::TRACE, Level::TRACE),
    };
    let mut filter = Targets::new().with_default(own);
    for noisy in ["h2", "hyper", "hyper_util", "kube_client", "kube_runtime", "rustls", "tonic", "tower"] {
        filter = filter.with_target(noisy, libraries);
    }
    let registry = tracing_subscriber::registry();
    let subscriber = fmt::layer().with_writer(std::io::stderr).with_target(false);
    // A second call (several components in one test process) leaves the first subscriber in place.
    let _ = match flags.format {
        Format::Text if journal::reads_stderr() => {
            registry.with(subscriber.event_format(journal::Lines).with_filter(filter)).try_init()
        }
        Format::Text => registry
            .with(subscriber.with_ansi(std::io::stderr().is_terminal()).with_filter(filter))
            .try_init(),
        Format::Json => registry.with(subscriber.json().flatten_event(true).with_filter(filter)).try_init(),
    };
}

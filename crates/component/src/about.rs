//! What this process is: its name, since when it runs, and with which flags.

use std::sync::OnceLock;

use jiff::Timestamp;

static NAME: OnceLock<String> = OnceLock::new();
static STARTED: OnceLock<Timestamp> = OnceLock::new();
static COMMAND_LINE: OnceLock<CommandLine> = OnceLock::new();

/// What the process was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Each flag with its value, the ones that were not given too.
    pub flags: Vec<(String, String)>,
    /// `--profiling`
    pub profiles: bool,
}

/// Says which component this is; the first one of a process counts.
pub fn is(name: &str) {
    NAME.get_or_init(|| name.to_owned());
    started();
}

/// Says what the process was told.
pub fn was_told(command_line: CommandLine) {
    let _ = COMMAND_LINE.set(command_line);
}

/// The component's name.
pub fn name() -> &'static str {
    NAME.get().map_or("magnetite", String::as_str)
}

/// When the process was started, or when somebody first asked.
pub fn started() -> Timestamp {
    *STARTED.get_or_init(Timestamp::now)
}

/// What the process was told.
pub fn command_line() -> &'static CommandLine {
    static NOTHING: CommandLine = CommandLine { flags: Vec::new(), profiles: true };
    COMMAND_LINE.get().unwrap_or(&NOTHING)
}

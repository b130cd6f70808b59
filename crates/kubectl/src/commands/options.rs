//! `kubectl options`: the flags that every command takes.

use cli_runtime::cli::{Command, help};

/// Lists the global flags.
pub static COMMAND: Command = Command {
    name: "options",
    short: "List of global command-line options (applies to all commands)",
    usage: "options",
    run: Some(|_| {
        Box::pin(async {
            out!("{}", help::options());
            Ok(())
        })
    }),
    ..Command::NONE
};

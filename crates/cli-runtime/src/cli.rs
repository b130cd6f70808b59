//! The command line: a table of commands and flags, read the way upstream's (cobra and pflag) is.

pub mod complete;
pub mod flag;
pub mod globals;
pub mod help;
mod invocation;
pub mod man;
mod parse;
mod suggest;

use std::future::Future;
use std::pin::Pin;

use crate::error::Result;
pub use flag::Flag;
pub use invocation::Invocation;
pub use invocation::{DryRun, duration};
pub use parse::{Parsed, parse};
pub use suggest::suggestions;

/// What runs a command.
pub type Run = fn(Invocation) -> Pin<Box<dyn Future<Output = Result<()>>>>;

/// One command of the tree: what is typed, what help says, which flags it takes and what it does.
pub struct Command {
    /// The word that is typed.
    pub name: &'static str,
    /// Other words for it.
    pub aliases: &'static [&'static str],
    /// One line for lists of commands.
    pub short: &'static str,
    /// The first paragraphs of its help; empty means the short line.
    pub long: &'static str,
    /// Examples: lines that start with `#` are explanations.
    pub examples: &'static str,
    /// The usage line after the path of parent commands.
    pub usage: &'static str,
    /// Groups of flags, shown together in alphabetical order.
    pub flags: &'static [&'static [Flag]],
    /// How its help groups the commands below it, by name; empty means one group.
    pub groups: &'static [(&'static str, &'static [&'static str])],
    /// Commands below this one.
    pub subcommands: &'static [&'static Command],
    /// What it does; without it, it shows its help.
    pub run: Option<Run>,
}

impl Command {
    /// A command with nothing set, to be completed by struct update.
    pub const NONE: Command = Command {
        name: "",
        aliases: &[],
        short: "",
        long: "",
        examples: "",
        usage: "",
        flags: &[],
        groups: &[],
        subcommands: &[],
        run: None,
    };

    /// All its own flags, in alphabetical order.
    pub fn sorted_flags(&self) -> Vec<&'static Flag> {
        let mut flags: Vec<&Flag> = self.flags.iter().flat_map(|group| group.iter()).collect();
        flags.sort_by_key(|flag| flag.name);
        flags
    }

    /// The subcommand that this word names.
    pub fn subcommand(&self, word: &str) -> Option<&'static Command> {
        self.subcommands
            .iter()
            .copied()
            .find(|command| command.name == word || command.aliases.contains(&word))
    }

    fn flag(&self, name: &str) -> Option<&'static Flag> {
        self.flags.iter().flat_map(|group| group.iter()).find(|flag| flag.name == name)
    }
}

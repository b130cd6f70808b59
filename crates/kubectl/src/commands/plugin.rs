//! `kubectl plugin list`, and running `kubectl-…` programs as commands.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::error::{Error, Result};

/// Works with plugins.
pub static COMMAND: Command = Command {
    name: "plugin",
    short: "Provides utilities for interacting with plugins",
    long: "Provides utilities for interacting with plugins.\n\nA plugin is a program on the PATH whose name begins with kubectl-.",
    usage: "plugin [flags]",
    subcommands: &[&LIST],
    ..Command::NONE
};

static LIST: Command = Command {
    name: "list",
    short: "List all visible plugin executables on a user's PATH",
    usage: "list [flags]",
    flags: &[&[Flag::switch("name-only", "Names instead of paths.")]],
    run: Some(|invocation| Box::pin(async move { list(&invocation) })),
    ..Command::NONE
};

fn directories() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn executable(path: &std::path::Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn list(invocation: &Invocation) -> Result<()> {
    let mut found = Vec::new();
    for directory in directories() {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kubectl-"))
            })
            .collect();
        entries.sort();
        found.extend(entries);
    }
    if found.is_empty() {
        return Err(Error::message("unable to find any kubectl plugins in your PATH"));
    }
    outln!("The following compatible plugins are available:\n");
    let mut warnings = 0;
    for path in found {
        match invocation.is("name-only") {
            true => outln!(
                "{}",
                path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
            ),
            false => outln!("{}", path.display()),
        }
        if !executable(&path) {
            errln!(
                "  - warning: {} identified as a kubectl plugin, but it is not executable",
                path.display()
            );
            warnings += 1;
        }
    }
    match warnings {
        0 => Ok(()),
        1 => Err(Error::message("one plugin warning was found")),
        count => Err(Error::message(format!("{count} plugin warnings were found"))),
    }
}

/// Runs the plugin with the longest name that the first words spell, if the command is not known.
pub fn try_plugin(args: &[String], error: &Error) -> Option<ExitCode> {
    if !error.text().contains("unknown command") {
        return None;
    }
    let words: Vec<String> =
        args.iter().take_while(|arg| !arg.starts_with('-')).map(|arg| arg.replace('-', "_")).collect();
    for length in (1..=words.len()).rev() {
        let name = format!("kubectl-{}", words[..length].join("-"));
        if name.contains('/') {
            continue;
        }
        if let Some(path) =
            directories().into_iter().map(|directory| directory.join(&name)).find(|path| executable(path))
        {
            let failed = std::process::Command::new(&path).args(&args[length..]).exec();
            errln!("error: cannot run {}: {failed}", path.display());
            return Some(ExitCode::FAILURE);
        }
    }
    None
}

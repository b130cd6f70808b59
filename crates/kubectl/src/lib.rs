//! The command-line client: what was typed becomes an [`Invocation`], a command gives it meaning and runs it.

#[macro_use(errln, out, outln)]
extern crate cli_runtime;

mod commands;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use cli_runtime::cli::{self, Invocation, Parsed};
use cli_runtime::error::Error;

pub use commands::ROOT;

/// Runs one kubectl command line (without the program's name) and returns its exit code.
pub fn run(args: Vec<String>) -> ExitCode {
    let parsed = match cli::parse(&commands::ROOT, &args) {
        Ok(parsed) => parsed,
        Err(error) => {
            if let Some(code) = commands::plugin::try_plugin(&args, &error) {
                return code;
            }
            return fail(&error);
        }
    };
    match parsed {
        Parsed::Help(path) => {
            out!("{}", cli::help::text(&path));
            ExitCode::SUCCESS
        }
        Parsed::Incomplete(path) => fail(&Error::Exit(1, cli::help::text(&path))),
        Parsed::Run(invocation) => match execute(*invocation) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
    }
}

fn execute(invocation: Invocation) -> Result<(), Error> {
    invocation.start_logging();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::message(format!("cannot start the runtime: {source}")))?;
    let run = invocation.run_function();
    let result = runtime.block_on(run(invocation));
    // A blocked read of standard input must not keep the process alive.
    runtime.shutdown_background();
    result
}

fn fail(error: &Error) -> ExitCode {
    let text = error.text();
    if !text.is_empty() {
        errln!("{}", text.trim_end_matches('\n'));
    }
    ExitCode::from(error.exit_code())
}

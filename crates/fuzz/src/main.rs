//! Feeds every decoder with inputs that nobody wrote: `cargo xtask fuzz`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match fuzz::run(fuzz::Flags::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

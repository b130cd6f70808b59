//! The `machines` program: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    machines::cli::main()
}

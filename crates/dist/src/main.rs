//! Makes a release out of built programs.

use std::process::ExitCode;

fn main() -> ExitCode {
    dist::main()
}

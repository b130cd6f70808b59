//! Runs the Vagrant lab from its box to its end.

use std::process::ExitCode;

fn main() -> ExitCode {
    vagrant_test::main()
}

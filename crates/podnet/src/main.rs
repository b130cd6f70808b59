//! Pod addresses, routes between nodes.

use std::process::ExitCode;

fn main() -> ExitCode {
    podnet::main()
}

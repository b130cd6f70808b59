//! Pod addresses, routes between nodes, network policies.

use std::process::ExitCode;

fn main() -> ExitCode {
    podnet::main()
}

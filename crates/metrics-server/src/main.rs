//! The resource metrics API.

use std::process::ExitCode;

fn main() -> ExitCode {
    metrics_server::main()
}

//! DNS for Services and pods.

use std::process::ExitCode;

fn main() -> ExitCode {
    cluster_dns::main()
}

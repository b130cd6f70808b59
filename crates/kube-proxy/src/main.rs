//! Services into packet rules.

use std::process::ExitCode;

fn main() -> ExitCode {
    kube_proxy::main()
}

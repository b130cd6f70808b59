//! Binds pods to nodes.

use std::process::ExitCode;

fn main() -> ExitCode {
    kube_scheduler::main()
}

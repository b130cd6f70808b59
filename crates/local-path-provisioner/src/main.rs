//! Volumes that are directories of a node.

use std::process::ExitCode;

fn main() -> ExitCode {
    local_path_provisioner::main()
}

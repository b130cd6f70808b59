//! What stands beside a CSI driver.

use std::process::ExitCode;

fn main() -> ExitCode {
    csi_sidecar::main()
}

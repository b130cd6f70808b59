//! A CSI driver whose volumes are directories.

use std::process::ExitCode;

fn main() -> ExitCode {
    csi_hostpath_driver::main()
}

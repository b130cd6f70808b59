//! The `kubeadm` program: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubeadm::main()
}

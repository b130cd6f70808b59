//! Loads and measurements of the running components: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::main()
}

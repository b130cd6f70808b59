//! A registry of image archives.

use std::process::ExitCode;

fn main() -> ExitCode {
    images::main()
}
